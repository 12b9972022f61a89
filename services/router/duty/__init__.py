"""What changes from hour to hour without a new policy: overrides, silences, maintenance."""
