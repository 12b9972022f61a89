"""Rule 21: whoever was asked hears the end, once, whatever level is asked now; not the one who brought it."""

import pytest

from services.router.batch import last_resort
from services.router.domain.model.incident import Incident
from services.router.domain.model.parts import OpenPage
from services.router.domain.model.stored import decode, encode
from tests.domain.tale import Tale, bundle, ladder, on_main, tale
from tests.rules.crowd import Crowd, crowd

EVERYBODY = ["ana", "petra", "karel"]


def climbed(**sections) -> Tale:
    """Ana was paged, then petra, then karel by `finally`, twice."""
    story = tale(**sections)
    story.event()
    story.later(minutes=31)
    assert story.paged == ["ana", "petra", "karel", "karel"]
    return story


def heard(story: Tale, event: str) -> list[str]:
    return [notice.recipient.name for notice in story.notices if notice.event == event]


# --- taken ------------------------------------------------------------------------------------------------


def test_ana_whom_it_passed_by_hears_once_that_karel_took_it():
    story = climbed()
    story.act("acknowledge", user="karel")
    assert heard(story, "taken") == ["ana", "petra"]
    assert {notice.text for notice in story.notices} == {"Taken by Karel. Nothing is asked of you."}
    assert story.said("told") == ["taken: told Ana, Petra, if a page reached them"]


def test_the_timeline_says_who_resolved_it_as_it_says_who_took_it():
    story = climbed()
    story.act("acknowledge", user="karel")
    story.act("resolve", user="karel")
    by = {entry.kind: entry.actor for entry in story.entries}
    assert (by["taken"], by["resolved"]) == ("user:karel", "user:karel")


def test_who_is_paged_five_times_by_finally_hears_once_who_took_it():
    story = climbed()
    story.later(minutes=60)
    story.act("acknowledge", user="ana")
    assert heard(story, "taken") == ["petra", "karel"]


def test_the_end_is_only_for_whom_a_page_of_this_opening_has_reached():
    story = climbed()
    first = {page.recipient.name: version for page, version in reversed(versions_of(story))}
    story.act("acknowledge", user="karel")
    bound = {notice.recipient.name: notice.paged_since for notice in story.notices}
    assert bound == {"ana": first["ana"], "petra": first["petra"]}
    assert story.decisions[-1].message.settled.told


def versions_of(story: Tale) -> list:
    return [
        (page, each.message.incident.version)
        for each in story.decisions
        if each.message
        for page in each.message.pages
    ]


def test_whoever_heard_it_is_taken_hears_it_again_only_when_asked_again():
    story = climbed()
    story.act("acknowledge", user="karel")
    story.act("unacknowledge", user="karel")  # finally pages karel, who gave it back
    story.act("acknowledge", user="karel")
    assert heard(story, "taken") == ["ana", "petra"]


def test_who_is_asked_again_after_that_hears_it_again_if_the_new_page_came():
    story = tale(**on_main(levels=[ladder()["levels"][0] | {"notify": ["user:ana", "user:petra"]}]))
    story.event()
    story.act("acknowledge", user="ana")
    story.act("unacknowledge", user="ana")
    again = story.standing.version
    story.act("acknowledge", user="ana")
    assert [(n.recipient.name, n.paged_since == again) for n in story.notices if n.event == "taken"] == [
        ("petra", False),
        ("petra", True),
    ]


def test_a_machine_that_acknowledges_is_told_of_and_then_who_took_it():
    story = tale()
    story.event()
    story.event("acknowledge")
    story.act("acknowledge", user="petra")
    assert heard(story, "taken") == ["ana", "ana"]
    assert story.notices[0].text.startswith("Acknowledged by a machine: the levels rest until")
    assert story.notices[1].text == "Taken by Petra. Nothing is asked of you."


def test_assigned_to_somebody_the_others_hear_to_whom():
    story = climbed()
    story.act("assign", user="ana", to="petra")
    assert heard(story, "taken") == ["karel"]
    assert story.notices[0].text == "Assigned to Petra. Nothing is asked of you."
    assert story.paged[-1] == "petra"


# --- resolved, dropped, merged ----------------------------------------------------------------------------


def test_everybody_who_was_paged_hears_that_it_is_resolved_also_those_of_earlier_levels():
    story = climbed()
    story.event("resolve")
    assert heard(story, "resolved") == EVERYBODY


def test_whoever_resolves_it_does_not_hear_that_they_did():
    story = climbed()
    story.act("resolve", user="petra")
    assert heard(story, "resolved") == ["ana", "karel"]


def looked_at() -> Tale:
    """A point has asked karel to look, beside the levels."""
    point = {"name": "error", "when": "severity == 'error'", "do": [{"notify": ["user:karel"]}]}
    desk, experts = ladder()["levels"]
    levels = [desk | {"handles": "priority > 1"}, experts]
    story = tale(**on_main(points=[point], levels=levels))
    story.event(severity="error")
    assert story.paged == ["ana", "karel"]
    return story


