"""Who posts and who beats, and what became of it."""

from datetime import datetime

import msgspec


class HeartbeatItem(msgspec.Struct, frozen=True, kw_only=True):
    """`state`: waiting (none has come yet), beating, late, failed (it said so itself). `late_at`: when it is
    late unless it beats, or ends. `started_at`: of the run under way; `took_seconds`: how long the last run
    took that said when it began; `said`: the beginning of the last body.
    """

    name: str
    every: str
    late_after: str
    state: str
    last: datetime | None
    by: str
    late_at: datetime | None
    late_since: datetime | None
    failed_at: datetime | None = None
    started_at: datetime | None = None
    took_seconds: float | None = None
    said: str = ""


class HeartbeatList(msgspec.Struct, frozen=True, kw_only=True):
    items: list[HeartbeatItem]


class RefusedPosts(msgspec.Struct, frozen=True, kw_only=True):
    """Posts that were refused for one kind of reason; `at`, `reason` and `event` (its place in the post, from
    0) are those of the last one. `kind`: the last part of the problem's type.
    """

    kind: str
    count: int
    at: datetime
    reason: str
    event: int | None


class IntegrationItem(msgspec.Struct, frozen=True, kw_only=True):
    """Who may post. `accepted` and `ignored` count events, `refused` posts, those with a wrong key too;
    `refusals`: by kind, the latest first.
    """

    name: str
    kind: str
    accepted: int
    refused: int
    ignored: int
    last_accepted_at: datetime | None
    last_refused_at: datetime | None
    last_ignored_at: datetime | None
    last_refused: RefusedPosts | None
    refusals: list[RefusedPosts]


class IntegrationList(msgspec.Struct, frozen=True, kw_only=True):
    items: list[IntegrationItem]
