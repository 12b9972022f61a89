"""Customer support with tiers: docs/situations/support.md."""

from tests.situations.telling import clock, customer_says, situation, told


def test_what_stands_still_at_a_gold_customer_is_solved_refused_and_solved_again():
    story = situation("support", 2026, 1, 7, 2)  # a Wednesday, three in the morning in Prague
    case = story.event("case-1", customer="buyer@acme.example", severity="critical", kind="customer_case")
    assert (case.customer, case.tier, case.priority, case.sla) == ("acme", "gold", 1, "gold, it stands still")
    assert story.paged("case-1") == ["ela"]
    assert told(story, "case-1", "customer") == ["opened"]

    story.later(minutes=3)
    assert story.paged("case-1") == ["ela", "tom"], "nobody took it: the specialist of this week"
    story.act("case-1", "acknowledge", user="tom", role="responder")
    assert clock(story, "case-1", "acknowledge") == ("fulfilled", False)
    story.later(minutes=5)
    story.act("case-1", "update", user="tom", role="responder", text="We found it and are repairing it.")
    assert clock(story, "case-1", "respond") == ("fulfilled", False)
    assert told(story, "case-1", "customer") == ["opened", "update"]

    story.later(minutes=30)
    story.act("case-1", "resolve", user="tom", role="responder")
    assert clock(story, "case-1", "resolve") == ("fulfilled", False)
    assert story.of("case-1").status == "resolved", "solved is not over"
    story.later(minutes=10)
    customer_says(story, "case-1", "refuse", note="It happens again.")
    assert story.of("case-1").status == "triggered"
    assert clock(story, "case-1", "resolve")[0] == "running"
    taken = story.paged("case-1")[-1]
    story.act("case-1", "acknowledge", user=taken)
    story.later(minutes=20)
    story.act("case-1", "resolve", user=taken)
    customer_says(story, "case-1", "confirm", rating=5)
    over = story.of("case-1")
    assert (over.status, over.confirmed.rating, over.reopened) == ("closed", 5, 1)
    assert clock(story, "case-1", "close") == ("fulfilled", False)
    assert clock(story, "case-1", "resolve") == ("fulfilled", False)


def test_an_ordinary_case_waits_for_the_office_and_its_promises_do_too():
    story = situation("support", 2026, 1, 9, 17, 30)  # a Friday evening, half past six in Prague
    case = story.event("case-2", customer="Borealis", severity="warning", kind="customer_case")
    assert (case.tier, case.sla) == ("silver", "silver")
    assert story.paged("case-2") == []
    story.later(hours=61, minutes=29)  # Monday, 07:59 in Prague
    assert story.paged("case-2") == []
    story.later(minutes=1)
    assert story.paged("case-2") == ["jan"], "the week began at eight: it is his turn"
    assert clock(story, "case-2", "acknowledge") == ("running", False)
    story.later(minutes=20)
    story.act("case-2", "acknowledge", user="jan", role="responder")
    assert clock(story, "case-2", "acknowledge") == ("fulfilled", False)


def test_while_the_customer_does_not_answer_its_promises_stand_still_and_it_is_reminded():
    story = situation("support", 2026, 1, 7, 9)
    story.event("case-3", customer="borealis", severity="warning", kind="customer_case")
    story.act("case-3", "acknowledge", user="ela", role="responder")
    until = story.now.replace(day=20)
    story.act("case-3", "wait", user="ela", role="responder", waiting_for="customer", until=until)
    assert clock(story, "case-3", "resolve") == ("paused", False)
    story.later(days=3)
    assert "We are waiting for your answer to go on." in story.said("case-3", "update")
    story.later(days=3)
    assert len(story.said("case-3", "update")) == 2, "again every three days"
    story.act("case-3", "resume", user="ela", role="responder")
    assert clock(story, "case-3", "resolve") == ("running", False)


def test_silence_counts_as_yes_after_three_days():
    story = situation("support", 2026, 1, 7, 9)
    story.event("case-4", severity="warning", kind="question")
    assert story.of("case-4").tier == "standard", "whoever nobody knows"
    story.act("case-4", "acknowledge", user="ela", role="responder")
    story.act("case-4", "resolve", user="ela", role="responder")
    story.later(days=3)
    assert story.of("case-4").status == "closed"


def test_a_question_is_never_asked_of_specialists():
    story = situation("support", 2026, 1, 7, 9)
    story.event("case-5", customer="acme", severity="warning", kind="question")
    story.later(hours=9)
    assert not {"tom", "iva"} & set(story.paged("case-5"))
    assert any("does not handle this" in text for text in story.said("case-5", "level_skipped"))
