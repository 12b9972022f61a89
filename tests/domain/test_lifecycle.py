"""From triggered to closed (docs/rules.md, rules 3, 6, 9, 13–17)."""

from datetime import timedelta

from tests.domain.tale import START, Tale, bundle, compiled, ladder, on_main, tale


def test_taking_it_sets_the_assignee_and_calls_off_what_was_not_sent():
    story = tale()
    story.event()
    decision = story.act("acknowledge")
    assert story.standing.assignee == "ana"
    assert decision.message is not None
    assert decision.message.settled is not None
    assert (decision.message.settled.why, decision.message.settled.by) == ("taken", "ana")


def test_a_second_person_hears_who_has_it_and_what_is_possible():
    story = tale()
    story.event()
    story.act("acknowledge")
    refusal = story.act("acknowledge", user="petra").refusal
    assert refusal is not None
    assert (refusal.kind, refusal.reason) == ("conflict", "it is taken already, by Ana")
    assert "resolve" in refusal.possible


def test_taking_it_twice_is_taking_it():
    story = tale()
    story.event()
    story.act("acknowledge")
    decision = story.act("acknowledge")
    assert (decision.refusal, decision.changed) == (None, False)


def test_a_viewer_may_not_act():
    story = tale()
    story.event()
    refusal = story.act("acknowledge", role="viewer").refusal
    assert refusal is not None
    assert refusal.kind == "forbidden"
    assert story.standing.status == "triggered"


def test_a_key_that_acts_for_nobody_rests_the_levels_and_names_no_assignee():
    story = tale()
    story.event()
    story.act("acknowledge", user="")
    assert (story.standing.status, story.standing.assignee) == ("acknowledged", "")
    assert story.standing.chain.due == START + timedelta(minutes=30)


def test_a_resolve_ends_the_paging_and_tells_who_was_asked():
    story = tale()
    story.event()
    story.event("resolve")
    story.later(minutes=30)
    assert story.paged == ["ana"]
    assert [(notice.recipient.name, notice.event) for notice in story.notices] == [("ana", "resolved")]


def test_a_resolved_incident_closes_when_reopen_within_ends():
    story = tale()
    story.event()
    story.event("resolve")
    story.later(minutes=59)
    assert story.standing.status == "resolved"
    story.later(minutes=1)
    assert story.standing.status == "closed"
    assert story.standing.next_due_at is None


def test_the_same_key_within_reopen_within_reopens_and_pages_the_assignee_first():
    story = tale()
    story.event()
    story.later(minutes=5)
    story.act("acknowledge", user="petra")
    story.act("resolve", user="petra")
    story.later(minutes=20)
    story.event()
    assert story.standing.reopened == 1
    assert story.paged == ["ana", "petra", "petra"]
    story.later(minutes=5)
    assert story.paged == ["ana", "petra", "petra", "ana"]


def test_later_it_opens_a_new_one_that_links_back():
    story = tale()
    story.event()
    first = story.standing.id
    story.event("resolve")
    story.later(hours=2)
    story.event()
    assert story.standing.id != first
    assert story.standing.previous == first
    assert story.paged == ["ana", "ana"]


def test_a_trigger_after_a_resolve_from_pagerduty_is_a_new_incident():
    integrations = {"pd": {"kind": "pagerduty", "keys": [{"sha256": "0" * 64}]}}
    story = tale(integrations=integrations)
    story.event(integration="pd")
    first = story.standing.id
    story.event("resolve", integration="pd")
    story.event(integration="pd")
    assert story.standing.id != first


def test_a_repeat_counts_and_pages_nobody():
    story = tale()
    story.event()
    story.event(description="still down")
    assert story.paged == ["ana"]
    assert (story.standing.events, story.standing.description) == (2, "still down")


def test_priority_rises_by_itself_and_does_not_fall():
    story = tale()
    story.event(severity="warning")
    story.event(severity="critical")
    assert story.standing.priority == 1
    story.event(severity="info")
    assert story.standing.priority == 1


def test_waiting_stops_the_levels_and_the_clocks_that_say_so():
    slas = [{"name": "s", "acknowledge": "4m", "resolve": "1h", "pause_while": ["customer"]}]
    story = tale(slas=slas)
    story.event()
    story.later(minutes=1)
    story.event("update", waiting_for="customer")
    story.later(hours=3)
    assert story.paged == ["ana"]
    assert story.said("breach") == []
    story.event("update", waiting_for="")
    assert story.paged == ["ana", "ana"]
    story.later(minutes=3)
    assert len(story.said("breach")) == 1


