"""Telephones, as Twilio and its like reach them: signatures, TwiML, the length of a text, answers."""
