"""TCP sockets that notice within about eight seconds that the other side is gone without a word."""

import socket
from typing import Any, Final

IDLE_SECONDS: Final = 3  # of silence before the first probe
BETWEEN_SECONDS: Final = 2
PROBES: Final = 3
UNANSWERED_MS: Final = 8_000

_OPTIONS: Final = {
    "TCP_KEEPIDLE": IDLE_SECONDS,
    "TCP_KEEPINTVL": BETWEEN_SECONDS,
    "TCP_KEEPCNT": PROBES,
    "TCP_USER_TIMEOUT": UNANSWERED_MS,
}

SOCKET_OPTIONS: Final = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in _OPTIONS.items()
        if hasattr(socket, name)
    ),
)
"""What lets a TCP socket notice that the other side is gone, as far as the system has it."""


def watch_over(sock: Any) -> None:
    """Set keepalives and the longest time without an answer."""
    if sock is None or sock.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    for option in SOCKET_OPTIONS:
        sock.setsockopt(*option)
