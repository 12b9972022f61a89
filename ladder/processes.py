"""The processes that host one service each – intake, router, notifier – and `ladder migrate`."""

import asyncio
import importlib
import socket
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator

from ladder.migrate import migrate_all
from ladder.refusal import NotPossibleError
from ladder.serving import listener, open_files
from ladder.serving.bounds import Bounds, ConnectionSettings
from ladder.web.host import Shown, assemble, describe, measured
from shared import telemetry
from shared.auth.failed_attempts import FailedAttempts
from shared.database.pool import Database
from shared.database.readers import Limits
from shared.database.url import BadDatabaseUrlError, read
from shared.eventlog import EventLog
from shared.eventlog.open_log import open_log
from shared.eventlog.settings import EventLogSettings
from shared.policy import Bundle, PolicyErrors, load
from shared.security.demo_keys import DEMO_DIGESTS
from shared.service import Service
from shared.settings import BadSettingError, DatabaseSettings, ListenSettings, SecretKeySettings, sentences

SERVICES: Final = ("intake", "router", "notifier")
# A process opens ten connections at most: these, those for reads, and up to three that listen or lead.
_CONNECTIONS: Final = 5
_READING: Final = 2

_SCRAPERS: Final = 64  # connections at LADDER_METRICS_LISTEN

LogLevel: TypeAlias = Literal["DEBUG", "INFO", "WARNING", "ERROR"]

log = telemetry.logger(__name__)


class HostSettings(ListenSettings, DatabaseSettings, SecretKeySettings, ConnectionSettings):
    """What the process itself needs, whatever it hosts."""

    public_url: str = ""
    data_dir: Path = Path(".ladder")
    policy: Path | None = None
    log_level: LogLevel = "INFO"
    log_format: telemetry.LogFormat = "json"
    metrics_listen: str = ""
    docs: bool = True
    migrate_wait_seconds: float = Field(
        default=60.0, ge=0, le=3600, description="how long `ladder migrate` waits for servers that are away"
    )

    @property
    def address(self) -> listener.Address:
        return listener.Address.parse(self.listen)

    @property
    def shown(self) -> Shown:
        return Shown(metrics=not self.metrics_listen, docs=self.docs)

    @property
    def own_database(self) -> str | None:
        return self.database_url.get_secret_value() if self.database_url else None

    @property
    def reading(self) -> Limits:
        return Limits(_READING, self.read_timeout_seconds, self.report_timeout_seconds)

    @field_validator("public_url")
    @classmethod
    def _is_an_address(cls, text: str) -> str:
        parts = urlsplit(text)
        if text and (parts.scheme not in {"http", "https"} or not parts.hostname):
            raise ValueError(f"{text!r} is not an address such as https://ladder.example.com")
        return text


@contextmanager
def refusing() -> Iterator[None]:
    """Turns faults of the settings or the policy into a NotPossibleError that explains them."""
    try:
        yield
    except ValidationError as err:
        raise NotPossibleError("\n".join(sentences(err))) from err
    except (BadSettingError, PolicyErrors) as err:
        raise NotPossibleError(str(err)) from err


def build(name: str, log: EventLog, database: Database | None, given: Mapping[str, Any]) -> Service:
    """The service of this name; `given` settings win over the environment."""
    module = importlib.import_module(f"services.{name}.settings")
    settings = getattr(module, f"{name.capitalize()}Settings").read(**given)
    app = importlib.import_module(f"services.{name}.app")
    needs: dict[str, object] = {} if name == "intake" else {"database": database}
    if name == "router":  # services do not import each other: it is handed the function
        needs["read_post"] = importlib.import_module("services.intake.dry_run").read_post
    service: Service = app.build(settings, log=log, **needs)
    return replace(service, unready=lambda: _unready(service, log))


def _unready(service: Service, log: EventLog) -> Sequence[str]:
    """The service's reasons; if there are any, also why the log cannot be reached, which no service knows."""
    reasons, why = service.unready(), log.away()
    return (
        [*reasons, f"{service.name}: the event log cannot be reached: {why}"] if reasons and why else reasons
    )


def refuse_demo_keys(bundle: Bundle, address: listener.Address) -> None:
    """Everybody knows the demo keys, so they are valid only on this machine. Raises NotPossibleError."""
    if address.loopback:
        return
    owners = {f"integration {name}": one.keys for name, one in bundle.integrations.items()}
    owners |= {f"API key {name}": one.keys for name, one in bundle.api_keys.items()}
    for owner, keys in owners.items():
        if any(key.sha256.lower() in DEMO_DIGESTS for key in keys):
            raise NotPossibleError(
                f"The policy lets the demo key in ({owner}) and LADDER_LISTEN={address} "
                "is not loopback: give keys of your own, or listen on 127.0.0.1."
            )


