"""What comes in and what goes out: integrations, API keys, heartbeats, calls, templates."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    StringConstraints,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from shared.policy.model.base import Expression, LongText, MappingOrList, Name, OneOrMore, Part, Role, Text
from shared.policy.model.durations import Duration, DurationOrNone, RateLimit
from shared.policy.model.signing import Signature, Topic
from shared.policy.model.windows import Instant
from shared.security.secret_files import NAME_PATTERN as SECRET_NAME_PATTERN

IntegrationKind = Literal["native", "pagerduty", "alertmanager", "grafana", "opsgenie", "cloudevents", "json"]
EVENT_FIELDS: Final = [
    "action",
    "dedup_key",
    "title",
    "description",
    "kind",
    "severity",
    "impact",
    "urgency",
    "customer",
    "tier",
    "service",
    "source",
    "occurred_at",
    "waiting_for",
]


WHOLE_FIELDS: Final = ["labels", "attributes", "links"]  # of several parts


def _field(name: str, known: Sequence[str]) -> str:
    if name in known or (name.partition(".")[0] in ("labels", "attributes") and name.partition(".")[2]):
        return name
    raise ValueError(f"a field of an event: {', '.join(known)}, labels.NAME or attributes.NAME")


SingleField = Annotated[str, AfterValidator(partial(_field, known=EVENT_FIELDS))]
EventField = Annotated[str, AfterValidator(partial(_field, known=[*EVENT_FIELDS, *WHOLE_FIELDS]))]
_LETS_IN: Final = (("keys",), ("signature",), ("signing_secret",), ("confirm", "topics"))  # either of these


class KeySpec(Part):
    """A key, by the hex SHA-256 of its text; `expires` in UTC, None: never."""

    sha256: Annotated[str, StringConstraints(strict=True, pattern="^[0-9a-fA-F]{64}$")]
    expires: Instant | None = None


Keys = Annotated[tuple[KeySpec, ...], Field(min_length=1)]


class MappedShape(Part):
    """One shape of a sender's bodies: the fields of those for which `when` is true."""

    when: Expression = "true"
    map: dict[EventField, Expression]


class Sample(Part):
    """A recorded body beside the policy's file, and headers that came with it; a text is the file alone."""

    file: Text
    headers: dict[Text, LongText] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _from_surface(cls, written: Any) -> Any:
        if isinstance(written, str):
            return {"file": written}
        if not isinstance(written, dict):
            raise ValueError("a file's name, or {file: NAME, headers: {NAME: VALUE}}")  # noqa: TRY004
        return written

    @model_serializer
    def _to_surface(self) -> Any:
        return {"file": self.file, "headers": self.headers} if self.headers else self.file

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        written = handler.resolve_ref_schema(handler(core))
        parts = {key: written[key] for key in ("properties", "required", "additionalProperties")}
        return {"anyOf": [parts["properties"]["file"], {"type": "object", **parts}]}


Shapes = Annotated[
    dict[EventField, Expression] | Annotated[tuple[MappedShape, ...], Field(min_length=1)], MappingOrList()
]


class Integration(Part):
    """Who may post, and how what they post becomes an event: `set` gives fixed values, `map` expressions.

    Of kind `json`: the first shape of a list whose `when` is true counts; `ignore` drops, `each` makes an
    event of each member of a list; `samples` are files beside the policy that `ladder check` maps.
    """

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": list(each)} for each in _LETS_IN]})

    kind: IntegrationKind
    keys: Keys = ()  # where a signature stands in their place
    signature: Signature | None = None
    confirm: Literal["sns"] | None = None  # subscriptions of Amazon SNS; its signatures are checked
    topics: Annotated[tuple[Topic, ...], OneOrMore()] = ()  # of SNS, which alone may post
    rate: RateLimit | None = None
    set: dict[EventField, Any] = Field(default_factory=dict)
    map: Shapes = Field(default_factory=dict)
    ignore: Expression | None = None
    each: Expression | None = None
    samples: tuple[Sample, ...] = ()
    reopen_within: DurationOrNone | None = None
    signing_secret: Text | None = None  # of Grafana's signature; can be secret:NAME
    silent_after: Duration | None = None  # an incident of which it has said nothing for so long …
    then: Literal["resolve", "ask"] | None = None  # … is resolved, or somebody is asked about it

    @property
    def on_silence(self) -> Literal["resolve", "ask"]:
        """What a silence means; to ask is the safe side."""
        return self.then or "ask"

    @model_validator(mode="after")
    def _only_a_silence_has_a_then(self) -> Self:
        if self.then is not None and self.silent_after is None:
            raise ValueError("then only beside silent_after: it says what such a silence means")
        return self

    @property
    def shapes(self) -> Sequence[tuple[str, Mapping[str, str]]]:
        """Condition and fields of each shape of `map`, however it is written."""
        if isinstance(self.map, dict):
            return [("true", self.map)] if self.map else []
        return [(shape.when, shape.map) for shape in self.map]

    @model_validator(mode="after")
    def _only_json_has_shapes(self) -> Self:
        said = [name for name in ("ignore", "each", "samples") if getattr(self, name)]
        if not isinstance(self.map, dict):
            said.append("a list of maps")
        if said and self.kind != "json":
            raise ValueError(f"{said[0]} only where kind is json")
        return self

    @model_validator(mode="after")
    def _only_grafana_signs(self) -> Self:
        if self.signing_secret is not None and self.kind != "grafana":
            raise ValueError("signing_secret only where kind is grafana; signature says it of every kind")
        if self.signing_secret is not None and self.signature is not None:
            raise ValueError("signing_secret or signature, not both: it is short for like: grafana")
        return self

    @model_validator(mode="after")
    def _sns_is_json(self) -> Self:
        if self.confirm is not None and self.kind != "json":
            raise ValueError(
                "confirm only where kind is json: SNS wraps every message in an object of its own"
            )
        if self.topics and self.confirm is None:
            raise ValueError("topics only beside confirm: sns")
        return self

    @property
    def lets_in(self) -> bool:
        """Whether anything says who may post: keys, or a signature that stands in their place.

        Anybody can have SNS sign what they like: without keys its topics must be named.
        """
        return any(all(getattr(self, name) for name in each) for each in _LETS_IN)

    @property
    def reopens_within(self) -> timedelta | None:
        """What this integration says of reopening; None: what the policy says counts.

        PagerDuty and Opsgenie open a new incident for a trigger after a resolve.
        """
        if self.reopen_within is not None:
            return self.reopen_within
        return timedelta(0) if self.kind in ("pagerduty", "opsgenie") else None


class ApiKey(Part):
    """A key for the API. Without a role: that of the user it acts as, otherwise viewer."""

    keys: Keys
    role: Role | None = None
    acts_as: Name | None = None


class Call(Part):
    """Automation that policies may start."""

    webhook: Annotated[str, StringConstraints(strict=True, pattern=r"^(?:https?://\S+|secret:\S+)$")]
    secret: Text | None = None


class Heartbeat(Part):
    """A beat that is expected so often; late by so much, the event is triggered."""

    every: Duration
    late_after: Duration
    event: dict[SingleField, Any]


class NamedSecrets(Part):
    """Who beside the bundle itself may say `secret:NAME`, and which: `customers` those of API and import."""

    customers: tuple[Annotated[str, StringConstraints(strict=True, pattern=SECRET_NAME_PATTERN)], ...] = ()


class Template(Part):
    """A message's text, in Jinja."""

    title: LongText
    body: LongText
