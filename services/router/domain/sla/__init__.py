"""Promises to customers: one clock by itself, and what the clocks mean for an incident (rule 8)."""
