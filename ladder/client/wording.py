"""Ladder's answers, worded for a terminal. Pure: the text depends on the answer, `now` and the zone only."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any

from ladder.client.connection import UsageError
from ladder.client.incident_ids import short
from ladder.client.local_zone import LocalZone
from shared.policy.calendars import wall_clock

Document = Mapping[str, Any]


def moment(text: str | None, now: datetime, zone: tzinfo | None = None) -> str:
    """A time in short: today only the time, otherwise with the date; '' for none."""
    if not text:
        return ""
    at = datetime.fromisoformat(text).astimezone(zone)
    today = now.astimezone(zone).date()
    return at.strftime("%H:%M:%S" if at.date() == today else "%Y-%m-%d %H:%M:%S")


def instant(text: str) -> datetime:
    """The time that somebody typed; in the reader's zone where it has none. Raises UsageError.

    Of a time that the clocks here skip or show twice it is the moment that `wall_clock` says.
    """
    try:
        at = datetime.fromisoformat(text.strip())
        return (at if at.tzinfo else wall_clock.instant(at, LocalZone())).astimezone()
    except (ValueError, OverflowError) as err:
        raise UsageError(f"{text!r} is not a time such as 2026-03-08T07:00 or 2026-03-08T06:00Z.") from err


def span(seconds: float) -> str:
    """A length of time in its two largest units: `4m 10s`, `2d 3h`, `0s`."""
    left = round(abs(seconds))
    parts = []
    for letter, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{letter}")
    return " ".join(parts[:2]) or "0s"


def distance(text: str | None, now: datetime) -> str:
    """The distance to a time: `in 12s`, `4m ago`; '' for none."""
    if not text:
        return ""
    seconds = (datetime.fromisoformat(text) - now).total_seconds()
    return f"in {span(seconds)}" if seconds >= 0 else f"{span(seconds)} ago"


def incident_cells(incident: Document, now: datetime) -> tuple[str, ...]:
    """One row of the list."""
    state = str(incident["status"])
    if incident.get("waiting_for"):
        state += f", waiting for {incident['waiting_for']}"
    if incident.get("snoozed_until"):
        state += f", snoozed until {moment(incident['snoozed_until'], now)}"
    return (
        short(str(incident["id"])),
        f"P{incident['priority']}",
        state,
        str(incident.get("assignee") or ""),
        str(incident.get("level") or ""),
        str(incident.get("customer") or ""),
        str(incident.get("service") or ""),
        span((now - datetime.fromisoformat(incident["opened_at"])).total_seconds()),
        distance(incident.get("next_due_at"), now),
        str(incident["title"]),
    )


INCIDENT_COLUMNS = (
    "id", "prio", "status", "taken by", "level", "customer", "service", "age", "next", "title"
)  # fmt: skip
INCIDENT_SPARE = ("level", "next", "service", "customer", "age")  # on a narrow terminal, in this order


def incident_lines(incident: Document, now: datetime) -> list[str]:
    """One incident, a fact a line."""
    facts: list[tuple[str, Any]] = [
        ("id", incident["id"]),
        ("status", incident_cells(incident, now)[2]),
        ("priority", incident["priority"]),
        ("kind", incident.get("kind")),
        ("severity", incident.get("severity")),
        ("customer", incident.get("customer_name") or incident.get("customer")),
        ("tier", incident.get("tier")),
        ("service", incident.get("service")),
        ("source", incident.get("source")),
        ("policy", _policy(incident)),
        ("taken by", incident.get("assignee")),
        ("opened", _when(incident.get("opened_at"), now)),
        ("taken", _when(incident.get("acknowledged_at"), now)),
        ("resolved", _when(incident.get("resolved_at"), now)),
        ("closed", _when(incident.get("closed_at"), now)),
        ("heard", _when(incident.get("last_event_at"), now)),
        ("next", _when(incident.get("next_due_at"), now)),
        ("quiet", _quiet(incident, now)),
        ("parent", incident.get("parent")),
        ("members", _members(incident)),
        ("decided", _decided(incident)),
        ("rating", f"{incident['rating']} of 5" if incident.get("rating") else None),
        ("reopened", incident.get("reopened") or None),
        ("events", incident.get("events")),
        ("key", f"{incident['integration']}:{incident['dedup_key']}"),
    ]
    lines = [str(incident["title"])]
    lines += [f"  {name:<9} {value}" for name, value in facts if value not in (None, "")]
    lines += [
        f"  {'cause?':<9} {each['title']} ({each['service']}, {each['id'][:8]})"
        for each in incident.get("may_follow_from") or ()
    ]
    lines += [f"  {'clock':<9} {clock_text(clock, now)}" for clock in incident.get("clocks") or ()]
    lines += _pairs("labels", incident.get("labels"))
    lines += _pairs("attributes", incident.get("attributes"))
    lines += [
        f"  {'link':<9} {_with(link.get('text'), link['href'])}" for link in incident.get("links") or ()
    ]
    if incident.get("description"):
        lines += ["", *(f"  {line}" for line in str(incident["description"]).splitlines())]
    return lines


def _quiet(incident: Document, now: datetime) -> str:
    """What silences an open incident, and until when."""
    by = incident.get("suppressed_by")
    if not by or incident["status"] not in ("triggered", "acknowledged"):
        return ""
    return f"{by}, until {_when(incident.get('suppressed_until'), now) or 'it is asked again'}"


def _members(incident: Document) -> str:
    count = incident.get("members")
    return f"{count} ({incident.get('members_open')} open)" if count else ""


def clock_text(clock: Document, now: datetime) -> str:
    """One promise: `resolve in 4h: 12m used, due 16:00:00 (in 3h 48m), running`."""
    whose = " by a person" if clock.get("by") == "person" else ""
    within = f"{clock['target']}{whose} within {span(clock['goal_seconds'])}"
    text = f"{within}: {span(clock['elapsed_seconds'])} used"
    if clock.get("due_at"):
        text += f", due {moment(clock['due_at'], now)} ({distance(clock['due_at'], now)})"
    return f"{text}, {clock['state']}{_broken(clock)}"


def _broken(clock: Document) -> str:
    """What its state does not say."""
    if not clock.get("breached") or clock["state"] == "breached":
        return ""
    return ", broken before" if clock["state"] in {"running", "paused"} else ", promise broken"


def timeline_lines(items: Iterable[Document], now: datetime) -> list[str]:
    """What happened, a line each."""
    return [f"  {moment(item['at'], now)}  {timeline_text(item)}" for item in items]


def timeline_text(item: Document) -> str:
    """One entry without its time."""
    return f"{item.get('text') or item['kind']}{_by(item)}"


def _by(item: Document) -> str:
    """Who did it, if that is news: not for Ladder's own steps, nor if the text names them."""
    actor = str(item.get("actor") or "")
    if actor in {"ladder", "notifier"}:
        return ""
    return f" (by {actor})" if actor and actor not in str(item.get("text") or "") else ""


