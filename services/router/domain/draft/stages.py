"""What the plan of a decision is made of: stages, each with why it stands where it does, and moments.

`when` says when one applies: whether what it comes to is true or not empty. The tables write it as one
expression over the draft, which reads as it stands, is type-checked and costs one call.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from services.router.domain.draft.draft import Draft

When: TypeAlias = Callable[[Draft], object]


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that falls due, together with what is done then: neither can be written without the other.

    `at` gives the time as the draft stands, None for no time; the earliest of all moments is when the
    incident is looked at next. After `act` it is no longer due, or due later.
    """

    name: str
    at: Callable[[Draft], datetime | None]
    act: Callable[[Draft], None]
    when: When


@dataclass(frozen=True, slots=True)
class Stage:
    """One thing that a decision does, and why it stands where it does. `moment`: the one it acts on."""

    name: str
    does: Callable[[Draft], None]
    why: str
    when: When
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
