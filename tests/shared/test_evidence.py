"""What of an event's links and labels is worth a person's look."""

import pytest

from shared.events import Link, evidence


def test_labels_that_only_machines_read_are_left_out() -> None:
    noise = {
        "fingerprint": "a9b8c7d6e5f40312",
        "__name__": "up",
        "pod_template_hash": "6d4cf56db6",
        "rule_uid": "abc",
        "prometheus_replica": "prometheus-0",
        "trace": "4bf92f3577b34da6a3ce929d0e0e4736",
        "id": "b1946ac9-2bd3-4a5e-9c3e-1f0f6f1c2a11",
        "empty": " ",
    }
    assert evidence.labels(noise | {"team": "db", "instance": "db-3:9100", "cluster": "eu1"}) == {
        "cluster": "eu1",
        "instance": "db-3:9100",
        "team": "db",
    }


def test_where_it_is_comes_first_and_what_is_said_anyway_not_at_all() -> None:
    labels = {
        "a": "1",
        "service": "checkout",
        "severity": "critical",
        "instance": "db-3",
        "alertname": "Disk",
    }
    found = evidence.labels(labels, ("Checkout", "critical", ""))
    assert list(found) == ["alertname", "instance", "a"]


def test_many_and_long_labels_are_bounded_and_stay_in_one_line() -> None:
    found = evidence.labels({f"l{n:02}": "v\nw" * 500 for n in range(64)})
    assert len(found) == evidence.MOST_LABELS
    assert max(map(len, found.values())) == 120
    assert "\n" not in "".join(found.values())


@pytest.mark.parametrize(
    ("link", "name"),
    [
        (Link(href="https://r.example/x", text="runbook_url"), "Runbook"),
        (Link(href="https://g.example/x", text="dashboardURL"), "Dashboard"),
        (Link(href="https://g.example/x", text="source"), "Source"),
        (Link(href="https://g.example/x"), "g.example"),
        (Link(href="https://g.example/x", text="https://g.example/x"), "g.example"),
        (Link(href="https://g.example/p.png", image=True), "Picture (g.example)"),
    ],
)
def test_a_link_is_called_what_it_leads_to(link: Link, name: str) -> None:
    assert evidence.links([link]) == {name: link.href}


@pytest.mark.parametrize(
    "href",
    ["javascript:alert(1)", "mailto:a@b.example", "https://", "//x", "https://x/\n", "https://[x", "x"],
)
def test_what_no_browser_opens_is_no_link(href: str) -> None:
    assert evidence.links([Link(href=href, text="graph")]) == {}


def test_two_links_of_one_name_are_told_apart_and_one_address_stands_once() -> None:
    links = [Link(href=f"https://x.example/{n}", text="graph") for n in (1, 2, 2)]
    assert list(evidence.links(links, ["Graph"])) == ["Graph (2)", "Graph (3)"]
