"""The one reader of database URLs: what every provider hands out, by libpq's names, for every connection.

`postgresql://user:password@host:port/name?sslmode=verify-full&sslrootcert=/etc/ca.pem`, also spelt
`postgres://` and with SQLAlchemy's driver (`postgresql+asyncpg://`). asyncpg knows most of the names, and
sends the others to the server as settings, which then refuses every connection. So what libpq keeps to itself
(`connect_timeout`, `channel_binding`, `keepalives`, …) and what SQLAlchemy says (`ssl`) is settled here. A
name that libpq does not know, or one that cannot be kept, is an error before anything is connected.

https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
"""

import getpass
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from urllib.parse import quote, unquote, urlencode

from shared.database import tls as database_tls
from shared.database.tls import BadDatabaseUrlError
from shared.network.host_names import can_be_host

__all__ = ["BadDatabaseUrlError", "Host", "Server", "read"]

CONNECT_SECONDS: Final = 5.0
_LONGEST_CONNECT_SECONDS: Final = 30.0  # whoever waits longer for a connection is taken for stuck
_PORT: Final = 5432
_LONGEST_NAME: Final = (
    24  # of an application: Ladder's own part has to fit into PostgreSQL's 63 characters, too
)

_NO_URL: Final = "it is not a URL such as postgresql://user:password@host/name"
_ENCODED: Final = "(in a password the characters / ? # @ : % are written %2F %3F %23 %40 %3A %25)"
_NO_BEGINNING: Final = f"it cannot be told where its hosts begin {_ENCODED}"
# The shortest password after which hosts can stand: one with a plain @ is understood.
_SHAPE: Final = re.compile(
    r"(?:postgres|postgresql)(?:\+\w+)?://"
    r"(?:(?P<user>[^:@/]*)(?::(?P<password>[^/]*?))?@)?(?P<hosts>[^@/?]*)"
    r"(?:/(?P<name>[^?]*))?(?:\?(?P<query>.*))?",
    re.DOTALL,
)

_IDENTITY: Final = ("user", "password", "passfile", "service", "krbsrvname", "gsslib")
_OURS: Final = ("application_name", "fallback_application_name", "connect_timeout", "target_session_attrs")

# What libpq knows and neither asyncpg nor Ladder does: the values that change nothing here.
_ONLY: Final[Mapping[str, Sequence[str]]] = {
    "channel_binding": ("disable", "prefer", "require"),  # `require`: see `Server.warnings`
    "client_encoding": ("auto", "utf8", "utf-8", "unicode"),
    "gssdelegation": ("0",),
    "gssencmode": ("disable", "prefer"),
    "load_balance_hosts": ("disable",),
    "replication": ("false", "off", "no", "0"),
    "sslcertmode": ("allow",),
    "sslcompression": ("0",),
    "sslsni": ("1",),
}
# What Ladder sets itself on every connection, so that a silent server and a stopped client are noticed.
_SET_BY_LADDER: Final = (
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
)
_CANNOT: Final = (
    "hostaddr",
    "max_protocol_version",
    "min_protocol_version",
    "oauth_client_id",
    "oauth_client_secret",
    "oauth_issuer",
    "oauth_scope",
    "require_auth",
    "requirepeer",
    "scram_client_key",
    "scram_server_key",
    "servicefile",
    "sslcrldir",
    "sslkeylogfile",
)


Host: TypeAlias = tuple[str, int]
"""A name or an address, or the folder of a Unix socket; and a port."""


