"""How often one address is written to: the decision, without a database."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifier.domain.plan import plan
from services.notifier.domain.rates import (
    PEOPLE,
    PERSON,
    PROGRAMS,
    Bucket,
    ChannelRates,
    Goes,
    Rate,
    Waits,
    alone,
    turn,
)
from tests.services.notifier.building import T0, bundle, changed, incident, notice, page

TEN_MINUTES = timedelta(minutes=10)
PHONES = bundle(
    {"ana": {"phone": {"email": "ana@example.com"}}, "ben": {"phone": {"email": "ben@example.com"}}}
)


def delivery(priority=3, *, loud=True, told=None, **said):
    message = changed(
        *([] if told else [page(loud=loud)]),
        notices=[told] if told else [],
        incident=incident(priority=priority),
    )
    return replace(plan(message, PHONES, T0).deliveries[0], **said)


def seconds(count):
    return timedelta(seconds=count)


def waiting(arrivals):
    """The moments at which messages go to one person whose pages arrive like this: seconds and priority."""
    bucket, now, pending, sent = Bucket(), T0, [], []
    arrivals = sorted(arrivals)
    while arrivals or pending:
        if arrivals and T0 + seconds(arrivals[0][0]) <= now:
            pending.append(delivery(arrivals.pop(0)[1]))
            continue
        moments = [T0 + seconds(arrivals[0][0])] if arrivals else []
        if pending:
            first = min(pending, key=lambda one: one.rank)
            found = turn(first, bucket, PERSON, now)
            if isinstance(found, Goes):
                sent.append((now, first.rank))
                below = bucket.rank if found.breaking else 100
                pending = [one for one in pending if one.rank >= below]
                bucket = found.bucket
                continue
            assert found.until > now, "it would never be asked again"
            moments.append(found.until)
        now = min(moments)
    return sent


@given(st.lists(st.tuples(st.floats(0, 600), st.integers(1, 5)), min_size=1, max_size=60))
def test_whatever_happens_in_ten_minutes_nobody_hears_of_it_more_than_twelve_times(arrivals):
    sent = waiting(arrivals)
    began = sent[0][0]
    assert began == T0 + seconds(min(at for at, _ in arrivals))
    assert sum(at <= began + TEN_MINUTES for at, _ in sent) <= 12


def test_three_pages_in_a_minute_go_at_once_each():
    assert [at - T0 for at, _ in waiting([(0, 3), (20, 3), (40, 3)])] == [
        seconds(0),
        seconds(20),
        seconds(40),
    ]


def test_in_a_storm_what_waits_goes_together_every_minute_and_a_half():
    sent = waiting([(second, 3) for second in range(60)])
    assert [at - T0 for at, _ in sent] == [seconds(0), seconds(1), seconds(2), seconds(90)]


def test_a_page_that_presses_more_than_the_last_message_breaks_through():
    sent = waiting([*((second, 3) for second in range(60)), (30, 1)])
    assert (T0 + seconds(30), 1) in sent


@pytest.mark.parametrize(
    "first", [delivery(3), delivery(4), delivery(1, loud=False), delivery(1, told=notice())]
)
def test_what_presses_no_more_waits_for_the_next_one(first):
    used_up = Bucket(full_at=T0 + 3 * PERSON.every, rank=3)
    assert turn(first, used_up, PERSON, T0) == Waits(T0 + PERSON.every)


def test_a_page_of_any_priority_breaks_through_a_message_of_mere_news():
    used_up = Bucket(full_at=T0 + 3 * PERSON.every, rank=delivery(1, told=notice()).rank)
    assert isinstance(turn(delivery(5), used_up, PERSON, T0), Goes)


def test_loud_pages_come_before_low_ones_and_both_before_notices():
    ranks = [delivery(5), delivery(1, loud=False), delivery(1, told=notice())]
    assert [one.rank for one in ranks] == sorted(one.rank for one in ranks)


def test_of_a_batch_the_most_pressing_for_each_address_starts_at_once():
    ana, ben = delivery(2), delivery(3, address="ben@example.com")
    assert alone([ana, delivery(3), ben, delivery(4)], {"email": PEOPLE}) == [ana, ben]


def test_programs_get_every_page_alone():
    bots = [delivery(2), delivery(2)]
    assert alone(bots, {"email": PROGRAMS}) == bots


def test_an_account_starts_as_many_as_it_can_hold():
    account = {"email": ChannelRates(account=Rate(2, seconds(1)))}
    people = [delivery(3, address=f"{number}@example.com") for number in range(5)]
    assert alone(people, account) == people[:2]
