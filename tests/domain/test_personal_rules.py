"""By which contacts somebody is notified, and when: personal rules (rules 2 and 7) and quiet hours (rule 12)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.notifier.domain.personal_rules import StepState, early
from services.notifier.domain.plan import plan
from tests.services.notifier.building import bundle, changed, incident, notice, page, user

T0 = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)  # ten in the morning in Prague
NIGHT = datetime(2026, 3, 2, 22, 0, tzinfo=UTC)
CONTACTS = {name: {"inbox": name} for name in ("chat", "phone", "call", "mail")}
HIGH = [{"via": "chat"}, {"via": "phone", "after": "2m"}, {"via": "call", "after": "4m"}]
QUIET = {"days": "mon-sun", "from": "22:00", "to": "07:00"}
MORNING = datetime(2026, 3, 3, 6, 0, tzinfo=UTC)


def ana(quiet=None, **rules):
    said = {"contacts": CONTACTS, "timezone": "Europe/Prague", "rules": rules}
    return bundle({"ana": said | ({"quiet_hours": quiet} if quiet else {})})


def planned(policy, *pages, notices=(), now=T0, **said):
    return plan(changed(*pages, notices=notices, **said), policy, now).deliveries


def steps(policy, *pages, now=T0, **said):
    """Contact and minutes until its start."""
    found = planned(policy, *pages, now=now, **said)
    return [(each.contact, (each.next_attempt_at - now).total_seconds() / 60) for each in found]


# --- rules ------------------------------------------------------------------------------------------------


def test_a_loud_page_goes_by_the_high_rules_one_step_after_the_other():
    assert steps(ana(high=HIGH), page()) == [("chat", 0), ("phone", 2), ("call", 4)]


def test_a_page_that_is_not_loud_goes_by_the_low_rules():
    assert steps(ana(high=HIGH, low=[{"via": "mail"}]), page(loud=False)) == [("mail", 0)]


def test_without_rules_for_that_loudness_every_contact_is_used_at_once():
    everything = [(name, 0) for name in CONTACTS]
    assert steps(ana(low=[{"via": "mail"}]), page()) == everything
    assert steps(ana(high=HIGH), page(loud=False)) == everything


def test_a_contact_may_be_used_again_to_remind():
    policy = ana(high=[{"via": "chat"}, {"via": "chat", "after": "10m"}])
    first, second = planned(policy, page())
    assert (first.contact, second.contact) == ("chat", "chat")
    assert first.id != second.id


def test_each_step_counts_its_hour_from_its_own_time_and_says_why_it_waits():
    first, second, _ = planned(ana(high=HIGH), page(act_by=None))
    assert (first.delayed_by, second.delayed_by) == ("", "rule high[1] after 2m")
    assert second.give_up_at - first.give_up_at == timedelta(minutes=2)
    assert (first.later, second.later) == (2, 1)


def test_steps_keep_their_ids_when_the_rules_change_between_two_readings():
    """A message read twice, under two policies, is no second delivery."""
    before, after = planned(ana(), page()), planned(ana(high=HIGH), page())
    assert {each.id for each in after} <= {each.id for each in before}


def test_a_notice_asks_nothing_so_it_goes_by_the_first_low_step_at_once():
    policy = ana(low=[{"via": "mail", "after": "5m"}, {"via": "chat", "after": "30m"}])
    assert steps(policy, notices=[notice()]) == [("mail", 0)]
    assert len(steps(ana(high=HIGH), notices=[notice()])) == len(CONTACTS)


def test_the_end_is_prepared_for_every_contact_as_the_page_may_have_come_by_any():
    policy = ana(high=HIGH, low=[{"via": "mail"}])
    assert len(steps(policy, notices=[notice("taken", paged_since=1)])) == len(CONTACTS)


# --- starting early ---------------------------------------------------------------------------------------


def state(name, later, said="pending", *, tried=0, in_minutes=0.0, error="", **more):
    at = T0 + timedelta(minutes=in_minutes)
    return StepState(name, "page-1", later, said, tried, at, error, f"{name}.example", **more)


CHAT = state("chat", 2, "delivered", tried=1)
PHONE, CALL = state("phone", 1, in_minutes=2), state("call", 0, in_minutes=4)


@pytest.mark.parametrize(
    ("chat", "resting", "starts"),
    [
        (CHAT, (), set()),
        (state("chat", 2, "sending", tried=1), (), set()),
        (state("chat", 2, "failed", tried=1, error="404"), (), {"phone"}),
        (state("chat", 2, tried=1, in_minutes=0.1, error="503"), (), {"phone"}),
        (state("chat", 2, "sending", tried=2, error="503"), (), {"phone"}),  # it is tried again right now
        (state("chat", 2), (), set()),
        (state("chat", 2), ("chat.example",), {"phone"}),  # its breaker is open
        (state("chat", 2, tried=1, in_minutes=0.1), (), set()),  # it waits for its turn in a conversation
        (state("chat", 2, "cancelled", tried=1, error="superseded"), (), set()),
    ],
)
def test_the_next_step_starts_early_when_nothing_before_it_gets_through(chat, resting, starts):
    assert early([chat, PHONE, CALL], resting, T0) == starts


def test_each_step_starts_early_once_and_the_one_after_it_only_when_it_fails_too():
    down = state("chat", 2, tried=3, in_minutes=0.5, error="503")
    started = replace(PHONE, next_attempt_at=T0)
    assert early([down, started, CALL], (), T0) == frozenset()
    failed = replace(PHONE, state="failed", attempts=1, last_error="404")
    assert early([down, failed, CALL], (), T0) == {"call"}


def test_of_two_ways_at_once_one_that_gets_through_is_enough():
    beside = state("mail", 2, "sent", tried=1)
    down = state("chat", 2, "failed", tried=1, error="404")
    assert early([down, beside, PHONE], (), T0) == frozenset()


def test_quiet_hours_do_not_end_because_a_provider_is_down():
    assert early([state("chat", 1, "failed", error="404"), replace(CALL, quiet=True)], (), T0) == frozenset()


# --- quiet hours ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "waits"),
    [
        ({"loud": False}, True),
        ({"loud": True}, False),
        ({"loud": False, "by_schedule": True}, False),
        ({"loud": False, "through": "finally"}, False),
        ({"loud": False, "through": "last_resort"}, False),
        ({"loud": False, "through": "handoff"}, False),
        ({"loud": False, "through": "assignee"}, True),
        ({"loud": False, "breaks_quiet": (0,)}, False),  # `unless` is true
        ({"loud": False, "breaks_quiet": (1,)}, True),  # of others
    ],
)
def test_which_pages_wait_for_the_morning(said, waits):
    mail = [{"via": "mail"}]
    (made,) = planned(ana(QUIET, low=mail, high=mail), page(**said), now=NIGHT)
    assert made.next_attempt_at == (MORNING if waits else NIGHT)
    assert (made.quiet_until is not None) is waits


def test_by_day_nothing_waits():
    assert steps(ana(QUIET, low=[{"via": "mail"}]), page(loud=False)) == [("mail", 0)]


def test_the_further_steps_follow_the_end_of_the_quiet_hours():
    policy = ana(QUIET, low=[{"via": "mail"}, {"via": "chat", "after": "10m"}])
    first, second = planned(policy, page(loud=False), now=NIGHT)
    assert second.next_attempt_at - first.next_attempt_at == timedelta(minutes=10)
    assert first.delayed_by == "quiet hours until 2026-03-03 07:00 Europe/Prague"
    assert second.delayed_by == f"{first.delayed_by}, rule low[1] after 10m"
    assert second.give_up_at >= second.next_attempt_at + timedelta(hours=1)


def test_a_step_that_would_fall_into_the_quiet_hours_waits_for_their_end():
    policy = ana(QUIET, low=[{"via": "mail"}, {"via": "chat", "after": "10m"}])
    evening = datetime(2026, 3, 2, 20, 55, tzinfo=UTC)  # five to ten
    first, second = planned(policy, page(loud=False), now=evening)
    assert (first.next_attempt_at, second.next_attempt_at) == (evening, MORNING)


@pytest.mark.parametrize(
    ("asked", "waits"),
    [
        (notice("inform"), True),
        (notice("breached"), True),
        (notice("handoff"), False),  # through a schedule
        (notice("taken", paged_since=1), False),  # whom a page has woken may sleep again
        (notice("inform", breaks_quiet=(0,)), False),
        (notice("inform", user("nobody")), False),
    ],
)
def test_which_notices_wait_for_the_morning(asked, waits):
    made = planned(ana(QUIET), notices=[asked], now=NIGHT)
    assert all((each.next_attempt_at == MORNING) is waits for each in made)


def test_whoever_took_it_within_the_quiet_hours_is_awake_and_hears_at_once():
    def told(taken_at):
        about = incident(assignee="ana", status="acknowledged", acknowledged_at=taken_at)
        made = planned(
            ana(QUIET, low=[{"via": "mail"}]), notices=[notice("inform")], now=NIGHT, incident=about
        )
        return made[0].next_attempt_at

    assert told(NIGHT - timedelta(minutes=5)) == NIGHT
    assert told(T0) == MORNING


@pytest.mark.parametrize(
    ("at", "ends"),
    [  # the clocks go forward at 01:00 UTC on the 29th of March, back on the 25th of October
        (datetime(2026, 3, 28, 23, tzinfo=UTC), datetime(2026, 3, 29, 5, tzinfo=UTC)),
        (datetime(2026, 10, 24, 23, tzinfo=UTC), datetime(2026, 10, 25, 6, tzinfo=UTC)),
    ],
)
def test_seven_is_seven_on_the_day_the_clocks_change(at, ends):
    (made,) = planned(ana(QUIET, low=[{"via": "mail"}]), page(loud=False), now=at)
    assert made.next_attempt_at == ends


def test_quiet_hours_that_never_end_delay_nothing():
    always = {"calendar": "always"}
    assert steps(ana(always, low=[{"via": "mail"}]), page(loud=False), now=NIGHT) == [("mail", 0)]
