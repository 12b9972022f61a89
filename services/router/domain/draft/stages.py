"""What the plan of a decision is made of: stages, each with why it stands where it does, and moments.

When a stage applies is given by names – dotted attributes of the draft – rather than by a function: the table
can be read as it stands, and a stage that has nothing to do costs no call.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from services.router.domain.draft.draft import Draft

Facts: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Applies:
    """It applies while all of `when`, one of `any_of` and none of `unless` hold (are true or not empty)."""

    when: Facts = ()
    any_of: Facts = ()
    unless: Facts = ()
    applies: Callable[[Draft], bool] = field(
        init=False, repr=False
    )  # what it comes to is used as true or false

    def __post_init__(self) -> None:
        if wrong := [name for name in self.facts if not all(part.isidentifier() for part in name.split("."))]:
            raise ValueError(f"no names of a draft: {wrong}")
        either = " or ".join(f"draft.{name}" for name in self.any_of)
        terms = [f"draft.{name}" for name in self.when]
        terms += [f"({either})"] if either else []
        terms += [f"not draft.{name}" for name in self.unless]
        # The names are those of the tables in this program; compiled, they cost a third of looking each up.
        applies = eval(f"lambda draft: {' and '.join(terms) or True}")  # noqa: S307
        object.__setattr__(self, "applies", applies)

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
