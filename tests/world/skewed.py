"""`ladder` in a process whose clock is so many seconds ahead (or behind): the first argument, then ladder's own.

Only the process's wall clock is: what counts seconds, and every server, goes on as it does.
"""

import sys
from datetime import timedelta

import shared.clock

ahead = timedelta(seconds=int(sys.argv.pop(1)))
told = shared.clock.utcnow
shared.clock.utcnow = lambda: told() + ahead

from ladder.cli import main  # noqa: E402 - whoever is imported from here on knows that clock only

main()
