"""The escalation rules as pure functions: no I/O, no clock, no randomness. Start reading at `decide`."""
