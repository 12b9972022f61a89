"""What the plan of a decision is made of: stages, each with why it stands where it does, and moments.

When a stage applies is given by names – dotted attributes of the draft – rather than by a function: the table
can be read as it stands, and a stage that has nothing to do costs no call.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from typing import Any, TypeAlias

from services.router.domain.draft.draft import Draft

Facts: TypeAlias = tuple[str, ...]
Test: TypeAlias = tuple[Callable[[Iterable[Any]], bool], Callable[[Draft], Iterable[Any]], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Applies:
    """It applies while all of `when`, one of `any_of` and none of `unless` hold (are true or not empty)."""

    when: Facts = ()
    any_of: Facts = ()
    unless: Facts = ()
    tests: tuple[Test, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        said = ((all, self.when, True), (any, self.any_of, True), (any, self.unless, False))
        tests = tuple((fold, _look(names), wanted) for fold, names, wanted in said if names)
        object.__setattr__(self, "tests", tests)

    @property
    def facts(self) -> Facts:
        """Everything it reads from a draft."""
        return (*self.when, *self.any_of, *self.unless)

    @property
    def condition(self) -> str:
        """When it applies, in words."""
        either = " or ".join(self.any_of)
        parts = [*self.when, *filter(None, [either]), *(f"not {name}" for name in self.unless)]
        return ", ".join(parts) or "always"


def _look(names: Facts) -> Callable[[Draft], Iterable[Any]]:
    """A getter for all of them at once; attrgetter on a single name would not return a tuple."""
    return attrgetter(*names, names[0])


@dataclass(frozen=True, slots=True)
class Moment(Applies):
    """Something that falls due, together with what is done then: neither can be written without the other.

    `at` gives the time as the draft stands, None for no time; the earliest of all moments is when the
    incident is looked at next. After `act` it is no longer due, or due later.
    """

    name: str
    at: Callable[[Draft], datetime | None]
    act: Callable[[Draft], None]


@dataclass(frozen=True, slots=True)
class Stage(Applies):
    """One thing that a decision does, and why it stands where it does. `moment`: the one it acts on."""

    name: str
    does: Callable[[Draft], None]
    why: str
    moment: Moment | None = None
    on_timer: bool = False  # only when a timer fires


@dataclass(frozen=True, slots=True)
class Due:
    """What a timer does once its moment has come, and why it stands where it does.

    `early`: it runs whenever a timer fires and checks for itself. `alone`: nothing after it runs in this
    decision.
    """

    moment: Moment
    why: str
    early: bool = False
    alone: bool = False
