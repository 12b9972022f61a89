"""The policy in force, and what is wrong with it."""

from datetime import datetime
from typing import Literal

import msgspec


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
