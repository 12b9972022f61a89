"""How a problem moves: kinds, priorities, SLAs, policies, routes, subscriptions."""

from datetime import timedelta
from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import Field, GetJsonSchemaHandler, model_serializer, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from shared.json_object import JsonObject
from shared.policy.model.base import Count, EventName, Expression, LongText, Name, Part, PriorityNumber, Text
from shared.policy.model.durations import (
    Duration,
    DurationOrNone,
    ShareOfClock,
    WarningShare,
    format_duration,
    parse_positive,
)
from shared.policy.model.people import Windows
from shared.policy.model.targets import AnyTarget

Targets = Annotated[tuple[AnyTarget, ...], Field(min_length=1)]
AttributeType = Literal["number", "string", "datetime", "list", "boolean", "object"]


class Kind(Part):
    """A situation, and the attributes that it must carry."""

    attributes: dict[str, AttributeType] = Field(default_factory=dict)


class PriorityRow(Part):
    when: Expression = "true"
    priority: PriorityNumber


Whose: TypeAlias = Literal["person", "anybody"]


class Goal(Part):
    """What one target may take: `5m`, or `{within: 5m, by: person}` – whose act keeps it."""

    within: Duration
    by: Whose | None = None  # absent: as the target has it by itself

    @model_validator(mode="before")
    @classmethod
    def _from_surface(cls, written: Any) -> Any:
        if isinstance(written, dict):
            return written
        try:
            return {"within": parse_positive(written)}
        except ValueError as err:
            raise ValueError(f"{err}, or {{within: 5m, by: person}}") from err

    @model_serializer
    def _to_surface(self) -> Any:
        within = format_duration(self.within)
        return within if self.by is None else {"within": within, "by": self.by}

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        written = handler(core)
        known = handler.resolve_ref_schema(written)["properties"]
        return {
            "anyOf": [
                known["within"],
                {
                    "type": "object",
                    "properties": {"within": known["within"], "by": {"enum": list(get_args(Whose))}},
                    "required": ["within"],
                    "additionalProperties": False,
                },
            ]
        }


class Sla(Part):
    """What is promised, each target as a span of the calendar's time."""

    name: Text
    when: Expression = "true"
    calendar: Name = "always"
    acknowledge: Goal | None = None
    respond: Goal | None = None
    update: Goal | None = None
    resolve: Duration | None = None
    close: Duration | None = None
    pause_while: tuple[Text, ...] = ()
    warn_at: tuple[WarningShare, ...] = ()

    def goal(self, target: str) -> timedelta | None:
        """How long this target may take; None where nothing is promised."""
        promised: Goal | timedelta | None = getattr(self, target)
        return promised.within if isinstance(promised, Goal) else promised

    def by(self, target: str) -> Whose:
        """Whose act keeps this target: an answer is a person's unless the SLA says otherwise."""
        promised = getattr(self, target)
        said = promised.by if isinstance(promised, Goal) else None
        return said or ("person" if target == "respond" else "anybody")


class Mode(Part):
    """Whom of a level to page: `all`, `round_robin`, or `{one_by_one: 2m}` (the next one after that time)."""

    kind: Literal["all", "round_robin", "one_by_one"] = "all"
    one_by_one: Duration | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_surface(cls, written: Any) -> Any:
        if written in ("all", "round_robin"):
            return {"kind": written}
        if isinstance(written, dict) and set(written) == {"one_by_one"}:
            return {"kind": "one_by_one", **written}
        if isinstance(written, dict) and set(written) <= {"kind", "one_by_one"}:
            return written
        raise ValueError("all, round_robin or {one_by_one: DURATION}")

    @model_serializer
    def _to_surface(self) -> Any:
        if self.one_by_one is None:
            return self.kind
        return {"one_by_one": format_duration(self.one_by_one)}

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        written = handler(core)
        duration = handler.resolve_ref_schema(written)["properties"]["one_by_one"]["anyOf"][0]
        return {
            "anyOf": [
                {"enum": ["all", "round_robin"]},
                {
                    "type": "object",
                    "properties": {"one_by_one": duration},
                    "required": ["one_by_one"],
                    "additionalProperties": False,
                },
            ]
        }


class Level(Part):
    """One rung: who is asked, what they are competent to solve, how long they have."""

    name: Text
    handles: Expression | None = None  # absent: everything
    notify: Targets
    mode: Mode = Mode()
    acknowledge_within: Duration
    solve_within: Duration | None = None
    hold_until: Name | None = None


class Grace(Part):
    """Automation gets a chance: nobody is paged for `wait`."""

    wait: Duration
    call: Name | None = None


