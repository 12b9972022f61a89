"""What mutes an incident while everything is still recorded: suppression and grouping (rule 11)."""
