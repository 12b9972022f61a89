"""The numbers that expressions calculate with: doubles."""

import math


def fits_double(number: float) -> bool:
    """Whether a double can hold the number: finite, and not too large a whole number."""
    try:
        return math.isfinite(number)
    except OverflowError:
        return False
