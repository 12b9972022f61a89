"""Rule 20: when a shift ends, whoever follows hears of what was asked through the schedule and is not settled."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from services.router.domain.model.context import NOTHING_CHANGED, Overlay
from services.router.domain.model.signals import TimerFired
from shared.policy.oncall.schedules import Override
from tests.domain.invariants import Watch
from tests.domain.tale import START, Tale, bundle, compiled, on_main, tale
from tests.domain.test_any_history import Watched

EIGHT = START.replace(hour=8)
PEOPLE = ("ana", "cid", "dora", "petra", "karel")


def users() -> dict[str, Any]:
    return {user: {"name": user.title(), "contacts": {"box": {"inbox": user}}} for user in PEOPLE}


def desk(handoff: str = "page", zone: str = "UTC", **more: Any) -> dict[str, Any]:
    """Ana, then Cid, then Dora, a day each, from eight in the morning; Ana has it when the tale starts."""
    layer = {"name": "daily", "rotation": ["ana", "cid", "dora"], "shift": "1d", "starts": "2026-01-06T08:00"}
    return {"desk": {"timezone": zone, "handoff": handoff, "layers": [layer | more]}}


def level(name: str = "desk", *notify: Any, within: str = "30m", **more: Any) -> dict[str, Any]:
    return {"name": name, "notify": list(notify or ("schedule:desk",)), "acknowledge_within": within} | more


def told(handoff: str = "page", *, levels: Any = (), schedules: Any = None, **parts: Any) -> Tale:
    """Whoever has the desk is asked, five seconds before Ana's shift ends."""
    sections = on_main(levels=list(levels) or [level()], **parts)
    story = tale(users=users(), schedules=schedules or desk(handoff), **sections)
    story.now = EIGHT - timedelta(seconds=5)
    return story


def until(story: Tale, at: datetime) -> None:
    story.later(seconds=(at - story.now).total_seconds())


def handed(story: Tale) -> list[tuple[str, str]]:
    return [(each.recipient.name, each.text) for each in story.notices if each.event == "handoff"]


def override(user: str, begins: datetime, ends: datetime) -> Overlay:
    return Overlay(1, {"desk": [Override("o1", user, begins, ends, "user:karel")]})


def test_cid_who_comes_on_is_paged_for_what_ana_did_not_take() -> None:
    story = told()
    story.event()
    assert story.paged == ["ana"]
    until(story, EIGHT)
    page = story.pages[-1]
    assert (page.recipient.name, page.through, page.by_schedule) == ("cid", "handoff", True)
    assert page.act_by == EIGHT + timedelta(minutes=30, seconds=-5)  # the level's own time goes on
    assert page.otherwise.startswith("the last step, finally, pages")
    assert "Ana was asked and is off now, and nobody has taken it" in page.reason
    [entry] = [each for each in story.entries if each.kind == "paged" and "shift" in each.text]
    assert (
        entry.text == "the shift of Ana on desk is over, and nobody has taken it: Cid, who follows, is paged"
    )
    assert entry.reason is not None
    assert (entry.reason.rule, entry.reason.values["handoff"]) == ("rule 20: handoff", "page")
    story.act("acknowledge", user="cid")
    assert (story.standing.assignee, story.standing.unsettled) == ("cid", ())


def test_cid_is_asked_once_when_the_level_is_asked_again_at_the_very_change() -> None:
    """A point asks the desk anew in the second in which the shift ends: that is Cid already."""
    again = {
        "name": "again",
        "when": "level == 'desk'",
        "held_for": "5s",
        "do": [{"escalate": {"level": "desk"}}],
    }
    story = told(points=[again])
    story.event()
    until(story, EIGHT)
    assert story.paged == ["ana", "cid"]
    assert [page.through for page in story.pages] == ["level", "level"]


def test_with_inform_cid_is_told_what_ana_did_not_take() -> None:
    story = told("inform")
    story.event()
    until(story, EIGHT)
    assert story.paged == ["ana"]
    [(name, text)] = handed(story)
    assert name == "cid"
    assert text.startswith("You are on call now, until 2026-01-08 08:00 UTC, and this is open. Ana was asked")
    assert text.endswith("and nobody has taken it.")
    story.act("acknowledge", user="karel", role="admin")
    story.act("resolve", user="karel", role="admin")
    assert "cid" in [each.recipient.name for each in story.notices if each.event == "resolved"]


