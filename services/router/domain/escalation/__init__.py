"""Escalation: which level is asked now, whom it names, and what follows if nobody acts (rules 1–7, 18–21)."""
