"""Messages between incidents: about their group, their cause, what they were merged into."""
