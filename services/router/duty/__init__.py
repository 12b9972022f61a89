"""The duty overlay: overrides, silences and maintenance, which change without a new policy."""
