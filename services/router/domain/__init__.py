"""The escalation rules, pure: no I/O, no clock, no randomness. `decide` is the way in."""
