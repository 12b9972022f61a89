"""Notifier: owns every message to a person, from the request to the receipt."""
