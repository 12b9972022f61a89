"""A decision in the making: the incident so far, who is meant by a target, what expressions see."""
