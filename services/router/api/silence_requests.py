"""What a request for a silence or for maintenance must be: its body, its condition, its end."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic.config import JsonDict

from services.router.api.overrides import invalid
from services.router.api.times import Moment
from services.router.domain.model.compiled_bundle import CompiledBundle
from services.router.duty import maintenance_windows, overlay
from services.router.duty.silence_store import Stored
from shared.http.problems import Fault, Problem
from shared.policy.cel.explanations import ExpressionError
from shared.policy.model.people import Windows

_LONGEST: Final = timedelta(days=366)
_When: TypeAlias = Annotated[
    str,
    StringConstraints(min_length=1, max_length=4000, pattern=r"^[^\x00]*$"),
    Field(description="a condition, as in a policy; `true` for everything"),
]
_Comment: TypeAlias = Annotated[str, StringConstraints(max_length=2000, pattern=r"^[^\x00]*$")]
_Name: TypeAlias = Annotated[
    str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$", strip_whitespace=True)
]


def _example(title: str, **fields: Any) -> JsonDict:
    return {"title": title, "examples": [fields]}


class SilenceBody(BaseModel):
    """Nobody is notified of what matches, until then."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra=_example(
            "Silence",
            when="service == 'checkout' && priority > 2",
            until="2027-05-01T10:00:00Z",
            comment="we know, the fix is on its way",
        ),
    )

    when: _When
    until: Moment = Field(description="RFC 3339, with an offset; a year ahead at most")
    comment: _Comment = ""


class MaintenanceBody(BaseModel):
    """Planned work: once `from` … `to`, or again and again in `window`."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        populate_by_name=True,
        json_schema_extra=_example(
            "Maintenance",
            name="database upgrade",
            when="service == 'checkout'",
            **{"from": "2030-05-02T22:00:00Z", "to": "2030-05-03T02:00:00Z", "then": "page"},
        ),
    )

    name: _Name
    when: _When = "true"
    from_: Moment | None = Field(default=None, alias="from", description="RFC 3339, with an offset")
    to: Moment | None = Field(default=None, description="RFC 3339, with an offset")
    window: Windows | None = Field(
        default=None,
        description="as in a policy: days, from, to, timezone (UTC where none is named), or a calendar of "
        "the policy in force; or a list of such",
    )
    then: Literal["page", "drop"] = Field(
        default="page", description="what becomes of what still stands at the end"
    )

    @model_validator(mode="after")
    def _once_or_again(self) -> "MaintenanceBody":
        once = self.from_ is not None and self.to is not None
        if once == (self.window is not None) or (self.window is not None and (self.from_ or self.to)):
            raise ValueError("either `from` and `to`, or a `window` that comes again")
        return self


def check_condition(live: CompiledBundle, when: str) -> None:
    """Check that the condition compiles under the policy in force; else 422 with line and column."""
    try:
        overlay.check(live, when)
    except ExpressionError as err:
        place = f"line {err.line}, column {err.column}" if err.line > 1 else f"column {err.column}"
        problem = invalid(Fault("/when", f"{place}: {err.message}"))
        where = {"line": err.line, "column": err.column}
        raise Problem(
            problem.status, problem.kind, problem.title, faults=problem.faults, extra=where
        ) from err


def check_calendars(live: CompiledBundle, stored: Stored) -> None:
    """Check that every calendar its window names is in the policy in force; else 422."""
    alone = len(stored.window or ()) == 1
    unknown = maintenance_windows.unknown_calendars(stored.window, live.spec)
    if unknown:
        known = ", ".join(live.spec.calendars) or "none"
        raise invalid(
            *(
                Fault(
                    f"/window{'' if alone else f'/{number}'}/calendar",
                    f"no calendar of the policy in force is called {name!r}; known: {known}",
                )
                for number, name in unknown.items()
            )
        )


def check_end(field: str, until: datetime, starts: datetime, now: datetime) -> None:
    """Check that it ends after now and after it begins, and not too far ahead; else 422."""
    if until <= now:
        raise invalid(Fault(field, "it lies in the past"))
    if until <= starts:
        raise invalid(Fault(field, "it must be later than its begin: nothing would be quiet"))
    if until - starts > _LONGEST:
        raise invalid(Fault(field, f"at most {_LONGEST.days} days at a time: nothing is forgotten for ever"))
