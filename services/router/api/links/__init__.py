"""Signed links in messages: what their holder sees of an incident, and what they can do by them."""
