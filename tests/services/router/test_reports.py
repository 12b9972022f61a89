"""Reports over HTTP, on a real database: figures small enough to be worked out by hand."""

import csv
import importlib
import io
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from services.router import report_queries
from services.router.domain.reporting.report_facts import BY_PERSON, Ended, Flag
from tests.domain.tale import bundle
from tests.services.router.api import Api
from tests.services.router.desk import Desk, event

MARCH = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
WHOLE = {"from": "2026-01-01", "to": "2027-01-01"}
# bits of router.outcome.promises
ACKNOWLEDGE, RESOLVE = 1, 8
BROKEN, KEPT = 1 << 5, 1 << 10
REPORTS = ("sla", "response", "levels")
EVER = {"from": "2020-01-01", "to": "2100-01-01"}


async def outcome(desk: Desk, **fields: Any) -> None:
    row = {
        "incident_id": str(uuid.uuid4()), "opened_at": MARCH, "taken_after": None, "solved_after": None,
        "promises": 0, "flags": 0, "reopened": 0, "rating": 0, "priority": 3, "tier": "gold",
        "service": "checkout", "customer": "acme", "policy": "main",
    } | fields  # fmt: skip
    names = ", ".join(row)
    await desk.sql(
        f"INSERT INTO router.outcome ({names}) VALUES ({', '.join(f':{name}' for name in row)})", **row
    )


async def stay(desk: Desk, level: str, held: int | None, ended: Ended | None, **fields: Any) -> None:
    row = {
        "incident_id": str(uuid.uuid4()), "opened_at": MARCH, "entered_at": MARCH, "held": held,
        "ended": ended, "pages": 1, "priority": 3, "tier": "gold", "service": "checkout",
        "customer": "acme", "policy": "main", "level": level,
    } | fields  # fmt: skip
    names = ", ".join(row)
    await desk.sql(
        f"INSERT INTO router.stay ({names}) VALUES ({', '.join(f':{name}' for name in row)})", **row
    )


async def items(served: Api, report: str, **query: Any) -> list[dict[str, Any]]:
    answer = await served.get(f"/v1/reports/{report}", **(WHOLE | query))
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def test_a_target_counts_what_was_promised_kept_broken_and_neither(served: Api, desk: Desk) -> None:
    both = ACKNOWLEDGE | RESOLVE
    await outcome(desk, promises=both | both * KEPT)  # both in time
    await outcome(desk, promises=both | both * KEPT | RESOLVE * BROKEN)  # solved, but late
    await outcome(desk, promises=both | both * BROKEN)  # both late, still open
    await outcome(desk, promises=both)  # still running
    await outcome(desk, promises=RESOLVE | RESOLVE * KEPT)  # no promise to acknowledge
    await outcome(desk)  # nothing promised
    assert await items(served, "sla") == [
        {
            "target": "acknowledge", "kept_by": "anybody", "promised": 4, "in_time": 2, "breached": 1, "running": 1,
            "compliance": 0.6667,
        },
        {
            "target": "resolve", "kept_by": "anybody", "promised": 5, "in_time": 2, "breached": 2, "running": 1,
            "compliance": 0.5,
        },
    ]  # fmt: skip


async def test_response_tells_percentiles_shares_and_means(served: Api, desk: Desk) -> None:
    right = Flag.SOLVED | Flag.ASKED | Flag.RIGHT_FIRST_TIME
    for number in range(1, 11):  # taken after 10, 20 … 100 s, solved after 100, 200 … 1000 s
        flags = right if number <= 6 else Flag.SOLVED | Flag.ASKED
        await outcome(desk, taken_after=10 * number, solved_after=100 * number, flags=flags)
    confirmed = Flag.SOLVED | Flag.CLOSED | Flag.CONFIRMED | Flag.AVOIDED
    await outcome(desk, flags=confirmed, rating=4, solved_after=2000)
    await outcome(desk, flags=Flag.SOLVED | Flag.CLOSED, rating=1, solved_after=3000, reopened=2)
    await outcome(desk, reopened=1)  # open again, nobody has taken it
    [told] = await items(served, "response")
    assert told == {
        "incidents": 13, "acknowledged_by": "person", "acknowledged": 10, "acknowledged_share": 0.7692,
        "mtta_mean": 55.0, "mtta_p50": 50, "mtta_p90": 90, "mtta_p95": 100,
        "resolved": 12, "mttr_mean": 875.0, "mttr_p50": 600, "mttr_p90": 2000, "mttr_p95": 3000,
        "reopened": 2, "reopenings": 3,
        "asked": 10, "right_first_time": 6, "right_first_time_share": 0.6,
        "avoided": 1, "closed": 2, "confirmed": 1, "confirmed_share": 0.5,
        "rated": 2, "rating_mean": 2.5,
    }  # fmt: skip


