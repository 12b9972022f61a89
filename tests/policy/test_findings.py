"""What will never work although the bundle is sound: said with a code, its place and what would mend it."""

import json
import time
from datetime import UTC, datetime, timedelta

import pytest

from services.notifier.channels import sendable
from services.notifier.channels.email import MailServer
from shared.policy import Installation, PolicyError, check, load, report
from shared.policy.model.targets import CHANNELS
from shared.policy.oncall.schedules import Override
from tests.policy.bundles import EXAMPLE, SMALLEST, errors_of, marked
from tests.policy.large import as_json, large

NOW = datetime(2026, 12, 1, 9, tzinfo=UTC)
HEX = "ab" * 32
SERVICES = "services: {checkout: {}, payments: {}}\n"
ANA = "users: {ana: {name: Ana, contacts: {box: {inbox: ana}}}}\n"
SLA = 'slas: [{name: s, acknowledge: 5m, when: "WHEN"}]\n'


def found(tmp_path, text: str, installation: Installation | None = None) -> list[PolicyError]:
    file = tmp_path / "bundle.yaml"
    file.write_text(text, encoding="utf-8")
    return list(check(file, installation or Installation(now=NOW)).findings)


def said(tmp_path, text: str, installation: Installation | None = None) -> list[tuple[str, str]]:
    return [(each.severity, each.code) for each in found(tmp_path, text, installation)]


def test_no_sender_may_call_itself_ladder_and_say_that_ladder_is_well(tmp_path):
    text = SMALLEST + f"integrations:\n  ¦ladder: {{kind: native, keys: [{{sha256: {HEX}}}]}}\n"
    text, [place] = marked(text)

    [told] = found(tmp_path, text)

    assert (told.severity, told.code, told.path) == ("error", "L104", "integrations.ladder")
    assert (told.place.line, told.place.column) == place


# --- contacts ---------------------------------------------------------------------------------------------


WITHOUT_NTFY = Installation(now=NOW, sends=frozenset({"email", "inbox", "ntfy:url"}), said_at=NOW)
ONLY_INBOX = Installation(now=NOW, sends=frozenset({"inbox"}), said_at=NOW)
ADDRESSES = {
    "email": "a@example.com",
    "teams": "https://t.example/x",
    "webhook": "https://h.example/x",
    "apprise": "pover://user@token",
    "telegram": "-1001234567890",
    "mattermost": "desk/pages",
}


def test_a_page_that_would_be_rejected_at_three_in_the_morning_is_told_when_the_policy_is_checked(tmp_path):
    text, [place] = marked(SMALLEST.replace("{box: {inbox: ana}}", "{push: {ntfy: ¦ana-phone}}"))

    told = {each.code: each for each in found(tmp_path, text, WITHOUT_NTFY)}

    assert sorted(told) == ["L110", "L112", "L113"]
    assert (told["L110"].place.line, told["L110"].place.column) == place
    assert told["L110"].path == "users.ana.contacts.push.ntfy"
    assert told["L110"].message == (
        "nothing is ever sent by ntfy: the notifier has no settings for it and reaches only addresses that are "
        "URLs; it is a contact of ana"
    )
    assert told["L110"].mending == (
        "`ladder channels` says what to set for the notifier; or give them a contact by email or inbox"
    )
    assert "nothing reaches ana" in told["L112"].message
    assert "nobody in `last_resort` can be reached" in told["L113"].message


@pytest.mark.parametrize("address", ["https://ntfy.example/ana-phone", "secret:ana-phone"])
def test_what_may_be_a_url_needs_no_settings_where_urls_need_none(tmp_path, address):
    text = SMALLEST.replace("{box: {inbox: ana}}", f'{{push: {{ntfy: "{address}"}}}}')
    assert found(tmp_path, text, WITHOUT_NTFY) == []


@pytest.mark.parametrize("channel", [name for name in CHANNELS if name != "inbox"])
def test_each_channel_that_cannot_be_sent_is_named(tmp_path, channel):
    address = ADDRESSES.get(channel, "+420777000111" if channel in ("sms", "voice") else "somewhere")
    extra = SMALLEST.replace(
        "{box: {inbox: ana}}", f'{{box: {{inbox: ana}}, other: {{{channel}: "{address}"}}}}'
    )
    [told] = found(tmp_path, extra, ONLY_INBOX)
    assert (told.severity, told.code) == ("warning", "L110")
    assert told.message.startswith(f"nothing is ever sent by {channel}: ")
    assert told.message.endswith("; another contact reaches each of them")