@asynccontextmanager
async def connected(url: str, reading: Limits) -> AsyncIterator[Database]:
    """A pool, closed on leaving. Raises NotPossibleError for a URL that cannot be used."""
    try:
        server = read(url)
        server.check()
    except BadDatabaseUrlError as err:
        raise NotPossibleError(f"LADDER_DATABASE_URL: {err}.") from err
    for warning in server.warnings:
        log.warning(warning, action="database_url", variable="LADDER_DATABASE_URL")
    database = Database(url, size=_CONNECTIONS, reading=reading)
    try:
        yield database
    finally:
        await database.close()


def _bound_aside(listen: str) -> tuple[Sequence[socket.socket], listener.Address] | None:
    """The sockets of LADDER_METRICS_LISTEN; None where it is not set. Raises NotPossibleError."""
    variable = "LADDER_METRICS_LISTEN"
    return listener.bind(listener.Address.parse(listen, variable), variable) if listen else None


@asynccontextmanager
async def hosting(
    services: Sequence[Service],
    settings: HostSettings,
    sockets: Sequence[socket.socket],
    address: listener.Address,
) -> AsyncIterator[asyncio.Task[None]]:
    """Start the services, then answer requests; on leaving, stop in reverse order."""
    bounds = Bounds.within(settings, open_files.raise_limit())
    async with AsyncExitStack() as stack:
        aside = _bound_aside(settings.metrics_listen)
        for service in services:
            await stack.enter_async_context(service.running())
        guesses = FailedAttempts(settings.failed_keys_per_minute)
        app = assemble(services, loopback=address.loopback, shown=settings.shown, guesses=guesses)
        describe(app)
        if aside is not None:
            few = replace(bounds, in_all=min(_SCRAPERS, bounds.in_all))
            await stack.enter_async_context(listener.serving(measured(services), *aside, few))
        yield await stack.enter_async_context(listener.serving(app, sockets, address, bounds))


def _needed_database(name: str, settings: HostSettings, *, kafka: bool) -> str | None:
    url = settings.own_database
    if url is None and name != "intake":
        raise NotPossibleError(
            f"LADDER_DATABASE_URL is not set: `ladder {name}` keeps its state in PostgreSQL, "
            "for example postgresql://ladder:password@db/ladder (`ladder up` brings its own)."
        )
    if url is None and not kafka:
        raise NotPossibleError(
            f"Neither LADDER_KAFKA_BOOTSTRAP_SERVERS nor LADDER_DATABASE_URL is set: "
            f"`ladder {name}` needs one of them for the event log."
        )
    return url


def _refuse_missing(name: str, settings: HostSettings) -> None:
    """The notifier signs links and the router opens them; intake does neither."""
    if name == "intake":
        return
    with refusing():
        _ = settings.signer
    if name == "notifier" and not settings.public_url:
        raise NotPossibleError(
            "LADDER_PUBLIC_URL is not set: the links in messages lead there. Give the address under which "
            "people reach the router, for example https://ladder.example.com."
        )


async def _one(name: str) -> None:
    with refusing():
        settings, log_settings = HostSettings.read(), EventLogSettings.read()
    telemetry.configure(settings.log_format, settings.log_level)
    url = _needed_database(name, settings, kafka=bool(log_settings.kafka_bootstrap_servers))
    _refuse_missing(name, settings)
    _check_policy(settings)
    sockets, address = listener.bind(settings.address)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(connected(url, settings.reading)) if url else None
        with refusing():
            eventlog = open_log(log_settings, database)
        await stack.enter_async_context(eventlog.running())
        with refusing():
            service = build(name, eventlog, database, {"public_url": settings.public_url})
        task = await stack.enter_async_context(hosting([service], settings, sockets, address))
        log.info("listening", action="listening", service=name, url=address.url)
        await task


def _check_policy(settings: HostSettings) -> None:
    """A policy with the demo key in it stops the process. An invalid one does not: the last good one stays in
    force, and a restart at a bad moment must not silence everybody. The router says what is wrong.
    """
    if settings.policy is None:
        return
    try:
        bundle = load(settings.policy)
    except PolicyErrors as err:
        log.warning("LADDER_POLICY is refused", action="policy_refused", errors=str(err).splitlines())
    else:
        refuse_demo_keys(bundle, settings.address)


async def _migrate() -> None:
    with refusing():
        settings, log_settings = HostSettings.read(), EventLogSettings.read()
    telemetry.configure(settings.log_format, settings.log_level)
    if settings.own_database is None:
        raise NotPossibleError("LADDER_DATABASE_URL is not set: `ladder migrate` makes the tables there.")
    async with connected(settings.own_database, settings.reading) as database:
        with refusing():
            eventlog = open_log(log_settings, database)
        async with eventlog.running():
            await migrate_all(database, eventlog, seconds=settings.migrate_wait_seconds)


def run_one(name: str) -> None:
    """Run one service until it is told to end."""
    listener.run(lambda: _one(name))


def run_migrate() -> None:
    listener.run(_migrate)
