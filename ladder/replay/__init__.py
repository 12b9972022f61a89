"""A recorded incident log, posted again through the HTTP intake: rows in, events out, then compared."""
