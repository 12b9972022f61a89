"""What a message says, for whom, and how it is planned: the pure part."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from services.notifier.domain.delivery_outcome import after_failure, report
from services.notifier.domain.messages.compose import render
from services.notifier.domain.messages.times import local, relative, shortly
from services.notifier.domain.messages.webhook_body import LARGEST, webhook_body
from services.notifier.domain.plan import plan, told_who_took_it
from services.notifier.domain.retries import gives_up_at
from services.notifier.sending.links import answers_of, links_of
from shared.events import ClockSnapshot, Contact, Link, Recipient, public_wording
from shared.policy.loading.load import load
from shared.policy.templates.dry_run import sample
from shared.security.keys import Signer
from tests.policy.bundles import EXAMPLE
from tests.services.notifier.building import (
    T0,
    address,
    bundle,
    changed,
    incident,
    notice,
    page,
    user,
)

SIGNER = Signer(("a key",))
URL = "https://ladder.example"


def rendered_of(message, policy=None, now=T0, which=0):
    policy = policy or bundle()
    delivery = plan(message, policy, now).deliveries[which]
    return delivery, render(delivery, policy, links_of(delivery, URL, SIGNER), now)


def claims_of(link):
    return SIGNER.verify("reply", link.removeprefix(f"{URL}/v1/replies/link/"), T0)


def test_a_page_goes_to_every_contact_of_a_user_at_once():
    ana = {
        "bot": {"webhook": "http://x.test/a"},
        "mail": {"email": "ana@example.com"},
        "box": {"inbox": "ana"},
    }
    planned = plan(changed(page()), bundle({"ana": ana}), T0)
    assert {delivery.channel for delivery in planned.deliveries} == {"webhook", "email", "inbox"}
    assert {delivery.next_attempt_at for delivery in planned.deliveries} == {T0}
    assert planned.reports == ()


def test_a_page_to_a_team_goes_to_its_room():
    teams = {"desk": {"members": ["ana"], "contacts": {"room": {"webhook": "http://x.test/room"}}}}
    recipient = msgspec.convert({"kind": "team", "name": "desk"}, type(user()))
    (delivery,) = plan(changed(page(recipient)), bundle(teams=teams), T0).deliveries
    assert (delivery.contact, delivery.address) == ("room", "http://x.test/room")


@pytest.mark.parametrize(
    ("asked", "buttons"),
    [
        (page(), {"acknowledge", "escalate"}),
        (page(through="point"), {"acknowledge"}),  # who only looks hands nothing up
        (page(Recipient(kind="team", name="desk")), {"acknowledge"}),  # nobody knows who pressed it
        (page(Recipient(kind="customer", name="acme")), set()),
    ],
)
def test_a_button_that_acts_at_once_stands_where_its_reader_may_do_it(asked, buttons):
    room = {"room": {"webhook": "http://x.test/room"}}
    policy = bundle(
        teams={"desk": {"members": ["ana"], "contacts": room}},
        customers={"acme": {"name": "Acme", "contacts": room}},
    )
    (delivery,) = plan(changed(asked), policy, T0).deliveries
    answers = answers_of(delivery, URL, SIGNER)
    assert answers.keys() == buttons
    shown = render(delivery, policy, links_of(delivery, URL, SIGNER), T0)
    assert answers.get("escalate", "nowhere") not in shown.text
    assert "escalate" not in shown.links


def test_the_same_message_means_the_same_deliveries():
    first, second = (plan(changed(page()), bundle(), now) for now in (T0, T0 + timedelta(hours=1)))
    assert [one.id for one in first.deliveries] == [one.id for one in second.deliveries]


@pytest.mark.parametrize(
    ("recipient", "why"),
    [
        (user("nobody"), "user 'nobody' is not in the policy in force"),
        (user("mute"), "user 'mute' has no contact"),
    ],
)
def test_a_page_for_which_there_is_no_contact_is_reported_at_once(recipient, why):
    policy = bundle({"ana": {"box": {"inbox": "ana"}}, "mute": {"contacts": {}}})
    planned = plan(changed(page(recipient)), policy, T0)
    (said,) = planned.reports
    assert (said.page, said.outcome, said.reason, said.page_id) == ("unreachable", "failed", why, "page-1")
    assert planned.deliveries == ()


def test_a_step_that_comes_after_the_level_has_passed_names_no_time_that_is_over():
    late = page(act_by=T0 - timedelta(minutes=1))
    _, rendered = rendered_of(changed(late), bundle({"ana": {"b": {"inbox": "ana"}}}))
    assert not {"Act by", "If nobody acts"} & dict(rendered.facts).keys()


def test_a_page_says_what_for_whom_why_you_since_when_until_when_and_what_then():
    _, rendered = rendered_of(
        changed(page()), bundle({"ana": {"timezone": "Europe/Prague", "contacts": {"b": {"inbox": "ana"}}}})
    )
    assert rendered.title == "[P1] Checkout is down"
    facts = dict(rendered.facts)
    assert facts["For"] == "Acme (gold)"
    assert facts["Priority"] == "1"
    assert facts["Why you"] == "Ana is on call in schedule desk"
    assert facts["Since"] == "2026-03-02 10:00 CET (Europe/Prague), now"
    assert facts["Act by"] == "2026-03-02 10:05 CET (Europe/Prague), in 5 minutes"
    assert facts["If nobody acts"] == "level experts is paged"
    assert rendered.links["acknowledge"] in rendered.text


def test_a_page_says_by_when_and_how_to_answer_above_what_its_sender_wrote():
    """A description may be long, and a phone shows the first lines."""
    snapshot = incident(
        description="trace line\n" * 200, links=(Link(href="https://r.example/", text="Runbook"),)
    )
    _, rendered = rendered_of(changed(page(), incident=snapshot))
    order = (
        "You are asked",
        "For: ",
        "Act by: ",
        "Why you: ",
        "If nobody acts: ",
        "Since: ",
        "Acknowledge: ",
    )
    places = [
        rendered.text.index(said) for said in (*order, "trace line", "See how it stands: ", "Runbook: ")
    ]
    assert places == sorted(places)
    assert [name for name, _ in rendered.facts][:4] == ["For", "Act by", "Why you", "If nobody acts"]


def test_the_acknowledge_link_is_signed_for_this_incident_page_and_person():
    _, rendered = rendered_of(changed(page()))
    token = rendered.links["acknowledge"].removeprefix(f"{URL}/v1/replies/link/")
    claims = SIGNER.verify("reply", token, T0)
    assert claims == {
        "incident": "inc-1",
        "page": "page-1",
        "user": "ana",
        "recipient": "user:ana",
        "action": "acknowledge",
        "why": "Ana is on call in schedule desk",
    }
    assert SIGNER.verify("reply", token, T0 + timedelta(days=8)) is None


def test_the_link_of_a_page_lasts_from_the_page_on_however_old_the_incident_is():
    late = T0 + timedelta(days=20)
    _, rendered = rendered_of(changed(page(since=T0), at=late), now=late)
    token = rendered.links["acknowledge"].removeprefix(f"{URL}/v1/replies/link/")
    assert SIGNER.verify("reply", token, late + timedelta(days=6)) is not None


@pytest.mark.parametrize(
    ("said", "assignee", "opening"),
    [
        ({}, "", "You are asked to take this."),
        ({"through": "point"}, "", "An escalation point was reached: you are asked to look."),
        ({"through": "point"}, "petra", "An escalation point was reached: you are asked to look."),
        ({}, "petra", "Petra has it; you are asked to help."),  # it was handed on beside its assignee
        ({"through": "assignee"}, "ana", "You are asked to take this."),
    ],
)
def test_a_page_says_what_is_wanted_of_its_reader(said, assignee, opening):
    policy = bundle({"ana": {"b": {"inbox": "ana"}}, "petra": {"b": {"inbox": "petra"}}})
    _, rendered = rendered_of(changed(page(**said), incident=incident(assignee=assignee)), policy)
    assert rendered.opening.startswith(opening)


def test_a_machine_that_acknowledged_is_not_said_to_have_taken_it():
    paged = plan(changed(page()), bundle(), T0).deliveries[0]
    message = changed(settled="taken", by="integration:prometheus", version=2)
    text = told_who_took_it(paged, message, bundle(), T0).content.notice.text
    assert text.startswith("It was acknowledged by integration prometheus ")
    _, rendered = rendered_of(
        changed(notices=[notice("taken", user("ana"))], actor="integration:prometheus"), bundle()
    )
    assert rendered.opening == "It was acknowledged by integration prometheus."


def test_a_stakeholder_sees_nothing_internal():
    snapshot = incident(
        description="db-3 lost its disk", attributes={"host": "db-3"}, labels={"rack": "r7"}, assignee="ana"
    )
    told = notice(
        "update",
        address("http://x.test/board"),
        stakeholder=True,
        text="We are on it.",
        reason="priority == 1",
    )
    delivery, rendered = rendered_of(changed(notices=[told], incident=snapshot))
    body = webhook_body(delivery, rendered, T0).decode()
    for internal in ("db-3", "r7", "ana", "priority == 1"):
        assert internal not in body, internal
    assert list(rendered.links) == ["incident"]
    assert claims_of(rendered.links["incident"]) == {
        "incident": "inc-1",
        "page": "",
        "user": "",
        "recipient": "address",  # itself it may be a secret
        "action": "show",
        "outside": True,
        "template": "",
    }
    assert msgspec.json.decode(body)["data"]["incident"]["title"] == "Checkout is down"
    assert "We are on it." in rendered.text


@pytest.mark.parametrize("template", ["", "ask"])
def test_a_customer_who_is_asked_to_confirm_gets_the_two_answers_and_nothing_internal(template):
    policy = bundle(templates={"ask": {"title": "Solved?", "body": "Is it solved?"}})
    customer = Recipient(
        kind="customer",
        name="acme",
        contacts=(Contact(name="hook", channel="webhook", address="http://x.test/acme"),),
    )
    asked = notice("confirm", customer, stakeholder=True, text="Please confirm.", template=template)
    delivery, rendered = rendered_of(changed(notices=[asked], incident=incident(status="resolved")), policy)
    assert list(rendered.links) == ["confirm", "refuse"]
    for action, link in rendered.links.items():
        assert link in rendered.text
        token = link.removeprefix(f"{URL}/v1/replies/link/")
        claims = SIGNER.verify("reply", token, T0 + timedelta(days=60))
        assert claims is not None
        assert (claims["action"], claims["recipient"], claims["user"]) == (action, "customer:acme", "")
    body = msgspec.json.decode(webhook_body(delivery, rendered, T0))
    assert (body["type"], set(body["data"]["links"])) == ("confirm", {"confirm", "refuse"})
    assert "/v1/incidents/" not in rendered.text


def test_a_customer_who_is_paged_reads_nothing_internal():
    contact = Contact(name="hook", channel="webhook", address="http://acme.example/hook")
    customer = Recipient(kind="customer", name="acme", contacts=(contact,))
    snapshot = incident(
        description="db-3 has no room", labels={"rack": "r7"}, assignee="ana", attributes={"budget": 9.0}
    )
    asked = page(recipient=customer, level="experts", round=2, otherwise="", reason="it concerns you")
    delivery, rendered = rendered_of(changed(pages=[asked], incident=snapshot))
    said = f"{rendered.text}{rendered.title}{rendered.facts}{webhook_body(delivery, rendered, T0).decode()}"
    for internal in ("[P1]", "db-3", "r7", "experts", "round 2", "Ana", '"ana"', "budget", "no room"):
        assert internal not in said, internal
    assert "acknowledge" in rendered.links


def test_a_template_writes_the_message():
    templates = {
        "customer": {"title": "[{{ priority }}] {{ title }}", "body": "{{ customer.name }}: {{ text }}"}
    }
    told = notice("update", address("http://x.test/b"), stakeholder=True, text="Soon.", template="customer")
    _, rendered = rendered_of(changed(notices=[told]), bundle(templates=templates))
    assert (rendered.title, rendered.text) == ("Update: [1] Checkout is down", "Acme: Soon.")


@pytest.mark.parametrize(
    ("title", "subjects"),
    [
        ("[{{ priority }}] {{ title }}", {"Disk at 80%"}),  # it would change: then it only begins the text
        ("{{ event }}: {{ title }}", {"Disk at 80%"}),
        ("Example Hosting, {{ title }} ({{ id }})", {"Example Hosting, Disk at 80% (inc-1)"}),
        ("Status of your service", {"Status of your service"}),
        ("", {"Disk at 80%"}),
    ],
)
def test_a_templates_title_breaks_no_thread(title, subjects):
    policy = bundle(templates={"customer": {"title": title, "body": "{{ text }}"}})
    to = address("ops@acme.example", "email")
    told = [
        notice(event, to, stakeholder=True, text="Soon.", template="customer")
        for event in ("update", "resolved")
    ]
    first = changed(notices=told[:1], incident=incident(title="Disk at 80%", priority=3))
    later = changed(
        notices=told[1:], incident=incident(title="Disk at 99%", opened_as="Disk at 80%", priority=1)
    )
    letters = [rendered_of(message, policy)[1] for message in (first, later)]
    assert {rendered.subject for rendered in letters} == subjects
    assert not any(rendered.note for rendered in letters)


@pytest.mark.parametrize(
    "body",
    [
        "{{ nonsense }}",  # a name that is not there
        "{{ title.__class__.__mro__ }}",  # what the sandbox refuses
        "{% if %}",  # no template at all
        "{{ 1 // 0 }}",
        "{{ 'x' * 400000000 }}",
    ],
)
def test_a_broken_template_falls_back_to_the_default_text(body):
    templates = {"customer": {"title": "t", "body": body}}
    told = notice("resolved", address("http://x.test/b"), stakeholder=True, template="customer")
    _, rendered = rendered_of(changed(notices=[told]), bundle(templates=templates))
    assert "The problem is resolved." in rendered.text
    assert "customer" in rendered.note


def told_inside(event, text="", *, actor="", **said):
    """What karel, of the management, reads."""
    policy = bundle({name: {"box": {"inbox": name}} for name in ("karel", "ana")})
    told = notice(event, user("karel"), text=text, targets=said.pop("targets", ()))
    return rendered_of(changed(notices=[told], incident=incident(**said), actor=actor), policy)[1]


def resolve_clock(**said):
    fields = {"target": "resolve", "state": "running", "goal_seconds": 14_400.0, "elapsed_seconds": 11_520.0}
    return ClockSnapshot(**(fields | {"due_at": T0 + timedelta(minutes=48), "breached": False} | said))


def test_karel_reads_which_promise_is_at_risk_by_when_and_for_whom():
    rendered = told_inside("at_risk", clocks=(resolve_clock(),), targets=("resolve",))
    assert rendered.title == "Promise at risk: [P1] Checkout is down"
    assert rendered.opening == (
        "Promised to Acme (gold): it is solved within 4 hours. That is at risk: it is due "
        "2026-03-02 09:48 UTC, in 48 minutes, and 80% of the time has passed. Nobody has taken it."
    )


@pytest.mark.parametrize(
    ("hours", "words"),
    [(1, "at least every hour."), (4, "at least every 4 hours."), (25, "every 1 day 1 hour.")],
)
def test_news_is_promised_every_hour_not_every_1_hour(hours, words):
    clock = resolve_clock(target="update", goal_seconds=3_600.0 * hours)
    assert words in told_inside("at_risk", clocks=(clock,), targets=("update",)).opening


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({}, "nobody has taken it yet"),
        ({"status": "acknowledged", "assignee": "ana"}, "Ana has it"),
        ({"status": "acknowledged"}, "acknowledged by a machine; nobody has taken it"),
        ({"status": "resolved", "assignee": "ana"}, "resolved; Ana had it"),
        ({"status": "closed"}, "closed"),
    ],
)
def test_people_inside_read_where_it_stands_and_who_has_it_in_one_line(said, words):
    assert dict(told_inside("update", "Soon.", **said).facts)["Status"] == words


def test_karel_reads_which_promise_is_broken_and_who_has_it():
    clocks = (resolve_clock(breached=True, due_at=T0),)
    rendered = told_inside(
        "breached", clocks=clocks, targets=("resolve",), assignee="ana", status="acknowledged"
    )
    assert "That promise is broken: it was due 2026-03-02 09:00 UTC, now. Ana has it." in rendered.opening


def test_karel_reads_of_which_promise_an_escalation_point_speaks_by_when_and_who_has_it():
    """ "Escalation point: half the time is gone" says neither; nor does a page that only asks to look."""
    about = (
        "Promised to Acme (gold): it is solved within 4 hours. It is due 2026-03-02 09:48 UTC, in 48 minutes, "
        "and 80% of the time has passed."
    )
    said = {"clocks": (resolve_clock(),), "assignee": "ana", "status": "acknowledged"}
    rendered = told_inside("inform", "Escalation point: nearly broken", targets=("resolve",), **said)
    assert rendered.opening == f"Escalation point: nearly broken. {about} Ana has it."

    asked = page(user("karel"), through="point", targets=("resolve",), act_by=None, otherwise="")
    policy = bundle({name: {"box": {"inbox": name}} for name in ("karel", "ana")})
    _, rendered = rendered_of(changed(asked, incident=incident(**said)), policy)
    assert rendered.opening == (
        f"An escalation point was reached: you are asked to look. Ana has it. {about}"
    )


def test_an_escalation_point_past_the_end_of_a_promise_says_that_it_is_broken():
    clocks = (resolve_clock(state="breached", breached=True, due_at=T0 - timedelta(hours=2)),)
    rendered = told_inside("inform", "Escalation point: twice the time", targets=("resolve",), clocks=clocks)
    assert "That promise is broken: it was due 2026-03-02 07:00 UTC, 2 hours ago." in rendered.opening


def test_a_message_of_a_router_of_the_last_release_names_no_promise():
    assert told_inside("breached", clocks=(resolve_clock(),)).opening == "A promised time was missed."


@pytest.mark.parametrize(
    ("event", "said", "opening"),
    [
        ("taken", {"assignee": "ana", "status": "acknowledged"}, "Ana took it."),
        ("escalated", {"level": "experts"}, "Ana handed it up: level experts is asked now."),
        (
            "escalated",
            {"level": "experts", "assignee": "ana"},
            "Ana has it, and level experts is asked to help.",
        ),
        ("resolved", {"status": "resolved"}, "Ana resolved it."),
        ("opened", {}, "A new problem was opened."),
    ],
)
def test_people_inside_read_who_did_what(event, said, opening):
    assert told_inside(event, actor="user:ana", **said).opening == opening


def test_what_no_person_handed_up_is_handed_up_by_nobody():
    assert (
        told_inside("escalated", level="experts").opening == "It was handed up: level experts is asked now."
    )


@pytest.mark.parametrize(
    ("assignee", "says"),
    [("", "It is taking us longer than we promised."), ("ana", "We are still working on it.")],
)
def test_a_customer_is_told_that_we_work_on_it_only_when_somebody_does(assignee, says):
    told = notice("breached", address("ops@acme.example", "email"), stakeholder=True)
    status = "acknowledged" if assignee else "triggered"
    _, rendered = rendered_of(changed(notices=[told], incident=incident(assignee=assignee, status=status)))
    assert rendered.opening.endswith(says)
    assert ("working on it" in rendered.text) == bool(assignee)


def test_a_customer_reads_what_was_promised_by_when():
    told = notice("at_risk", address("o@acme.example", "email"), stakeholder=True, targets=("resolve",))
    _, rendered = rendered_of(changed(notices=[told], incident=incident(clocks=(resolve_clock(),))))
    assert rendered.opening == (
        "It may take us longer than we promised. "
        "We had promised: solved within 4 hours, by 2026-03-02 09:48 UTC."
    )


def test_a_list_of_mails_says_what_happened_once():
    asked = notice("confirm", user("ana"), text="Please confirm that it is solved.")
    _, rendered = rendered_of(changed(notices=[asked]))
    assert rendered.preview == "Please confirm that it is solved."


CUSTOMER = load(EXAMPLE).templates["customer"].model_dump()


def test_what_ana_writes_reaches_the_customers_mail_by_the_shipped_template():
    to = address("ops@acme.example", "email")
    events = ("opened", "update", "resolved")
    told = [
        notice(event, to, stakeholder=True, template="customer", text="We found it." * (event == "update"))
        for event in events
    ]
    policy = bundle(templates={"customer": CUSTOMER})
    letters = [rendered_of(changed(notices=[each]), policy)[1] for each in told]
    assert [rendered.title.partition(":")[0] for rendered in letters] == ["Opened", "Update", "Resolved"]
    assert [rendered.preview.partition(":")[0] for rendered in letters] == ["Opened", "Update", "Resolved"]
    assert {rendered.subject for rendered in letters} == {"Checkout is down"}
    assert letters[1].text.startswith("We found it.\n")
    assert letters[1].links["incident"] in letters[1].text
    assert not any(rendered.note for rendered in letters)


def test_a_template_that_forgot_the_update_still_brings_it():
    """The policy was accepted by a release that did not look for it."""
    policy = bundle(templates={"customer": {"title": "{{ title }}", "body": "The status is {{ status }}."}})
    told = notice(
        "update", address("o@acme.example", "email"), stakeholder=True, template="customer", text="Soon."
    )
    _, rendered = rendered_of(changed(notices=[told]), policy)
    assert rendered.text == "Soon.\n\nThe status is triggered."


def test_a_template_names_who_has_it():
    policy = bundle(
        {"ana": {"b": {"inbox": "ana"}}}, templates={"c": {"title": "{{ title }}", "body": "{{ taken_by }}"}}
    )
    told = notice("taken", address("o@acme.example", "email"), stakeholder=True, template="c")
    message = changed(notices=[told], incident=incident(assignee="ana", status="acknowledged"))
    assert rendered_of(message, policy)[1].text == "Ana"


def test_the_customer_who_subscribed_by_address_too_gets_one_mail():
    contact = Contact(name="mail", channel="email", address="Ops@acme.example")
    customer = Recipient(kind="customer", name="acme", contacts=(contact,))
    twice = [
        notice("opened", customer, stakeholder=True),
        notice("opened", address("ops@acme.example", "email"), stakeholder=True, notice_id="again"),
    ]
    planned = plan(changed(notices=twice), bundle(), T0)
    assert [each.address for each in planned.deliveries] == ["Ops@acme.example"]
    assert planned.reports == ()


def test_two_people_behind_one_webhook_both_hear_of_it():
    """The program there passes it on by `data.recipient`."""
    bot = {"bot": {"webhook": "http://bridge.example/hook"}}
    policy = bundle(users={"ana": bot, "petra": bot})
    twice = [notice("resolved", user()), notice("resolved", user("petra"), notice_id="another")]
    planned = plan(changed(notices=twice), policy, T0)
    assert [each.recipient for each in planned.deliveries] == ["ana", "petra"]


def test_of_two_mails_that_say_the_same_the_one_that_is_sent_in_any_case_stays():
    """The other one waits for a page to have reached somebody, and may never be sent."""
    policy = bundle(users={name: {"mail": {"email": "desk@example.com"}} for name in ("ana", "petra")})
    twice = [notice("taken", user(), paged_since=1), notice("taken", user("petra"), notice_id="sure")]
    planned = plan(changed(notices=twice), policy, T0)
    assert [(each.recipient, each.is_end_notice) for each in planned.deliveries] == [("petra", False)]
    either = [notice("taken", user(name), paged_since=1, notice_id=name) for name in ("ana", "petra")]
    planned = plan(changed(notices=either), policy, T0)
    assert [each.recipient for each in planned.deliveries] == ["ana", "petra"]


def test_a_page_carries_the_links_of_the_event_and_the_labels_that_matter():
    snapshot = incident(
        labels={"instance": "db-3", "fingerprint": "a9b8c7d6e5f40312", "service": "checkout"},
        links=(Link(href="https://r.example/x", text="runbook_url"), Link(href="https://g.example/d")),
    )
    delivery, rendered = rendered_of(changed(page(), incident=snapshot))
    assert dict(rendered.facts)["instance"] == "db-3"
    assert "Runbook: https://r.example/x" in rendered.text
    contents = msgspec.json.decode(webhook_body(delivery, rendered, T0))["data"]
    assert list(contents["links"]) == ["acknowledge", "incident", "Runbook", "g.example"]
    assert contents["labels"] == {"instance": "db-3"}


def test_a_link_of_the_event_takes_no_place_of_ours():
    snapshot = incident(links=(Link(href="https://evil.example/", text="Acknowledge"),))
    _, rendered = rendered_of(changed(page(), incident=snapshot))
    assert rendered.links["acknowledge"].startswith(f"{URL}/v1/replies/link/")
    assert rendered.links["Acknowledge (2)"] == "https://evil.example/"


@pytest.mark.parametrize(
    ("who", "assignee", "offered"),
    [("petra", "ana", "take_over"), ("petra", "", "acknowledge"), ("ana", "ana", "")],
)
def test_petra_who_comes_on_can_take_it_over_by_the_handoffs_mail(who, assignee, offered):
    policy = bundle({name: {"box": {"inbox": name}} for name in ("ana", "petra")})
    told = notice("handoff", user(who), text="You are on call now.")
    status = "acknowledged" if assignee else "triggered"
    message = changed(notices=[told], incident=incident(assignee=assignee, status=status))
    _, rendered = rendered_of(message, policy)
    assert [name for name in rendered.links if name != "incident"] == [offered] * bool(offered)
    if offered:
        claims = claims_of(rendered.links[offered])
        assert (claims["user"], claims["action"]) == (who, "acknowledge")


def test_what_a_template_is_tried_with_has_the_names_of_a_message():
    told = notice("update", address("http://x.test/b"), stakeholder=True, text="Soon.", template="customer")
    names = public_wording.names(incident(), told.event, text=told.text, link="https://ladder.example/x")
    assert names.keys() == sample().keys() == sample(hostile=True).keys()
    assert names["incident"].keys() == sample()["incident"].keys()


def test_a_webhook_body_has_the_promised_shape():
    delivery, rendered = rendered_of(changed(page(page_id="p", round=2)))
    body = msgspec.json.decode(webhook_body(delivery, rendered, T0))
    assert (body["type"], body["timestamp"]) == ("page", "2026-03-02T09:00:00Z")
    assert body["data"]["incident"]["dedup_key"] == "checkout-down"
    assert body["data"]["recipient"] == {"kind": "user", "name": "ana", "contact": "bot"}
    assert {"id": "p", "level": "desk", "reason": "Ana is on call in schedule desk"}.items() <= body["data"][
        "page"
    ].items()
    assert set(body["data"]["links"]) == {"acknowledge", "incident"}


def test_a_webhook_body_stays_under_twenty_kilobytes_whatever_was_sent():
    snapshot = incident(
        title="é" * 1_024,
        description="ž" * 16_000,
        attributes={"log": "x" * 60_000},
        labels={f"label{n}": "v" * 900 for n in range(64)},
        source="s" * 5_000,
    )
    delivery, rendered = rendered_of(changed(page(reason="r" * 5_000), incident=snapshot))
    body = webhook_body(delivery, rendered, T0)
    assert len(body) <= LARGEST
    contents = msgspec.json.decode(body)["data"]
    assert contents["page"]["id"] == "page-1"
    assert contents["links"]["acknowledge"]
    assert contents["cut"]


def test_a_description_of_ten_thousand_characters_reaches_mail_whole_and_a_webhook_as_far_as_it_has_room():
    snapshot = incident(description="d" * 10_000)
    delivery, rendered = rendered_of(changed(page(), incident=snapshot))
    assert "d" * 10_000 in rendered.text
    body = webhook_body(delivery, rendered, T0)
    contents = msgspec.json.decode(body)["data"]
    assert contents["cut"] == ["description"]
    assert LARGEST - 200 < len(body) <= LARGEST
    assert contents["incident"]["description"][:-1] in contents["text"]


@pytest.mark.parametrize(
    ("at", "zone", "shown"),
    [
        # the same wall clock twice in the night in which summer time ends
        (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "Europe/Prague", "2026-10-25 02:30 CEST (Europe/Prague)"),
        (datetime(2026, 10, 25, 1, 30, tzinfo=UTC), "Europe/Prague", "2026-10-25 02:30 CET (Europe/Prague)"),
        # the hour that does not exist in spring
        (datetime(2026, 3, 29, 1, 0, tzinfo=UTC), "Europe/Prague", "2026-03-29 03:00 CEST (Europe/Prague)"),
        # half an hour of daylight saving
        (
            datetime(2026, 1, 1, 0, 0, tzinfo=UTC),
            "Australia/Lord_Howe",
            "2026-01-01 11:00 Australia/Lord_Howe",
        ),
        (datetime(2026, 1, 1, 0, 0, tzinfo=UTC), "Not/AZone", "2026-01-01 00:00 UTC"),
        (datetime(2026, 1, 1, 0, 0, tzinfo=UTC), "UTC", "2026-01-01 00:00 UTC"),
    ],
)
def test_times_are_shown_in_the_readers_zone_and_name_it(at, zone, shown):
    assert local(at, zone) == shown


@pytest.mark.parametrize(
    ("hours", "shown"), [(2, "12:00 CET, in 2 hours"), (15, "2026-03-03 01:00 CET, in 15 hours")]
)
def test_where_there_is_little_room_a_time_has_its_day_only_if_that_is_another_one(hours, shown):
    assert shortly(T0 + timedelta(hours=hours), T0, "Europe/Prague") == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "now"),
        (-4, "now"),
        (3, "in 3 seconds"),  # a deadline that is near is not over
        (15, "in 15 seconds"),
        (59.9, "in 1 minute"),
        (60, "in 1 minute"),
        (-180, "3 minutes ago"),
        (7200, "in 2 hours"),
        (-172800, "2 days ago"),
    ],
)
def test_times_say_how_far_away_they_are(seconds, shown):
    assert relative(T0 + timedelta(seconds=seconds), T0) == shown


def test_a_failed_page_is_tried_again_densely_and_for_an_hour():
    delivery = plan(changed(page()), bundle(), T0).deliveries[0]
    now, waits = T0, []
    for attempts in range(1, 200):
        verdict = after_failure(replace(delivery, attempts=attempts), "HTTP 503", None, 0.0, now)
        if verdict.state == "failed":
            break
        waits.append((verdict.next_attempt_at - now).total_seconds())
        now = verdict.next_attempt_at
    assert waits[:7] == [1, 2, 5, 10, 20, 30, 60]
    assert timedelta(minutes=58) < now - T0 < timedelta(hours=1)
    assert "given up" in verdict.reason


def test_a_page_that_must_be_acted_on_later_is_tried_until_then():
    until = T0 + timedelta(hours=4)
    assert gives_up_at(is_page=True, created_at=T0, act_by=until) == until


def test_an_update_is_tried_again_sparsely():
    delivery = plan(changed(notices=[notice("update")]), bundle(), T0).deliveries[0]
    waits = [
        (
            after_failure(replace(delivery, attempts=n), "down", None, 0.0, T0).next_attempt_at - T0
        ).total_seconds()
        for n in (1, 2, 3, 4)
    ]
    assert waits == [5, 300, 1800, 7200]
    assert after_failure(replace(delivery, attempts=8), "down", None, 0.0, T0).state == "failed"


def test_retry_after_is_honoured_and_cannot_silence_a_page():
    paging = replace(plan(changed(page()), bundle(), T0).deliveries[0], attempts=1)
    telling = replace(plan(changed(notices=[notice()]), bundle(), T0).deliveries[0], attempts=1)
    assert after_failure(paging, "429", 30, 0.0, T0).next_attempt_at == T0 + timedelta(seconds=30)
    assert after_failure(paging, "429", 86_400, 0.0, T0).next_attempt_at == T0 + timedelta(minutes=5)
    assert after_failure(telling, "429", 7_200, 0.0, T0).next_attempt_at == T0 + timedelta(hours=2)


def test_jitter_spreads_a_crowd():
    delivery = replace(plan(changed(page()), bundle(), T0).deliveries[0], attempts=4)
    assert after_failure(delivery, "x", None, 0.5, T0).next_attempt_at == T0 + timedelta(seconds=11)


@pytest.mark.parametrize(
    ("state", "unreachable", "outcome", "says"),
    [
        ("sent", False, "sent", "reached"),
        ("delivered", False, "delivered", "reached"),
        ("failed", False, "failed", ""),
        ("failed", True, "failed", "unreachable"),
    ],
)
def test_a_page_reports_every_final_outcome(state, unreachable, outcome, says):
    delivery = plan(changed(page()), bundle(), T0).deliveries[0]
    said = report(delivery, state, "", unreachable=unreachable, now=T0)
    assert (said.outcome, said.page) == (outcome, says)


@pytest.mark.parametrize(
    ("state", "reported"), [("sent", False), ("failed", True), ("cancelled", False), ("pending", False)]
)
def test_a_notice_reports_only_failures(state, reported):
    delivery = plan(changed(notices=[notice()]), bundle(), T0).deliveries[0]
    assert (report(delivery, state, "", unreachable=True, now=T0) is not None) == reported


def test_whoever_is_being_paged_hears_who_took_it_by_the_same_contact():
    policy = bundle({"ana": {"b": {"inbox": "ana"}}, "petra": {"b": {"inbox": "petra"}}})
    paged = plan(changed(page()), policy, T0).deliveries[0]
    told = told_who_took_it(paged, changed(settled="taken", by="petra", version=2), policy, T0)
    assert (told.event, told.contact, told.recipient) == ("taken", "b", "ana")
    assert "Petra took it" in told.content.notice.text


def test_a_customer_who_is_being_paged_hears_that_somebody_took_it_and_not_who():
    contact = Contact(name="mail", channel="email", address="ops@acme.example")
    customer = Recipient(kind="customer", name="acme", contacts=(contact,))
    paged = plan(changed(page(customer)), bundle(), T0).deliveries[0]
    taken = incident(status="acknowledged", assignee="ana", labels={"rack": "r7"}, version=2)
    told = told_who_took_it(paged, changed(settled="taken", by="ana", incident=taken), bundle(), T0)
    rendered = render(told, bundle(), links_of(told, URL, SIGNER), T0)
    assert "Somebody is working on it." in rendered.text
    for internal in ("Ana", "Priority", "checkout", "r7"):
        assert internal not in rendered.text, internal
