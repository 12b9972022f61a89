"""What an integration's `map`, `ignore` and `each` make of a body (issue 10, B10 and B11)."""

import pytest

from services.intake.metrics import IGNORED
from services.router.batch.expression_failures import of_mapping
from shared.policy import Integration
from tests.services.intake.fakes import TICKETS, FakeLog, bearer, bundle, intake
from tests.services.intake.test_posting import assert_problem

PATH, HEADERS = "/v1/integrations/tickets", bearer(TICKETS)


def reading(**said) -> FakeLog:
    """Intake whose integration `tickets`, of kind json, says this."""
    whole = bundle()
    keys = whole.integrations["tickets"].model_dump(mode="json")["keys"]
    tickets = Integration.model_validate({"kind": "json", "keys": keys, **said})
    return FakeLog(policy=whole.model_copy(update={"integrations": {"tickets": tickets}}))


async def posted(body, headers=HEADERS, path=PATH, **said):
    """The answer to a post under such an integration, and the events that came of it."""
    log = reading(**said)
    async with intake(log) as client:
        answer = await client.post(path, json=body, headers=headers)
    return answer, log.events


async def one(body, **said):
    answer, (event,) = await posted(body, **said)
    assert answer.status_code == 202
    return event


RUN = {"workflow_run": {"id": 7, "conclusion": "failure"}, "alert-name": "Disk", "host.name": "web-1"}


async def test_the_whole_body_has_a_name_so_that_any_field_of_it_can_be_asked_for():
    event = await one(
        RUN,
        map={
            "title": "body['alert-name'] + ' on ' + body['host.name']",
            "dedup_key": "has(body.workflow_run.id) ? string(body.workflow_run.id) : body['host.name']",
            "attributes.run": "has(body.nothing) ? 'never' : 'as it should'",
            "attributes.whole": "body",
        },
    )
    assert (event.title, event.dedup_key) == ("Disk on web-1", "7")
    assert event.attributes == {"run": "as it should", "whole": RUN}


async def test_bare_names_of_stored_policies_go_on_working():
    """Also for a sender whose own field is called `body`: as text, and with fields of its own."""
    old = {"title": "ticket.subject", "description": "body", "service": "headers.service"}
    sent = {"ticket": {"subject": "Down"}, "body": "All of it", "headers": {"service": "checkout"}}
    event = await one(sent, map=old)
    assert (event.title, event.description, event.service) == ("Down", "All of it", "checkout")
    event = await one({"body": {"subject": "Down"}}, map={"title": "body.subject"})
    assert event.title == "Down"
    event = await one({"body": {"subject": "Down"}}, map={"title": "body.body.subject"})
    assert event.title == "Down"


async def test_headers_are_seen_by_their_lower_case_names_and_a_key_never_is():
    said = {"title": "'x'", "attributes.headers": "headers", "kind": "headers['x-github-event']"}
    sent = {"X-GitHub-Event": "incident", "X-Copy": f"my {TICKETS}", "Cookie": "c", "X-Routing-Key": "r"}
    kept = {"X-Author": "ana", "X-Tokens-Used": "3", "Idempotency-Key": "once"}
    sent |= {"X-Gitlab-Token": "t", "X-Forwarded-Access-Token": "u", "X-Hub-Signature-256": "s"} | kept
    for headers, path in (
        (HEADERS | sent, PATH),
        (sent, f"{PATH}/{TICKETS}"),
        (sent, f"{PATH}?key={TICKETS}"),
    ):
        _, (event,) = await posted({}, headers, path, map=said)
        assert event.kind == "incident"
        seen = event.attributes["headers"]
        assert seen["x-github-event"] == "incident"
        assert not {"authorization", "cookie", "x-routing-key", "x-copy", "x-gitlab-token"} & seen.keys()
        assert not {"x-forwarded-access-token", "x-hub-signature-256"} & seen.keys()
        assert {name: seen[name.lower()] for name in kept} == kept
        assert TICKETS not in str(seen)


SHAPES = [
    {"when": "body.action == 'opened'", "map": {"title": "body.issue.title", "dedup_key": "body.issue.id"}},
    {
        "when": "body.workflow_run.conclusion == 'failure'",
        "map": {"title": "'Run failed'", "dedup_key": "body.workflow_run.id"},
    },
    {"when": "headers['x-kind']", "map": {"title": "'never'"}},
]


async def test_one_integration_takes_several_shapes_of_a_sender():
    event = await one({"action": "opened", "issue": {"title": "It is down", "id": 3}}, map=SHAPES)
    assert (event.title, event.dedup_key, event.unmapped) == ("It is down", "3", {})
    event = await one(RUN, map=SHAPES)
    assert (event.title, event.dedup_key) == ("Run failed", "7")
    event = await one({}, map=[*SHAPES, {"map": {"title": "'Anything'"}}])
    assert event.title == "Anything"