def test_waiting_has_an_end():
    story = tale()
    story.event()
    story.event("update", waiting_for="vendor")
    story.later(days=1)
    assert story.standing.waiting_for == ""
    assert story.paged == ["ana", "ana"]


def test_a_rise_in_priority_ends_the_waiting():
    story = tale()
    story.event(severity="warning")
    story.event("update", waiting_for="customer")
    story.event(severity="critical")
    assert story.standing.waiting_for == ""


def test_an_incident_keeps_the_policy_it_started_with():
    story = tale()
    story.event()
    story.policy = compiled(
        bundle(policies={"main": ladder(levels=[ladder()["levels"][0] | {"notify": ["user:karel"]}])})
    )
    story.later(minutes=5)
    assert story.paged == ["ana", "petra"]


def test_a_name_that_vanished_resolves_to_nobody():
    story = tale()
    story.event()
    without_petra = bundle(
        users={name: {"name": name} for name in ("ana", "karel")},
        teams={},
        services={},
        customers={},
        policies={"main": ladder(levels=ladder()["levels"][:1])},
    )
    story.policy = compiled(without_petra)
    story.later(minutes=5)
    assert story.paged == ["ana", "karel"]
    assert story.said("nobody") == ["user:petra: no such user in the policy in force"]


def test_notes_stay_inside_and_an_update_reaches_the_subscribers():
    subscriptions = [{"who": ["customer"], "events": ["opened", "update", "resolved"]}]
    story = tale(subscriptions=subscriptions)
    story.event(customer="acme")
    story.act("note", text="their card processor is to blame")
    story.act("update", text="We are on it.")
    story.act("resolve", note="restarted")
    told = [(n.event, n.text) for n in story.notices if n.recipient.name == "acme"]
    assert told == [("opened", ""), ("update", "We are on it."), ("resolved", "")]


def test_a_subscription_hears_only_of_what_matches():
    subscriptions = [{"who": ["user:karel"], "when": "tier == 'gold'", "events": ["opened"]}]
    story = tale(subscriptions=subscriptions)
    story.event()
    assert story.notices == []


def test_the_same_history_gives_the_same_bytes():
    def history() -> Tale:
        story = tale(**on_main(rounds=2))
        story.event(customer="acme")
        story.later(minutes=12)
        story.act("acknowledge", user="petra")
        story.event("resolve")
        return story

    first, second = history(), history()
    assert first.decisions == second.decisions


def test_time_never_runs_backwards_for_an_incident():
    story = tale()
    story.event()
    story.now -= timedelta(hours=1)
    story.event()
    assert story.standing.decided_at == START


def test_a_change_event_notifies_nobody():
    story = tale()
    assert story.event("change").orphan is not None
    assert story.incident is None


def test_the_tier_comes_from_the_event_then_from_the_customer_and_else_is_the_last():
    for said, expected in (
        ({}, "standard"),
        ({"customer": "acme"}, "gold"),
        ({"customer": "acme", "tier": "silver"}, "silver"),
    ):
        story = tale()
        story.event(**said)
        assert story.standing.tier == expected


def test_who_is_paged_is_not_told_of_the_same_thing_besides():
    story = tale(subscriptions=[{"who": ["user:ana", "user:karel"], "events": ["opened", "resolved"]}])
    story.event()
    assert [(notice.recipient.name, notice.event) for notice in story.notices] == [("karel", "opened")]
    story.event("resolve")
    resolved = [notice.recipient.name for notice in story.notices if notice.event == "resolved"]
    assert resolved == ["ana", "karel"]


def test_however_often_its_title_changes_it_is_known_by_its_first_one():
    """So that the mails about it are one thread."""
    story = tale()
    opened = story.event(title="Disk at 80%")
    assert opened.message is not None
    assert (opened.message.incident.title, opened.message.incident.opened_as) == ("Disk at 80%", "")
    story.event(title="Disk at 90%")
    story.event(title="Disk at 99%")
    taken = story.act("acknowledge")
    assert taken.message is not None
    assert (taken.message.incident.title, taken.message.incident.opened_as) == ("Disk at 99%", "Disk at 80%")