async def test_levels_tell_who_solved_who_handed_up_and_how_long_each_held(served: Api, desk: Desk) -> None:
    await stay(desk, "desk", 60, Ended.SOLVED)
    await stay(desk, "desk", 120, Ended.HANDED_UP, pages=2)
    await stay(desk, "desk", 300, Ended.PASSED)
    await stay(desk, "desk", None, None, pages=3)
    await stay(desk, "experts", 600, Ended.SOLVED)
    desks, experts = await items(served, "levels")
    assert desks == {
        "policy": "main", "level": "desk", "reached": 4, "solved": 1, "solved_share": 0.25, "handed_up": 1,
        "passed": 1, "left_otherwise": 0, "there_now": 1, "held_mean": 160.0, "held_p50": 120,
        "held_p90": 300, "pages": 7,
    }  # fmt: skip
    assert (experts["level"], experts["reached"], experts["solved_share"]) == ("experts", 1, 1.0)


async def test_groups_come_in_order_and_filters_narrow_them(served: Api, desk: Desk) -> None:
    for tier, service, count in (("gold", "checkout", 2), ("gold", "payments", 1), ("silver", "checkout", 1)):
        for _ in range(count):
            await outcome(desk, tier=tier, service=service)
    told = await items(served, "response", by="service,tier")
    assert [(each["tier"], each["service"], each["incidents"]) for each in told] == [
        ("gold", "checkout", 2),
        ("gold", "payments", 1),
        ("silver", "checkout", 1),
    ]
    told = await items(served, "response", by=["tier"], service="checkout")
    assert [(each["tier"], each["incidents"]) for each in told] == [("gold", 2), ("silver", 1)]
    assert [each["incidents"] for each in await items(served, "response", service=["payments", "x"])] == [1]
    assert await items(served, "response", priority=1) == []


async def test_a_period_begins_at_the_zones_midnight_across_daylight_saving(served: Api, desk: Desk) -> None:
    for at in (
        datetime(2026, 3, 28, 22, 59, tzinfo=UTC),  # Saturday 23:59 in Prague
        datetime(2026, 3, 28, 23, 0, tzinfo=UTC),  # Sunday 00:00, the day of 23 hours
        datetime(2026, 3, 29, 21, 59, tzinfo=UTC),  # Sunday 23:59, summer time by now
        datetime(2026, 3, 29, 22, 0, tzinfo=UTC),  # Monday 00:00
    ):
        await outcome(desk, opened_at=at)

    async def told(**query: Any) -> list[tuple[str, int]]:
        found = await items(served, "response", by="period", **query)
        return [(each["period"], each["incidents"]) for each in found]

    prague = {"tz": "Europe/Prague"}
    assert await told(period="day", **prague) == [("2026-03-28", 1), ("2026-03-29", 2), ("2026-03-30", 1)]
    assert await told(period="week", **prague) == [("2026-03-23", 3), ("2026-03-30", 1)]
    assert await told(period="month", **prague) == [("2026-03-01", 4)]
    assert await told(period="day") == [("2026-03-28", 2), ("2026-03-29", 2)]


async def test_a_time_begins_with_its_first_moment_and_ends_before_its_last(served: Api, desk: Desk) -> None:
    for at in (MARCH - timedelta(seconds=1), MARCH, MARCH + timedelta(hours=1)):
        await outcome(desk, opened_at=at)
    query = {"from": MARCH.isoformat(), "to": (MARCH + timedelta(hours=1)).isoformat()}
    assert [each["incidents"] for each in await items(served, "response", **query)] == [1]


async def test_where_nothing_happened_there_is_nothing_to_tell(served: Api) -> None:
    for report in REPORTS:
        assert await items(served, report) == []
        assert await items(served, report, by="period,tier,service,customer,policy,priority") == []
        answer = await served.client.get(
            f"/v1/reports/{report}", headers={"Authorization": "Bearer viewer", "Accept": "text/csv"}
        )
        assert len(answer.text.splitlines()) == 1


