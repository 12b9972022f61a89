"""Whoever subscribed to maintenance hears when work that silences what they care about begins and is over."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from services.router.domain.model.context import Context, Left, Maintenance, Overlay
from services.router.domain.planned_work import announced, under_way
from shared.events import Announced
from shared.policy.cel.overlap import may_both_hold
from shared.policy.model.addresses import place
from tests.domain.tale import START, bundle, compiled

BOARD: Any = {"who": [{"email": "board@example.com"}], "events": ["maintenance"]}
DESK: Any = {"who": ["user:petra"], "when": "service == 'checkout'", "events": ["opened", "maintenance"]}
ACME: Any = {"who": ["customer"], "events": ["maintenance"]}
HOUR = timedelta(hours=1)


def work(when: str = "true", **said: Any) -> Maintenance:
    given = {
        "id": "m1",
        "name": "upgrade",
        "condition": None,
        "then": "page",
        "window": None,
        "by": "user:ana",
    }
    return Maintenance(when=when, starts=START, until=START + HOUR, **(given | said))


def around(*subscriptions: Any, works: tuple[Maintenance, ...] = (), **sections: Any) -> Context:
    live = compiled(bundle(subscriptions=list(subscriptions), **sections))
    return Context(live, overlay=Overlay(1, maintenance=works))


def told(context: Context, now: datetime = START, *, over: bool = False) -> list[Announced]:
    return [each for one in under_way(context, now) for each in announced(context, one, now, over=over)]


def names(messages: list[Announced]) -> list[str]:
    return [each.name for message in messages for each in message.recipients]


@pytest.mark.parametrize(
    ("one", "other", "may"),
    [
        ("true", "priority == 1", True),
        ("service == 'checkout'", "service == 'checkout' && priority == 1", True),
        ("service == 'checkout'", "service == 'mail'", False),
        ("service in ['mail', 'search']", "priority == 1 && 'checkout' == service", False),
        ("service in ['mail', 'checkout']", "service == 'checkout'", True),
        ("customer.id == 'acme'", "customer.id == 'globex'", False),
        ("labels.zone == 'a'", "labels.zone == 'b'", False),
        ("service == 'mail' || tier == 'gold'", "service == 'checkout'", True),  # not demanded
        ("!(service == 'checkout')", "service == 'checkout'", True),  # not looked into
        ("service ==", "service == 'checkout'", True),
    ],
)
def test_two_conditions_exclude_each_other_only_where_they_say_so(one: str, other: str, *, may: bool) -> None:
    assert may_both_hold(one, other) is may
    assert may_both_hold(other, one) is may


def test_who_cares_for_checkout_hears_of_work_on_checkout_and_not_of_work_on_mail() -> None:
    assert names(told(around(DESK, works=(work("service == 'checkout'"),)))) == ["petra"]
    assert names(told(around(DESK, works=(work("service == 'mail'"),)))) == []
    assert names(told(around(DESK, works=(work("tier == 'gold'"),)))) == ["petra"]


def test_the_board_reads_that_it_begins_and_is_over_and_nothing_internal() -> None:
    context = around(BOARD, works=(work("service == 'checkout' && labels.db == 'db-3'"),))
    for over, title in ((False, "Planned work has begun: upgrade"), (True, "Planned work is over: upgrade")):
        (message,) = told(context, over=over)
        assert (message.title, message.stakeholder, message.subscription) == (title, True, "address")
        assert "2026-01-07 at 04:00 UTC" in message.text or over
        assert not any(word in message.title + message.text for word in ("db-3", "ana", "service"))
        assert message.reason == ""


def test_people_inside_read_what_is_quiet_and_what_happens_then() -> None:
    (message,) = told(around(DESK, works=(work("service == 'checkout'", then="drop"),)))
    assert message.text == (
        "Nobody is notified of what matches until 2026-01-07 at 04:00 UTC; what still stands is dropped then: "
        "service == 'checkout'"
    )
    assert message.stakeholder is False


def test_a_customer_hears_where_the_work_is_said_to_be_theirs() -> None:
    assert names(told(around(ACME, works=(work("customer.id == 'acme'"),)))) == ["acme"]
    assert names(told(around(ACME, works=(work("service == 'checkout'"),)))) == []
    theirs = ACME | {"when": "customer.id == 'acme'"}
    assert names(told(around(theirs, works=(work("service == 'checkout'"),)))) == ["acme"]


def test_a_window_of_the_policy_is_planned_work_too() -> None:
    window = {"days": "wed", "from": "02:00", "to": "04:00", "timezone": "UTC"}
    context = around(BOARD, suppress=[{"name": "weekly", "when": "service == 'checkout'", "window": window}])
    assert [each.title for each in told(context)] == ["Planned work has begun: weekly"]
    assert told(context, START + HOUR) == []


def test_whoever_wants_no_maintenance_hears_of_none() -> None:
    assert told(around(BOARD | {"events": ["opened"]}, works=(work(),))) == []


def test_whoever_is_meant_twice_hears_it_once_and_who_left_not_at_all() -> None:
    twice = around(DESK, DESK | {"who": ["user:petra", "team:desk"]}, works=(work(),))
    assert sorted(names(told(twice))) == ["ana", "petra"]
    left = frozenset({Left("address", "address", "", place("email", "board@example.com"))})
    context = around(BOARD, works=(work(),))
    context = replace(context, overlay=replace(context.overlay, left=left))
    assert told(context) == []


def test_the_same_beginning_has_the_same_id_whoever_announces_it() -> None:
    context = around(BOARD, DESK, works=(work(),))
    ids = [each.message_id for each in told(context)]
    assert ids == [each.message_id for each in told(context, START + HOUR / 2)]
    assert len({*ids, *(each.message_id for each in told(context, over=True))}) == 4
