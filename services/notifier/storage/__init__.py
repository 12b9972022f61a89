"""What the notifier keeps in PostgreSQL."""
