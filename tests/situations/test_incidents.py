"""IT incidents: docs/situations/incidents.md."""

from datetime import UTC, datetime, timedelta

from services.router.domain.heartbeats import HeartbeatState, missed
from tests.situations.telling import clock, policy_of, situation


def test_a_restart_that_helps_pages_nobody():
    story = situation("incidents", 2026, 1, 7, 3)
    story.event("disk", service="shop", severity="error")
    assert story.paged("disk") == []
    story.later(seconds=40)
    story.event("disk", "resolve")
    assert (story.of("disk").status, story.of("disk").avoided) == ("resolved", True)
    assert story.paged("disk") == []


def test_a_storm_of_alerts_is_one_page_and_goes_up_until_somebody_takes_it():
    story = situation("incidents", 2026, 1, 7, 9)  # ten in the morning in Prague, Nela's week
    for host in ("a", "b", "c"):
        story.event(
            f"latency-{host}", source="prometheus", service="shop", severity="critical",
            labels={"alertname": "HighLatency", "host": host},
        )  # fmt: skip
    first = story.of("latency-a")
    assert (first.members, first.priority) == (2, 1)
    story.later(minutes=1)
    assert story.paged("latency-a") == ["nela"], "the restart did not help"
    assert (story.paged("latency-b"), story.paged("latency-c")) == ([], [])

    story.later(minutes=5)
    assert sorted(set(story.paged("latency-a"))) == ["liam", "nela", "operations", "petr"]
    assert any("database experts is passed" in text for text in story.said("latency-a", "level_skipped"))
    story.act("latency-a", "acknowledge", user="petr", role="responder")
    assert clock(story, "latency-a", "acknowledge") == ("fulfilled", False)
    paged = len(story.paged("latency-a"))
    story.later(minutes=30)
    for host in ("a", "b", "c"):
        story.event(f"latency-{host}", "resolve")
    assert {story.of(f"latency-{host}").status for host in "abc"} == {"resolved"}
    assert len(story.paged("latency-a")) == paged, "no page after it was taken"
    story.later(hours=2)
    assert {story.of(f"latency-{host}").status for host in "abc"} == {"closed"}


def test_the_cause_is_paged_and_not_what_follows_from_it():
    story = situation("incidents", 2026, 1, 7, 9)
    story.event("db", service="database", severity="critical")
    story.later(minutes=2)
    assert story.paged("db") == ["nela"]
    story.event("shop", service="shop", severity="critical")
    story.later(minutes=10)
    assert story.paged("shop") == []
    story.act("db", "acknowledge", user="petr", role="responder")
    story.act("db", "resolve", user="petr", role="responder")
    story.later(minutes=10)
    assert story.paged("shop")[:1] == ["nela"], (
        "the database is back and the shop still stands: now it is paged"
    )


def test_a_database_is_asked_of_its_experts_one_after_the_other():
    story = situation("incidents", 2026, 1, 7, 9)
    story.event("db", service="database", severity="error")
    story.later(minutes=6)
    assert story.paged("db") == ["nela", "petr"]
    story.later(minutes=3)
    assert story.paged("db") == ["nela", "petr", "liam"]


def test_patches_on_sunday_wake_nobody_unless_it_still_stands():
    story = situation("incidents", 2026, 1, 11, 1, 30)  # half past two in Prague
    story.event("gone", service="shop", severity="critical")
    story.event("stays", service="search", severity="critical")
    story.later(minutes=30)
    story.event("gone", "resolve")
    assert (story.paged("gone"), story.paged("stays")) == ([], [])
    story.later(minutes=62)
    assert story.paged("gone") == []
    assert story.paged("stays")[:1] == ["liam"], "four in the morning is his evening"


def test_whoever_comes_on_shift_is_asked_to_take_over():
    story = situation("incidents", 2026, 1, 7, 20, 30)  # half past nine in the evening in Prague
    story.event("slow", service="search", severity="error")
    story.later(minutes=2)
    story.act("slow", "acknowledge", user="nela", role="responder")
    story.later(minutes=30)
    assert story.paged("slow") == ["nela", "liam"]
    story.act("slow", "acknowledge", user="liam", role="responder")
    assert story.of("slow").assignee == "liam"


def test_a_job_that_does_not_report_becomes_an_incident():
    beat = policy_of("incidents").spec.heartbeats["nightly-backup"]
    since = datetime(2026, 1, 6, 1, 0, tzinfo=UTC)
    watched = HeartbeatState(
        name="nightly-backup", every=beat.every, late_after=beat.late_after, since=since, beat_at=since,
        due_at=since + timedelta(hours=26),
    )  # fmt: skip
    _, event = missed(watched, beat, watched.due_at)
    assert (event.action, event.service, event.title) == (
        "trigger",
        "backup",
        "The nightly backup did not report",
    )
