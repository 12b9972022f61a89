"""Report queries over `router.outcome` or `router.stay`, about two seconds for a million incidents.

A report counts the incidents opened in its period. Percentiles are exact (nearest rank): each group's values
are gathered while hashing and sorted separately, which is cheaper than sorting all rows by their groups'
texts.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias, get_args

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.domain.reporting.periods import Period
from services.router.domain.reporting.report_facts import BREACHED, BY_PERSON, FULFILLED, TARGETS, Ended, Flag
from shared.policy import Whose

Group: TypeAlias = Literal["period", "tier", "service", "customer", "policy", "priority"]
GROUPS: Final[tuple[Group, ...]] = get_args(Group)
MOST_ITEMS: Final = 50_000
Row: TypeAlias = dict[str, Any]
"""An item in the making: its fields as the statement of its report names them."""
Report: TypeAlias = Callable[[AsyncConnection, "Question"], Awaitable["Told"]]


@dataclass(frozen=True, slots=True)
class Question:
    """The query of a report: incidents opened in [since, until), by which groups, and only which ones."""

    since: datetime
    until: datetime
    by: Sequence[Group] = ()
    periods: Sequence[Period] = ()  # if `by` includes the period
    only: Mapping[str, Sequence[str]] = field(default_factory=dict)  # column → values; empty: all
    priority: Sequence[int] = ()
    acknowledged_by: Whose = "person"  # response: whose acknowledgement counts


@dataclass(frozen=True, slots=True)
class Told:
    """What the database said: rows, unsorted, up to one more than `MOST_ITEMS`; each becomes an item."""

    rows: Iterable[RowMapping]
    names: Sequence[str]  # by which items are sorted
    question: Question
    finish: Callable[[Row], None]

    def place(self, row: RowMapping) -> list[Any]:
        """Where its item stands among the others."""
        return [row[name] for name in self.names]

    def item(self, row: RowMapping) -> Row:
        """Its item's fields."""
        made = dict(row)
        if "period" in made:
            made["period"] = self.question.periods[made["period"] - 1].day.isoformat()
        self.finish(made)
        return made


async def sla(connection: AsyncConnection, question: Question) -> Told:
    """An item a group and target that was promised, and who is to keep it: what was kept, what was not."""
    keys = _keys(question)
    targets = ", ".join(f"({place}, '{name}')" for place, name in enumerate(TARGETS))
    statement = f"""
        WITH counted AS (
            SELECT {_chosen(keys)} promises, count(*) AS n FROM router.outcome WHERE {_where(question)}
            GROUP BY {_places(len(keys) + 1)}
        ), told AS (
            SELECT counted.*, place, target, promises >> (place + {BREACHED}) & 1 AS broken,
                   CASE promises >> (place + {BY_PERSON}) & 1 WHEN 1 THEN 'person' ELSE 'anybody' END
                       AS kept_by,
                   promises >> (place + {FULFILLED}) & 1 AS done
            FROM counted CROSS JOIN (VALUES {targets}) AS known (place, target)
            WHERE promises >> place & 1 = 1
        )
        SELECT {_listed(keys)} place, target, kept_by,
               CAST(sum(n) AS bigint) AS promised,
               CAST(COALESCE(sum(n) FILTER (WHERE done = 1 AND broken = 0), 0) AS bigint) AS in_time,
               CAST(COALESCE(sum(n) FILTER (WHERE broken = 1), 0) AS bigint) AS breached,
               CAST(COALESCE(sum(n) FILTER (WHERE done = 0 AND broken = 0), 0) AS bigint) AS running
        FROM told GROUP BY {_listed(keys)} target, place, kept_by
        LIMIT :most
    """

    def finish(row: Row) -> None:
        del row["place"]
        row["compliance"] = _share(row["in_time"], row["in_time"] + row["breached"])

    return await _told(connection, statement, question, [*keys, "place", "kept_by"], finish)


async def response(connection: AsyncConnection, question: Question) -> Told:
    """An item a group: how fast incidents were taken and solved, and how well."""
    keys, by_anybody = _keys(question), _milliseconds("taken_after", "taken_ms")
    taken = by_anybody
    if question.acknowledged_by == "person":
        by_person = _milliseconds("person_after", "person_ms")
        taken = f"CASE WHEN machine_first THEN {by_person} ELSE {by_anybody} END"
    solved = _milliseconds("solved_after", "solved_ms")
    statement = f"""
        SELECT {_listed(keys)} incidents, acknowledged,
               mtta_mean, {_percentiles("mtta", ("p50", "p90", "p95"))},
               resolved, mttr_mean, {_percentiles("mttr", ("p50", "p90", "p95"))},
               reopened, reopenings, asked, right_first_time, avoided, closed, confirmed, rated, rating_mean
        FROM (
            SELECT {_chosen(keys)} count(*) AS incidents,
                   count({taken}) AS acknowledged,
                   CAST(avg({taken}) AS double precision) AS mtta_mean,
                   array_agg({taken}) AS mtta,
                   count(solved_after) AS resolved,
                   CAST(avg({solved}) AS double precision) AS mttr_mean,
                   array_agg({solved}) AS mttr,
                   count(*) FILTER (WHERE reopened > 0) AS reopened,
                   sum(reopened) AS reopenings,
                   {_flagged(Flag.ASKED, "asked")},
                   {_flagged(Flag.RIGHT_FIRST_TIME, "right_first_time")},
                   {_flagged(Flag.AVOIDED, "avoided")},
                   {_flagged(Flag.CLOSED, "closed")},
                   {_flagged(Flag.CONFIRMED, "confirmed")},
                   count(*) FILTER (WHERE rating > 0) AS rated,
                   CAST(avg(rating) FILTER (WHERE rating > 0) AS double precision) AS rating_mean
            FROM router.outcome WHERE {_where(question)} {_grouped(keys)}
            OFFSET 0
        ) AS counted
        {_percentiles_of(("mtta", "mttr"), "ARRAY[0.5, 0.9, 0.95]")}
        WHERE incidents > 0
        LIMIT :most
    """

    def finish(row: Row) -> None:
        _to_seconds(row, "mtta_", "mttr_")
        row["acknowledged_by"] = question.acknowledged_by
        row["acknowledged_share"] = _share(row["acknowledged"], row["incidents"])
        row["right_first_time_share"] = _share(row["right_first_time"], row["asked"])
        row["confirmed_share"] = _share(row["confirmed"], row["closed"])

    return await _told(connection, statement, question, keys, finish)


