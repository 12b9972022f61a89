"""Signed links in messages: what their holder sees of an incident, and can do with it."""