def test_ana_is_not_asked_twice_in_one_turn_because_another_policy_came_into_force_meanwhile() -> None:
    """Dora stood in for a while and was asked; when Ana is back, in the turn in which she heard of it, she knows."""
    sections = on_main(levels=[level(within="3h")])
    story = Watched(compiled(bundle(users=users(), schedules=desk(), **sections)))
    story.watch = Watch()
    story.now = EIGHT - timedelta(hours=1)
    story.event()
    story.overlay = override("dora", EIGHT - timedelta(minutes=50), EIGHT - timedelta(minutes=20))
    until(story, EIGHT - timedelta(minutes=50))
    story.tell(TimerFired())
    story.policy = compiled(bundle(users=users(), schedules=desk(), tiers=["gold", "lead"], **sections))
    story.act("escalate", user="karel", role="admin", level="desk")
    assert story.paged == ["ana", "dora", "dora"]
    until(story, EIGHT - timedelta(minutes=10))
    assert story.paged == ["ana", "dora", "dora"]
    assert story.said("handoff")[-1].endswith("Ana, who follows, has been asked or has it already")
    until(story, EIGHT)
    assert story.paged[-1] == "cid"


def test_with_none_cid_hears_nothing_of_it() -> None:
    story = told("none")
    story.event()
    until(story, EIGHT + timedelta(minutes=10))
    assert (story.paged, handed(story)) == (["ana"], [])


def test_an_earlier_level_that_nobody_took_is_handed_over_while_a_later_one_is_asked() -> None:
    story = told(levels=[level(within="2m"), level("experts", "user:petra", within="3h")])
    story.now = EIGHT - timedelta(hours=1)
    story.event()
    until(story, EIGHT)
    assert story.paged == ["ana", "petra", "cid"]


def test_what_waits_for_the_office_is_handed_over_meanwhile() -> None:
    nine = {"office": {"timezone": "UTC", "hours": [{"from": "09:00", "to": "17:00"}]}}
    levels = [level(within="2m"), level("office", "user:petra", hold_until="office")]
    story = tale(users=users(), schedules=desk(), calendars=nine, **on_main(levels=levels))
    story.now = EIGHT - timedelta(hours=1)
    story.event()
    until(story, EIGHT)
    assert story.standing.chain.state == "held"
    assert story.paged == ["ana", "cid"]
    until(story, EIGHT + timedelta(hours=1))
    assert story.paged == ["ana", "cid", "petra"]


def test_one_by_one_goes_on_behind_whoever_came_on() -> None:
    asked = level("desk", "schedule:desk", "user:petra", within="30m", mode={"one_by_one": "2m"})
    story = told(levels=[asked])
    story.event()
    until(story, EIGHT)
    assert story.paged == ["ana", "cid"]
    until(story, EIGHT + timedelta(minutes=3))
    assert story.paged == ["ana", "cid", "petra"]
    assert "Ana did not take it within 2 min" in story.said("paged")[-1]


def test_what_a_point_asked_goes_to_whoever_comes_on_until_somebody_has_seen_it() -> None:
    points = [{"name": "look", "when": "priority <= 2", "do": [{"notify": ["schedule:desk"]}]}]
    story = told(levels=[level("karel", "user:karel")], points=points)
    story.event(severity="critical")
    story.act("acknowledge", user="karel", role="admin")
    until(story, EIGHT)
    page = story.pages[-1]
    assert (page.recipient.name, page.through) == ("cid", "point")
    assert story.standing.assignee == "karel"
    story.act("acknowledge", user="cid", page=page.page_id)
    assert (story.standing.assignee, story.standing.unsettled) == ("karel", ())
    until(story, EIGHT + timedelta(days=1, minutes=1))
    assert "dora" not in story.paged


def test_between_two_turns_of_finally_whoever_comes_on_is_asked_at_once() -> None:
    last = {"notify": ["schedule:desk"], "every": "15m"}
    story = told(levels=[level("petra", "user:petra", within="1m")], **{"finally": last})
    story.now = EIGHT - timedelta(minutes=5)
    story.event()
    until(story, EIGHT)
    assert story.paged == ["petra", "ana", "cid"]
    until(story, EIGHT + timedelta(minutes=11))
    assert story.paged == ["petra", "ana", "cid", "cid"]  # the next turn of finally


def test_who_joined_is_followed_by_who_comes_on_and_it_stays_with_who_has_it() -> None:
    levels = [level("petra", "user:petra", solve_within="10m"), level("experts", within="5m")]
    story = told(levels=levels)
    story.now = EIGHT - timedelta(minutes=11)
    story.event()
    story.act("acknowledge", user="petra", role="lead")
    until(story, EIGHT)
    page = story.pages[-1]
    assert story.paged == ["petra", "ana", "cid"]
    assert page.otherwise == "it stays with Petra"
    story.act("acknowledge", user="cid")
    assert (story.standing.assignee, story.standing.unsettled) == ("petra", ())


