import dataclasses
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from ladder.terminal.policy_story import lines as switched_lines
from ladder.terminal.story import GROUP, lines, tell_once
from services.router.policy.compiled_cache import InForce
from shared.eventlog import Partition, Received, codec
from shared.events import (
    ESCALATIONS,
    Announced,
    IncidentChanged,
    IncidentSnapshot,
    Message,
    Notice,
    Page,
    Recipient,
    Settled,
)

NOW = datetime(2026, 3, 2, 12, 0, 3, tzinfo=UTC)
INCIDENT = IncidentSnapshot(
    id="1f2e3d4c-aaaa",
    integration="demo",
    dedup_key="k",
    title="Checkout is down",
    kind="incident",
    status="triggered",
    priority=1,
    tier="gold",
    customer="acme",
    customer_name="Acme",
    policy="quick",
    opened_at=NOW,
)
PAGE = Page(
    page_id="p",
    recipient=Recipient(kind="user", name="ana"),
    level="service desk",
    reason="you are on call for desk.",
    since=NOW,
    otherwise="level experts is paged",
)


def _change(**more: object) -> IncidentChanged:
    return IncidentChanged(**{"message_id": "m", "at": NOW, "incident": INCIDENT, **more})


def test_a_page_is_one_line_with_whom_where_on_the_ladder_why_and_what_comes_next() -> None:
    told = list(lines(_change(changes=("opened", "paged"), actor="ladder", pages=(PAGE,)), UTC))
    assert told == [
        "12:00:03  opened · “Checkout is down” · Acme (gold) · priority 1 · 1f2e3d4c",
        "12:00:03    page → ana (service desk, round 1): you are on call for desk; otherwise level experts is paged",
    ]


def test_taking_it_names_who_and_says_that_pages_stop() -> None:
    told = list(lines(_change(changes=("taken",), actor="ana", settled=Settled(why="taken", by="ana")), UTC))
    assert told[0].startswith("12:00:03  taken by ana: pages stop (taken) · “Checkout is down”")


def test_a_stakeholder_is_told_with_the_reason() -> None:
    notice = Notice(
        notice_id="n", event="opened", recipient=Recipient(kind="customer", name="acme"), reason="subscribed"
    )
    assert list(lines(_change(notices=(notice,)), UTC))[1] == "12:00:03    tell → acme (opened): subscribed"


class FakeConsumer:
    """Hands out one batch and records what was committed."""

    ever_assigned = True

    def __init__(self, *changes: Message) -> None:
        encoded = [codec.encode(change) for change in changes]
        self.batch = [
            Received(Partition(ESCALATIONS, 0), offset, one.key, one.value, one.headers, NOW)
            for offset, one in enumerate(encoded)
        ]
        self.committed: list[Received] = []

    async def fetch(self, max_records: int = 500, wait_seconds: float = 1.0) -> list[Received]:
        return self.batch

    async def commit(self, records: list[Received]) -> None:
        self.committed = records

    def assignment(self) -> frozenset[Partition]:
        return frozenset()

    async def lag(self, now: datetime) -> dict[Partition, object]:
        return {}


async def _told(*changes: Message, now: datetime = NOW) -> list[str]:
    consumer, said = FakeConsumer(*changes), []
    await tell_once(consumer, said.append, now, UTC)
    assert consumer.committed == consumer.batch
    return said


async def test_what_happened_before_this_start_is_passed_over() -> None:
    assert await _told(_change(changes=("opened",)), now=NOW + timedelta(minutes=5)) == []


async def test_a_silence_that_is_about_to_end_is_told_like_everything_else() -> None:
    silence = Announced(
        message_id="m",
        at=NOW,
        event="maintenance",
        title="Your silence ends in 15 minutes",
        reason="you made it",
        recipients=(Recipient(kind="user", name="petra"),),
    )
    assert await _told(silence) == [
        "12:00:03  Your silence ends in 15 minutes",
        "12:00:03    tell → petra (maintenance): you made it",
    ]
    assert await _told(silence, now=NOW + timedelta(minutes=5)) == []


def test_what_a_sender_writes_neither_forges_lines_nor_moves_the_cursor() -> None:
    forged = replace(INCIDENT, title="Down\r\n12:00:03  taken by ana \x1b[2J \u0645\u06cc\u200c\u062e")
    [line] = lines(_change(incident=forged, changes=("opened",)), UTC)
    assert "\n" not in line
    assert "\x1b" not in line
    assert "\u06cc\u200c\u062e" in line


async def test_a_storm_is_counted_and_not_scrolled_past() -> None:
    told = await _told(*(_change(changes=("opened",)) for _ in range(500)))
    assert len(told) == 61
    assert "440 lines more" in told[-1]


def test_the_terminal_reads_in_a_group_of_its_own() -> None:
    assert GROUP not in {"ladder-router", "ladder-notifier"}


def test_a_switch_of_the_policy_is_one_line_with_who_did_it_and_one_for_each_difference() -> None:
    switched = InForce("ab" * 32, 3, datetime(2026, 3, 1, 12, tzinfo=UTC), "api", "user:ana")
    assert list(switched_lines(switched, ["team desk: eva added"], zone=UTC)) == [
        "12:00:00  policy · applied by ana · revision 3 (abababababab) · 1 change",
        "12:00:00    team desk: eva added",
    ]
    by_key = dataclasses.replace(switched, by="api:deploy")
    assert "applied with the key deploy" in next(switched_lines(by_key, [], zone=UTC))
    from_file = dataclasses.replace(switched, source="file", by="/etc/ladder/policy.yaml")
    told = list(switched_lines(from_file, [f"user u{number} added" for number in range(30)], zone=UTC))
    assert "taken from /etc/ladder/policy.yaml · revision 3" in told[0]
    assert told[-1] == "12:00:00    … and 18 more"