def test_mail_without_a_mail_server_is_told_as_soon_as_the_notifier_has_said_so(tmp_path):
    text = SMALLEST.replace("{box: {inbox: ana}}", "{mail: {email: ana@example.com}}")
    silent = Installation(now=NOW)
    without = Installation(now=NOW, sends=frozenset(sendable(None)), said_at=NOW)
    with_one = frozenset(sendable(MailServer.at("smtp://localhost", "ladder@localhost")))

    assert said(tmp_path, text, silent) == []
    assert ("warning", "L110") in said(tmp_path, text, without)
    assert said(tmp_path, text, Installation(now=NOW, sends=with_one, said_at=NOW)) == []
    [told] = [each for each in found(tmp_path, text, without) if each.code == "L110"]
    assert "no mail server is set; it is a contact of ana" in told.message
    assert told.mending.startswith("set LADDER_SMTP_URL for the notifier, or give them")


def test_what_a_notifier_said_long_ago_is_told_with_its_age(tmp_path):
    text = SMALLEST.replace("{box: {inbox: ana}}", "{mail: {email: ana@example.com}}")
    long_ago = Installation(now=NOW, sends=frozenset({"inbox"}), said_at=NOW - timedelta(hours=3))
    told = [each.message for each in found(tmp_path, text, long_ago) if each.code == "L110"]
    assert "no mail server is set (as a notifier said 3 h ago)" in told[0]


def test_equal_findings_are_one_line_with_the_names(tmp_path):
    people = ", ".join(
        f'p{n}: {{name: P, contacts: {{phone: {{sms: "+42077700{n:04}"}}, box: {{inbox: p{n}}}}}}}'
        for n in range(40)
    )
    text = SMALLEST.replace("users: {", f"users: {{{people}, ")
    [told] = found(tmp_path, text, ONLY_INBOX)
    assert "a contact of p0, p1, p2, p3, p4, p5, p6, p7 and 32 more" in told.message


def test_every_place_that_holds_a_contact_is_looked_at(tmp_path):
    address = '{sms: "+420777000111"}'
    text = (
        SMALLEST.replace("[user:ana]\n", f"[user:ana, {address}]\n")
        .replace(
            "5m}]",
            f"5m}}], finally: {{notify: [{address}], every: 5m}}, points: [{{name: p, at: 50% of resolve, do: [{{inform: [{address}]}}]}}]",
        )
        .replace("5m}}]", "5m}]")
        + f"teams: {{desk: {{members: [ana], contacts: {{room: {address}}}}}}}\n"
        f"customers: {{acme: {{name: Acme, contacts: {{phone: {address}}}}}}}\n"
        f"subscriptions: [{{who: [{address}], events: [opened]}}]\n"
    )
    [told] = found(tmp_path, text, ONLY_INBOX)
    assert "team desk, customer acme, last_resort[1], policies.only.finally.notify[0]" in told.message
    assert "policies.only.points[0].do[0].inform[0]" in told.message
    assert "subscriptions[0].who[0]" in told.message


def test_somebody_without_a_contact_is_named(tmp_path):
    text = (
        SMALLEST.replace("users: {", "users: {bob: {name: Bob}, eva: {name: Eva}, ")
        + "teams: {desk: {members: [bob]}}\n"
    )
    [told] = found(tmp_path, text)
    assert (told.code, told.path) == ("L111", "users.bob")
    assert told.message == "bob and eva have no contact at all: no page and no message reaches them"


def test_who_only_looks_needs_no_contact(tmp_path):
    assert found(tmp_path, SMALLEST.replace("users: {", "users: {eve: {name: Eve, role: viewer}, ")) == []


RULES = "{chat: {slack: U024BE7LH}, box: {inbox: ana}}, rules: {high: ¦[{via: chat}], low: [{via: box}]}"


