"""`ladder preview`: what people would read of an event, by any channel. Nothing is asked, nothing is sent."""

from collections.abc import Sequence
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ladder.client.options import AsJson
from ladder.client.output import print_json, say

if TYPE_CHECKING:
    from ladder.preview.course import Told, What
    from services.notifier.dry_run import Previewed
    from services.router.domain.model.compiled_bundle import CompiledBundle
    from shared.events import IncidentEvent
    from shared.json_object import JsonObject

_ALL: Final = "all"
_LINES: Final = (".ndjson", ".jsonl")


def preview(
    *,
    event: Annotated[
        Path | None,
        typer.Option("--event", "-e", help="The body of a post: JSON. Without it, a sample is taken."),
    ] = None,
    channel: Annotated[
        str, typer.Option("--channel", "-c", help="email, slack, sms, … or all.", metavar="NAME")
    ] = "email",
    what: Annotated[
        str,
        typer.Option(
            "--as",
            help="page, opened, escalated, taken, update, at_risk, breached, handoff, resolved, confirm, "
            "closed or reopened.",
            metavar="WHAT",
        ),
    ] = "page",
    to: Annotated[str, typer.Option(help="Who reads it: a user, a team, or customer.", metavar="NAME")] = "",
    text: Annotated[str, typer.Option(help="With --as update: what somebody wrote.")] = "",
    integration: Annotated[
        str,
        typer.Option(help="As whose post the event is read; without it a native one.", metavar="NAME"),
    ] = "",
    policy: Annotated[
        Path | None,
        typer.Option(envvar="LADDER_POLICY", help="A file or folder; without it, the sample's."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write the mail's HTML into this file.", metavar="FILE")
    ] = None,
    json: AsJson = False,
) -> None:
    """Show the message that people would get of an event, as a channel would send it. Nothing is sent.

    ladder preview --event event.json --channel slack --as taken

    The event is decided by the policy, with nothing else known: no overrides, silences or other incidents.
    What comes later (taken, resolved, at_risk, …) is played forward: whoever is paged first acts. The links
    lead nowhere.
    """
    from ladder.preview.course import UPDATE, told
    from shared.clock import utcnow

    now, chosen, live = utcnow(), _channels(channel), _policy(policy)
    events = _events(live, event, integration, now)
    found = told(events, live, _what(what), to=to, text=text or UPDATE, now=now)
    shown = [(name, _previewed(live, found, name)) for name in chosen]
    if html is not None:
        _write(html, _previewed(live, found, "email").shown.html)
    if json:
        made = [_as_json(name, found, each) for name, each in shown]
        print_json(made if channel == _ALL else made[0])
        return
    for name, each in shown:
        size = f": {each.shown.size}" if each.shown.size else ""
        if channel == _ALL:
            say(f"{'' if name == shown[0][0] else chr(10)}--- {name}{size}\n")
        say(each.shown.text)
        if size and channel != _ALL:
            say(f"{name}{size}", err=True)
    for note in dict.fromkeys(note for _, each in shown for note in (found.note, each.rendered.note) if note):
        say(note, err=True)


def _channels(channel: str) -> Sequence[str]:
    from ladder.client.connection import UsageError
    from services.notifier import dry_run

    known = dry_run.channels()
    if channel == _ALL:
        return known
    if channel not in known:
        raise UsageError(f"--channel {channel!r}: there are {', '.join(sorted(known))}, and {_ALL}.")
    return (channel,)


def _what(word: str) -> "What":
    from ladder.client.connection import UsageError
    from ladder.preview.course import WHATS

    found = next((each for each in WHATS if each == word), None)
    if found is None:
        raise UsageError(f"--as {word!r}: there are {', '.join(WHATS)}.")
    return found


def _policy(path: Path | None) -> "CompiledBundle":
    from ladder.client.invalid_policy import InvalidPolicyError
    from services.router.domain.model.compiled_bundle import compile_sized
    from shared.policy import PolicyErrors, load

    try:
        return compile_sized(load(path or Path(str(files("ladder.samples") / "preview.yaml"))))[0]
    except PolicyErrors as err:
        raise InvalidPolicyError(err) from err


def _events(
    live: "CompiledBundle", file: Path | None, integration: str, now: datetime
) -> "Sequence[IncidentEvent]":
    """The events of the file, as intake reads them. Raises NotPossibleError."""
    from ladder.client.connection import DeniedError, UsageError, problem_text
    from ladder.preview.course import NothingToShowError
    from services.intake.dry_run import read_post
    from shared.http.problems import Problem

    native = [name for name, each in live.spec.integrations.items() if each.kind == "native"]
    name = integration or next(iter(native), "")
    if not name:
        raise UsageError(
            "The policy has no integration of kind native: say by --integration whose post it is."
        )
    try:
        body = (files("ladder.samples") / "event.json" if file is None else file).read_bytes()
    except OSError as err:
        raise UsageError(f"{file} cannot be read: {err.strerror}.") from err
    lines = {"content-type": "application/x-ndjson"} if file is not None and file.suffix in _LINES else {}
    try:
        events, ignored = read_post(live.spec, name, body, lines, now)
    except Problem as problem:
        document = problem.body()
        raise DeniedError(problem.status, problem_text(document, problem.status), None, document) from problem
    if not events:
        raise NothingToShowError(f"{name} takes no event from this body: {ignored} are ignored.")
    return events


def _previewed(live: "CompiledBundle", found: "Told", channel: str) -> "Previewed":
    from ladder.preview.course import PUBLIC_URL
    from services.notifier.dry_run import previewed
    from shared.security.keys import Signer

    signer = Signer(("preview",))
    return previewed(
        found.message, found.asked, channel, live.spec, public_url=PUBLIC_URL, signer=signer, now=found.at
    )


def _as_json(channel: str, found: "Told", made: "Previewed") -> "JsonObject":
    recipient = found.asked.recipient
    document: dict[str, Any] = {
        "channel": channel,
        "event": made.rendered.event,
        "recipient": {"kind": recipient.kind, "name": recipient.name},
        "at": found.at.isoformat(),
        "title": made.rendered.title,
        "text": made.shown.text,
        "payload": made.shown.payload,
        "notes": [note for note in (found.note, made.rendered.note) if note],
    }
    return document


def _write(file: Path, page: str) -> None:
    from ladder.client.connection import UsageError

    try:
        file.write_text(page)
    except OSError as err:
        raise UsageError(f"{file} cannot be written: {err.strerror}.") from err
