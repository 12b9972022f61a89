"""One batch, one transaction: gather what the signals need, decide, apply."""