def test_rules_by_which_nothing_can_be_sent_here_are_told(tmp_path):
    text, [place] = marked(SMALLEST.replace("{box: {inbox: ana}}", RULES))
    here = Installation(now=NOW, sends=frozenset({"inbox"}), said_at=NOW)

    told = next(each for each in found(tmp_path, text, here) if each.code == "L114")

    assert (told.place.line, told.place.column) == place
    assert told.message.startswith("loud pages never reach ana: ")
    assert told.mending == "add a step there, such as `{via: box}`"
    everything = Installation(now=NOW, sends=frozenset({"inbox", "slack"}), said_at=NOW)
    assert found(tmp_path, text, everything) == []


# --- schedules --------------------------------------------------------------------------------------------


def schedule(*layers: str) -> str:
    return SMALLEST + f"schedules: {{desk: {{timezone: Europe/Prague, layers: [{', '.join(layers)}]}}}}\n"


def test_a_schedule_that_begins_in_the_future_puts_nobody_on_call_until_then(tmp_path):
    layer = "{rotation: [ana], shift: 1w, starts: ¦2027-01-04T08:00}"
    text, [place] = marked(schedule(layer))
    [told] = found(tmp_path, text)
    assert (told.severity, told.code) == ("warning", "L120")
    assert (told.place.line, told.place.column) == place
    assert told.message == "desk begins at 2027-01-04 08:00 Europe/Prague: until then nobody is on call"


def test_a_layer_that_begins_later_is_planned_where_another_one_has_begun(tmp_path):
    later = "{rotation: [ana], shift: 1w, starts: 2027-01-04T08:00}"
    now = "{rotation: [ana], shift: 1w, starts: 2026-01-05T08:00}"
    assert found(tmp_path, schedule(now, later)) == []


def test_a_schedule_whose_layers_are_over_is_empty(tmp_path):
    [told] = found(
        tmp_path, schedule("{rotation: [ana], shift: 1w, starts: 2026-01-05T08:00, ends: 2026-06-01T00:00}")
    )
    assert told.code == "L121"
    assert "desk is empty: every layer has ended" in told.message


def test_a_schedule_of_which_everybody_is_absent_is_empty(tmp_path):
    away = Override("x", "", NOW - timedelta(days=1), NOW + timedelta(days=3), absent="ana")
    text = schedule("{name: weekly, rotation: [ana], shift: 1w, starts: 2026-01-05T08:00}")
    assert found(tmp_path, text) == []
    [told] = found(tmp_path, text, Installation(now=NOW, overrides={"desk": [away]}))
    assert told.code == "L121"
    assert "ana, whom weekly names, is absent until 2026-12-04 10:00 Europe/Prague" in told.message
    assert "ana follows at 2026-12-04 10:00 Europe/Prague" in told.message


def test_a_gap_between_shifts_is_no_empty_schedule(tmp_path):
    layer = '{rotation: [ana], shift: 1d, starts: 2026-01-05T20:00, only: {days: mon-sun, from: "20:00", to: "08:00"}}'
    assert found(tmp_path, schedule(layer)) == []


def test_a_schedule_without_layers_or_members_does_not_load(tmp_path):
    assert "at least 1" in str(
        errors_of(tmp_path, SMALLEST + "schedules: {d: {timezone: UTC, layers: []}}\n")[0]
    )
    text = "schedules: {d: {timezone: UTC, layers: [{rotation: [], shift: 1w, starts: 2026-01-05T08:00}]}}\n"
    assert "at least 1" in str(errors_of(tmp_path, SMALLEST + text)[0])


# --- comparisons ------------------------------------------------------------------------------------------

COMPARED = [
    # (what was meant, the expression with its place, code, words)
    ("a tier", "tier == ¦'glod'", "L130", "no tier is called 'glod' (gold, standard), so this comparison never holds; did you mean 'gold'?"),
    ("a tier on the other side", "¦'glod' == tier", "L130", "'gold'?"),
    ("a tier in a list", "priority == 1 && tier in ['standard', ¦'glod']", "L130", "'gold'?"),
    ("a tier that is not", "!(tier != ¦'glod')", "L130", "'glod'"),
    ("a severity", "severity == ¦'crit'", "L130", "critical, error, warning, info"),
    ("a state", "status == ¦'open'", "L130", "triggered, acknowledged, resolved, closed"),
    ("a team", "team == ¦'dsk'", "L130", "did you mean 'desk'?"),
    ("a service", "service in [¦'chekout']", "L131", "did you mean 'checkout'?"),
    ("a service in a macro", "labels.exists(l, l == 'x' && service == ¦'chekout')", "L131", "'checkout'?"),
    ("a service by a condition", "service == (priority == 1 ? ¦'chekout' : 'payments')", "L131", "'checkout'?"),
    ("a kind", "kind == ¦'incidnt'", "L131", "did you mean 'incident'?"),
    ("a level", "level == ¦'fist'", "L131", "did you mean 'first'?"),
    ("somebody", "assignee == ¦'anna'", "L131", "did you mean 'ana'?"),
    ("over two lines", "priority == 1 ||\\n tier == 'glod'", "L130", "'gold'?"),
]  # fmt: skip
DECLARED = "tiers: [gold, standard]\nteams: {desk: {members: [ana]}}\nkinds: {crisis: {}}\n" + SERVICES


