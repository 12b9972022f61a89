"""SLAs: one clock by itself, and what its clocks mean for an incident (rule 8)."""
