"""`python -m ladder` is the command `ladder`."""

from ladder.cli import main

main()