async def test_a_body_that_no_condition_takes_is_refused_with_what_was_tried():
    answer, events = await posted({"action": "closed"}, HEADERS | {"X-Kind": "text"}, map=SHAPES)
    assert_problem(answer, 422, "invalid-event", "body")
    assert answer.json()["errors"][0]["reason"] == (
        "no `when` of the integration's map is true: "
        "map[0].when (body.action == 'opened'): false; "
        "map[1].when (body.workflow_run.conclusion == 'failure'): no field \"workflow_run\" was sent; "
        "map[2].when (headers['x-kind']): it gives a text, not true or false"
    )
    assert events == []


async def test_a_field_that_fails_in_one_shape_of_several_is_named_by_its_place():
    shapes = [SHAPES[0], {"map": {"title": "'x'", "service": "body.none"}}]
    event = await one({}, map=shapes)
    why = 'no field "none" was sent'
    assert event.unmapped == {"[1].map.service": why}
    assert of_mapping(event, "hash") == {("hash", "integrations.tickets.map[1].map.service"): why}
    answer, _ = await posted({}, map=[SHAPES[0], {"map": {"title": "body.titel"}}])
    assert answer.json()["errors"][0]["reason"] == (
        'needed for trigger: map[1].map.title (body.titel): no field "titel" was sent'
    )


async def test_what_is_to_be_ignored_is_dropped_with_202_and_counted():
    before = IGNORED.labels("tickets")._value.get()
    said = {"map": {"title": "body.t"}, "ignore": "body.zen != ''"}
    answer, events = await posted({"zen": "Keep it simple"}, **said)
    assert (answer.status_code, answer.json()) == (202, {"accepted": 0, "events": [], "ignored": 1})
    assert events == []
    assert IGNORED.labels("tickets")._value.get() == before + 1
    answer, events = await posted([{"zen": "x"}, {"t": "Down"}], **said)
    assert (answer.json()["accepted"], answer.json()["ignored"]) == (1, 1)
    assert [event.title for event in events] == ["Down"]


async def test_an_ignore_that_cannot_be_evaluated_drops_nothing():
    assert (await one({"t": "Down"}, map={"title": "body.t"}, ignore="body.zen != ''")).title == "Down"


GROUP = {
    "cluster": "west",
    "alerts": [
        {"id": "a", "name": "Disk", "state": "bad"},
        {"id": "b", "name": "Fan", "state": "unknown"},
        {"id": "c", "state": "ok"},
    ],
}
EACH = {
    "each": "body.alerts",
    "ignore": "item.state == 'unknown'",
    "map": [
        {"when": "item.state == 'ok'", "map": {"action": "'resolve'", "dedup_key": "item.id"}},
        {"map": {"title": "item.name + ' in ' + body.cluster", "dedup_key": "item.id"}},
    ],
}


async def test_a_list_in_the_body_becomes_several_events():
    answer, events = await posted(GROUP, **EACH)
    assert (answer.json()["accepted"], answer.json()["ignored"]) == (2, 1)
    assert [(event.action, event.title, event.dedup_key) for event in events] == [
        ("trigger", "Disk in west", "a"),
        ("resolve", None, "c"),
    ]
    assert len({event.event_id for event in events}) == 2


async def test_events_of_one_list_have_ids_that_the_senders_own_id_makes():
    first, again = [(await posted(GROUP, HEADERS | {"Idempotency-Key": "one"}, **EACH))[1] for _ in range(2)]
    assert [event.event_id for event in first] == [event.event_id for event in again]
    assert len({event.event_id for event in first}) == 2


@pytest.mark.parametrize(
    ("body", "field", "reason"),
    [
        ({}, "body", 'each (body.alerts): no field "alerts" was sent'),
        ({"alerts": "none"}, "body", "each (body.alerts): it gives a text, not a list"),
        ({"alerts": [{"id": "c", "state": "ok"}, 5]}, "/1/title", "needed for trigger: map[1].map.title"),
        ([GROUP, {"alerts": {}}], "/1", "each (body.alerts): it gives a map, not a list"),
        ([GROUP, {"alerts": [{}]}], "/1/0/title", "needed for trigger: map[1].map.title"),
        ({"alerts": [{}] * 1001}, "body", "more than 1000 events in one post"),
    ],
)
async def test_a_list_that_gives_no_events_is_refused_whole(body, field, reason):
    answer, events = await posted(body, **EACH)
    assert_problem(answer, 422, "invalid-event", field)
    assert answer.json()["errors"][0]["reason"].startswith(reason)
    assert events == []


async def test_an_empty_list_has_no_events_and_null_is_one():
    for body in ({"alerts": []}, {"alerts": None}):
        answer, events = await posted(body, **EACH)
        assert (answer.status_code, answer.json(), events) == (202, {"accepted": 0, "events": []}, [])