@pytest.mark.parametrize("handoff", ["page", "inform"])
def test_an_override_that_begins_is_a_change_of_shift_and_its_end_asks_nobody_twice(handoff: str) -> None:
    story = told(handoff, levels=[level(within="10h")])
    story.now = EIGHT - timedelta(hours=3)
    story.event()
    begins = story.now + timedelta(hours=1)
    story.overlay = override("cid", begins, begins + timedelta(minutes=30))
    story.down_for(seconds=1)  # the API makes it due when an override is made
    until(story, EIGHT - timedelta(seconds=1))
    asked = [name for name, _ in handed(story)] if handoff == "inform" else story.paged[1:]
    assert asked == ["cid"]  # ana, who was asked already, has it again
    assert story.said("handoff")[-1].endswith("Ana, who follows, has been asked or has it already")


@pytest.mark.parametrize("handoff", ["page", "inform"])
def test_cid_who_stands_in_reads_once_until_when_and_that_ana_is_off_meanwhile(handoff: str) -> None:
    story = told(handoff, levels=[level(within="10h")])
    story.now = EIGHT - timedelta(hours=3)
    story.event()
    begins = story.now + timedelta(hours=1)
    story.overlay = override("cid", begins, begins + timedelta(minutes=30))
    story.down_for(seconds=1)  # the API makes it due when an override is made
    until(story, begins)
    if handoff == "page":
        assert story.pages[-1].reason == (
            "you are on call for desk as a stand-in until 2026-01-07 06:30 UTC; "
            "Ana was asked and is off meanwhile, and nobody has taken it"
        )
    else:
        assert handed(story)[-1][1] == (
            "You stand in now, until 2026-01-07 06:30 UTC, and this is open. "
            "Ana was asked and is off meanwhile, and nobody has taken it."
        )
    done = {"page": "paged", "inform": "told"}[handoff]
    stands_in = "Cid stands in on desk until 2026-01-07 06:30 UTC, and nobody has taken it"
    assert story.entries[-1].text == f"{stands_in}: Cid is {done}"
    story.later(minutes=31)
    assert story.said("handoff")[-1].startswith("the time of Cid as a stand-in on desk is over: Ana")


def test_dora_who_stands_in_is_asked_although_the_next_one_was_asked_as_well() -> None:
    """Cid, who follows Ana, was asked with her; he is asked no second time when his shift comes."""
    story = told(levels=[level("desk", "schedule:desk", "next:desk", within="20h")])
    story.now = EIGHT - timedelta(hours=5)
    story.event()
    assert story.paged == ["ana", "cid"]
    story.overlay = override("dora", EIGHT - timedelta(hours=2), EIGHT - timedelta(hours=1))
    story.down_for(seconds=1)  # the API makes it due when an override is made
    until(story, EIGHT - timedelta(hours=2))
    assert story.paged == ["ana", "cid", "dora"]
    until(story, EIGHT + timedelta(minutes=1))
    assert story.paged == ["ana", "cid", "dora"]


def test_an_override_that_is_taken_back_gives_it_back_at_once() -> None:
    story = told(levels=[level(within="10h")])
    story.now = EIGHT - timedelta(hours=3)
    story.overlay = override("dora", story.now, EIGHT)
    story.event()
    assert story.paged == ["dora"]
    story.overlay = NOTHING_CHANGED
    story.down_for(minutes=5)
    assert story.paged == ["dora", "ana"]


def test_petra_has_each_absence_of_ana_as_a_turn_of_its_own() -> None:
    layers = [{"rotation": [user], "shift": "1w", "starts": "2026-01-05T08:00"} for user in ("petra", "ana")]
    schedules = {"desk": {"timezone": "UTC", "handoff": "page", "layers": layers}}
    story = told(levels=[level(within="10h")], schedules=schedules)
    story.event()
    for number in range(2):  # Ana is away for half an hour, twice, and nobody stands in: Petra lies beneath
        begins, ends = story.now, story.now + timedelta(minutes=30)
        away = Override(f"o{number}", "", begins, ends, "user:ana", "ana", begins)
        story.overlay = Overlay(number + 1, {"": [away]})
        story.down_for(seconds=1)
        story.later(hours=1)
    assert story.paged == ["ana", "petra", "petra"]


