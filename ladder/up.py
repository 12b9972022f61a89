"""`ladder up`: everything in one process on one port, on a PostgreSQL of its own, told in the terminal."""

import asyncio
import math
import socket
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from ladder.embedded import data_folder, postgres
from ladder.migrate import migrate_all
from ladder.processes import (
    SERVICES,
    HostSettings,
    LogLevel,
    build,
    connected,
    hosting,
    refuse_demo_keys,
    refusing,
)
from ladder.serving import listener
from ladder.serving.waiting_room import WaitingRoom
from ladder.terminal import story
from ladder.terminal.banner import Standing, banner
from ladder.terminal.policy_story import PolicyStory
from ladder.web.host import unready
from services.notifier.channels import sendable
from services.notifier.settings import NotifierSettings
from services.router.policy import installation
from services.router.policy.compiled_cache import InForce, moment
from services.router.policy.store import stored
from shared import telemetry
from shared.database.pool import Database
from shared.errors.kinds import Kind, kind_of
from shared.eventlog import EventLog
from shared.eventlog.open_log import open_log
from shared.eventlog.postgres.log import PostgresEventLog
from shared.eventlog.settings import EventLogSettings
from shared.policy import Bundle, load, load_json
from shared.service import Service

_PATIENCE_SECONDS: Final = 10.0


class UpSettings(HostSettings):
    """As for any process, but with a person in front of it: only what needs attention is logged."""

    log_level: LogLevel = "WARNING"
    log_format: telemetry.LogFormat = "console"


@dataclass(frozen=True, slots=True)
class Setup:
    """Where this `up` runs."""

    folder: Path
    address: listener.Address
    settings: UpSettings
    log_settings: EventLogSettings


def run_up(*, began: float, tell_story: bool = True) -> None:
    """Run until Ctrl-C. `began`: the monotonic time from which its start is counted."""
    with refusing():
        settings, log_settings = UpSettings.read(), EventLogSettings.read()
    telemetry.configure(settings.log_format, settings.log_level)
    sockets, address = listener.bind(settings.address)
    with data_folder.locked(settings.data_dir) as folder:
        setup = Setup(folder, address, settings, log_settings)
        listener.run(lambda: _up(setup, sockets, began, tell_story=tell_story))
    if sys.stdout.isatty():
        _say("")  # the terminal's own ^C stands on this line
    _say("Ladder has stopped.")


async def _up(setup: Setup, sockets: Sequence[socket.socket], began: float, *, tell_story: bool) -> None:
    async with AsyncExitStack() as stack:
        checking = asyncio.create_task(asyncio.to_thread(_policy, setup))  # while the database starts
        try:
            database = await stack.enter_async_context(_database(setup))
        finally:
            bundle = await checking
        with refusing():
            eventlog = open_log(setup.log_settings, database)
        await stack.enter_async_context(eventlog.running())
        async with WaitingRoom(sockets, setup.address) as room:
            await migrate_all(database, eventlog, seconds=math.inf, waits=room.waits)
        if setup.settings.own_database is None and isinstance(eventlog, PostgresEventLog):
            await eventlog.forget_members()  # the folder's lock is ours, so they are dead
        services = _services(setup, eventlog, database)
        await _say_what_is_sent(database)
        serves = await stack.enter_async_context(hosting(services, setup.settings, sockets, setup.address))
        if bundle is not None or await _in_force(database) is not None:
            await _ready(services)
        policy = await _in_force(database)
        _say("\n".join(banner(_standing(setup, bundle, policy, time.monotonic() - began))))
        if tell_story:
            told = PolicyStory(database, _say, policy[0] if policy else None)
            for telling in (story.tell(eventlog, _say), told.tell()):
                stack.push_async_callback(_ended, asyncio.create_task(telling, name="story"))
        await serves


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def _database(setup: Setup) -> AsyncIterator[Database]:
    async with AsyncExitStack() as stack:
        url = setup.settings.own_database
        if url is None:
            url = await stack.enter_async_context(postgres.running(setup.folder / "postgres"))
        yield await stack.enter_async_context(connected(url, setup.settings.reading))


def _policy(setup: Setup) -> Bundle | None:
    """The bundle that the router will load; checked first, so that a broken one is one clear error."""
    if setup.settings.policy is None:
        return None
    with refusing():
        bundle = load(setup.settings.policy)
    refuse_demo_keys(bundle, setup.address)
    return bundle


def _services(setup: Setup, eventlog: EventLog, database: Database) -> Sequence[Service]:
    kept = setup.settings.secret_key
    given = {
        "secret_key": kept or SecretStr(data_folder.keep_secret(setup.folder / "secret-key")),
        "public_url": setup.settings.public_url or setup.address.url,
    }
    # The router answers whoever reached it, and so knows better than this where it is reached.
    own = {"router": given | {"public_url": setup.settings.public_url}}
    with refusing():
        return [build(name, eventlog, database, own.get(name, given)) for name in SERVICES]


async def _say_what_is_sent(database: Database) -> None:
    """Tell the router from the start by which channels this process can reach people.

    If the database goes away at this moment, the first canary tells it.
    """
    with refusing():
        settings = NotifierSettings.read()
        channels = sendable(settings.mail, settings.of_channel)
    try:
        async with database.transaction() as connection:
            now, _ = await moment(connection)
            await installation.heard(connection, channels, now)
    except Exception as err:
        if kind_of(err) is not Kind.AWAY:
            raise


async def _ready(services: Sequence[Service]) -> None:
    """Wait until all are ready; say once what is missing if it takes long."""
    patience = time.monotonic() + _PATIENCE_SECONDS
    while reasons := unready(services):
        if time.monotonic() > patience:
            for name, why in reasons.items():
                _say(f"{name} is not ready yet: {'; '.join(why)}")
            return
        await asyncio.sleep(0.02)


def _standing(
    setup: Setup, given: Bundle | None, policy: tuple[InForce, Bundle] | None, seconds: float
) -> Standing:
    kafka = setup.log_settings.kafka_bootstrap_servers
    return Standing(
        address=setup.address,
        seconds=seconds,
        stored=str(setup.folder) if setup.settings.own_database is None else "LADDER_DATABASE_URL",
        eventlog=f"Kafka at {kafka}" if kafka else "PostgreSQL",
        path=setup.settings.policy,
        given=given,
        policy=policy,
        docs=setup.settings.docs,
    )


async def _in_force(database: Database) -> tuple[InForce, Bundle] | None:
    """Which policy new incidents get: not always the file's, because `ladder apply` outlives a restart."""
    async with database.transaction() as connection:
        _, in_force = await moment(connection)
        raw = await stored(connection, in_force.hash) if in_force else b""
    return (in_force, await asyncio.to_thread(load_json, raw)) if in_force else None


def _say(line: str) -> None:
    """Print at once; a closed pipe is no reason to stop."""
    with suppress(BrokenPipeError):
        print(line, flush=True)
