"""What keeps an incident quiet while everything is recorded: suppression and grouping (rule 11)."""
