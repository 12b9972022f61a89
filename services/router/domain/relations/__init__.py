"""What incidents tell each other: of their group, their cause, what they were merged into."""