@dataclass(frozen=True, slots=True)
class Server:
    """Which server, as whom, and how the way to it is kept.

    `hosts` are tried in this order; empty: libpq's own. `seconds`: for each host, to be connected.
    `needs`: libpq's `target_session_attrs`.
    """

    hosts: tuple[Host, ...]
    name: str | None
    identity: Mapping[str, str] = field(repr=False)
    tls: Mapping[str, str] = field(repr=False)
    options: str = ""
    application: str = ""
    seconds: float = CONNECT_SECONDS
    needs: str = "any"
    warnings: tuple[str, ...] = ()

    def arguments(self, host: Host | None) -> Mapping[str, object]:
        """What `asyncpg.connect` is given for one of the hosts. Raises OSError for a file that is away."""
        given: dict[str, object] = dict(self.identity)
        if self.name is not None:
            given["database"] = self.name
        if host is not None:
            given["host"], given["port"] = host
        if self.tls.get("sslrootcert") == "system":
            given["ssl"] = database_tls.by_the_system(self.tls)
        elif self.tls:
            given["dsn"] = "postgresql://?" + urlencode(self.tls, quote_via=quote)
        return given

    def named(self, application: str) -> str:
        """`ladder relay router` of an URL with `application_name=shop`: `ladder[shop] relay router`.

        Ladder's sessions find each other by how these names begin and end (shared.database.stopped_clients).
        """
        if not self.application:
            return application
        first, blank, rest = application.partition(" ")
        return f"{first}[{self.application}]{blank}{rest}"

    def check(self) -> None:
        """Raises BadDatabaseUrlError for a file that cannot be used, or where nobody says who connects."""
        database_tls.check(self.tls)
        if "user" not in self.identity and not os.environ.get("PGUSER") and "service" not in self.identity:
            try:
                getpass.getuser()
            except (KeyError, OSError) as err:
                raise BadDatabaseUrlError("it names no user, and this process's own has no name") from err


def read(url: str) -> Server:
    """The server of a URL. Raises BadDatabaseUrlError; looks at no file (`Server.check` does)."""
    found = _SHAPE.fullmatch(url.strip())
    if found is None:
        raise BadDatabaseUrlError(_NO_URL)
    if "@" in (found["name"] or ""):
        raise BadDatabaseUrlError(_NO_BEGINNING)
    try:
        said = _parameters(found["query"] or "")
    except BadDatabaseUrlError:
        if found["user"] is None and "@" in found["query"]:  # what it quotes may be the end of a password
            raise BadDatabaseUrlError(_NO_BEGINNING) from None
        raise
    for name, part in (("user", found["user"]), ("password", found["password"]), ("dbname", found["name"])):
        if part:
            said.setdefault(name, _decoded(part))
    hosts = _hosts(found["hosts"], said)
    tls = database_tls.wanted(said)
    needs = said.get("target_session_attrs", "read-write" if len(hosts) > 1 else "any")
    if needs not in {"any", "read-write", "primary"}:
        raise BadDatabaseUrlError(
            f"target_session_attrs={needs} cannot be used: Ladder writes, so it needs read-write or primary"
        )
    return Server(
        hosts=hosts,
        name=said.get("dbname"),
        identity={name: said[name] for name in _IDENTITY if name in said},
        tls=tls,
        options=said.get("options", ""),
        application=_application(said),
        seconds=_seconds(said.get("connect_timeout", ""), len(hosts)),
        needs=needs,
        warnings=_warnings(said, tls),
    )


def _parameters(query: str) -> dict[str, str]:
    """By libpq's names, the last of each; what is empty says nothing. A plus is a plus."""
    said: dict[str, str] = {}
    hosts: list[str] = []
    for pair in filter(None, query.split("&")):
        name, equals, value = pair.partition("=")
        name, value = _decoded(name), _decoded(value)
        if not equals:
            raise BadDatabaseUrlError(f"the parameter {name!r} has no value {_ENCODED}")
        name = {"database": "dbname", "ssl": "sslmode"}.get(name, name)
        _refuse_unusable(name, value)
        if name == "host":
            hosts.append(value)
        if value:
            said[name] = value
    if len(hosts) > 1:  # as SQLAlchemy writes several
        said["host"] = ",".join(hosts)
    return said


