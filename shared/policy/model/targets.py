"""Who is meant: the targets of a bundle, as values.

`parse` reads the surface (`user:ana`, `{manager_of: assignee}`), `surface` writes it, `text` is for people.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias, get_args

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from shared.json_object import JsonObject

Channel: TypeAlias = Literal[
    "email",
    "webhook",
    "slack",
    "sms",
    "voice",
    "teams",
    "inbox",
    "ntfy",
    "telegram",
    "mattermost",
    "apprise",
]
CHANNELS: Final[tuple[str, ...]] = get_args(Channel)
NAME_PATTERN: Final = r"[a-z0-9][a-z0-9_-]*"


@dataclass(frozen=True, slots=True)
class _Named:
    """Written `PREFIX:NAME`."""

    prefix: ClassVar[str]
    name: str

    @property
    def text(self) -> str:
        return f"{self.prefix}:{self.name}"


@dataclass(frozen=True, slots=True)
class UserTarget(_Named):
    prefix = "user"


@dataclass(frozen=True, slots=True)
class TeamTarget(_Named):
    prefix = "team"


@dataclass(frozen=True, slots=True)
class ScheduleTarget(_Named):
    prefix = "schedule"


@dataclass(frozen=True, slots=True)
class NextTarget(_Named):
    """The one after who is on call."""

    prefix = "next"


@dataclass(frozen=True, slots=True)
class _Word:
    """Written as one word: the incident says who it is."""

    text: ClassVar[str]


@dataclass(frozen=True, slots=True)
class AssigneeTarget(_Word):
    text = "assignee"


@dataclass(frozen=True, slots=True)
class CustomerTarget(_Word):
    """The customer's own contacts."""

    text = "customer"


@dataclass(frozen=True, slots=True)
class OwnerTarget(_Word):
    """Who looks after the customer's account."""

    text = "owner"


@dataclass(frozen=True, slots=True)
class SkillTarget:
    skill: str
    among: "Target"

    @property
    def text(self) -> str:
        return f"skill {self.skill} among {self.among.text}"


@dataclass(frozen=True, slots=True)
class ManagerOf:
    of: "Target"

    @property
    def text(self) -> str:
        return f"manager of {self.of.text}"


@dataclass(frozen=True, slots=True)
class LeadOf:
    """The lead of the incident's service's team, or of a team."""

    of: "Target | Literal['service']"

    @property
    def text(self) -> str:
        return f"lead of {self.of if isinstance(self.of, str) else self.of.text}"


@dataclass(frozen=True, slots=True)
class AddressTarget:
    channel: str
    address: str

    @property
    def text(self) -> str:
        return f"{self.channel} {self.address}"


Target: TypeAlias = (
    UserTarget
    | TeamTarget
    | ScheduleTarget
    | NextTarget
    | AssigneeTarget
    | CustomerTarget
    | OwnerTarget
    | SkillTarget
    | ManagerOf
    | LeadOf
    | AddressTarget
)

EXPECTED: Final = (
    "a target: user:NAME, team:NAME, schedule:NAME, next:NAME, assignee, customer, owner, "
    "{skill: NAME, among: TARGET}, {manager_of: TARGET}, {lead_of: service | TARGET} "
    "or an address such as {email: a@example.com}"
)
_NAMED: Final[Mapping[str, Callable[[str], Target]]] = {
    kind.prefix: kind for kind in (UserTarget, TeamTarget, ScheduleTarget, NextTarget)
}
_WORDS: Final[Mapping[str, Target]] = {
    target.text: target for target in (AssigneeTarget(), CustomerTarget(), OwnerTarget())
}
_DEEPEST: Final = 8


def parse(written: Any, depth: int = 0) -> Target:
    """A target from its surface; ValueError says what was expected."""
    if isinstance(written, Target):
        return written
    if isinstance(written, str):
        return _parse_text(written)
    if not isinstance(written, Mapping) or depth > _DEEPEST:
        raise ValueError(EXPECTED)
    keys = set(written)
    if keys == {"skill", "among"} and isinstance(written["skill"], str):
        return SkillTarget(written["skill"], parse(written["among"], depth + 1))
    if keys == {"manager_of"}:
        return ManagerOf(parse(written["manager_of"], depth + 1))
    if keys == {"lead_of"}:
        inner = written["lead_of"]
        return LeadOf("service" if inner == "service" else parse(inner, depth + 1))
    if len(keys) == 1 and (channel := next(iter(keys))) in CHANNELS:
        return AddressTarget(channel, parse_address(written[channel]))
    raise ValueError(EXPECTED)


def _parse_text(written: str) -> Target:
    if written in _WORDS:
        return _WORDS[written]
    prefix, colon, name = written.partition(":")
    if not colon or prefix not in _NAMED or not re.fullmatch(NAME_PATTERN, name):
        raise ValueError(EXPECTED)
    return _NAMED[prefix](name)


def parse_address(written: Any) -> str:
    """An address or `secret:NAME`: one line of text, at most 2,000 characters."""
    if not isinstance(written, str) or not 0 < len(written) <= 2000 or not written.isprintable():
        raise ValueError("an address in quotes: one line of at most 2,000 characters")
    return written


def surface(target: Target) -> Any:
    """The target as a bundle writes it."""
    match target:
        case SkillTarget(skill, among):
            return {"skill": skill, "among": surface(among)}
        case ManagerOf(of):
            return {"manager_of": surface(of)}
        case LeadOf(of):
            return {"lead_of": of if isinstance(of, str) else surface(of)}
        case AddressTarget(channel, address):
            return {channel: address}
    return target.text


def within(target: Target) -> Iterator[Target]:
    """The target and every target inside it."""
    yield target
    match target:
        case SkillTarget(_, inner) | ManagerOf(inner):
            yield from within(inner)
        case LeadOf(inner) if not isinstance(inner, str):
            yield from within(inner)


TARGET_SCHEMA: Final = {"title": "Target"}  # replaced by a reference in the whole schema: targets nest
AnyTarget = Annotated[
    Target, PlainValidator(parse), PlainSerializer(surface), WithJsonSchema(dict(TARGET_SCHEMA))
]


def schema() -> JsonObject:
    """JSON Schema of one target; refers to itself as `#/$defs/Target`."""
    this = {"$ref": "#/$defs/Target"}

    def mapping(**properties: Any) -> JsonObject:
        return {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }

    name = {"type": "string", "pattern": f"^{NAME_PATTERN}$"}
    return {
        "anyOf": [
            {"type": "string", "pattern": f"^(?:{'|'.join(_NAMED)}):{NAME_PATTERN}$"},
            {"enum": list(_WORDS)},
            mapping(skill=name, among=this),
            mapping(manager_of=this),
            mapping(lead_of={"anyOf": [{"const": "service"}, this]}),
            *(mapping(**{channel: {"type": "string", "minLength": 1}}) for channel in CHANNELS),
        ]
    }