IMPOSSIBLE: list[tuple[dict[str, Any], str]] = [
    ({"by": "tier,colour"}, "query:by"),
    ({"from": "2026-05-01", "to": "2026-05-01"}, "query:from"),
    ({"from": "2026-05-02", "to": "2026-05-01"}, "query:from"),
    ({"from": "yesterday"}, "from"),
    ({"from": "2026-05-01T10:00:00"}, "from"),
    ({"from": "0001-01-01", "tz": "Asia/Tokyo"}, "query:from"),
    ({"from": "1990-01-01", "by": "period", "period": "day"}, "query:period"),
    ({"period": "year"}, "period"),
    ({"tz": "Europe/Atlantis"}, "query:tz"),
    ({"tz": "../etc"}, "query:tz"),
    ({"priority": 9}, "priority"),
    ({"acknowledged_by": "nobody"}, "acknowledged_by"),
]


async def test_what_cannot_be_asked_is_said(served: Api) -> None:
    for report in REPORTS:
        for query, field in IMPOSSIBLE if report == "response" else IMPOSSIBLE[:-1]:
            answer = await served.get(f"/v1/reports/{report}", **(WHOLE | query))
            assert answer.status_code == 422, query
            assert answer.headers["content-type"] == "application/problem+json"
            assert field in answer.text


async def test_an_answer_that_would_be_too_long_is_refused(served: Api, desk: Desk) -> None:
    await desk.sql(
        """
        INSERT INTO router.outcome (incident_id, opened_at, promises, flags, reopened, rating, priority,
                                    tier, service, customer, policy)
        SELECT gen_random_uuid(), :at, 0, 0, 0, 0, 3, 'gold', '', 'c' || n, 'main'
        FROM generate_series(1, :most) AS n
        """,
        at=MARCH,
        most=report_queries.MOST_ITEMS + 1,
    )
    answer = await served.get("/v1/reports/response", **(WHOLE | {"by": "customer"}))
    assert answer.status_code == 422
    assert "more than 50000 items" in answer.text
    assert len(await items(served, "response")) == 1


async def test_csv_is_quoted_and_never_a_formula(served: Api, desk: Desk) -> None:
    await outcome(desk, customer='=HYPERLINK("http://evil.example","x")', promises=RESOLVE)
    await outcome(desk, customer='Ann "A", Ltd\nPrague', promises=RESOLVE)
    answer = await served.client.get(
        "/v1/reports/sla",
        params=WHOLE | {"by": "customer"},
        headers={"Authorization": "Bearer viewer", "Accept": "text/csv"},
    )
    assert answer.headers["content-type"].startswith("text/csv")
    assert "attachment" in answer.headers["content-disposition"]
    header, *lines = csv.reader(io.StringIO(answer.text))
    assert header == [
        "customer",
        "target",
        "kept_by",
        "promised",
        "in_time",
        "breached",
        "running",
        "compliance",
    ]
    assert lines == [
        ['\'=HYPERLINK("http://evil.example","x")', "resolve", "anybody", "1", "0", "0", "1", ""],
        ['Ann "A", Ltd\nPrague', "resolve", "anybody", "1", "0", "0", "1", ""],
    ]


async def test_a_report_needs_a_key(served: Api) -> None:
    assert (await served.client.get("/v1/reports/sla")).status_code == 401


async def test_what_happens_to_an_incident_is_what_reports_count(served: Api, desk: Desk) -> None:
    """Nobody takes the first at the desk, experts do; the second the desk solves; the third stays open."""
    for key in ("one", "two", "three"):
        await desk.accept(event(key))
    first, second, _ = [each.id for each in await desk.incidents()]
    assert (await served.act(second, "acknowledge")).status_code == 200
    assert (await served.act(second, "resolve")).status_code == 200
    assert (await served.act(first, "escalate")).status_code == 200
    assert (await served.act(first, "acknowledge", key="responder", assignee="petra")).status_code == 200
    assert (await served.act(first, "resolve", key="responder")).status_code == 200

    told = await items(served, "levels", **EVER)
    assert [
        (each["level"], each["reached"], each["solved"], each["handed_up"], each["there_now"], each["pages"])
        for each in told
    ] == [("desk", 3, 1, 1, 1, 3), ("experts", 1, 1, 0, 0, 1)]
    [told] = await items(served, "response", acknowledged_by="anybody", **EVER)
    counted = ("incidents", "acknowledged", "resolved", "asked", "right_first_time", "avoided")
    assert [told[name] for name in counted] == [3, 2, 2, 2, 1, 0]
    [told] = await items(served, "response", **EVER)
    assert told["acknowledged"] == 1  # that petra has the first is the word of a key that acts for nobody


async def test_a_stay_that_begins_and_ends_in_one_batch_is_counted_once(served: Api, desk: Desk) -> None:
    await desk.accept(event("one"), event("one", "resolve"))
    [told] = await items(served, "levels", **EVER)
    assert (told["reached"], told["solved"], told["there_now"], told["held_mean"]) == (1, 1, 0, 0.0)


