"""Escalation points: conditions and shares of a clock, and what they trigger (POLICY.md, rule 10)."""
