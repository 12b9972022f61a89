"""The policy watch: follows LADDER_POLICY, at start and when its files change; a broken one is refused."""

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from services.router import metrics
from services.router.domain.model.compiled_bundle import compile_sized
from services.router.policy import installation, store
from services.router.policy.compiled_cache import Bundles, InForce, moment
from shared import telemetry
from shared.database.pool import Database
from shared.loops.pulse import Beat, unwatched
from shared.loops.repeat import for_ever
from shared.policy import LoadResult, PolicyError, PolicyErrors, try_load, with_checks

log = telemetry.logger(__name__)

_EVERY_SECONDS: Final = 2.0
_PAUSE_SECONDS: Final = 0.5
_MOST_TOLD: Final = 10


class PolicyWatch:
    """Watches the file, and knows which policy is in force."""

    def __init__(
        self,
        database: Database,
        bundles: Bundles,
        path: Path | None,
        wake_relay: Callable[[], None],
        *,
        beat: Beat = unwatched,
    ) -> None:
        self._beat = beat
        self._database = database
        self._bundles = bundles
        self._path = path
        self._wake_relay = wake_relay
        self._seen: str | None = None  # the files' content when it was last dealt with
        self._published = False
        self.in_force: InForce | None = None
        self.refused: str = ""  # why the file's current content was refused

    async def watch_once(self) -> InForce | None:
        """Look at the file and the database once; returns the policy in force, if any."""
        if self._path is not None:
            print_ = await asyncio.to_thread(fingerprint, self._path)
            if print_ != self._seen:
                await self._apply(self._path, changed=self._seen is not None)
                self._seen = print_
        async with self._database.transaction() as connection:
            if self._published:
                _, self.in_force = await moment(connection)
            else:
                self.in_force = await store.publish_again(connection)
        self._published = True
        self._wake_relay()
        if self.in_force is not None:
            metrics.POLICY_REVISION.set(self.in_force.revision)
        return self.in_force

    async def run(self) -> None:
        """Watch for ever."""
        await for_ever("router policy", self._watch, self._database.outage, beat=self._beat)

    async def _watch(self) -> None:
        known = await self.watch_once()
        await asyncio.sleep(_EVERY_SECONDS if known else _PAUSE_SECONDS)

    async def _apply(self, path: Path, *, changed: bool) -> None:
        found = await asyncio.to_thread(try_load, path)
        if changed:
            found = await self._judged(found, path)
        # At start every loadable file is offered: an upgrade must not drop what an older release accepted.
        if found.errors:
            self._refuse(PolicyErrors(found.errors))
            return
        self.refused = ""
        compiled, size = await asyncio.to_thread(compile_sized, found.sound)
        self._bundles.keep(compiled, size)
        async with self._database.transaction() as connection:
            applied = await store.apply_file(
                connection, self._bundles, compiled, changed=changed, by=str(path)
            )
        if applied is None:
            log.warning(
                "LADDER_POLICY has a policy that was in force before; the newer one stays in force. "
                "`ladder apply` puts it back",
                action="policy_kept",
                hash=compiled.hash,
            )
        else:
            _tell(applied)
            _tell_findings((found if changed else await self._judged(found, path)).findings, path)

    async def _judged(self, found: LoadResult, path: Path) -> LoadResult:
        async with self._database.transaction() as connection:
            now, _ = await moment(connection)
            where = await installation.read(connection, now)
        try:
            return await asyncio.to_thread(with_checks, found, path, where)
        except Exception:  # a failing check must not keep a policy out of force
            log.exception("the policy could not be checked for further findings", action="policy_unjudged")
            return found

    def _refuse(self, err: PolicyErrors) -> None:
        metrics.POLICY_REFUSED.labels("file").inc()
        self.refused = str(err)
        others = {"others": [str(each) for each in err.errors[1:]]} if len(err.errors) > 1 else {}
        log.warning(_refusal(err), action="policy_refused", **others)


def _tell_findings(findings: Sequence[PolicyError], path: Path) -> None:
    """One log line for each of the first findings: whoever just saved the file reads them in the terminal."""
    for each in findings[:_MOST_TOLD]:
        about = {"severity": each.severity, "code": each.code, "path": each.path}
        said = f"policy: {each}"
        log.warning(said, action="policy_finding", **about)
    if more := len(findings[_MOST_TOLD:]):
        said = f"policy: {more} more findings: `ladder check {path}`"
        log.warning(said, action="policy_finding")


def _refusal(err: PolicyErrors) -> str:
    """One clear sentence for whoever just saved the file, with the place of the first error."""
    more = f" (and {count} more)" if (count := len(err.errors) - 1) else ""
    return f"LADDER_POLICY is refused, what was in force stays in force: {err.errors[0]}{more}"


def _tell(applied: store.Applied) -> None:
    new = applied.in_force
    log.info(
        "policy in force",
        action="policy_taken",
        hash=new.hash,
        revision=new.revision,
        changes=applied.changes,
    )
    if applied.lacks:
        lacks = [each.sentence for each in applied.lacks]
        log.warning(_lacking(lacks), action="policy_lacks", warnings=lacks)


def _lacking(lacks: Sequence[str]) -> str:
    more = f" (and {len(lacks) - 1} more)" if len(lacks) > 1 else ""
    return f"the policy in force lacks what something that stands names: {lacks[0]}{more}"


def fingerprint(path: Path) -> str:
    """A text that changes when a file of the bundle changes, comes or goes."""
    digest = hashlib.sha256()
    for file in _files(path):
        try:
            digest.update(str(file).encode() + b"\0" + file.read_bytes() + b"\0")
        except OSError as err:
            digest.update(str(err).encode())
    return digest.hexdigest()


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from sorted(each for each in path.rglob("*") if each.suffix in {".yaml", ".yml", ".json"})
    else:
        yield path
