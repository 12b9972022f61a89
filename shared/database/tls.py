"""TLS on the way to PostgreSQL, by libpq's names: what is asked for, and whether its files can be used.

https://www.postgresql.org/docs/current/libpq-ssl.html
"""

import os
import ssl
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Final

NAMES: Final = (
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "sslpassword",
    "sslcrl",
    "sslnegotiation",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
)
_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_STRICT: Final = _MODES.index("require")
_SPELT: Final = {"true": "require", "false": "disable"}  # JDBC's and SQLAlchemy's `ssl`
_VERSIONS: Final = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")


class BadDatabaseUrlError(ValueError):
    """The URL, or a file that it names, cannot be used: a sentence without the URL and its password."""


def wanted(said: Mapping[str, str]) -> dict[str, str]:
    """What the parameters of a URL ask of TLS, by asyncpg's spelling. Raises BadDatabaseUrlError."""
    tls = {name: said[name] for name in NAMES if name in said}
    system = tls.get("sslrootcert") == "system"
    if "sslmode" in tls:
        tls["sslmode"] = _SPELT.get(tls["sslmode"].lower(), tls["sslmode"].lower().replace("_", "-"))
    elif system:
        tls["sslmode"] = "verify-full"
    mode = tls.get("sslmode", "prefer")
    if mode not in _MODES:
        raise BadDatabaseUrlError(f"sslmode={mode} is none of {', '.join(_MODES)}")
    if system and mode != "verify-full":
        raise BadDatabaseUrlError(f"sslrootcert=system needs sslmode=verify-full, not {mode}")
    for name in ("ssl_min_protocol_version", "ssl_max_protocol_version"):
        if tls.get(name, "TLSv1.2") not in _VERSIONS:
            raise BadDatabaseUrlError(f"{name}={tls[name]} is none of {', '.join(_VERSIONS)}")
    negotiation = tls.get("sslnegotiation", "postgres")
    if negotiation not in {"postgres", "direct"}:
        raise BadDatabaseUrlError(f"sslnegotiation={negotiation} is neither postgres nor direct")
    if negotiation == "direct" and _MODES.index(mode) < _STRICT:
        raise BadDatabaseUrlError("sslnegotiation=direct needs sslmode=require, verify-ca or verify-full")
    return tls


def check(tls: Mapping[str, str]) -> None:
    """Raises BadDatabaseUrlError where a file is missing, or is not what it should be."""
    mode = tls.get("sslmode", "prefer")
    if mode.startswith("verify") and not _has_authority(tls):
        raise BadDatabaseUrlError(
            f"sslmode={mode} needs sslrootcert=FILE, the certificate of the authority that vouches for the "
            "server, or sslrootcert=system for those that this machine trusts"
        )
    for name, look in _looks(tls, mode):
        try:
            look()
        except (OSError, ValueError) as err:  # ssl.SSLError is an OSError
            raise BadDatabaseUrlError(f"{name}: {tls[name]} cannot be used: {_why(err)}") from err


def by_the_system(tls: Mapping[str, str]) -> ssl.SSLContext:
    """For `sslrootcert=system`, which asyncpg does not know. Raises OSError for a file that is not there."""
    if "sslcert" not in tls:
        return _shared_context()
    context = _system_context()
    _prove(context, tls)
    return context


def _looks(tls: Mapping[str, str], mode: str) -> list[tuple[str, Callable[[], object]]]:
    if mode == "disable":
        return []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    judged_by = [name for name in ("sslrootcert", "sslcrl") if tls.get(name, "system") != "system"]
    looks: list[tuple[str, Callable[[], object]]] = [
        (name, partial(context.load_verify_locations, cafile=tls[name]))
        for name in (judged_by if _MODES.index(mode) >= _STRICT else ())
    ]
    if "sslkey" in tls:
        looks.append(("sslkey", lambda: Path(tls["sslkey"]).open("rb").close()))
    if "sslcert" in tls:
        looks.append(("sslcert", lambda: _prove(context, tls)))
    return looks


def _prove(context: ssl.SSLContext, tls: Mapping[str, str]) -> None:
    """Our own certificate, by which the server knows us."""
    password = tls.get("sslpassword", "")
    context.load_cert_chain(tls["sslcert"], tls.get("sslkey"), lambda: password)


def _has_authority(tls: Mapping[str, str]) -> bool:
    """Whether there is something to judge the server's certificate by, as libpq looks for it."""
    home = Path(os.environ.get("HOME") or "/nowhere") / ".postgresql" / "root.crt"
    return bool(tls.get("sslrootcert") or os.environ.get("PGSSLROOTCERT")) or home.exists()


def _why(err: Exception) -> str:
    """Without the traces of OpenSSL's sources."""
    if isinstance(err, ssl.SSLError):
        return (err.reason or str(err)).replace("_", " ").lower()
    return (getattr(err, "strerror", None) or str(err)).lower()


def _system_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["postgresql"])
    return context


_shared_context: Final = cache(_system_context)
"""One for all connections: it takes tens of milliseconds to make."""
