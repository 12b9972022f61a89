"""The customer directory: kept in the database, imported from files, looked up a batch at a time."""