def _refuse_unusable(name: str, value: str) -> None:
    known = {
        "host",
        "port",
        "dbname",
        "options",
        *_IDENTITY,
        *database_tls.NAMES,
        *_OURS,
        *_SET_BY_LADDER,
        *_ONLY,
    }
    if name in _CANNOT:
        raise BadDatabaseUrlError(f"the parameter {name} cannot be kept: leave it out")
    if name not in known:
        raise BadDatabaseUrlError(
            f"{name!r} is no parameter of libpq's: leave it out (the server's own settings are written "
            "options=-c%20NAME%3DVALUE)"
        )
    if value and name in _ONLY and value.lower() not in _ONLY[name]:
        raise BadDatabaseUrlError(f"{name}={value} cannot be kept; {' or '.join(_ONLY[name])} can")


def _decoded(text: str) -> str:
    try:
        decoded = unquote(text, errors="strict")
    except UnicodeDecodeError as err:
        raise BadDatabaseUrlError("what is percent-encoded in it is not UTF-8") from err
    if "\0" in decoded:
        raise BadDatabaseUrlError("%00 cannot stand in it")
    return decoded


def _hosts(authority: str, said: Mapping[str, str]) -> tuple[Host, ...]:
    """Of `host=` before those of the authority; a port for each, or one for all."""
    split = [_host_and_port(each) for each in authority.split(",")] if authority else []
    split = [(_decoded(host), port) for host, port in split]
    if "host" in said:
        split = [_host_and_port(each) for each in said["host"].split(",")]
    ports = said["port"].split(",") if "port" in said else [""]
    if len(ports) == 1:
        ports *= len(split)
    if len(ports) != len(split):
        raise BadDatabaseUrlError(f"it has {len(split)} hosts and {len(ports)} ports")
    if not split and "port" in said:
        raise BadDatabaseUrlError("it has a port, but no host")
    return tuple(
        (_checked_host(host), _port(own or port)) for (host, own), port in zip(split, ports, strict=True)
    )


def _host_and_port(text: str) -> tuple[str, str]:
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise BadDatabaseUrlError("the brackets around the address of a host do not fit")
        return host, rest[1:]
    if text.startswith("/") or text.count(":") > 1:  # in host=: a Unix socket's folder, IPv6
        return text, ""
    host, _, port = text.partition(":")
    return host, _decoded(port)


def _checked_host(host: str) -> str:
    if not host:
        return "localhost"
    if not host.startswith("/") and not can_be_host(host):
        raise BadDatabaseUrlError(f"the name of a host in it is none {_ENCODED}")
    return host


def _port(text: str) -> int:
    if not text:
        return _PORT
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise BadDatabaseUrlError(f"the port in it is no number from 1 to 65535 {_ENCODED}")
    return int(text)


def _seconds(text: str, hosts: int) -> float:
    """Of several hosts the silent ones must leave time for the others; zero is libpq's for ever."""
    if not text:
        return CONNECT_SECONDS / max(1, hosts)
    try:
        seconds = int(text)
    except ValueError as err:
        raise BadDatabaseUrlError("connect_timeout is no number of seconds") from err
    return min(float(seconds), _LONGEST_CONNECT_SECONDS) if seconds > 0 else _LONGEST_CONNECT_SECONDS


def _application(said: Mapping[str, str]) -> str:
    name = said.get("application_name") or said.get("fallback_application_name", "")
    plain = re.sub(r"[^\x21-\x5a\x5c\x5e-\x7e]", "_", name)[:_LONGEST_NAME]  # no blanks, no brackets
    return "" if plain == "ladder" else plain


def _warnings(said: Mapping[str, str], tls: Mapping[str, str]) -> tuple[str, ...]:
    """What a URL asks for that is passed over, although somebody may count on it."""
    if said.get("channel_binding", "").lower() == "require" and tls.get("sslmode") != "verify-full":
        said_of = (
            "channel_binding=require cannot be kept by this driver: sslmode=verify-full proves the server"
        )
        return (said_of,)
    return ()