def test_what_goes_up_by_itself_calls_nothing_off_while_karel_whom_a_point_asked_has_not_been_reached():
    story = looked_at()
    story.event(severity="critical")
    assert story.paged[-1] == "petra"
    assert story.decisions[-1].message.settled is None


def test_karel_whom_a_point_asked_to_look_does_not_hear_that_nothing_is_asked_of_him():
    story = looked_at()
    for page in story.pages:
        story.report(page, "reached")
    story.act("escalate", user="petra", because="expertise")
    assert story.decisions[-1].message.settled.why == "handed up"
    assert heard(story, "escalated") == ["ana"]
    story.act("acknowledge", user="petra")
    assert heard(story, "taken") == ["karel"]


SHIFTS = {
    "desk": {
        "timezone": "UTC",
        "layers": [{"rotation": ["ana", "petra"], "shift": "1d", "starts": "2026-01-06T03:10"}],
    }
}  # Petra has it from ten past three


def test_petra_whom_no_page_reached_but_who_was_told_that_it_is_open_hears_that_it_is_resolved():
    levels = [
        {"name": "leads", "notify": ["user:petra"], "acknowledge_within": "5m"},
        {"name": "desk", "notify": ["schedule:desk"], "acknowledge_within": "1h"},
    ]
    story = tale(schedules=SHIFTS, **on_main(levels=levels))
    story.event()
    story.report(story.pages[0], "unreachable")
    story.later(minutes=20)
    assert heard(story, "handoff") == ["petra"]
    story.event("resolve")
    bound = {notice.recipient.name: notice.paged_since for notice in story.notices[-2:]}
    assert bound == {"petra": 0, "ana": 2}


def test_who_follows_it_when_paged_hears_that_it_is_resolved_whatever_became_of_the_page():
    story = tale()
    story.event()
    story.act("escalate", user="petra", because="expertise")  # petra follows on, and is paged
    story.later(minutes=11)
    story.event("resolve")
    bound = {
        notice.recipient.name: notice.paged_since for notice in story.notices if notice.event == "resolved"
    }
    assert bound["petra"] == 0


@pytest.mark.parametrize("event", ["resolved", "taken"])
def test_ana_who_subscribes_as_well_hears_the_end_at_once_and_in_its_own_words(event):
    subscribed = {"who": ["user:ana"], "events": ["resolved", "update"], "digest": "10m"}
    story = tale(subscriptions=[subscribed])
    story.event()
    if event == "taken":
        story.act("acknowledge", user="petra")
    else:
        story.event("resolve")
    (notice,) = [each for each in story.notices if each.recipient.name == "ana"]
    assert (notice.event, notice.stakeholder, notice.digest_seconds) == (event, False, 0)
    assert notice.text in {"Resolved by its sender.", "Taken by Petra. Nothing is asked of you."}
    assert (notice.paged_since == 0) is (event == "resolved")  # to that she had subscribed


def test_who_was_woken_hears_the_end_although_a_silence_began_since():
    story = woken_then_silent()
    story.event("disk", "resolve")
    assert [(n.recipient.name, n.event) for n in story.notices("disk")] == [("ana", "resolved")]


def test_who_was_woken_hears_in_a_silence_who_took_it():
    story = woken_then_silent()
    story.act("disk", "acknowledge", user="petra")
    assert [(n.recipient.name, n.event) for n in story.notices("disk")] == [("ana", "taken")]


def test_what_a_maintenance_drops_is_told_to_whom_it_had_woken():
    story = crowd()
    story.event("disk")
    story.maintenance("true", then="drop", hours=1)
    story.later(minutes=61)
    assert story.of("disk").status == "resolved"
    (told,) = story.notices("disk")
    assert (told.recipient.name, told.event) == ("ana", "resolved")
    assert told.text == "Dropped at the end of maintenance upgrade."


def test_what_was_silent_from_the_first_moment_ends_as_silently():
    story = crowd()
    story.silence("true", hours=5)
    story.event("disk")
    story.later(hours=1)
    story.event("disk", "resolve")
    assert story.notices("disk") == []


def test_whoever_was_paged_for_what_is_merged_hears_where_it_goes_on():
    story = crowd()
    story.event("disk")
    story.event("raid")
    story.act("disk", "merge", user="karel", into=story.of("raid").id)
    (told,) = story.notices("disk")
    assert (told.recipient.name, told.event) == ("ana", "closed")
    assert told.text.startswith("Merged into raid is down (")


def woken_then_silent() -> Crowd:
    story = crowd()
    story.event("disk")
    story.silence("true", hours=5)
    assert story.paged("disk") == ["ana"]
    return story


# --- handed elsewhere -------------------------------------------------------------------------------------


def test_whoever_was_asked_hears_that_it_is_handed_to_others():
    story = tale()
    story.event()
    story.act("escalate", user="karel", because="expertise")
    assert heard(story, "escalated") == ["ana"]
    assert story.notices[0].text == "Karel handed it up: level experts is asked now. Nothing is asked of you."


