"""Amazon SNS: its messages, their signatures, and the confirmation of subscriptions."""