async def test_links_labels_and_attributes_can_be_mapped_as_a_whole():
    body = {
        "tags": {"region": "west", "count": 3, "none": None},
        "extra": {"cpu": 97.5, "top": ["a", "b"]},
        "run": "https://runbooks.example/disk",
        "links": [
            {"href": "https://a.example", "text": "Graph", "image": True},
            "https://b.example",
            None,
            5,
        ],
    }
    event = await one(
        body,
        set={"labels.team": "desk", "attributes.cpu": "overridden"},
        map={
            "title": "'x'",
            "labels": "body.tags",
            "labels.region": "'east'",
            "attributes": "body.extra",
            "links": "body.links + [{'Runbook': body.run}, {'href': 'javascript:alert(1)'}]",
        },
    )
    assert event.labels == {"team": "desk", "region": "east", "count": "3"}
    assert event.attributes == {"cpu": "overridden", "top": ["a", "b"]}
    assert [(link.href, link.text, link.image) for link in event.links] == [
        ("https://a.example", "Graph", True),
        ("https://b.example", "", False),
        ("https://runbooks.example/disk", "Runbook", False),
    ]
    assert "link '5' was left out" in event.notes


async def test_a_whole_that_is_none_leaves_the_event_and_a_note():
    event = await one(
        {"a": 1}, map={"title": "'x'", "labels": "body.a", "attributes": "'text'", "links": "body.a"}
    )
    assert (event.labels, event.attributes, event.links) == ({}, {}, ())
    assert {"labels is not a map of strings", "attributes is not a map"} <= set(event.notes)


async def test_json_inside_text_is_read():
    body = {"Type": "Notification", "Message": '{"AlarmName": "Disk", "NewStateValue": "ALARM", "n": 1}'}
    event = await one(
        body,
        map={
            "title": "json(body.Message).AlarmName.upperAscii()",
            "action": "json(body.Message).NewStateValue == 'OK' ? 'resolve' : 'trigger'",
            "attributes": "json(body.Message)",
        },
    )
    assert (event.title, event.action, event.attributes["n"]) == ("DISK", "trigger", 1)


async def test_of_alertmanagers_posts_the_body_is_the_whole_and_bare_names_are_one_alerts():
    log = reading()
    keys = log.policy.integrations["tickets"].model_dump(mode="json")["keys"]
    said = {"title": "labels.alertname + ' for ' + body.receiver", "source": "headers['user-agent']"}
    prometheus = Integration.model_validate({"kind": "alertmanager", "keys": keys, "map": said})
    log.policy = log.policy.model_copy(update={"integrations": {"tickets": prometheus}})
    alerts = [{"status": "firing", "labels": {"alertname": name}} for name in ("A", "B")]
    async with intake(log) as client:
        sent = {"receiver": "desk", "alerts": alerts}
        assert (await client.post(PATH, json=sent, headers=HEADERS | {"User-Agent": "am"})).status_code == 202
    assert [(event.title, event.source) for event in log.events] == [
        ("A for desk", "am"),
        ("B for desk", "am"),
    ]


async def test_a_name_that_was_nearly_right_is_suggested():
    answer, _ = await posted({"ticket": {}}, map={"title": "tickt.subject"})
    assert "nothing named 'tickt' was sent; did you mean 'ticket'?" in answer.json()["errors"][0]["reason"]
    answer, _ = await posted({}, map={"title": "item.subject"})
    assert "nothing named 'item' was sent, and there is no `each`" in answer.json()["errors"][0]["reason"]


@pytest.mark.parametrize(
    ("when", "why"),
    [
        (
            "body.heartbeat.status == 0",
            "a field was asked of what has none: null, a text, a number or a list",
        ),
        ("body.count > 'x'", "'>' does not take a whole number, a text"),
        ("body.count.startsWith('x')", "startsWith does not take a whole number, a text"),
        ("json(body.count).x == 1", "json does not take a whole number"),
        ("body.text in body.count", "'in' does not take what was sent"),
        ("!body.text", "'!' does not take what was sent"),
    ],
)
async def test_why_an_expression_gave_nothing_is_said_without_the_librarys_words(when, why):
    sent = {"heartbeat": None, "count": 5, "text": "x"}  # Uptime Kuma's test message has such a null
    answer, _ = await posted(sent, map=[{"when": when, "map": {"title": "'x'"}}])
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["reason"].endswith(f"({when}): {why}")


async def test_tags_of_uptime_kuma_and_of_amazon_become_labels():
    kuma = {"tag_id": 1, "monitor_id": 1, "value": "prod", "name": "env", "color": "#123"}
    event = await one(
        {"tags": [kuma, {"Key": "team", "Value": "desk"}]}, map={"title": "'x'", "labels": "body.tags"}
    )
    assert event.labels == {"env": "prod", "team": "desk"}


async def test_a_key_that_is_a_whole_map_is_the_same_for_trigger_and_resolve():
    said = {"dedup_key": "body.labels", "title": "'x'"}
    names = [f"name-{number}" for number in range(20)]
    keys = {
        (await one({"labels": dict.fromkeys(order, "v")}, map=said)).dedup_key
        for order in (names, names[::-1], names[7:] + names[:7])
    }
    assert len(keys) == 1