async def test_times_are_told_to_the_millisecond_and_a_persons_apart_from_a_machines(
    served: Api, desk: Desk
) -> None:
    await desk.accept(event("one"))
    [taken] = [each.id for each in await desk.incidents()]
    assert (await served.act(taken, "acknowledge", key="bot")).status_code == 200
    by_machine = await desk.only()
    [told] = await items(served, "response", **EVER)
    assert (told["acknowledged_by"], told["acknowledged"], told["mtta_mean"]) == ("person", 0, None)
    assert (await served.act(taken, "acknowledge")).status_code == 200
    by_ana = await desk.only()
    assert (await served.act(taken, "resolve")).status_code == 200
    solved = await desk.only()

    def seconds(moment: datetime | None) -> float:
        assert moment is not None
        return (moment - solved.opened_at) // timedelta(milliseconds=1) / 1000

    [told] = await items(served, "response", **EVER)
    assert told["mtta_p50"] == told["mtta_mean"] == seconds(by_ana.acknowledged_at)
    assert told["mttr_p50"] == seconds(solved.resolved_at)
    [told] = await items(served, "response", acknowledged_by="anybody", **EVER)
    assert (told["acknowledged_by"], told["mtta_p50"]) == ("anybody", seconds(by_machine.acknowledged_at))
    [level] = await items(served, "levels", **EVER)
    [stored] = await desk.sql("SELECT entered_at FROM router.stay")
    held = (solved.decided_at - stored.entered_at) // timedelta(milliseconds=1) / 1000
    assert level["held_p50"] == level["held_mean"] == held
    answer = await served.client.get(
        "/v1/reports/response", params=EVER, headers={"Authorization": "Bearer viewer", "Accept": "text/csv"}
    )
    [row] = csv.DictReader(io.StringIO(answer.text))
    assert (row["acknowledged_by"], row["mttr_p50"]) == ("person", str(seconds(solved.resolved_at)))


async def test_a_target_that_is_a_persons_to_keep_is_counted_for_itself(served: Api, desk: Desk) -> None:
    await outcome(desk, promises=ACKNOWLEDGE | ACKNOWLEDGE << BY_PERSON | ACKNOWLEDGE * KEPT)
    await outcome(desk, promises=ACKNOWLEDGE)
    assert [(each["kept_by"], each["in_time"]) for each in await items(served, "sla")] == [
        ("anybody", 0),
        ("person", 1),
    ]


async def test_a_level_that_nobody_answered_is_passed(served: Api, desk: Desk) -> None:
    await desk.accept(event("one"))
    for _ in range(3):  # the first level's window, then whatever is due next
        await desk.sql(
            """
            UPDATE router.incident SET next_due_at = now() - interval '1 ms',
                state = jsonb_set(state::jsonb, '{chain,due}', to_jsonb(now() - interval '1 ms'))::json
            WHERE status <> 'closed'
            """
        )
        await desk.engine.fire()
    told = {each["level"]: each for each in await items(served, "levels", **EVER)}
    assert told["desk"]["passed"] == 1
    assert told["experts"]["passed"] == 1
    assert told["finally"]["there_now"] == 1
    assert told["finally"]["pages"] == 2


async def test_incidents_from_before_reports_are_counted_when_the_database_is_brought_up_to_date(
    desk: Desk,
) -> None:
    sla = {"name": "all", "acknowledge": "5m", "resolve": "4h"}
    await desk.put_in_force(bundle(slas=[sla]))
    await desk.accept(event("open"), event("taken"), event("solved"))
    await desk.accept(event("taken", "acknowledge"), event("solved", "resolve"))
    outcomes = """
        SELECT incident_id, opened_at, taken_after, solved_after, promises, flags & 3, reopened, rating, priority,
            tier, service, customer, policy
        FROM router.outcome ORDER BY incident_id
    """
    stays = "SELECT incident_id, level, entered_at FROM router.stay WHERE ended IS NULL ORDER BY incident_id"
    written = await desk.sql(outcomes)
    standing = await desk.sql(stays)
    assert len(written) == 3
    assert len(standing) == 2

    await desk.sql("TRUNCATE router.outcome, router.stay")
    migration = importlib.import_module("services.router.migrations.0006_outcomes")
    for statement in migration.BACKFILL:
        await desk.sql(statement)
    assert await desk.sql(outcomes) == written
    assert await desk.sql(stays) == standing
