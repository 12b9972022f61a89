"""An event log that records what was published, and intake on top of it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx2
import msgspec

from ladder.web.host import assemble
from services.intake.app import build
from services.intake.settings import IntakeSettings
from shared.eventlog import EventLog, LogUnavailableError, Partition, Received, Record, RecordTooLargeError
from shared.eventlog.codec import decode, encode
from shared.events import INCIDENTS, POLICY, IncidentEvent, PolicyPublished
from shared.policy import Bundle, content_hash, dump_json
from shared.security.keys import digest
from shared.service import Service
from tests.waiting import until

SCRIPTS, CRM, PROMETHEUS, PAGER, MAPPED, API, SHARED, EXPIRED, GRAFANA, TICKETS, CLOUD, OPSGENIE = (
    "scripts-key", "crm-key", "prometheus-key", "0123456789abcdef0123456789abcdef", "mapped-key", "api-key",
    "shared-key", "expired-key", "grafana-key", "tickets-key", "cloud-key", "opsgenie-key",
)  # fmt: skip
AT = datetime(2026, 1, 5, tzinfo=UTC)
LEVEL = {"name": "desk", "notify": ["user:ana"], "acknowledge_within": "5m"}


def _keys(*texts: str) -> list[dict[str, str]]:
    return [{"sha256": digest(text)} for text in texts]


def bundle() -> Bundle:
    """Integrations of every kind; `shared-key` opens several of them."""
    expired = {"sha256": digest(EXPIRED), "expires": "2020-01-01"}
    return Bundle.model_validate(
        {
            "version": 1,
            "last_resort": ["user:ana"],
            "users": {"ana": {"name": "Ana", "timezone": "UTC"}},
            "policies": {"p": {"levels": [LEVEL], "finally": {"notify": ["user:ana"], "every": "1h"}}},
            "routes": [{"policy": "p"}],
            "services": {"checkout": {"name": "Checkout"}},
            "kinds": {"incident": {}, "budget_overrun": {"attributes": {"budget": "number"}}},
            "integrations": {
                "scripts": {"kind": "native", "keys": [*_keys(SCRIPTS, SHARED), expired]},
                "crm": {
                    "kind": "native",
                    "keys": _keys(CRM),
                    "set": {"source": "crm", "labels.team": "desk"},
                },
                "prometheus": {"kind": "alertmanager", "keys": _keys(PROMETHEUS, SHARED)},
                "mapped": {
                    "kind": "alertmanager",
                    "keys": _keys(MAPPED),
                    "set": {"source": "prometheus"},
                    "map": {"service": "labels.job", "severity": "labels.level", "title": "annotations.none"},
                },
                "pager": {"kind": "pagerduty", "keys": _keys(PAGER)},
                "cloud": {"kind": "cloudevents", "keys": _keys(CLOUD)},
                "mapped-cloud": {
                    "kind": "cloudevents",
                    "keys": _keys(CLOUD),
                    "map": {
                        "title": "data.pull_request.title",
                        "dedup_key": "subject",
                        "action": "type.endsWith('closed') ? 'resolve' : 'trigger'",
                        "attributes.author": "data.pull_request.user",
                    },
                },
                "boards": {"kind": "grafana", "keys": _keys(GRAFANA)},
                "signed": {"kind": "grafana", "keys": _keys(GRAFANA), "signing_secret": "of-the-boards"},
                "tickets": {
                    "kind": "json",
                    "keys": _keys(TICKETS),
                    "set": {"source": "tickets", "labels.team": "desk"},
                    "map": {
                        "dedup_key": "ticket.id",
                        "title": "ticket.subject",
                        "customer": "ticket.account",
                        "action": "ticket.state == 'closed' ? 'resolve' : 'trigger'",
                        "kind": "ticket.type == 'budget' ? 'budget_overrun' : 'incident'",
                        "attributes.budget": "double(ticket.budget)",
                    },
                },
                "genie": {"kind": "opsgenie", "keys": _keys(OPSGENIE)},
            },
            "heartbeats": {
                "backup": {"every": "24h", "late_after": "2h", "event": {"title": "Backup is late"}}
            },
            "api_keys": {"dashboard": {"keys": _keys(API)}},
        }
    )


def published(policy: Bundle, revision: int = 1) -> Record:
    raw = msgspec.Raw(dump_json(policy))
    return encode(PolicyPublished(hash=content_hash(policy), revision=revision, at=AT, bundle=raw))


@dataclass
class FakeLog(EventLog):
    """What was acknowledged stands in `records` and `told`; it can be down, refuse large records, lack topics."""

    policy: Bundle | None = field(default_factory=bundle)
    records: list[Record] = field(default_factory=list)
    told: list[Record] = field(default_factory=list)  # what became of posts
    down: bool = False
    longest: int = 3_000_000
    wrong_topics: Sequence[str] = ()
    hold: asyncio.Event | None = None  # publishing waits for it

    async def publish(self, records: Sequence[Record], *, timeout_seconds: float = 4.0) -> None:
        if self.hold:
            await self.hold.wait()
        if self.down:
            raise LogUnavailableError("the brokers do not answer")
        if any(len(record.value) > self.longest for record in records):
            raise RecordTooLargeError("too large")
        for record in records:
            (self.told if b'"dedup_key":"posts:' in record.value else self.records).append(record)

    async def follow(self, topic: str) -> AsyncIterator[Sequence[Received]]:
        assert topic == POLICY
        if self.policy:
            record = published(self.policy)
            yield [Received(Partition(topic, 0), 0, record.key, record.value, record.headers, AT)]
        else:
            yield []
        await asyncio.Event().wait()

    async def verify_topics(self) -> Sequence[str]:
        return self.wrong_topics

    @property
    def events(self) -> list[IncidentEvent]:
        assert {record.topic for record in self.records} <= {INCIDENTS}
        return [decode(IncidentEvent, record.value, record.headers) for record in self.records]


@asynccontextmanager
async def serving(service: Service) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the service, hosted as a Ladder process hosts it; the service runs."""
    app = assemble([service], loopback=True)
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with service.running(), httpx2.AsyncClient(transport=transport, base_url="http://ladder") as client:
        yield client


@asynccontextmanager
async def intake(log: EventLog, **settings: float | str) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of intake on this log, once intake is ready."""
    service = build(IntakeSettings(**settings), log=log)
    async with serving(service) as client:
        await until(lambda: not service.unready())
        yield client


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}
