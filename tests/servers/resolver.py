"""An event loop with a name server of its own: names below `.test` come and go as a test says."""

import asyncio
import socket
from typing import Any


class Resolver(asyncio.SelectorEventLoop):
    """`known` maps names to addresses. Every connection of a process asks its event loop."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[str, str] = {}
        self.asked: list[str] = []

    async def getaddrinfo(self, host: Any, port: Any, **more: Any) -> Any:
        if not str(host).endswith(".test"):
            return await super().getaddrinfo(host, port, **more)
        self.asked.append(host)
        if host not in self.known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return await super().getaddrinfo(self.known[host], port, **more)
