"""What a connection may take, and the settings that say so."""

import ipaddress
from dataclasses import dataclass
from typing import Final, Self, TypeAlias

from pydantic import Field, field_validator

from ladder.serving.open_files import reserve
from shared import telemetry
from shared.settings import CommaSeparated, LadderSettings

log = telemetry.logger(__name__)
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_ENOUGH: Final = 4096  # connections in all


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a connection may take. Seconds, bytes, bytes a second."""

    in_all: int = 4096
    keyless_per_address: int = 256
    header_bytes: int = 32 * 1024  # the request line counts
    header_lines: int = 100
    head_seconds: float = 10.0  # to the first byte, and from there to the end of the head
    body_seconds: float = 30.0  # of waiting for a body, and a second more for each `body_rate` of it
    body_rate: int = 16 * 1024
    keep_alive_seconds: float = 65.0  # longer than a load balancer's, which then never meets a closed one
    proxies: tuple[Network, ...] = ()  # each speaks for many, so that no bound by address holds for them

    @classmethod
    def within(cls, settings: "ConnectionSettings", files: int) -> Self:
        """By the settings, but never more in all than leaves enough of this many files for paging."""
        most = files - reserve(files)
        wanted = settings.http_connections or min(_ENOUGH, most)
        if wanted > most:
            log.warning(
                "LADDER_HTTP_CONNECTIONS is more than the limit of open files allows",
                action="connections_bounded",
                wanted=wanted,
                taken=most,
            )
        return cls(
            in_all=min(wanted, most),
            keyless_per_address=settings.http_connections_per_address,
            header_bytes=settings.http_header_bytes,
            header_lines=settings.http_header_lines,
            head_seconds=settings.http_head_seconds,
            body_seconds=settings.http_body_seconds,
            body_rate=settings.http_body_rate,
            keep_alive_seconds=settings.http_keep_alive_seconds,
            proxies=settings.proxies,
        )


class ConnectionSettings(LadderSettings):
    """What strangers may use, and which proxies are trusted."""

    http_connections: int | None = Field(
        default=None, ge=16, description="connections in all; unset: 4096, or what the file limit leaves"
    )
    http_connections_per_address: int = Field(
        default=256, ge=1, description="connections without a good key, by address (IPv6: /64)"
    )
    http_header_bytes: int = Field(default=32 * 1024, ge=1024, description="of request line and headers")
    http_header_lines: int = Field(default=100, ge=10)
    http_head_seconds: float = Field(
        default=10, gt=0, description="to the first byte, and from there to the end of the head"
    )
    http_body_seconds: float = Field(default=30, gt=0, description="of waiting for a body")
    http_body_rate: int = Field(
        default=16 * 1024, ge=1, description="bytes a second; so many more of a body give it a second more"
    )
    http_keep_alive_seconds: float = Field(default=65, gt=0)
    failed_keys_per_minute: int = Field(
        default=30, ge=1, description="from one address; then wrong keys and links are answered by 429"
    )
    trusted_proxies: CommaSeparated = Field(
        default=(), description="addresses and networks whose X-Forwarded-For is believed"
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        for entry in entries:
            try:
                ipaddress.ip_network(entry)
            except ValueError as err:
                raise ValueError(f"{entry!r} is not an address or a network such as 10.0.0.0/8") from err
        return entries

    @property
    def proxies(self) -> tuple[Network, ...]:
        return tuple(ipaddress.ip_network(entry) for entry in self.trusted_proxies)
