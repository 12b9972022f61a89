"""Sending what is due: attempts, how many at once, and whether each is still wanted."""