@pytest.mark.parametrize(
    ("expression", "code", "words"), [row[1:] for row in COMPARED], ids=[row[0] for row in COMPARED]
)
def test_a_name_that_nothing_has_is_told_where_it_is_compared(tmp_path, expression, code, words):
    text, places = marked(SMALLEST + DECLARED + SLA.replace("WHEN", expression))
    [told] = found(tmp_path, text)
    assert (told.code, told.path) == (code, "slas[0].when")
    assert words in told.message
    assert not places or (told.place.line, told.place.column) == places[0]
    assert told.severity == ("error" if code == "L130" else "warning")


@pytest.mark.parametrize(
    "expression",
    [
        "tier == 'gold' || tier in ['gold', 'standard']",
        "service == '' || kind == '' || tier == ''",
        "kind == 'incident' && kind == 'crisis'",
        "labels.tier == 'glod' || attributes.service == 'chekout'",
        "labels.exists(tier, tier == 'glod')",
        "['glod'].exists(tier, tier == 'glod')",
        "title == 'gold' && source == 'chekout' && waiting_for == 'godot'",
        "service.startsWith('chek') || service.matches('^chek')",
        "customer.id == 'glod'",
        "level == 'finally' || assignee == ''",
    ],
)
def test_what_may_be_meant_raises_no_false_alarm(tmp_path, expression):
    assert found(tmp_path, SMALLEST + DECLARED + SLA.replace("WHEN", expression)) == []


def test_services_and_kinds_are_known_only_where_some_are_declared(tmp_path):
    expression = "service == 'chekout' || kind == 'incidnt'"
    assert found(tmp_path, SMALLEST + SLA.replace("WHEN", expression)) == []


PLACES = [
    ("loud", "loud: \"tier == 'glod'\""),
    ("priorities[0].when", "priorities: [{when: \"tier == 'glod'\", priority: 1}]"),
    ("grouping[0].when", "grouping: [{name: g, when: \"tier == 'glod'\", by: [service], within: 5m}]"),
    ("suppress[0].when", "suppress: [{name: s, when: \"tier == 'glod'\", window: {timezone: UTC}}]"),
    ("suppress[0].while_open", "suppress: [{name: s, while_open: \"tier == 'glod'\"}]"),
    ("subscriptions[0].when", "subscriptions: [{who: [user:ana], when: \"tier == 'glod'\", events: [opened]}]"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "section"), PLACES, ids=[row[0] for row in PLACES])
def test_wherever_an_expression_stands_its_names_are_looked_up(tmp_path, path, section):
    [told] = found(tmp_path, f"{SMALLEST}tiers: [gold]\n{section}\n")
    assert (told.path, told.code) == (path, "L130")


def test_expressions_of_people_and_policies_are_looked_at_too(tmp_path):
    text = (
        SMALLEST.replace("inbox: ana}}", "inbox: ana}}, quiet_hours: {unless: \"tier == 'glod'\"}")
        .replace("5m}]", "5m, handles: \"tier == 'glod'\"}], points: [{name: p, when: \"tier == 'glod'\", do: [{inform: [user:ana]}]}]")
        .replace("[{policy: only}]", "[{policy: only, when: \"tier == 'glod'\"}, {policy: only}]")
    )  # fmt: skip
    assert {each.path for each in found(tmp_path, text + "tiers: [gold]\n")} == {
        "users.ana.quiet_hours.unless",
        "policies.only.levels[0].handles",
        "policies.only.points[0].when",
        "routes[0].when",
    }


