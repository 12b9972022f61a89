"""What the API answers with, beside the incident itself (shared.events.IncidentSnapshot)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal

import msgspec
from fastapi import Response

from services.router.api.dry_run_shapes import Trial
from services.router.api.report_shapes import REPORT_ITEMS, REPORTS
from shared.events import IncidentSnapshot
from shared.http.problems import MEDIA_TYPE

_JSON: Final = "application/json"
_NO_REFUSALS: Final[Mapping[int, str]] = {}
_encoder: Final = msgspec.json.Encoder()


class IncidentList(msgspec.Struct, frozen=True, kw_only=True):
    """One page of incidents; `next` is the cursor of the following one, null on the last.

    `partial`: so much was looked at that the page ended before it was full; it goes on at `next`.
    """

    items: list[IncidentSnapshot]
    next: str | None
    partial: bool = False


class TimelineItem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened. `reason` names the rule, its expression, what it saw and what lost."""

    at: datetime
    kind: str
    actor: str
    text: str
    reason: msgspec.Raw | None


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """Oldest first."""

    items: list[TimelineItem]
    next: str | None


class PastStep(msgspec.Struct, frozen=True, kw_only=True):
    at: datetime
    kind: str
    actor: str
    what: str
    because: msgspec.Raw | None


class ComingStep(msgspec.Struct, frozen=True, kw_only=True):
    """What happens then, unless."""

    at: datetime
    what: str
    unless: str


class PolicyName(msgspec.Struct, frozen=True, kw_only=True):
    """The policy that the incident follows, in the bundle that it started with."""

    name: str
    hash: str


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """How it came to this, and what comes next if nobody does anything."""

    past: list[PastStep]
    next: list[ComingStep]
    policy: PolicyName


