"""What can go wrong, by kind; what the system lacks for a moment; the one among many that is refused."""
