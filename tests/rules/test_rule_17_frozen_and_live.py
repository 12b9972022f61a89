"""Rule 17: an incident keeps the policies it started with; people, schedules and contacts are today's."""

from typing import Any

from services.router.domain.model.context import Overlay
from shared.policy.oncall.schedules import Override
from tests.domain.tale import START, Tale, bundle, compiled, ladder, tale


def sections(on_call: str = "ana", **parts: Any) -> dict[str, Any]:
    """A level that asks whoever is on call, then Petra; on call is one person, always."""
    layer = {"rotation": [on_call], "shift": "1w", "starts": "2026-01-05T08:00"}
    levels = [
        {"name": "desk", "notify": ["schedule:week"], "acknowledge_within": "5m"},
        {"name": "experts", "notify": ["user:petra"], "acknowledge_within": "10m"},
    ]
    main = ladder(**({"levels": levels, "rounds": 2} | parts))
    return {"schedules": {"week": {"timezone": "UTC", "layers": [layer]}}, "policies": {"main": main}}


def change(story: Tale, **changed: Any) -> None:
    """Another bundle is put in force while the incident is open."""
    story.policy = compiled(bundle(**changed))


def test_the_levels_stay_those_it_started_with() -> None:
    story = tale(**sections())
    story.event()
    shorter = [{"name": "other", "notify": ["user:karel"], "acknowledge_within": "1m"}]
    change(story, **sections(levels=shorter))
    story.later(minutes=5)
    assert story.paged == ["ana", "petra"]
    assert story.standing.policy_hash != story.policy.hash


def test_who_is_on_call_is_as_the_schedule_in_force_says() -> None:
    story = tale(**sections())
    story.event()
    change(story, **sections("karel"))
    story.later(minutes=15)
    assert story.paged == ["ana", "petra", "karel"]


def test_overrides_count_whatever_policy_it_started_with() -> None:
    story = tale(**sections())
    story.event()
    change(story, **sections("karel"))
    stands_in = Override("o", "petra", START, START.replace(hour=12))
    story.overlay = Overlay(1, {"week": [stands_in]})
    story.later(minutes=15)
    assert story.paged == ["ana", "petra", "petra"]


def test_a_schedule_that_vanished_names_nobody_and_the_level_is_passed_with_the_reason() -> None:
    story = tale(**sections())
    story.event()
    change(story, **(sections() | {"schedules": {}}))
    story.later(minutes=15)
    assert "schedule:week: no such schedule in the policy in force" in story.said("nobody")
    assert "level desk is passed at once: it names nobody" in story.said("level_skipped")
    assert story.paged == ["ana", "petra", "petra"]


def test_a_person_who_left_is_nobody() -> None:
    story = tale(**sections())
    story.event()
    people = {name: {"name": name.title()} for name in ("ana", "karel")}
    change(story, users=people, teams={}, customers={}, **sections())
    story.later(minutes=5)
    assert "user:petra: no such user in the policy in force" in story.said("nobody")
    assert story.paged == ["ana", "ana"]  # the experts are passed at once: round two


def test_a_condition_asks_who_is_on_call_now_with_overrides() -> None:
    levels = [
        {
            "name": "desk",
            "notify": ["user:petra"],
            "acknowledge_within": "5m",
            "handles": "on_call('week') == 'ana'",
        },
        {"name": "experts", "notify": ["user:karel"], "acknowledge_within": "5m"},
    ]
    story = tale(**sections(levels=levels))
    story.overlay = Overlay(1, {"week": [Override("o", "karel", START, START.replace(hour=12))]})
    story.event()
    assert story.paged == ["karel"]
    plain = tale(**sections(levels=levels))
    plain.event()
    assert plain.paged == ["petra"]
