"""When something is open: local times, what opens on a day, how much open time lies between two moments."""