class Final(Part):
    """Past the last level: these, again and again, until somebody takes it. Nobody listed: last_resort."""

    notify: tuple[AnyTarget, ...] = ()
    every: Duration = Field(default="15m", validate_default=True)
    hold_until: Name | None = None


class EscalateTo(Part):
    """Where to: `next` (the next level up that handles it), `{level: NAME}` or `{policy: NAME}`."""

    level: Text | None = None
    policy: Name | None = None
    next: bool = False

    @model_validator(mode="before")
    @classmethod
    def _from_surface(cls, written: Any) -> Any:
        return {"next": True} if written == "next" else written

    @model_validator(mode="after")
    def _one_of_three(self) -> "EscalateTo":
        if [self.level is not None, self.policy is not None, self.next].count(True) != 1:
            raise ValueError("either next, {level: NAME} or {policy: NAME}")
        return self

    @model_serializer
    def _to_surface(self) -> Any:
        if self.next:
            return "next"
        return {"level": self.level} if self.level is not None else {"policy": self.policy}

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        written = handler.resolve_ref_schema(handler(core))
        of = written["properties"]
        named = [
            {
                "type": "object",
                "properties": {name: of[name]["anyOf"][0]},
                "required": [name],
                "additionalProperties": False,
            }
            for name in ("level", "policy")
        ]
        return {"description": written.get("description", ""), "anyOf": [{"const": "next"}, *named]}


class SetFields(Part):
    priority: PriorityNumber | None = None
    kind: Name | None = None
    service: Name | None = None
    customer: Name | None = None
    attributes: JsonObject = Field(default_factory=dict)


class Do(Part):
    """One thing an escalation point does; exactly one of the verbs. `because` goes with escalate."""

    notify: Targets | None = None
    inform: Targets | None = None
    escalate: EscalateTo | None = None
    set: SetFields | None = None
    assign: AnyTarget | None = None
    update: LongText | None = None
    call: Name | None = None
    because: Literal["expertise", "authority"] | None = None

    @property
    def verb(self) -> str:
        return next(verb for verb in VERBS if getattr(self, verb) is not None)

    @model_validator(mode="after")
    def _one_verb(self) -> "Do":
        verbs = [verb for verb in VERBS if getattr(self, verb) is not None]
        if len(verbs) != 1:
            raise ValueError(f"exactly one of {', '.join(VERBS)}")
        if self.because and verbs != ["escalate"]:
            raise ValueError("because only beside escalate")
        return self


VERBS = ("notify", "inform", "escalate", "set", "assign", "update", "call")


class Point(Part):
    """An escalation point: a condition on the record (`when`), or a share of a clock (`at`)."""

    name: Text
    at: ShareOfClock | None = None
    when: Expression | None = None
    held_for: Duration | None = None
    repeat: Duration | None = None
    do: Annotated[tuple[Do, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _one_trigger(self) -> "Point":
        if (self.at is None) == (self.when is None):
            raise ValueError("either `at` (a share of a clock) or `when` (a condition)")
        if self.at is not None and (self.held_for or self.repeat):
            raise ValueError("held_for and repeat only beside `when`")
        return self


class Close(Part):
    """Resolved becomes closed when confirmed, or after so long a silence."""

    confirmed_by: Literal["customer"] = "customer"
    after: Duration
    template: Name | None = None  # of the message that asks for it


class Policy(Part):
    """One ladder."""

    grace: Grace | None = None
    reopen_within: DurationOrNone = Field(default="1h", validate_default=True)
    forgotten_after: Duration = Field(default="1d", validate_default=True)
    levels: Annotated[tuple[Level, ...], Field(min_length=1)]
    rounds: Count = 1
    finally_: Final = Field(default_factory=Final, alias="finally")
    points: tuple[Point, ...] = ()
    close: Close | None = None


class Route(Part):
    when: Expression = "true"
    policy: Name
    start_at: Text | None = None


class Grouping(Part):
    """Incidents that are one problem: the same values of `by`, within this time."""

    name: Text
    when: Expression = "true"
    by: Annotated[tuple[Text, ...], Field(min_length=1)]
    within: Duration


class Suppression(Part):
    """When not to notify: in a window, or while something else is open."""

    name: Text
    when: Expression = "true"
    window: Windows | None = None
    while_open: Expression | None = None
    then: Literal["page", "drop"] = "page"

    @model_validator(mode="after")
    def _one_reason(self) -> "Suppression":
        if (self.window is None) == (self.while_open is None):
            raise ValueError("either `window` or `while_open`")
        return self


class Subscription(Part):
    """Stakeholders: who hears what."""

    who: Targets
    when: Expression = "true"
    events: Annotated[tuple[EventName, ...], Field(min_length=1)]
    template: Name | None = None
    digest: Duration | None = None
