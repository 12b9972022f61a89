"""Intake: any accepted format in, events on the log out, and no database."""