def test_who_had_it_hears_that_a_lead_handed_it_up():
    story = tale()
    story.event()
    story.act("acknowledge", user="ana")
    story.act("escalate", user="karel")
    assert [(n.recipient.name, n.event) for n in story.notices] == [("ana", "inform")]
    assert story.notices[0].text == "Karel handed it up: it is no longer assigned to you."


def test_a_point_that_hands_it_to_another_policy_frees_those_who_were_asked():
    points = [{"name": "p", "when": "events >= 2", "do": [{"escalate": {"policy": "money"}}]}]
    levels = [{"name": "controller", "notify": ["user:karel"], "acknowledge_within": "1d"}]
    story = tale(policies={"main": ladder(points=points), "money": {"levels": levels}})
    story.event()
    story.event()
    assert heard(story, "escalated") == ["ana"]
    settled = story.decisions[-1].message.settled
    assert (settled.why, settled.told) == ("handed up", True)  # their pages that wait are off, too


def test_a_level_that_no_longer_is_competent_hears_who_is_asked_instead():
    levels = [ladder()["levels"][0] | {"handles": "priority >= 3"}, ladder()["levels"][1]]
    story = tale(**on_main(levels=levels))
    story.event(severity="warning")
    story.event(severity="critical")
    assert story.paged == ["ana", "petra"]
    assert heard(story, "escalated") == ["ana"]


def test_the_time_of_a_level_that_ran_out_frees_nobody():
    story = climbed()
    assert story.notices == []


def test_who_left_it_untouched_hears_that_others_are_asked():
    story = tale()
    story.event()
    story.act("acknowledge", user="petra")
    story.later(days=2, minutes=1)
    gone = [n for n in story.notices if n.recipient.name == "petra" and "no longer assigned" in n.text]
    assert len(gone) == 1


# --- the account ------------------------------------------------------------------------------------------


def test_after_a_reopening_the_account_begins_anew():
    story = climbed()
    story.act("resolve", user="karel")
    story.event()  # reopened: ana, whom nobody had it from, is asked again
    before = len(story.notices)
    story.event("resolve")
    assert [n.recipient.name for n in story.notices[before:]] == ["ana"]


def test_what_was_paged_before_it_was_reopened_in_a_silence_is_no_account_of_this_opening():
    story = crowd()
    story.event("disk")
    story.event("disk", "resolve")
    story.silence("true", hours=2)
    story.event("disk")  # reopened: nobody is paged
    story.event("disk", "note")
    told = len(story.notices("disk"))
    story.event("disk", "resolve")
    assert (story.of("disk").reopened, len(story.notices("disk"))) == (1, told)


def test_rooms_customers_and_addresses_that_were_paged_hear_it_too_and_customers_nothing_internal():
    level = {"name": "all", "acknowledge_within": "5m"}
    level["notify"] = ["team:desk", "customer", {"webhook": "https://hooks.example/x"}]
    desk = {"members": ["ana", "petra"], "contacts": {"room": {"inbox": "desk"}}}
    story = tale(teams={"desk": desk}, **on_main(levels=[level]))
    story.event(customer="acme")
    story.act("acknowledge", user="ana", note="a remark that is internal")
    told = {notice.recipient.name: notice for notice in story.notices}
    assert set(told) == {"desk", "petra", "acme", "https://hooks.example/x"}
    assert (told["acme"].text, told["acme"].stakeholder) == ("", True)
    assert [contact.address for contact in told["acme"].recipient.contacts] == ["ops@acme.example"]
    assert told["https://hooks.example/x"].recipient.contacts[0].channel == "webhook"


def test_who_subscribed_hears_it_once_whether_a_page_came_or_not():
    story = tale(subscriptions=[{"who": ["user:ana"], "events": ["resolved"]}])
    story.event()
    story.event("resolve")
    assert [(n.event, n.paged_since) for n in story.notices] == [("resolved", 0)]


def test_whoever_acted_on_it_hears_the_end_whatever_became_of_their_page():
    story = tale()
    story.event()
    story.act("acknowledge", user="ana")
    story.event("resolve")
    assert [(n.recipient.name, n.paged_since) for n in story.notices] == [("ana", 0)]


def test_the_row_of_the_last_release_is_read_and_who_can_still_answer_counts_as_paged():
    story = tale()
    story.event()
    story.incident = decode(encode(story.standing).replace(b'"paged":', b'"unknown":'))
    assert story.standing.paged is None
    story.event("resolve")
    assert heard(story, "resolved") == ["ana"]


@pytest.mark.parametrize("why", ["snooze", "wait"])
def test_a_rest_is_no_end(why):
    story = tale()
    story.event()
    story.act(why, user="petra", until=story.now.replace(hour=8), waiting_for="vendor")
    assert story.notices == []


def test_a_stuck_incident_counts_whom_last_resort_was():
    story = tale()
    story.event()
    stuck = last_resort.stuck(story.standing, "boom", story.now)
    paged, message = last_resort.page(stuck, bundle(), "desk", 0, story.now)
    assert isinstance(paged, Incident)
    assert isinstance(paged.pages[-1], OpenPage)
    assert [each.name for each in paged.paged] == ["ana", "karel"]
    assert [page.again for page in message.pages] == [False]
