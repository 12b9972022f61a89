"""One batch, one transaction: signals come in, everything they need is gathered, decided, and applied."""
