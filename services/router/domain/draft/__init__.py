"""A decision in the making: the incident so far, the recipients of a target, the values expressions see."""
