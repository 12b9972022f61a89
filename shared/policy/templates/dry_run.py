"""Each template rendered for an ordinary incident and for a hostile one, before it may be in force."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, Final

from jinja2 import UndefinedError

from shared.policy.errors import TEMPLATE, Finding, Path, Severity, nearest, shown
from shared.policy.model.bundle import Bundle
from shared.policy.templates.budget import TooCostlyError
from shared.policy.templates.fields import UPDATE, Unknown, tells_the_update, unknown_fields
from shared.policy.templates.rendering import BrokenTemplateError, rendered

UNKNOWN_FIELD: Final = "L140"
UPDATE_UNTOLD: Final = "L141"

_BEGAN: Final = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
_NASTY: Final = "{{ x }} {% for %} </b>&amp;\r\n%1000000000d \\ ' \" \N{RIGHT-TO-LEFT OVERRIDE}\N{FIRE} "
_NUMBERS: Final = ("priority", "round", "rating", "members", "members_open", "reopened", "events", "version")
_TEXTS: Final = """
    id integration dedup_key title opened_as description kind source severity status tier customer_name
    service policy level assignee waiting_for decision decided_by parent suppressed_by text event
    happened state promise taken_by link
"""
_TOLD: Final = ("text", "event", "happened", "state", "promise", "taken_by", "link")  # beside the incident
_TIMES: Final = """
    waiting_until snoozed_until suppressed_until opened_at acknowledged_at resolved_at closed_at last_event_at
    next_due_at
"""


class _Customer(str):
    """As messages have it: writes itself as the id, and has both."""

    __slots__ = ("id", "name")
    id: str
    name: str


class _Open(dict[str, Any]):
    """Attributes or labels of which any may be there; whether one was asked for that the sample made up."""

    asked = False

    def __missing__(self, key: str) -> Any:
        self.asked = True
        return "1"


def findings(bundle: Bundle) -> Iterator[Finding]:
    """What fails, with its place."""
    for name, template in bundle.templates.items():
        for part in ("title", "body"):
            yield from _failing(getattr(template, part), ("templates", name, part))


def _failing(text: str, path: Path) -> Iterator[Finding]:
    for what, names in (("an ordinary", sample()), ("a hostile", sample(hostile=True))):
        try:
            rendered(text, names)
        except BrokenTemplateError as err:
            unknown = [each for each in unknown_fields(text, names) if not each.guarded]
            if isinstance(err.__cause__, UndefinedError) and unknown:
                yield from (of_unknown(each, path) for each in unknown)
                return
            if isinstance(err.__cause__, TooCostlyError) or not _guessed(names):
                expected = f"a Jinja template that renders for {what} incident: {err}"
                yield Finding(path, shown(text), expected, line=err.line, column=1, code=TEMPLATE)
                return


def unsampled_findings(bundle: Bundle) -> Iterator[Finding]:
    """What no sample shows: unknown fields in parts that it does not reach, updates that say nothing."""
    names = sample()
    for name, template in bundle.templates.items():
        for part in ("title", "body"):
            path = ("templates", name, part)
            yield from (of_unknown(each, path) for each in unknown_fields(getattr(template, part), names))
    used: dict[str, int] = {}
    for number, subscription in enumerate(bundle.subscriptions):
        if UPDATE in subscription.events and subscription.template in bundle.templates:
            used.setdefault(str(subscription.template), number)
    for name, number in used.items():
        template = bundle.templates[name]
        if not tells_the_update(template.title, template.body):
            yield Finding(
                ("templates", name, "body"),
                code=UPDATE_UNTOLD,
                said=f"template {name} is used for `update` (subscriptions[{number}]) and writes `text` "
                "nowhere: what a person says in an update never reaches whoever gets it",
                mend="put {{ text }} where it is to stand",
            )


def of_unknown(one: Unknown, path: Path) -> Finding:
    """What is said of a field that no message has. Where the template asks first, it is only told."""
    near = nearest(one.name, one.known)
    of = f" of `{one.of}`" if one.of else ""
    severity: Severity = "warning" if one.guarded else "error"
    return Finding(
        path,
        hint=near,
        line=one.line,
        column=one.column,
        code=UNKNOWN_FIELD,
        severity=severity,
        said=f"a message has no field {one.name!r}{of}",
        mend="" if near else "docs/policy.md lists the fields of a template",
    )


def _guessed(names: Mapping[str, Any]) -> bool:
    """What an attribute really is, is not known: with another one it might have worked."""
    return bool(names["attributes"].asked or names["labels"].asked)


def sample(*, hostile: bool = False) -> dict[str, Any]:
    """The names that a message's template has, for an incident that never was."""
    text = _NASTY * 100 if hostile else "sample"
    number = 1_000_000 if hostile else 1
    many = 100 if hostile else 2
    customer = _Customer(text)
    customer.id = customer.name = text
    link = SimpleNamespace(href="https://example.com/", text=text)
    upstream = SimpleNamespace(id=text, title=text, service=text)
    clock = SimpleNamespace(
        target="resolve",
        state="running",
        goal_seconds=number,
        elapsed_seconds=number,
        due_at=_BEGAN + timedelta(hours=1),
        breached=hostile,
        broken_before=hostile,
        breaches=number,
        by="person",
    )
    fields: dict[str, Any] = dict.fromkeys(_TEXTS.split(), text) | dict.fromkeys(_NUMBERS, number)
    fields |= dict.fromkeys(_TIMES.split(), _BEGAN)
    fields |= {
        "labels": _Open({f"label{each}": text[:500] for each in range(many)}),
        "attributes": _Open({f"attribute{each}": number * 1.5 for each in range(many)}),
        "links": (link,) * many,
        "may_follow_from": (upstream,) * many,
        "clocks": (clock,) * 5,
    }
    told = {name: fields.pop(name) for name in _TOLD}
    incident = fields | {"customer": text}
    return incident | told | {"customer": customer, "incident": incident}
