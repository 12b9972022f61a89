"""What a transaction wants published and which messages it has applied: tables beside the work itself."""
