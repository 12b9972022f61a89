"""What crosses services, and nothing else: the messages on the log, and plumbing that two services use."""
