"""Five senders as they really post, by the files that are shipped (issue 10, B14)."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.intake.dry_run import read_post
from shared.http.problems import Problem
from shared.policy import Bundle, load

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
SENDERS = Path(__file__).parents[2] / "deploy" / "policy" / "senders"

# integration, sample → action, key, title, severity, some labels
BECOMES = {
    "sns-alarm.json": (
        "trigger",
        "arn:aws:cloudwatch:eu-central-1:123456789012:alarm:CPU of web 1",
        "CPU of web 1",
        None,
        {"InstanceId": "i-0123456789abcdef0", "region": "eu-central-1", "account": "123456789012"},
    ),
    "sns-ok.json": (
        "resolve",
        "arn:aws:cloudwatch:eu-central-1:123456789012:alarm:CPU of web 1",
        None,
        None,
        {},
    ),
    "sns-text.json": ("trigger", "165545c9-2a5c-472c-8df2-7ff2be2b3b1b", "Backup of orders failed", None, {}),
    "nagios-service.json": (
        "trigger",
        "web-1/Disk /var",
        "web-1 Disk /var is critical: DISK CRITICAL - free space: /var 120 MB (2% inode=98%)",
        "critical",
        {"host": "web-1", "check": "Disk /var"},
    ),
    "nagios-host.json": (
        "trigger",
        "web-1",
        "web-1 is down: PING CRITICAL - Packet loss = 100%",
        "critical",
        {"check": "host"},
    ),
    "nagios-recovery.json": ("resolve", "web-1/Disk /var", None, None, {}),
    "nagios-acknowledged.json": ("acknowledge", "web-1/Disk /var", None, None, {}),
    "github-run-failed.json": (
        "trigger",
        "acme/shop/Build@main",
        "Build of acme/shop failed on main",
        "error",
        {"branch": "main", "by": "ana"},
    ),
    "github-run-passed.json": ("resolve", "acme/shop/Build@main", None, None, {}),
    "github-issue.json": ("trigger", "acme/shop#1347", "Customers cannot pay", None, {"by": "ana"}),
    "sentry-issue.json": (
        "trigger",
        "issue-1170820242",
        "ReferenceError: blooopy is not defined",
        "error",
        {"issue": "SHOP-1A", "project": "shop"},
    ),
    "sentry-event-alert.json": (
        "trigger",
        "issue-1170820242",
        "ReferenceError: blooopy is not defined",
        "critical",
        {"browser": "Firefox 134", "environment": "production"},
    ),
    "sentry-metric-resolved.json": ("resolve", "metric-1", None, None, {}),
    "zabbix-problem.json": (
        "trigger",
        "94811",
        "db-1: High CPU utilization (over 90% for 5m)",
        "error",
        {"component": "cpu", "scope": "performance", "host": "db-1"},
    ),
    "zabbix-recovery.json": ("resolve", "94811", None, None, {}),
    "zabbix-acknowledged.json": ("acknowledge", "94811", None, None, {}),
    "grafana-legacy-alerting.json": ("trigger", "1/1/17", "CPU of web", "critical", {"team": "web"}),
    "grafana-legacy-ok.json": ("resolve", "1/1/17", None, None, {}),
}


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load(SENDERS)


def posted(bundle: Bundle, name: str, body: bytes, headers: dict[str, str]):
    return read_post(bundle, name, body, headers, NOW)


def test_every_recorded_body_becomes_the_event_that_its_sender_means(bundle: Bundle):
    seen = {}
    for name, integration in bundle.integrations.items():
        for sample in integration.samples:
            events, ignored = posted(bundle, name, (SENDERS / sample.file).read_bytes(), sample.headers)
            for event in events:
                assert not event.unmapped, (sample.file, event.unmapped)
                assert not event.notes, (sample.file, event.notes)
                wanted = BECOMES[Path(sample.file).name][-1]
                labels = {key: event.labels.get(key) for key in wanted}
                said = (event.action, event.dedup_key, event.title, event.severity, labels)
                seen[Path(sample.file).name] = said
            assert len(events) + ignored == 1, sample.file
    assert seen == BECOMES


def test_every_recorded_body_is_named_as_a_sample(bundle: Bundle):
    named = {sample.file for each in bundle.integrations.values() for sample in each.samples}
    assert named == {f"samples/{file.name}" for file in (SENDERS / "samples").iterdir()}


def test_what_leads_on_comes_with_the_event(bundle: Bundle):
    """Links to where the problem can be looked at, as each of these senders has them."""
    for name, file, headers, link in (
        ("github", "github-run-failed.json", {}, "https://github.com/acme/shop/actions/runs/30433642"),
        (
            "zabbix",
            "zabbix-problem.json",
            {},
            "https://zabbix.example/tr_events.php?triggerid=22391&eventid=94811",
        ),
        ("nagios", "nagios-service.json", {}, "https://wiki.example/disk"),
        ("grafana-legacy", "grafana-legacy-alerting.json", {}, "https://grafana.example/render/abc.png"),
    ):
        (event,), _ = posted(bundle, name, (SENDERS / "samples" / file).read_bytes(), headers)
        assert link in [each.href for each in event.links]


def test_a_ping_and_a_run_that_goes_on_are_ignored(bundle: Bundle):
    body = b'{"action": "requested", "workflow_run": {"id": 1, "conclusion": null}}'
    assert posted(bundle, "github", body, {"X-GitHub-Event": "workflow_run"}) == ([], 1)


def test_a_body_that_none_of_their_shapes_takes_is_refused_with_what_was_tried(bundle: Bundle):
    with pytest.raises(Problem) as refused:
        posted(bundle, "github", b'{"action": "created"}', {"X-GitHub-Event": "star"})
    (fault,) = refused.value.faults
    assert (
        "map[0].when (body.workflow_run.conclusion == 'success'): no field \"workflow_run\" was sent"
        in fault.reason
    )
    assert "map[2].when" in fault.reason
