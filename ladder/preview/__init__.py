"""What people would read of an event: it is decided, worded and formed as ever, and nothing is sent."""
