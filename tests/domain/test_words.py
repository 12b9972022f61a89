"""What people read, and what must not reach outsiders."""

from tests.domain.tale import ladder, on_main, tale


def test_a_customer_on_a_level_reads_nothing_internal():
    levels = [ladder()["levels"][0], {"name": "them", "notify": ["customer"], "acknowledge_within": "5m"}]
    story = tale(**on_main(levels=levels))
    story.event(customer="acme")
    story.act("escalate", note="they broke it themselves")
    page = story.pages[-1]
    assert page.recipient.kind == "customer"
    assert (page.reason, page.otherwise) == ("it concerns you as our customer", "")


def test_a_customer_whom_a_point_informs_reads_nothing_internal():
    points = [
        {"name": "angry customer", "when": "events >= 2", "do": [{"inform": ["customer", "user:karel"]}]}
    ]
    story = tale(**on_main(points=points))
    story.event(customer="acme")
    story.event()
    outside = next(notice for notice in story.notices if notice.recipient.kind == "customer")
    assert (outside.stakeholder, outside.text) == (True, "")
    assert "angry" not in outside.reason
    inside = next(notice for notice in story.notices if notice.recipient.name == "karel")
    assert inside.text == "Escalation point: angry customer"


def test_the_timeline_does_not_show_the_secret_part_of_an_address():
    address = "https://hooks.example/services/T0/SECRET"
    levels = [{"name": "only", "notify": [{"webhook": address}], "acknowledge_within": "5m"}]
    points = [{"name": "p", "when": "events >= 2", "do": [{"inform": [{"webhook": address}]}]}]
    subscriptions = [{"who": [{"webhook": address}], "events": ["resolved"]}]
    story = tale(**on_main(levels=levels, points=points), subscriptions=subscriptions)
    story.event()
    story.event()
    story.report(story.pages[0], "reached")
    story.act("resolve")
    assert not [entry.text for entry in story.entries if "SECRET" in entry.text]
    assert "hooks.example" in story.said("paged")[0]


def test_what_a_point_hands_up_is_said_in_a_sentence():
    points = [
        {
            "name": "third time",
            "when": "events >= 3",
            "do": [{"escalate": {"level": "experts"}, "because": "expertise"}],
        }
    ]
    story = tale(**on_main(points=points))
    for _ in range(3):
        story.event()
    assert story.said("paged")[-1] == (
        "level experts is paged because escalation point third time was reached (expertise): Petra; "
        "10 min to take it"
    )
    assert story.pages[-1].reason == (
        "named in the policy (level experts; escalation point third time was reached (expertise))"
    )


def test_an_incident_that_cannot_be_reopened_closes_with_a_sentence():
    story = tale(**on_main(reopen_within="0s"))
    story.event()
    story.event("resolve")
    story.later(seconds=1)
    assert story.standing.status == "closed"
    assert story.said("closed") == ["closed: resolved, and the same problem would open a new incident"]


def test_a_point_at_a_share_of_a_clock_names_its_clock_to_those_inside():
    """So that their messages say which promise it is about, and by when."""
    inform, asks = {"inform": ["customer", "user:karel"]}, {"notify": ["user:petra"]}
    points = [
        {"name": "half is gone", "at": "50% of resolve", "do": [inform, asks]},
        {"name": "angry", "when": "events >= 2", "do": [asks]},
    ]
    story = tale(**on_main(points=points), slas=[{"name": "all", "resolve": "1h"}])
    story.event(customer="acme")
    story.event()
    story.later(minutes=30)
    told = {notice.recipient.kind: notice.targets for notice in story.notices}
    assert told == {"customer": (), "user": ("resolve",)}
    by_points = {page.reason: page.targets for page in story.pages if page.through == "point"}
    assert [*by_points.values()] == [(), ("resolve",)]