class NextOnCall(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    user: str
    from_: datetime


class OnCallItem(msgspec.Struct, frozen=True, kw_only=True):
    """Who has the schedule. `user` is empty when nobody has it; `reason` says why."""

    schedule: str
    user: str
    until: datetime
    layer: str
    reason: str
    next: NextOnCall
    override: str = ""  # the id of the override by which the user stands in
    passed: list[str] = []  # who was passed over, and why


class OnCallList(msgspec.Struct, frozen=True, kw_only=True):
    items: list[OnCallItem]


class HeartbeatItem(msgspec.Struct, frozen=True, kw_only=True):
    """`state`: waiting (none has come yet), beating, late, failed (it said so itself). `late_at`: when it is
    late unless it beats, or ends. `started_at`: of the run under way; `took_seconds`: how long the last run
    took that said when it began; `said`: the beginning of the last body.
    """

    name: str
    every: str
    late_after: str
    state: str
    last: datetime | None
    by: str
    late_at: datetime | None
    late_since: datetime | None
    failed_at: datetime | None = None
    started_at: datetime | None = None
    took_seconds: float | None = None
    said: str = ""


class HeartbeatList(msgspec.Struct, frozen=True, kw_only=True):
    items: list[HeartbeatItem]


class RefusedPosts(msgspec.Struct, frozen=True, kw_only=True):
    """Posts that were refused for one kind of reason; `at`, `reason` and `event` (its place in the post, from
    0) are those of the last one. `kind`: the last part of the problem's type.
    """

    kind: str
    count: int
    at: datetime
    reason: str
    event: int | None


class IntegrationItem(msgspec.Struct, frozen=True, kw_only=True):
    """Who may post. `accepted` and `ignored` count events, `refused` posts, those with a wrong key too;
    `refusals`: by kind, the latest first.
    """

    name: str
    kind: str
    accepted: int
    refused: int
    ignored: int
    last_accepted_at: datetime | None
    last_refused_at: datetime | None
    last_ignored_at: datetime | None
    last_refused: RefusedPosts | None
    refusals: list[RefusedPosts]


class IntegrationList(msgspec.Struct, frozen=True, kw_only=True):
    items: list[IntegrationItem]


class OverrideItem(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """`user` has `schedule` instead of whoever its layers name; empty: nobody has, on purpose.

    With `absent` only what would be that person's goes to `user`, or (empty) to whoever comes beneath; an
    empty `schedule` is every one. `broken`: why it does not do so under the policy in force.
    """

    id: str
    schedule: str
    user: str
    from_: datetime
    to: datetime
    comment: str
    by: str
    made_at: datetime
    absent: str
    broken: str


class Gap(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """A time in which nobody is on call on a schedule."""

    schedule: str
    from_: datetime
    to: datetime


class OverrideMade(OverrideItem, frozen=True, kw_only=True, rename={"from_": "from"}):
    """A new override. `gaps`: what an absence leaves to nobody in its first eight weeks, at most 100."""

    gaps: list[Gap]


class OverrideList(msgspec.Struct, frozen=True, kw_only=True):
    """By their begin; `next` is the cursor of the following page, null on the last."""

    items: list[OverrideItem]
    next: str | None


class ScheduleItem(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule of the policy in force; `users` are all whom its layers name."""

    name: str
    timezone: str
    handoff: str
    layers: list[str]
    users: list[str]


class ScheduleList(msgspec.Struct, frozen=True, kw_only=True):
    items: list[ScheduleItem]


class ShiftItem(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """One person's shift; `user` is empty where nobody is on call. `overrides` are ids.

    `passed` says who was passed over, and why: somebody who left the policy, or who is absent.
    """

    user: str
    from_: datetime
    to: datetime
    layers: list[str]
    overrides: list[str]
    passed: list[str]


class ShiftList(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """All of `from` … `to`, without gap or overlap; nobody has two shifts in a row unless alone."""

    schedule: str
    timezone: str
    from_: datetime
    to: datetime
    items: list[ShiftItem]


class CalendarFeed(msgspec.Struct, frozen=True, kw_only=True):
    """Where a calendar program reads the shifts. Whoever has the address needs no key: keep it private."""

    schedule: str
    user: str
    url: str


class CustomerItem(msgspec.Struct, frozen=True, kw_only=True):
    """A customer. `source` is `policy` or `api`; `contacts` as a bundle writes them, secrets as `***`."""

    id: str
    name: str
    tier: str | None
    value: float | None
    owner: str | None
    match: list[str]
    contacts: dict[str, dict[str, str]]
    source: str
    changed_at: datetime | None = None
    changed_by: str = ""
    notes: list[str] = []


class CustomerList(msgspec.Struct, frozen=True, kw_only=True):
    """In the order of ids; `next` is the cursor of the following page, null on the last."""

    items: list[CustomerItem]
    next: str | None


class CustomersImported(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did; with `dry_run` what it would have done."""

    lines: int
    added: int
    changed: int
    unchanged: int
    removed: int
    dry_run: bool
    notes: list[str] = []


class SilenceItem(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """A silence. `state`: in_force or over. `broken`: why its condition, or a part of it, cannot work now."""

    id: str
    when: str
    from_: datetime
    until: datetime
    comment: str
    by: str
    made_at: datetime
    state: str
    broken: str


class SilenceList(msgspec.Struct, frozen=True, kw_only=True):
    """The newest first."""

    items: list[SilenceItem]
    next: str | None


class MaintenanceItem(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """Planned work: once `from` … `to`, or again in `window`, one or a list of them.

    `state`: planned, in_force or over.
    """

    id: str
    name: str
    when: str
    from_: datetime | None
    to: datetime | None
    window: dict[str, str] | list[dict[str, str]] | None
    then: str
    by: str
    made_at: datetime
    state: str
    broken: str


class MaintenanceList(msgspec.Struct, frozen=True, kw_only=True):
    """The newest first."""

    items: list[MaintenanceItem]
    next: str | None


class DeadLetterItem(msgspec.Struct, frozen=True, kw_only=True):
    """A record that could not be used. `state`: waiting, replayed or dismissed, by whom, when and why.

    `size` is that of the whole record's value; `complete`: whether all of it is kept, so that it can be
    replayed. Both wait for the letter itself, which the log brings a moment after its note.
    """

    id: str
    at: datetime
    service: str
    reason: str
    from_topic: str
    partition: int
    offset: int
    key: str
    size: int | None
    complete: bool
    state: str
    decided_at: datetime | None
    decided_by: str
    note: str


class DeadLetterShown(DeadLetterItem, frozen=True, kw_only=True):
    """With what it holds: `body` as text or in base64 (`encoding`), its first 64 KiB where `cut`."""

    headers: dict[str, str]
    sha256: str
    encoding: str
    body: str
    cut: bool


class DeadLetterList(msgspec.Struct, frozen=True, kw_only=True):
    """The newest first; `next` is the cursor of the following page, null on the last."""

    items: list[DeadLetterItem]
    next: str | None


class FailingExpression(msgspec.Struct, frozen=True, kw_only=True):
    """An expression that could not be evaluated in `count` decisions of all replicas; the safe side won.
    `policy`: the hash of its bundle.
    """

    policy: str
    place: str
    reason: str
    count: int
    since: datetime
    last_at: datetime


class PolicyFinding(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with a policy (`error`) or will not work (`warning`), by its code (docs/findings.md).
    `path`: where in the bundle, '' where it is not in it; line 0: in no file. `mend`: what would help.
    """

    severity: Literal["error", "warning"]
    code: str
    file: str
    line: int
    column: int
    path: str
    message: str
    mend: str


class Sending(msgspec.Struct, frozen=True, kw_only=True):
    """The channels by which messages can be sent here, as a notifier said last."""

    channels: list[str]
    at: datetime


class PolicyChecked(msgspec.Struct, frozen=True, kw_only=True):
    """What would be said of a policy here. `ok`: it could be put in force; null `hash`: it cannot be read."""

    ok: bool
    hash: str | None
    findings: list[PolicyFinding]
    sends: Sending | None


class PolicyStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The policy in force. `not_in_force` says which parts of it do nothing yet. `failing`: which expressions
    could not be evaluated, also those of earlier policies that failed in the last day.
    `findings`: what will not work here, and overrides, silences, maintenance and open incidents that name
    what it lacks; `warnings`: the same as sentences. `sends`: null until a notifier has said it.
    """

    hash: str
    revision: int
    at: datetime
    source: str
    by: str
    not_in_force: list[str]
    failing: list[FailingExpression]
    warnings: list[str]
    findings: list[PolicyFinding]
    sends: Sending | None


class PolicyTaken(PolicyStatus, frozen=True, kw_only=True):
    """The same of one that has just been put in force, and in `changes`, in the policy's own words, what is
    different from the one before.
    """

    changes: list[str]


SHAPES: Final[tuple[type[msgspec.Struct], ...]] = (
    IncidentSnapshot,
    IncidentList,
    Timeline,
    Explanation,
    OnCallList,
    HeartbeatList,
    IntegrationItem,
    IntegrationList,
    OverrideItem,
    OverrideMade,
    OverrideList,
    ScheduleList,
    ShiftList,
    CalendarFeed,
    CustomerItem,
    CustomerList,
    CustomersImported,
    SilenceItem,
    SilenceList,
    MaintenanceItem,
    MaintenanceList,
    DeadLetterItem,
    DeadLetterShown,
    DeadLetterList,
    FailingExpression,
    PolicyFinding,
    Sending,
    PolicyChecked,
    PolicyStatus,
    PolicyTaken,
    Trial,
    *REPORTS,
)
_AS_THEY_ARE: Final = REPORT_ITEMS | {"Link"}  # a field of theirs may be left out


def schemas() -> Mapping[str, Any]:
    """All shapes as JSON Schema. Every field is always there, but for a group that was not asked for."""
    _, components = msgspec.json.schema_components(
        SHAPES, schema_hook=_schema_of, ref_template="#/components/schemas/{name}"
    )
    for schema in components.values():
        as_it_is = schema.get("title") in _AS_THEY_ARE
        if schema.get("type") == "object" and "properties" in schema and not as_it_is:
            schema["required"] = list(schema["properties"])
    return components


def _schema_of(kind: type) -> dict[str, Any]:
    if kind is msgspec.Raw:
        return {"type": "object"}
    raise NotImplementedError


def answer(body: msgspec.Struct, status: int = 200) -> Response:
    """The body as JSON."""
    return Response(_encoder.encode(body), status, media_type=_JSON)


def as_json(item: msgspec.Struct) -> msgspec.Raw:
    """One item of a page, encoded by itself: a whole page at once would hold up whoever pages."""
    return msgspec.Raw(_encoder.encode(item))


def page(items: Sequence[msgspec.Raw], following: str | None, **more: Any) -> Response:
    """A list's page of encoded items, as the list's shape says."""
    body = {"items": items, "next": following} | more
    return Response(_encoder.encode(body), media_type=_JSON)


def answers(
    shape: type[msgspec.Struct],
    description: str,
    refusals: Mapping[int, str] = _NO_REFUSALS,
    *,
    status: int = 200,
) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says of a path that answers 200 (or `status`) with this shape, or refuses.

    `refusals` are those of this path alone; the host adds those of every path (no key, no database).
    """
    schema = {"$ref": f"#/components/schemas/{shape.__name__}"}
    described = {status: {"description": description, "content": {_JSON: {"schema": schema}}}}
    return described | refusals_of(refusals)


def refusals_of(refusals: Mapping[int, str]) -> dict[int | str, dict[str, Any]]:
    """The same of a path's refusals alone."""
    return {refusal: {"description": why, "content": {MEDIA_TYPE: {}}} for refusal, why in refusals.items()}
