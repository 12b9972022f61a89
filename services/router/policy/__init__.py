"""The policy in force: stored, compiled once, and what is wrong with it in this installation."""
