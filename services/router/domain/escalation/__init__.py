"""Up the ladder: which level is asked now, whom of it, what follows if nobody takes it (rules 1–7, 18–21)."""
