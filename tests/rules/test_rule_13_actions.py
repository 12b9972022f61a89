"""Rule 13: what people do, each checked against role and state; an impossible one says what is possible."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.router.domain.actions import ACTIONS, possible
from services.router.domain.draft.draft import Draft
from services.router.domain.model.context import Context
from services.router.domain.model.signals import Actor
from tests.domain.tale import Tale, bundle, compiled, ladder, tale

KINDS = {
    "budget_overrun": {"attributes": {"budget": "number", "forecast": "number", "project": "string"}},
    "deadline_overrun": {"attributes": {"due": "datetime", "project": "string"}},
    "resource_conflict": {"attributes": {"resource": "string", "projects": "list"}},
    "crisis": {},
}


def project_office(petra: Mapping[str, float] | None = None, karel_role: str = "admin") -> dict[str, Any]:
    """Ana works, Petra may approve some, Karel above her may all."""
    users: dict[str, Any] = {
        "ana": {"name": "Ana", "manager": "petra"},
        "petra": {"name": "Petra", "manager": "karel", "role": "lead", "may_approve": dict(petra or {})},
        "karel": {"name": "Karel", "role": karel_role},
        "otto": {"name": "Otto", "may_approve": {"budget": 90_000, "resource_conflict": 0}},
    }
    return {
        "users": {name: {**user, "contacts": {"box": {"inbox": name}}} for name, user in users.items()},
        "kinds": KINDS,
    }


def overrun(forecast: Any = 40_000, petra: Mapping[str, float] | None = None, **more: Any) -> Tale:
    story = tale(**(project_office(petra if petra is not None else {"budget": 50_000}) | more))
    attributes = {"budget": 30_000, "project": "north"} | ({} if forecast is None else {"forecast": forecast})
    story.event(kind="budget_overrun", title="North costs more", attributes=attributes)
    return story


# --- role and state -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "role"),
    [
        ("acknowledge", "responder"),
        ("resolve", "responder"),
        ("assign", "responder"),
        ("snooze", "responder"),
        ("set", "responder"),
        ("decide", "responder"),
        ("update", "responder"),
        ("merge", "lead"),
        ("close", "lead"),
        ("reapply", "lead"),
    ],
)
def test_each_action_needs_its_role(action, role):
    story = tale()
    story.event()
    below = {"responder": "viewer", "lead": "responder"}[role]
    refused = story.act(action, role=below).refusal
    assert refused.kind == "forbidden"
    assert refused.reason == f"{action} needs the role {role}; this key has {below}"
    assert set(refused.possible) <= {
        name for name, each in ACTIONS.items() if Actor("x", below).may(each.role)
    }


@pytest.mark.parametrize("status", ["triggered", "acknowledged", "resolved", "closed"])
def test_what_a_status_allows(status):
    story = tale()
    story.event()
    if status != "triggered":
        story.act("acknowledge")
    if status in {"resolved", "closed"}:
        story.act("resolve")
    if status == "closed":
        story.act("close", user="karel", role="admin")
    refused = story.act("fly", user="karel", role="admin").refusal
    open_ones = {
        "assign",
        "resolve",
        "escalate",
        "snooze",
        "wait",
        "set",
        "merge",
        "note",
        "update",
        "subscribe",
    }
    allowed = {
        "triggered": open_ones | {"acknowledge"},
        "acknowledged": open_ones | {"unacknowledge"},
        "resolved": {"reopen", "confirm", "refuse", "close", "merge", "note", "update", "subscribe"},
        "closed": {"note"},
    }
    assert set(refused.possible) == allowed[status]


def test_the_timeline_says_who_did_what():
    story = tale()
    story.event()
    story.act("acknowledge", note="mine")
    story.act("update", text="We are on it.")
    story.act("close", user="petra", role="lead")  # refused: not resolved
    story.act("resolve", user="", note="restarted")
    story.act("close", user="petra", role="lead", note="done with it")
    by = {entry.text: entry.actor for entry in story.entries}
    assert (by["mine"], by["We are on it."]) == ("user:ana", "user:ana")
    assert by["resolved by api:bot: restarted"] == "api:bot"
    assert by["closed: Petra closed it: done with it"] == "user:petra"
    assert story.standing.next_due_at is None


def test_a_person_reopens_what_was_resolved_and_whoever_had_it_is_paged_first():
    story = tale()
    story.event()
    story.act("acknowledge", user="petra")
    story.act("resolve", user="petra")
    story.act("reopen", note="it is back")
    assert (story.standing.status, story.standing.reopened) == ("triggered", 1)
    assert story.said("reopened") == ["reopened (1): Ana reopened it: it is back"]
    assert story.paged == ["ana", "petra"]
    story.later(minutes=5)
    assert story.paged == ["ana", "petra", "ana"]


@pytest.mark.parametrize("action", ["reopen", "close"])
def test_only_what_is_resolved_is_reopened_or_closed(action):
    story = tale()
    story.event()
    refused = story.act(action, user="karel", role="admin").refusal
    assert (refused.kind, refused.reason) == ("conflict", "it is triggered, not resolved")


def test_confirming_ends_it_with_the_rating():
    story = tale()
    story.event()
    story.act("resolve")
    story.act("confirm", user="petra", role="lead", rating=4)
    assert (story.standing.status, story.standing.confirmed.rating) == ("closed", 4)
    assert story.said("closed") == ["closed: confirmed by Petra, 4 of 5"]


def test_refusing_it_brings_it_back_one_level_higher_than_the_one_that_solved_it():
    story = tale()
    story.event()
    story.act("acknowledge")
    story.act("resolve")
    story.act("refuse", user="petra", role="lead", note="it still fails")
    assert (story.standing.status, story.standing.reopened) == ("triggered", 1)
    assert story.paged == ["ana", "petra"]
    assert "it still fails" in story.pages[-1].reason
    assert story.standing.followers == ("ana",)


# --- subscribing --------------------------------------------------------------------------------------------


def test_a_viewer_subscribes_and_hears_how_it_goes_on():
    story = tale()
    story.event()
    story.act("subscribe", user="karel", role="viewer")
    story.act("acknowledge")
    story.act("update", text="Half of it works.")
    story.act("resolve")
    heard = [(each.event, each.text) for each in story.notices if each.recipient.name == "karel"]
    assert heard == [("taken", ""), ("update", "Half of it works."), ("resolved", "Resolved by Ana.")]
    story.act("unsubscribe", user="karel", role="viewer")
    assert story.standing.subscribers == ()


def test_an_address_is_subscribed_by_a_lead_and_reads_nothing_internal():
    story = tale()
    story.event()
    address = {"who": "board@example.com", "via": "email"}
    assert story.act("subscribe", **address).refusal.kind == "forbidden"
    story.act("subscribe", user="petra", role="lead", **address)
    story.act("acknowledge", note="INTERNAL")
    told = [each for each in story.notices if each.recipient.kind == "address"]
    assert [(each.event, each.stakeholder, each.recipient.contacts[0].channel) for each in told] == [
        ("taken", True, "email")
    ]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"who": "nobody"}, "not a user"),
        ({"who": "x", "via": "pigeon"}, "known: email"),
        ({"who": "no-at", "via": "email"}, "a mail address"),
        ({"who": "ftp://x", "via": "webhook"}, "a URL"),
        ({"who": "secret:token", "via": "sms"}, "not an address"),
        ({"who": "a@b.example\r\nBcc: all@c.example", "via": "email"}, "one line"),
        ({"who": "=?utf-8?q?a=0D=0Ab?=@b.example", "via": "email"}, "a mail address"),
        ({"who": "http://[", "via": "webhook"}, "a URL"),
        ({"who": "call me", "via": "sms"}, "a phone number"),
        ({"who": "#desk\n", "via": "slack"}, "one line"),
    ],
)
def test_whoever_cannot_hear_is_not_subscribed(arguments, why):
    story = tale()
    story.event()
    refused = story.act("subscribe", user="petra", role="lead", **arguments).refusal
    assert (refused.kind, why in refused.reason) == ("invalid", True), refused


# --- deciding -----------------------------------------------------------------------------------------------


def test_an_approval_within_the_authority_settles_it_and_stakeholders_hear():
    heard = [{"who": ["customer"], "events": ["resolved"]}]
    story = overrun(40_000, subscriptions=heard)
    story.act("set", changes={"customer": "acme"})
    done = story.act("decide", user="petra", role="lead", decision="approve", note="from the reserve")
    assert story.standing.status == "resolved"
    assert (story.standing.approval.decision, story.standing.approval.by) == ("approve", "petra")
    assert story.said("decided") == ["approved by Petra: from the reserve"]
    assert done.entries[0].reason.values == {"authority": "may_approve.budget: 40000 of 50000"}
    assert [(each.event, each.text) for each in story.notices if each.stakeholder] == [
        ("resolved", "It was approved.")
    ]
    assert done.message.incident.decision == "approve"


def test_too_little_authority_says_who_could_up_the_line_of_managers():
    story = overrun(61_000)
    refused = story.act("decide", user="petra", role="lead", decision="approve").refusal
    assert refused.kind == "forbidden"
    assert refused.reason == (
        "budget up to 50000 may be approved by you, this is about 61000; "
        "Karel may: escalate it because of authority"
    )
    assert "escalate" in refused.possible
    story.act("decide", user="karel", role="admin", decision="reject")
    assert story.said("decided") == ["rejected by Karel"]


def test_whoever_may_approve_nothing_is_told_so():
    story = overrun(40_000)
    refused = story.act("decide", decision="approve").refusal
    assert refused.reason.startswith("you may not decide about budget_overrun")
    assert "Petra, Karel may" in refused.reason


def test_when_nobody_in_the_line_may_others_who_may_are_named():
    story = overrun(61_000, **project_office({"budget": 50_000}, karel_role="responder"))
    assert "Otto may" in story.act("decide", user="petra", role="lead", decision="approve").refusal.reason


def test_an_amount_that_is_not_known_is_within_nobodys_limit():
    story = overrun(None)
    refused = story.act("decide", user="petra", role="lead", decision="approve").refusal
    assert "attributes.forecast is not known" in refused.reason
    story.act("set", user="petra", role="lead", changes={"attributes": {"forecast": 45_000}})
    assert story.act("decide", user="petra", role="lead", decision="approve").refusal is None


@pytest.mark.parametrize(
    ("may", "kind", "attributes", "allowed"),
    [
        # the kind's own name is measured by what it will cost, too
        ({"budget_overrun": 50_000}, "budget_overrun", {"budget": 1, "forecast": 40_000}, True),
        ({"budget_overrun": 50_000}, "budget_overrun", {"budget": 1, "forecast": 60_000}, False),
        # without any number in the kind the word is enough
        ({"deadline_overrun": 0}, "deadline_overrun", {"due": "2026-02-01T00:00:00Z"}, True),
        ({"due": 0}, "deadline_overrun", {}, True),
        ({"resource": 0}, "resource_conflict", {"resource": "Ana"}, True),
        ({"projects": 1}, "resource_conflict", {"projects": ["a", "b"]}, True),
        # a word that another kind declares gives no authority over this one
        ({"budget": 10**9}, "resource_conflict", {}, False),
        # a word that is no number does not get round the number of the kind
        ({"project": 0}, "budget_overrun", {"budget": 1, "forecast": 9}, False),
        ({"project": 10}, "budget_overrun", {"budget": 1, "forecast": 9}, True),
        # a number that is none
        ({"budget": 50_000}, "budget_overrun", {"budget": 1, "forecast": "many"}, False),
        ({"budget": 50_000}, "budget_overrun", {"budget": 1, "forecast": True}, False),
    ],
)
def test_what_a_word_of_may_approve_stands_for(may, kind, attributes, allowed):
    story = tale(**project_office(may))
    story.event(kind=kind, attributes=attributes)
    refusal = story.act("decide", user="petra", role="lead", decision="approve").refusal
    assert (refusal is None) == allowed, refusal


def test_where_there_is_nothing_to_decide_it_is_impossible():
    story = tale(**project_office())
    for kind in ("incident", "crisis"):
        story.event("trigger" if kind == "incident" else "update", kind=kind)
        refused = story.act("decide", user="karel", role="admin", decision="approve").refusal
        assert refused.reason == f"there is nothing to approve or reject in an incident of kind {kind}"
        assert "decide" not in refused.possible


def test_what_comes_back_is_decided_anew():
    story = overrun()
    story.act("decide", user="petra", role="lead", decision="approve")
    story.event(kind="budget_overrun", attributes={"forecast": 70_000})
    assert (story.standing.status, story.standing.approval) == ("triggered", None)


# --- possible is true ---------------------------------------------------------------------------------------


def _arguments(action: str, story: Tale, role: str = "admin") -> dict[str, Any]:
    """Sensible arguments of an action for this incident as it is."""
    hour = story.now + timedelta(hours=1)
    subscribers = [each.who for each in story.standing.subscribers]
    newcomer = next((name for name in ("karel", "ana", "petra", "otto") if name not in subscribers), "")
    return {
        "assign": {"to": "otto" if story.standing.assignee != "otto" else "petra"},
        "snooze": {"until": hour},
        "wait": {"waiting_for": "vendor", "until": hour + timedelta(hours=len(story.decisions))},
        "set": {"changes": {"attributes": {"step": len(story.decisions)}}},
        "note": {"text": "seen"},
        "update": {"text": "news"},
        "decide": {"decision": "approve"},
        "subscribe": {"who": newcomer if role != "viewer" else ""},
        "unsubscribe": {"who": subscribers[0] if subscribers and role != "viewer" else ""},
        "confirm": {"rating": 5},
    }.get(action, {})


_SILENT = {"subscribe", "unsubscribe"}  # once more, or by somebody who never did, changes nothing
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("act"), st.sampled_from(sorted(set(ACTIONS) - {"merge"}))),
        st.tuples(st.just("event"), st.sampled_from(["trigger", "acknowledge", "resolve", "update"])),
        st.tuples(st.just("later"), st.sampled_from([60, 600, 4000])),
        st.tuples(st.just("policy"), st.just("")),
    ),
    max_size=6,
)
_POLICIES = [
    compiled(
        bundle(
            **project_office({"budget": 50_000}),
            policies={"main": ladder(rounds=rounds)},
            slas=[{"name": "s", "acknowledge": "5m", "resolve": "1h", "pause_while": ["vendor"]}],
        )
    )
    for rounds in (1, 2)
]


@settings(max_examples=250, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(["budget_overrun", "incident"]), _STEPS)
def test_exactly_what_is_listed_as_possible_is_accepted(kind, steps):
    story = Tale(_POLICIES[0])
    story.event(kind=kind, attributes={"budget": 1, "forecast": 2})
    for step, what in steps:
        if step == "act":
            story.act(what, user="karel", role="admin", **_arguments(what, story))
        elif step == "event":
            story.event(what)
        elif step == "later":
            story.later(seconds=what)
        else:
            story.policy = _POLICIES[1]
    story.frozen.setdefault(story.policy.hash, story.policy)
    for role in ("viewer", "responder", "lead", "admin"):
        actor = Actor("user:karel", role, "karel")
        before, context = story.standing, Context(story.policy)
        draft = Draft(before, story.frozen[before.policy_hash], context, story.now)
        listed = set(possible(draft, actor)) - {"merge"}
        for action in sorted(set(ACTIONS) - {"merge"}):
            decision = story.act(action, user="karel", role=role, **_arguments(action, story, role))
            story.incident = before
            if action in listed:
                assert decision.refusal is None, (action, decision.refusal)
                assert decision.changed or action in _SILENT, action
            else:
                assert decision.refusal is not None or not decision.changed, action
