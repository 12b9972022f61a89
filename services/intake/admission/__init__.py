"""Who may post, how much, and what the policy says of each integration."""
