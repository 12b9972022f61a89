"""The command line and the all-in-one process: imports everything, nothing imports it."""

__version__ = "0.1.0"
