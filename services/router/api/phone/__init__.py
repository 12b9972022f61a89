"""Answers by telephone: text messages, and keys pressed in a call, as Twilio and its like post them."""
