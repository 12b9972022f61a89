"""Escalation points: conditions and shares of a clock, and what they trigger (docs/rules.md, rule 10)."""