def because_lines(because: Document | None, indent: str) -> list[str]:
    """The reason of one step: the rule, what it compared, what it saw, and what lost against it."""
    if not because:
        return []
    expression = str(because.get("expression") or "")
    lines = []
    if because.get("rule") or expression:
        rule = str(because.get("rule") or "")
        lines.append(f"{indent}because {': '.join(part for part in (rule, expression) if part)}")
    if values := because.get("values"):
        lines.append(f"{indent}  where {', '.join(f'{name} = {value!r}' for name, value in values.items())}")
    lost = because.get("instead_of") or ()
    lost = [lost] if isinstance(lost, str | Mapping) else lost
    lines += [f"{indent}  not {_loser(item)}" for item in lost]
    return lines


def _loser(item: Any) -> str:
    return ": ".join(str(value) for value in item.values()) if isinstance(item, Mapping) else str(item)


def explain_lines(incident: Document, explained: Document, now: datetime) -> list[str]:
    """Why the incident is where it is, and what happens next unless somebody acts."""
    policy = explained.get("policy") or {}
    head = f"{incident['title']}: {incident['status']}, priority {incident['priority']}"
    lines = [head, f"  policy {policy.get('name', '')}, bundle {str(policy.get('hash', ''))[:12]}"]
    lines += ["", "What happened"]
    for step in explained.get("past") or ():
        lines.append(f"  {moment(step['at'], now)}  {step['what']}")
        lines += because_lines(step.get("because"), " " * 12)
    lines += ["", "What happens next"]
    steps: Sequence[Document] = explained.get("next") or ()
    lines += [_next_line(step, now) for step in steps] or ["  nothing: it is over"]
    return lines


def _next_line(step: Document, now: datetime) -> str:
    unless = f", unless {step['unless']}" if step.get("unless") else ""
    return f"  {moment(step['at'], now)}  ({distance(step['at'], now)})  {step['what']}{unless}"


def oncall_cells(item: Document, now: datetime) -> tuple[str, ...]:
    """One schedule's row: who, until when, who next."""
    following = item.get("next") or {}
    return (
        str(item["schedule"]),
        str(item.get("user") or "nobody"),
        moment(item.get("until"), now),
        str(item.get("layer") or ""),
        str(following.get("user") or ""),
        moment(following.get("from"), now),
    )


def oncall_columns(at: datetime) -> tuple[str, ...]:
    """The row's names; the times are those of the reader's zone, which is named."""
    zone = at.astimezone().tzname() or "local time"
    return ("schedule", "on call", f"until ({zone})", "layer", "then", f"from ({zone})")


def done_line(incident: Document, verb: str) -> str:
    """What an action led to, in one line."""
    who = f", taken by {incident['assignee']}" if incident.get("assignee") else ""
    return f"{verb} {short(str(incident['id']))}: {incident['title']} is {incident['status']}{who}"


def _decided(incident: Document) -> str:
    done = {"approve": "approved", "reject": "rejected"}.get(str(incident.get("decision") or ""), "")
    return f"{done} by {incident.get('decided_by')}" if done else ""


def _when(text: str | None, now: datetime) -> str:
    return f"{moment(text, now)} ({distance(text, now)})" if text else ""


def _with(first: Any, second: Any) -> str:
    return f"{first} ({second})" if first and second else str(first or second or "")


def _policy(incident: Document) -> str:
    text = str(incident.get("policy") or "")
    if incident.get("level"):
        text += f", level {incident['level']}, round {incident.get('round') or 1}"
    return text


def _pairs(name: str, pairs: Document | None) -> list[str]:
    return [f"  {name:<9} {', '.join(f'{key}={value}' for key, value in pairs.items())}"] if pairs else []
