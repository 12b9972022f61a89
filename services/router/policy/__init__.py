"""Policy bundles: stored, put in force, compiled once, and checked against this installation."""
