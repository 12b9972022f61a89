"""What a message says, before a channel gives it its form. Pure."""
