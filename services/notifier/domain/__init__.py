"""What the notifier decides, pure: who gets which message by which contact, and when it is tried again."""
