"""What Ladder cannot do as it was asked: one clear sentence for the person at the terminal, exit code 2."""


class RefusedError(Exception):
    """It cannot be done like this; the text says why and what to do, in a sentence (or one a line)."""
