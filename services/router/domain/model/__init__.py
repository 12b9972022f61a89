"""The values that rules talk about: the incident, what reaches it, what surrounds it, what comes of it."""
