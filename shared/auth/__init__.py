"""Who calls an API, what they may do, and what becomes of whoever guesses."""
