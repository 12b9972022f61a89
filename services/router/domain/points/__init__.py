"""Escalation points: conditions and shares of a clock, and what they set off (POLICY.md, rule 10)."""