def test_what_a_mapping_makes_of_a_body_is_looked_up_too(tmp_path):
    kind = "ticket.type == 'budget' ? 'budget_overrn' : 'incident'"
    text = (
        SMALLEST
        + f'kinds: {{budget_overrun: {{}}}}\nintegrations: {{crm: {{kind: json, keys: [{{sha256: {HEX}}}], map: {{kind: "{kind}", service: body.x}}}}}}\n'
    )
    [told] = found(tmp_path, text)
    assert (told.severity, told.path) == ("warning", "integrations.crm.map.kind")
    assert "did you mean 'budget_overrun'?" in told.message


# --- templates --------------------------------------------------------------------------------------------


def template(body: str, events: str = "opened") -> str:
    return (
        SMALLEST
        + f"subscriptions: [{{who: [user:ana], events: [{events}], template: t}}]\n"
        + f"templates:\n  t:\n    title: x\n    body: |\n      Dear all,\n      {body}\n"
    )


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("{{ incident.¦titel }}", "a message has no field 'titel' of `incident`; did you mean 'title'?"),
        ("{{ ¦titel }}", "a message has no field 'titel'; did you mean 'title'?"),
        ("{% if event == 'resolved' %}{{ ¦titel }}{% endif %}", "'title'?"),
        ("{{ customer.¦nmae }}", "of `customer`; did you mean 'name'?"),
        ("{{ incident['¦titel'] }}", "'title'?"),
        ("{% for c in clocks %}{{ c.¦due }}{% endfor %}", "of `c`; did you mean 'due_at'?"),
        ("{% for l in incident.links %}{{ l.¦url }}{% endfor %}", "no field 'url' of `l`"),
    ],
)
def test_a_field_that_no_message_has_is_told_with_its_place_in_the_template(tmp_path, body, words):
    text, [place] = marked(template(body))
    [told] = found(tmp_path, text)
    assert (told.severity, told.code, told.path) == ("error", "L140", "templates.t.body")
    assert (told.place.line, told.place.column) == place
    assert words in told.message


@pytest.mark.parametrize(
    "body", ["{{ titel | default('x') }}", "{% if titel is defined %}{{ titel }}{% endif %}"]
)
def test_a_template_that_asks_first_whether_a_field_is_there_is_only_warned_of(tmp_path, body):
    assert set(said(tmp_path, template(body))) == {("warning", "L140")}


@pytest.mark.parametrize(
    "body",
    [
        "{% set a = title %}{{ a }}{% for k, v in labels.items() %}{{ k }}{{ v }}{{ loop.index }}{% endfor %}",
        "{{ labels.env }}{{ incident.attributes.budget }}{{ customer }}{{ customer.name|upper }}",
        "{% macro m(x) %}{{ x }}{% endmacro %}{{ m(title) }}{{ (links|first).href }}",
        "{% for c in clocks if c.breached %}{{ c.target }}{% else %}-{% endfor %}{{ opened_at.year }}",
    ],
)
def test_what_templates_may_do_raises_no_false_alarm(tmp_path, body):
    assert found(tmp_path, template(body)) == []


def test_what_somebody_writes_in_an_update_must_reach_whoever_gets_it(tmp_path):
    [told] = found(tmp_path, template("We are on it: {{ title }}", "opened, update"))
    assert (told.severity, told.code, told.path) == ("error", "L141", "templates.t.body")
    assert "template t is used for `update` (subscriptions[0]) and writes `text` nowhere" in told.message
    assert told.mending == "put {{ text }} where it is to stand"


@pytest.mark.parametrize(
    ("body", "is_told"),
    [
        ("{{ text }}", True),
        ("{% if event == 'update' %}{{ text }}{% else %}{{ title }}{% endif %}", True),
        ("{{ text or title }}", True),
        ("{% set said = text|upper %}{{ said }}", True),
        ("{% if tier == 'gold' %}{{ text }}{% endif %}", True),  # a record may be so
        ("{% if event == 'resolved' %}{{ text }}{% endif %}", False),
        ("{% if event in ['opened', 'resolved'] %}{{ text }}{% endif %}", False),
        ("{% if event != 'update' %}{{ text }}{% else %}{{ title }}{% endif %}", False),
        ("{% if text %}{{ title }}{% endif %}", False),
    ],
)
def test_a_text_counts_where_an_update_can_come_to_it(tmp_path, body, is_told):
    codes = [each.code for each in found(tmp_path, template(body, "update"))]
    assert codes == ([] if is_told else ["L141"])


