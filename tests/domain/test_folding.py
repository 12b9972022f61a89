"""How what an event says becomes part of the record (docs/rules.md, rules 14, 16, 17)."""

import msgspec

from tests.domain.tale import bundle, compiled, on_main, tale

CUSTOMERS = {
    "big": {"name": "Big", "match": ["shared.example"]},
    "exact": {"name": "boss@shared.example"},
}


def test_a_customers_name_goes_before_another_ones_mail_domain():
    story = tale(customers=CUSTOMERS)
    story.event(customer="boss@shared.example")
    assert story.standing.customer == "exact"


def test_the_same_customer_said_by_another_name_is_no_change():
    story = tale()
    story.event(customer="Acme Ltd")
    story.event(customer="Acme Ltd")
    assert len(story.said("customer")) == 1
    assert story.said("repeated") == ["repeated (2 events)"]


def test_a_record_stays_bounded_however_many_attributes_come_one_by_one():
    story = tale()
    story.event()
    for number in range(60):
        story.event(
            "update", attributes={f"n{number}": "x" * 4000}, labels={f"l{number}{n}": "y" for n in range(9)}
        )
    assert len(msgspec.json.encode(story.standing.attributes)) <= 64 * 1024
    assert len(story.standing.labels) <= 64
    assert "n59" in story.standing.attributes
    assert "dropped" in " ".join(story.said("intake"))


def test_conditions_ask_who_is_on_call_in_the_schedules_of_now():
    def week(user: str) -> dict:
        layers = [{"rotation": [user], "shift": "1w", "starts": "2026-01-05T08:00"}]
        return {"week": {"timezone": "UTC", "layers": layers}}

    points = [{"name": "p", "when": "events >= 2", "do": [{"inform": ["user:karel"]}]}]
    levels = [
        {
            "name": "desk",
            "notify": ["user:ana"],
            "handles": "on_call('week') == 'ana'",
            "acknowledge_within": "5m",
        },
        {"name": "experts", "notify": ["user:petra"], "acknowledge_within": "10m"},
    ]
    sections = on_main(levels=levels, points=points, rounds=2)
    story = tale(**sections, schedules=week("ana"))
    story.event()
    assert story.paged == ["ana"]
    story.policy = compiled(bundle(**sections, schedules=week("petra")))
    story.later(minutes=20)
    assert story.paged == ["ana", "petra", "petra"]


def test_a_resolve_says_what_intake_had_to_change():
    story = tale()
    story.event()
    story.event("resolve", notes=("title cut",))
    assert story.said("intake") == ["title cut"]


def test_whoever_triggers_it_again_is_named_as_the_one_who_reopened_it():
    story = tale()
    story.event()
    story.event("resolve")
    story.event()
    reopened = next(entry for entry in story.entries if entry.kind == "reopened")
    assert reopened.actor == "integration:test"


def test_a_repeats_pagerduty_details_replace_those_before_and_the_timeline_says_what_changed():
    story = tale()
    story.event(attributes={"host": "db-1", "disk": "91 %", "region": "eu"}, details_whole=True)
    story.act("set", changes={"attributes": {"ticket": "T-1"}})
    story.event(attributes={"host": "db-1", "disk": "97 %", "inodes": 3}, details_whole=True)
    assert story.standing.attributes == {"ticket": "T-1", "host": "db-1", "disk": "97 %", "inodes": 3}
    assert story.said("intake") == ["details replaced: disk 91 % → 97 %, new: inodes 3, gone: region eu"]
    assert story.said("repeated") == ["repeated (2 events); changed: attributes"]
    story.event(attributes={"host": "db-1", "disk": "97 %", "inodes": 3}, details_whole=True)
    assert len(story.said("intake")) == 1
    story.event()  # says nothing of details
    assert "disk" in story.standing.attributes
    story.event(details_whole=True)  # says that there are none
    assert story.standing.attributes == {"ticket": "T-1"}


def test_what_replaced_details_are_told_in_a_line_however_many_there_are():
    story = tale()
    story.event(attributes={f"n{number}": "x" * 500 for number in range(60)}, details_whole=True)
    story.event(attributes={f"m{number}": [number] for number in range(60)}, details_whole=True)
    (told,) = story.said("intake")
    assert len(told) < 1_000
    assert told.endswith(", and 110 more")


def test_other_senders_details_are_added_to_as_before():
    story = tale()
    story.event(attributes={"host": "db-1"})
    story.event(attributes={"disk": "91 %"})
    assert story.standing.attributes == {"host": "db-1", "disk": "91 %"}
