"""Loops that never end: steps tried again, outages said once, and the pulse that shows a loop is alive."""