def test_a_template_that_is_not_used_for_updates_needs_no_text(tmp_path):
    assert found(tmp_path, template("{{ title }}", "opened, resolved")) == []


# --- all of them ------------------------------------------------------------------------------------------


def test_what_is_said_of_a_policy_that_loads_keeps_it_from_nothing(tmp_path):
    """A policy that an older release took goes on loading: only who changes it is asked to mend it."""
    (tmp_path / "bundle.yaml").write_text(template("x", "update") + "tiers: [gold]\nloud: tier == 'glod'\n")
    assert {each.code for each in check(tmp_path / "bundle.yaml").errors} == {"L130", "L141"}
    assert load(tmp_path / "bundle.yaml").tiers == ("gold",)
    assert report(tmp_path / "bundle.yaml")[0] == 1


def test_warnings_are_shown_beside_errors_all_at_once(tmp_path):
    text = (
        SMALLEST.replace("{inbox: ana}}", "{inbox: ana}, chat: {ntfy: x}}")
        + "loud: tir == ''\ntiers: [gold]\nslas: [{name: s, acknowledge: 5m, when: \"tier == 'glod'\"}]\n"
    )
    assert said(tmp_path, text, ONLY_INBOX) == [("warning", "L110"), ("error", "L102"), ("error", "L130")]


def test_check_ends_well_with_warnings_and_says_so_in_every_form(tmp_path):
    file = tmp_path / "bundle.yaml"
    file.write_text(SMALLEST.replace("{inbox: ana}}", "{inbox: ana}, chat: {ntfy: x}}"))

    status, text = report(file, installation=ONLY_INBOX)
    assert status == 0
    first, count, sound, *_ = text.splitlines()
    assert first.startswith(
        f"{file}:3:69: warning: users.ana.contacts.chat.ntfy: nothing is ever sent by ntfy"
    )
    assert first.endswith(" [L110]")
    assert (count, "is sound; hash" in sound) == ("1 warning", True)

    status, text = report(file, "json", ONLY_INBOX)
    document = json.loads(text)
    assert (status, document["ok"], document["errors"]) == (0, True, [])
    [finding] = document["findings"]
    assert finding.keys() == {"severity", "code", "file", "line", "column", "path", "message", "mend"}
    assert (finding["severity"], finding["code"], finding["line"]) == ("warning", "L110", 3)

    status, text = report(file, "github", ONLY_INBOX)
    assert status == 0
    assert text.startswith("::warning file=")
    assert ",title=L110::users.ana.contacts.chat.ntfy: " in text


@pytest.mark.parametrize("path", sorted((EXAMPLE / "situations").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_situations_have_a_line_for_each_channel_that_is_not_there_and_no_other(path):
    looked = check(path, Installation(now=NOW))
    assert looked.errors == []
    assert {each.code for each in looked.warnings} <= {"L110"}
    assert len(looked.warnings) <= len(CHANNELS)


def test_the_shipped_policy_has_nothing_to_be_found():
    assert (
        check(EXAMPLE, Installation(now=NOW, sends=frozenset({"inbox", "webhook"}), said_at=NOW)).findings
        == ()
    )


def test_a_large_organisations_policy_is_looked_at_within_five_seconds(tmp_path):
    plain = large(users=200, policies=100)
    layer = {"rotation": ["user-00001", "user-00002"], "shift": "1w", "starts": "2026-01-05T08:00"}
    plain["schedules"] = {f"s-{n}": {"timezone": "Europe/Prague", "layers": [layer]} for n in range(50)}
    plain["routes"] = [
        {"when": f"service == 'svc-{n}' && tier == 'standard'", "policy": "policy-0000"} for n in range(300)
    ] + plain["routes"]
    plain["templates"] = {f"t-{n}": {"title": "{{ title }}", "body": "{{ text }}" * 20} for n in range(20)}
    (tmp_path / "bundle.json").write_bytes(as_json(plain))
    began = time.thread_time()
    looked = check(tmp_path / "bundle.json", Installation(now=NOW))
    assert time.thread_time() - began < 5
    assert [each.code for each in looked.findings] == []
