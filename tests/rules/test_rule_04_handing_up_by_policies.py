"""Rule 4: another policy ends the chain; one that is entered twice goes to `finally`; nothing runs in circles."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.domain.tale import ladder, on_main, tale

CONTROLLER = {"name": "controller", "notify": ["user:petra"], "acknowledge_within": "1d"}
FINANCE = {"levels": [CONTROLLER], "finally": {"notify": ["user:karel"], "every": "1d"}}


def test_another_policy_is_paged_now_whatever_its_calendar_or_its_grace_say():
    waits = FINANCE | {"levels": [CONTROLLER | {"hold_until": "office"}], "grace": {"wait": "10m"}}
    overlay = {"office": {"timezone": "UTC", "hours": [{"days": "mon-fri", "from": "08:00", "to": "18:00"}]}}
    story = tale(calendars=overlay, policies={"main": ladder(), "finance": waits})
    story.event()
    story.act("escalate", policy="finance", because="authority")
    assert story.paged == ["ana", "petra"]
    assert story.standing.chain.policy == "finance"


def test_a_point_that_hands_it_to_a_policy_respects_its_calendar():
    point = {"name": "dear", "when": "events >= 2", "do": [{"escalate": {"policy": "finance"}}]}
    waits = FINANCE | {"levels": [CONTROLLER | {"hold_until": "office"}]}
    overlay = {"office": {"timezone": "UTC", "hours": [{"days": "mon-fri", "from": "08:00", "to": "18:00"}]}}
    story = tale(calendars=overlay, policies={"main": ladder(points=[point]), "finance": waits})
    story.event()
    story.event()
    assert (story.paged, len(story.said("held"))) == (["ana"], 1)
    story.later(hours=5)
    assert story.paged == ["ana", "petra"]


def test_the_chain_of_the_policy_that_was_left_never_moves_again():
    story = tale(policies={"main": ladder(), "finance": FINANCE})
    story.event()
    story.act("escalate", policy="finance")
    story.later(hours=23)
    assert story.paged == ["ana", "petra"]


def test_a_policy_entered_twice_goes_to_finally_of_where_it_stands():
    story = tale(policies={"main": ladder(), "finance": FINANCE})
    story.event()
    story.act("escalate", policy="finance")
    story.act("escalate", policy="main")
    assert (story.paged[-1], story.standing.chain.policy) == ("karel", "finance")
    assert "policy main was entered before: finally is paged instead" in story.said("escalated")


def test_every_move_up_is_counted():
    story = tale(policies={"main": ladder(), "finance": FINANCE})
    story.event()
    assert story.standing.handed_up == 0
    story.later(minutes=5)
    assert story.standing.handed_up == 1
    story.act("escalate", policy="finance")
    assert story.standing.handed_up == 2
    story.later(days=3)  # finally, and finally again: one move
    assert story.standing.handed_up == 3


_WHERE = st.sampled_from(
    [{"escalate": {"policy": name}} for name in "abcd"]
    + [{"escalate": {"level": name}} for name in ("one", "two")]
    + [{"set": {"priority": number}} for number in (1, 2, 3)]
)
_WHEN = st.sampled_from(
    [
        "true",
        "level == 'one'",
        "level == 'two'",
        "level == 'finally'",
        "priority <= 2",
        "!acknowledged",
        "round == 2",
    ]
)
_NASTY = st.fixed_dictionaries(
    {
        name: st.builds(
            lambda points, handles, who, final: {
                "levels": [
                    {"name": level, "notify": [who], "acknowledge_within": "1m", "handles": handles}
                    for level in ("one", "two")
                ],
                "rounds": 3,
                "finally": {"notify": final, "every": "1m"},
                "points": [{"name": str(n), "when": when, "do": do} for n, (when, do) in enumerate(points)],
            },
            st.lists(st.tuples(_WHEN, st.lists(_WHERE, min_size=1, max_size=3)), max_size=4),
            st.sampled_from(["priority >= 2", "priority == 1", "round >= 2", "level != 'one'", "true"]),
            st.sampled_from(["user:ana", "assignee", "user:gone"]),
            st.sampled_from([[], ["owner"], ["user:karel"]]),
        )
        for name in "abcd"
    }
)


@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)
@given(policies=_NASTY)
def test_no_combination_of_levels_points_and_policies_loops_inside_one_decision(policies):
    """Points that escalate to each other's policies, nobody anywhere, priorities that flip what is handled."""
    story = tale(policies=policies, routes=[{"policy": "a"}])
    story.event(severity="warning")
    story.later(minutes=30)
    story.act("acknowledge")
    story.act("escalate")
    story.event(severity="critical")
    story.later(minutes=30)
    points = sum(len(policy["points"]) for policy in policies.values())
    for decision in story.decisions:
        fired = [entry for entry in decision.entries if entry.text.startswith("escalation point")]
        assert len(fired) <= points
        assert len(decision.entries) <= 20 * (points + 2)
        assert decision.incident.next_due_at is not None
        assert len(decision.incident.chain.entered) <= 4


def test_every_level_empty_and_finally_empty_still_pages_somebody():
    nobody = {"name": "one", "notify": ["user:gone"], "acknowledge_within": "1m"}
    story = tale(**on_main(levels=[nobody], **{"finally": {"notify": ["owner"], "every": "10m"}}, rounds=100))
    decision = story.event()
    assert story.paged == ["karel"]
    assert len(decision.entries) < 20
