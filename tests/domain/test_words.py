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


def test_how_it_was_solved_is_read_by_everybody_inside_and_by_nobody_outside():
    """The page asks for it "for people inside": those who were paged, who follow, and who subscribed."""
    subscriptions = [{"who": ["user:karel", "customer"], "events": ["resolved"]}]
    story = tale(subscriptions=subscriptions)
    story.event(customer="acme")
    story.later(minutes=5)
    story.act("acknowledge", user="petra")
    story.act("resolve", user="petra", note="rolled back")
    texts = {each.recipient.name: each.text for each in story.notices if each.event == "resolved"}
    assert texts == {
        "acme": "",
        "karel": "Resolved by Petra: rolled back.",
        "ana": "Resolved by Petra: rolled back.",
    }


def test_whoever_had_it_reads_that_it_was_taken_over_from_them():
    story = tale()
    story.event()
    story.act("acknowledge", user="ana")
    story.act("acknowledge", user="petra", assignee="petra")
    if story.standing.assignee == "ana":  # taking from another is said as such
        story.act("assign", user="petra", to="petra")
    (notice,) = [each for each in story.notices if each.recipient.name == "ana" and each.event == "taken"]
    assert (notice.text, notice.reason) == ("Petra took it over from you.", "it was assigned to you")