async def levels(connection: AsyncConnection, question: Question) -> Told:
    """An item a group, policy and level: how often it was reached, how those stays ended, how long."""
    keys = _keys(question) | {"policy": "policy", "level": "level"}
    held = _milliseconds("held", "held_ms")
    statement = f"""
        SELECT {_listed(keys)} reached, solved, handed_up, passed, left_otherwise, there_now,
               held_mean, {_percentiles("held", ("p50", "p90"))}, pages
        FROM (
            SELECT {_chosen(keys)} count(*) AS reached,
                   {_ending(Ended.SOLVED, "solved")}, {_ending(Ended.HANDED_UP, "handed_up")},
                   {_ending(Ended.PASSED, "passed")}, {_ending(Ended.LEFT, "left_otherwise")},
                   count(*) - count(ended) AS there_now,
                   CAST(avg({held}) AS double precision) AS held_mean,
                   array_agg({held}) AS held,
                   sum(pages) AS pages
            FROM router.stay WHERE {_where(question)} {_grouped(keys)}
            OFFSET 0
        ) AS counted
        {_percentiles_of(("held",), "ARRAY[0.5, 0.9]")}
        LIMIT :most
    """

    def finish(row: Row) -> None:
        _to_seconds(row, "held_")
        row["solved_share"] = _share(row["solved"], row["reached"])

    return await _told(connection, statement, question, keys, finish)


async def _told(
    connection: AsyncConnection,
    statement: str,
    question: Question,
    keys: Iterable[str],
    finish: Callable[[Row], None],
) -> Told:
    """Run it with memory enough to hash."""
    values: dict[str, object] = {"since": question.since, "until": question.until, "most": MOST_ITEMS + 1}
    if "period" in question.by:
        values["begins"] = [period.begins.timestamp() for period in question.periods]
    values |= {f"only_{name}": list(wanted) for name, wanted in question.only.items() if wanted}
    if question.priority:
        values["only_priority"] = list(question.priority)
    await connection.execute(_MEANS)
    found = (await connection.execute(text(statement), values)).mappings()
    return Told(found, tuple(keys), question, finish)


def _keys(question: Question) -> dict[str, str]:
    """The groups, each with the expression that tells it."""
    period = "width_bucket(date_part('epoch', opened_at), CAST(:begins AS double precision[]))"
    return {name: period if name == "period" else name for name in question.by}


def _where(question: Question) -> str:
    conditions = ["opened_at >= :since", "opened_at < :until"]
    conditions += [
        f"{name} = ANY(CAST(:only_{name} AS text[]))" for name, wanted in question.only.items() if wanted
    ]
    if question.priority:
        conditions.append("priority = ANY(CAST(:only_priority AS smallint[]))")
    return " AND ".join(conditions)


def _listed(keys: Mapping[str, str]) -> str:
    return "".join(f"{name}, " for name in keys)


def _chosen(keys: Mapping[str, str]) -> str:
    return "".join(f"{expression} AS {name}, " for name, expression in keys.items())


def _places(count: int) -> str:
    return ", ".join(str(number) for number in range(1, count + 1))


def _grouped(keys: Mapping[str, str]) -> str:
    return f"GROUP BY {_places(len(keys))}" if keys else ""


def _flagged(flag: Flag, name: str) -> str:
    return f"count(*) FILTER (WHERE flags & {int(flag)} <> 0) AS {name}"


def _ending(ended: Ended, name: str) -> str:
    return f"count(*) FILTER (WHERE ended = {int(ended)}) AS {name}"


def _percentiles(name: str, shares: Sequence[str]) -> str:
    return ", ".join(f"{name}_at[{place}] AS {name}_{share}" for place, share in enumerate(shares, 1))


def _percentiles_of(names: Sequence[str], shares: str) -> str:
    """Each array's percentiles as `NAME_at`; nothing (NULL) in an array is passed over."""
    found = ", ".join(
        f"percentile_disc(CAST({shares} AS double precision[])) WITHIN GROUP (ORDER BY {name}) AS {name}_at"
        for name in names
    )
    each = ", ".join(names)
    return f"CROSS JOIN LATERAL (SELECT {found} FROM unnest({each}) AS value ({each})) AS found"


def _milliseconds(seconds: str, beyond: str) -> str:
    return f"(CAST({seconds} AS bigint) * 1000 + {beyond})"


def _to_seconds(row: Row, *times: str) -> None:
    """The milliseconds that the database counted, as seconds."""
    for name in row:
        if name.startswith(times) and row[name] is not None:
            row[name] = round(row[name] / 1000, 3)


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


# For this transaction only: memory enough to hash, and hashing it is (the planner takes every opening for a
# period of its own and would sort a million rows). No process helps: pages need the other processor.
_MEANS: Final = text("""
    SELECT set_config('work_mem', '64MB', true), set_config('hash_mem_multiplier', '4', true),
           set_config('enable_sort', 'off', true)
""")