def test_after_downtime_over_two_changes_only_who_has_it_now_is_asked_and_once() -> None:
    story = told(levels=[level(within="10d")])
    story.event()
    story.down_for(days=1, hours=1)
    assert story.paged == ["ana", "dora"]
    until(story, EIGHT + timedelta(days=1, hours=20))
    assert story.paged == ["ana", "dora"]


def test_a_step_that_is_due_at_the_change_asks_whoever_follows_once() -> None:
    story = told(levels=[level(within="5s"), level("again")])
    story.event()
    until(story, EIGHT + timedelta(minutes=1))
    assert story.paged == ["ana", "cid"]


def test_who_is_asked_at_the_same_step_already_is_not_asked_again() -> None:
    story = told(levels=[level("all", "schedule:desk", "user:cid")])
    story.event()
    until(story, EIGHT + timedelta(minutes=1))
    assert story.paged == ["ana", "cid"]


def test_what_snoozes_is_told_and_not_paged() -> None:
    story = told()
    story.event()
    story.act("snooze", until=EIGHT + timedelta(hours=1))
    until(story, EIGHT)
    assert story.paged == ["ana"]
    assert [name for name, _ in handed(story)] == ["cid"]
    assert "Cid, who follows, is told (snoozed: no page)" in story.said("handoff")[-1]


def test_what_a_machine_acknowledged_is_told_and_not_paged() -> None:
    story = told()
    story.event()
    story.event("acknowledge")
    until(story, EIGHT)
    assert (story.paged, [name for name, _ in handed(story)]) == (["ana"], ["cid"])


def test_what_was_taken_in_time_is_handed_over_once() -> None:
    story = told()
    story.event()
    story.act("acknowledge", user="ana")
    until(story, EIGHT + timedelta(minutes=1))
    assert story.paged == ["ana", "cid"]
    assert [name for name, _ in handed(story)] == ["ana"]


def test_the_next_one_who_was_asked_is_followed_when_their_own_shift_ends() -> None:
    story = told(levels=[level("desk", "next:desk", within="10d")])
    story.event()
    assert story.paged == ["cid"]
    until(story, EIGHT + timedelta(days=1))
    assert story.paged == ["cid", "dora"]


def test_each_who_comes_on_in_a_turn_of_their_own_is_asked_while_nobody_takes_it() -> None:
    story = told(levels=[level(within="10d")])
    story.event()
    until(story, EIGHT + timedelta(days=4))
    assert story.paged == ["ana", "cid", "dora", "ana", "cid", "dora"]


def test_when_nobody_follows_that_is_said_and_asked_again_at_the_next_change() -> None:
    nights = desk(only={"days": "mon-sun", "from": "20:00", "to": "08:00"})
    story = told(levels=[level(within="2d")], schedules=nights)
    story.event()
    until(story, EIGHT.replace(hour=19))
    [said] = story.said("nobody")
    assert "the shift of Ana on desk is over and nobody follows: no layer is active" in said
    until(story, EIGHT.replace(hour=20))
    assert story.paged == ["ana", "cid"]


def test_a_rotation_that_changed_in_the_policy_hands_over_at_the_next_timer() -> None:
    story = told(levels=[level(within="10h")])
    story.event()
    story.policy = compiled(bundle(users=users(), schedules=desk(rotation=["dora"]), **on_main()))
    story.down_for(seconds=1)
    assert story.paged == ["ana", "dora"]


def test_what_is_handed_to_another_policy_is_asked_of_nobody_by_the_first() -> None:
    policies = on_main(levels=[level(within="10h")])["policies"]
    money = {"levels": [level("money", "user:petra", within="10h")], "finally": {"notify": ["user:karel"]}}
    story = tale(users=users(), schedules=desk(), policies=policies | {"money": money})
    story.now = EIGHT - timedelta(seconds=5)
    story.event()
    story.act("escalate", policy="money")
    until(story, EIGHT + timedelta(minutes=1))
    assert story.paged == ["ana", "petra"]


def test_it_changes_hands_by_the_local_clock_also_in_the_night_of_the_change() -> None:
    story = told(
        schedules=desk(zone="Europe/Prague", starts="2026-03-28T02:30"), levels=[level(within="10d")]
    )
    story.now = datetime.fromisoformat("2026-03-29T00:59:55+00:00")
    story.event()
    assert story.paged == ["ana"]
    later = datetime.fromisoformat("2026-03-29T01:00:00+00:00")  # 02:30 does not exist: the first time after
    until(story, later - timedelta(seconds=1))
    assert story.paged == ["ana"]
    until(story, later)
    assert story.paged == ["ana", "cid"]
