"""What the system lacks for a moment: files, memory, room, ports. It says nothing of what was asked for.

Whoever turns an OSError into a refusal (no such file, no such time zone) looks here first: what is scarce is
a reason to try again, never a final word.
"""

import errno
from typing import Final

_SCARCE: Final = frozenset(
    {
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.ENOBUFS,
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EAGAIN,
        errno.EINTR,
        errno.EIO,
        errno.ESTALE,
        errno.EADDRNOTAVAIL,
        errno.ETIMEDOUT,
    }
)


def is_scarcity(err: BaseException) -> bool:
    """Whether the error is one of these."""
    return isinstance(err, MemoryError) or (isinstance(err, OSError) and err.errno in _SCARCE)
