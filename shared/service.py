"""What a service hands to the process that hosts it: `ladder up` hosts three, `ladder router` one."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter
from starlette.routing import BaseRoute

from shared.policy import Bundle
from shared.policy.publishing.feed import PolicyFeed


@dataclass(frozen=True, slots=True)
class KnownPolicy:
    """The policy that a service works by. `bundle`: where it has that at hand."""

    hash: str
    revision: int
    bundle: Bundle | None = None

    @classmethod
    def followed(cls, feed: PolicyFeed) -> "KnownPolicy | None":
        """The policy of a service that follows this feed; None as long as there is none."""
        known = feed.current
        return None if known is None else cls(known.hash, known.revision, known.bundle)


@dataclass(frozen=True, slots=True)
class Service:
    """One service, built and not yet started."""

    name: str
    api: APIRouter
    running: Callable[[], AbstractAsyncContextManager[None]]  # starts its loops; ends them cleanly on leaving
    unready: Callable[[], Sequence[str]]  # why it is not ready, in sentences; empty when it is
    stuck: Callable[[], Sequence[str]] = tuple  # why it makes no progress, where a restart would help
    policy: Callable[[], KnownPolicy | None] = lambda: None  # in force, as far as it knows
    routes: Sequence[BaseRoute] = ()  # plain ASGI routes of hot paths, matched before `api`
    openapi_paths: Mapping[str, Any] = field(default_factory=dict)  # what OpenAPI says of `routes`
    openapi_schemas: Mapping[str, Any] = field(default_factory=dict)  # components that those paths name
