"""Each mistake is told with its exact place: the mark ¦ in a row stands where the error must point."""

import pytest

from shared.policy import PolicyErrors, load
from tests.policy.bundles import SMALLEST, errors_of, marked

HEX = "a" * 64

# (what is wrong, added to the smallest bundle, path, words of the message)
ADDED = [
    ("unknown section", "¦usres: {}", "usres", "found the key 'usres'", "did you mean 'users'?"),
    ("unknown key", "services: {web: {¦nmae: Web}}", "services.web.nmae", "one of name, team", "'name'?"),
    ("bad name", "services: {¦Web: {name: Web}}", "services.Web", "found the key 'Web'", "a–z"),
    ("missing key", "slas: [¦{acknowledge: 5m}]", "slas[0].name", "found nothing", "required"),
    ("no duration", "slas: [{name: a, resolve: ¦soon}]", "slas[0].resolve", "'soon'", "a duration"),
    ("no duration of a goal", "slas: [{name: a, acknowledge: ¦soon}]", "slas[0].acknowledge", "'soon'", "a duration",
     "{within: 5m, by: person}"),
    ("no duration within", "slas: [{name: a, respond: {within: ¦soon, by: person}}]", "slas[0].respond.within", "a duration"),
    ("whose", "slas: [{name: a, update: {within: 5m, by: ¦persn}}]", "slas[0].update.by", "'persn'", "'person'?"),
    ("whose without a time", "slas: [{name: a, update: ¦{by: person}}]", "slas[0].update.within", "required"),
    ("unknown key of a goal", "slas: [{name: a, update: {within: 5m, ¦bye: person}}]", "slas[0].update.bye", "'by'?"),
    ("whose resolve", "slas: [{name: a, resolve: ¦{within: 5m, by: person}}]", "slas[0].resolve", "a duration"),
    ("a number where text is due", "templates: {t: {title: ¦5, body: b}}", "templates.t.title", "5", "quotes"),
    ("a text where a number is due", "priorities: [{priority: ¦'2'}]", "priorities[0].priority", "whole"),
    ("out of range", "priorities: [{priority: ¦9}]", "priorities[0].priority", "found 9", "at most 5"),
    ("bad zone", "calendars: {o: {timezone: ¦Europe/Prag, hours: [{}]}}", "calendars.o.timezone", "IANA"),
    ("bad time", "calendars: {o: {timezone: UTC, hours: [{from: ¦9:00}]}}", "calendars.o.hours[0].from", "00:00"),
    ("after midnight", "calendars: {o: {timezone: UTC, hours: [{to: ¦'24:01'}]}}", "calendars.o.hours[0].to", "24:00"),
    ("bad days", "calendars: {o: {timezone: UTC, hours: [{days: ¦mo-fr}]}}", "calendars.o.hours[0].days", "mon-fri"),
    ("bad day", "calendars: {o: {timezone: UTC, hours: [{}], holidays: {add: [¦2026-13-01]}}}",
     "calendars.o.holidays.add[0]", "a date"),
    ("unknown country", "calendars: {o: {timezone: UTC, hours: [{}], holidays: {country: ¦XX}}}",
     "calendars.o.holidays.country", "a country"),
    ("unknown part", "calendars: {o: {timezone: UTC, hours: [{}], holidays: {country: DE, subdivision: ¦XX}}}",
     "calendars.o.holidays.subdivision", "BY"),
    ("part of nothing", "calendars: {o: {timezone: UTC, hours: [{}], holidays: {subdivision: ¦BY}}}",
     "calendars.o.holidays.subdivision", "a country beside it"),
    ("calendar of its own", "calendars: {¦always: {timezone: UTC, hours: [{}]}}", "calendars.always", "by itself"),
    ("bad contact", "teams: {t: {contacts: {c: ¦{fax: '1'}}}}", "teams.t.contacts.c", "a contact such as"),
    ("bad mail", "teams: {t: {contacts: {c: {email: ¦nobody}}}}", "teams.t.contacts.c.email", "a mail address"),
    ("bad webhook", "teams: {t: {contacts: {c: {webhook: ¦example.com}}}}", "teams.t.contacts.c.webhook", "https://"),
    ("bad target", "subscriptions: [{who: [¦usr:ana], events: [opened]}]", "subscriptions[0].who[0]", "a target"),
    ("nested target", "subscriptions: [{who: [¦{manager_of: {lead_of: nobody}}], events: [opened]}]",
     "subscriptions[0].who[0]", "a target"),
    ("unknown user", "teams: {t: {members: [¦anna]}}", "teams.t.members[0]", "a user (ana)", "did you mean 'ana'?"),
    ("unknown user as target", "subscriptions: [{who: [¦user:anna], events: [opened]}]",
     "subscriptions[0].who[0]", "found 'user:anna', expected a user (ana); did you mean 'user:ana'?"),
    ("unknown team inside", "subscriptions: [{who: [¦{lead_of: team:x}], events: [opened]}]",
     "subscriptions[0].who[0]", "'team:x'" , "there is none"),
    ("unknown skill", "subscriptions: [{who: [¦{skill: go, among: user:ana}], events: [opened]}]",
     "subscriptions[0].who[0]", "a skill"),
    ("unknown event", "subscriptions: [{who: [user:ana], events: [¦opend]}]", "subscriptions[0].events[0]",
     "did you mean 'opened'?"),
    ("unknown template", "subscriptions: [{who: [user:ana], events: [opened], template: ¦nice}]",
     "subscriptions[0].template", "a template"),
    ("unknown tier", "customers: {acme: {name: Acme, tier: ¦gold}}", "customers.acme.tier", "a tier (standard)"),
    ("unknown owner", "customers: {acme: {name: Acme, owner: ¦bob}}", "customers.acme.owner", "a user"),
    ("one match, two customers", "customers: {a: {name: A, match: [x.example]}, b: {name: B, match: [¦X.example]}}",
     "customers.b.match[0]", "which is a too"),
    ("tier twice", "tiers: [gold, ¦gold]", "tiers[1]", "a second time"),
    ("unknown service team", "services: {web: {team: ¦web}}", "services.web.team", "a team"),
    ("unknown calendar", "slas: [{name: a, resolve: 1h, calendar: ¦office}]", "slas[0].calendar", "a calendar"),
    ("a warning when it is too late", "slas: [{name: a, resolve: 1h, warn_at: [50%, ¦100%]}]", "slas[0].warn_at[1]",
     "found '100%'", "below 100%"),
    ("a promise of nothing", "slas: [¦{name: a}]", "slas[0]", "no promise"),
    ("sla twice", "slas: [{name: a, resolve: 1h}, {name: ¦a, resolve: 1h}]", "slas[1].name", "a second time"),
    ("unknown name in a condition", "slas: [{name: a, resolve: 1h, when: \"tir == 'gold'\"}]".replace("tir", "¦tir"),
     "slas[0].when", "no name 'tir'", "'tier'?"),
    ("unknown part of the customer", "loud: tier != '' && ¦customer.nam == 'x'", "loud", "'customer.name'?"),
    ("wrong types", "loud: \"priority ¦== 'high'\"", "loud", "'==' does not take (int, string)"),
    ("not a condition", "loud: ¦priority", "loud", "this is int, not true or false"),
    ("no expression", "loud: 'priority <¦'", "loud", "Syntax error"),
    ("unknown calendar in a condition", "loud: tier == 'x' || ¦open('office')", "loud", "no calendar 'office'"),
    ("unknown schedule in a condition", "loud: ¦on_call('desk') == 'ana'", "loud", "no schedule 'desk'"),
    ("int against double", "loud: ¦attributes.budget * 2 > 10", "loud", "doubles: write 2.0"),
    ("int against double behind a guard", "loud: ¦kind == 'x' && tier == 'y' && attributes.budget * 2 > 10",
     "loud", "doubles"),
    ("in a block", "loud: |\n  tier == 'x' ||\n    ¦tear == 'y'", "loud", "no name 'tear'"),
    ("declared text used as number", "kinds: {k: {attributes: {p: string}}}\nloud: ¦attributes.p > 2.0", "loud",
     "(string, double)"),
    ("bad mapping", "integrations: {i: {kind: json, keys: [{sha256: HEX}], map: {title: 'a.b ==¦'}}}",
     "integrations.i.map.title", "Syntax error"),
    ("mapping of no field", "integrations: {i: {kind: json, keys: [{sha256: HEX}], map: {¦titel: a}}}",
     "integrations.i.map.titel", "a field of an event"),
    ("bad kind", "integrations: {i: {kind: ¦pagerdty, keys: [{sha256: HEX}]}}", "integrations.i.kind", "'pagerduty'?"),
    ("bad hash", "integrations: {i: {kind: native, keys: [{sha256: ¦abc}]}}", "integrations.i.keys[0].sha256", "64"),
    ("no key", "integrations: {i: {kind: native, keys: ¦[]}}", "integrations.i.keys", "at least 1"),
    ("no key and no signature", "integrations: {i: ¦{kind: native}}", "integrations.i.keys", "a `signature`"),
    ("SNS without keys or topics", "integrations: {i: ¦{kind: json, confirm: sns}}", "integrations.i.keys", "with `topics`"),
    ("a topic that is none", "integrations: {i: {kind: json, confirm: sns, topics: ¦alarms}}", "integrations.i.topics",
     "the ARN of a topic"),
    ("SNS of another kind", "integrations: {i: ¦{kind: native, confirm: sns, keys: [{sha256: HEX}]}}", "integrations.i",
     "confirm only where kind is json"),
    ("topics of nobody", "integrations: {i: ¦{kind: json, topics: 'arn:aws:sns:eu-west-1:123456789012:a', keys: [{sha256: HEX}]}}",
     "integrations.i", "topics only beside confirm"),
    ("a signature somewhere", "integrations: {i: {kind: json, signature: ¦{secret: x}}}", "integrations.i.signature",
     "a header, or like"),
    ("a signature like nobody's", "integrations: {i: {kind: json, signature: {secret: x, like: ¦gihub}}}",
     "integrations.i.signature.like", "'github'?"),
    ("a secret that is no name", "integrations: {i: {kind: json, signature: {secret: ¦'secret:a/b', like: github}}}",
     "integrations.i.signature.secret", "a file of the secret folder"),
    ("a header that is none", "integrations: {i: {kind: json, signature: {secret: x, header: ¦'X Sig'}}}",
     "integrations.i.signature.header", "the name of a header"),
    ("a time that nobody signs", "integrations: {i: {kind: json, signature: ¦{secret: x, header: X-S, timestamp: X-T, signed: '{body}'}}}",
     "integrations.i.signature", "a time that is not signed"),
    ("a body that nobody signs", "integrations: {i: {kind: json, signature: ¦{secret: x, header: X-S, signed: 'x'}}}",
     "integrations.i.signature", "{body} once"),
    ("two ways to say Grafana's secret", "integrations: {i: ¦{kind: grafana, signing_secret: x, signature: {secret: x, like: grafana}}}",
     "integrations.i", "not both"),
    ("bad rate", "integrations: {i: {kind: native, rate: ¦5/d, keys: [{sha256: HEX}]}}", "integrations.i.rate", "100/s"),
    ("a then without a silence", "integrations: {i: ¦{kind: native, then: ask, keys: [{sha256: HEX}]}}", "integrations.i",
     "then only beside silent_after"),
    ("a silence of nothing", "integrations: {i: {kind: native, silent_after: ¦0s, keys: [{sha256: HEX}]}}",
     "integrations.i.silent_after", "longer than nothing"),
    ("what a silence cannot do", "integrations: {i: {kind: native, silent_after: 6h, then: ¦close, keys: [{sha256: HEX}]}}",
     "integrations.i.then", "'resolve' or 'ask'"),
    ("bad severity", "integrations: {i: {kind: native, set: {severity: ¦bad}, keys: [{sha256: HEX}]}}",
     "integrations.i.set.severity", "a severity"),
    ("unknown actor", "api_keys: {k: {keys: [{sha256: HEX}], acts_as: ¦bob}}", "api_keys.k.acts_as", "a user"),
    ("bad template", "templates: {t: {title: x, body: '¦{{ title '}}", "templates.t.body", "a Jinja template"),
    ("a template that takes all memory", "templates: {t: {title: \"¦{{ 'x' * 400000000 }}\", body: b}}",
     "templates.t.title", "renders for an ordinary incident: a text or list becomes too large"),
    ("a template that never ends", "templates:\n  t:\n    title: x\n    body: |\n      Dear all,\n      ¦{% for a in range(999) %}{% for b in range(999) %}{{ a }}{% endfor %}{% endfor %}",
     "templates.t.body", "too many steps"),
    ("a name that no message has", "templates: {t: {title: '{{ ¦titel }}', body: b}}", "templates.t.title", "no field 'titel'", "did you mean 'title'"),
    ("no way to silence", "suppress: [{name: s, window: ¦{days: sun}}]", "suppress[0].window.timezone", "required"),
    ("no zone in one of several", "suppress: [{name: s, window: [{timezone: UTC}, ¦{days: sun}]}]",
     "suppress[0].window[1].timezone", "required"),
    ("no such calendar to silence by", "suppress: [{name: s, window: {calendar: ¦offce}}]",
     "suppress[0].window.calendar", "a calendar (there is none)"),
    ("a calendar and times", "suppress: [{name: s, window: ¦{calendar: always, from: '08:00'}}]",
     "suppress[0].window", "either `calendar`, or days and times"),
    ("a name where a window is due", "suppress: [{name: s, window: ¦office}]", "suppress[0].window",
     "a mapping with from, to, timezone, calendar, days"),
    ("no windows at all", "suppress: [{name: s, window: ¦[]}]", "suppress[0].window", "at least 1"),
    ("a bad time in a window alone", "schedules: {s: {timezone: UTC, layers: [{rotation: [ana], shift: 1d, starts: 2026-01-05T08:00, only: {from: ¦8}}]}}",
     "schedules.s.layers[0].only.from", "did you mean '08:00'?"),
    ("a bad key in one of several", "schedules: {s: {timezone: UTC, layers: [{rotation: [ana], shift: 1d, starts: 2026-01-05T08:00, only: [{}, {¦day: mon}]}]}}",
     "schedules.s.layers[0].only[1].day", "did you mean 'days'?"),
    ("a layer by no calendar", "schedules: {s: {timezone: UTC, layers: [{rotation: [ana], shift: 1d, starts: 2026-01-05T08:00, only: [{}, {calendar: ¦office}]}]}}",
     "schedules.s.layers[0].only[1].calendar", "a calendar"),
    ("a layer that ends before it starts", "schedules: {s: {timezone: UTC, layers: [{rotation: [ana], shift: 1d, starts: 2026-01-05T08:00, ends: ¦2026-01-05T08:00}]}}",
     "schedules.s.layers[0].ends", "later than its `starts`, 2026-01-05T08:00"),
    ("turns that are not counted where nothing is closed", "schedules: {s: {timezone: UTC, layers: [{rotation: [ana], shift: 1d, starts: 2026-01-05T08:00, count: ¦open}]}}",
     "schedules.s.layers[0].count", "`only` beside it: without windows no turn is closed"),
    ("a count of its own", "schedules: {s: {timezone: UTC, layers: [{rotation: [ana], shift: 1d, starts: 2026-01-05T08:00, count: ¦opne}]}}",
     "schedules.s.layers[0].count", "did you mean 'open'?"),
    ("no such yearly date", "calendars: {o: {timezone: UTC, hours: [{}], holidays: {add: ['02-29', ¦'02-30']}}}",
     "calendars.o.holidays.add[1]", '"12-24" for every year'),
    ("hours of no date", "calendars: {o: {timezone: UTC, hours: {}, holidays: {hours: {¦christmas: {}}}}}",
     "calendars.o.holidays.hours.christmas", "a date"),
    ("days where the date says when", "calendars: {o: {timezone: UTC, hours: {}, holidays: {hours: {'12-24': {¦days: mon}}}}}",
     "calendars.o.holidays.hours.12-24.days", "one of from, to, timezone, calendar"),
    ("calendars in a circle", "calendars: {a: {timezone: UTC, hours: ¦[{calendar: b}]}, b: {timezone: UTC, hours: {calendar: a}}}",
     "calendars.a.hours", "a circle: a → b → a"),
    ("a day by no calendar", "calendars: {o: {timezone: UTC, hours: {}, holidays: {hours: {'12-24': {calendar: ¦short}}}}}",
     "calendars.o.holidays.hours.12-24.calendar", "a calendar (o)"),
    ("two reasons to silence", "suppress: [¦{name: s}]", "suppress[0]", "either `window` or `while_open`"),
    ("grouping by nothing known", "grouping: [{name: g, by: [¦servce], within: 5m}]", "grouping[0].by[0]", "'service'?"),
    ("late by nothing", "heartbeats: {b: {every: 1h, late_after: ¦0s, event: {title: x}}}", "heartbeats.b.late_after",
     "longer than nothing"),
    ("no title", "heartbeats: {b: {every: 1h, late_after: 1h, event: ¦{}}}", "heartbeats.b.event.title", "required"),
    ("mixed shift", "schedules: {s: {timezone: UTC, layers: [{rotation: [ana], shift: ¦1d12h, starts: 2026-01-05}]}}",
     "schedules.s.layers[0].shift", "whole days"),
    ("start with an offset",
     "schedules: {s: {timezone: UTC, layers: [{rotation: [ana], shift: 1d, starts: ¦2026-01-05T08:00Z}]}}",
     "schedules.s.layers[0].starts", "without an offset"),
    ("nobody takes turns", "schedules: {s: {timezone: UTC, layers: [{rotation: ¦[], shift: 1d, starts: 2026-01-05}]}}",
     "schedules.s.layers[0].rotation", "at least 1"),
    ("a tag", "loud: ¦!!python/name:os.system x", "loud", "the tag"),
    ("a merge key", "x: &x {a: 1}\nservices: {web: {¦<<: *x}}", "services.web.<<", "a merge key"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("added", "path", "words"), [(row[1], row[2], row[3:]) for row in ADDED], ids=[row[0] for row in ADDED]
)
def test_a_mistake_is_told_with_its_place(tmp_path, added, path, words):
    text, places = marked(SMALLEST + added.replace("HEX", HEX) + "\n")
    errors = [error for error in errors_of(tmp_path, text) if error.path == path]

    assert len(errors) == 1
    assert (errors[0].place.line, errors[0].place.column) == places[0]
    assert all(word in errors[0].message for word in words), errors[0].message


# The same for what replaces a part of the smallest bundle: (what is wrong, old, new, path, words)
REPLACED = [
    ("unknown policy", "[{policy: only}]", "[{policy: ¦onyl}]", "routes[0].policy", "did you mean 'only'?"),
    ("unknown start", "[{policy: only}]", "[{policy: only, start_at: ¦fist}]", "routes[0].start_at", "'first'?"),
    ("last route with a condition", "[{policy: only}]", "[{policy: only, when: ¦priority == 1}]",
     "routes[0].when", "a last route that matches everything"),
    ("no last resort", "last_resort: [user:ana]\n", "", "last_resort", "required"),
    ("an empty section", "routes: [{policy: only}]", "¦routes:", "routes", "required"),
    ("policies in a circle", "5m}]}}", "5m}], points: [{name: p, at: 5% of resolve, do: [{escalate: {policy: ¦only}}]}]}}",
     "policies.only.points[0].do[0].escalate.policy", "only → only", "goes to its `finally`"),
    ("empty last resort", "last_resort: [user:ana]", "last_resort: ¦[]", "last_resort", "at least 1"),
    ("a last resort that needs an incident", "last_resort: [user:ana]", "last_resort: ¦[{manager_of: assignee}]",
     "last_resort", "manager of assignee", "a user, team, schedule or address"),
    ("another version", "version: 1", "version: ¦2", "version", "found 2, expected 1"),
    ("level twice", "5m}]}}", "5m}, {name: ¦first, notify: [user:ana], acknowledge_within: 5m}]}}",
     "policies.only.levels[1].name", "a second time"),
    ("no time to take it", "5m}]}}", "¦5 minutes}]}}", "policies.only.levels[0].acknowledge_within", "a duration"),
    ("nobody to notify", "notify: [user:ana]", "notify: ¦[]", "policies.only.levels[0].notify", "at least 1"),
    ("a mode of its own", "5m}]}}", "5m, mode: ¦random}]}}", "policies.only.levels[0].mode", "round_robin"),
    ("a manager in a circle", "{name: Ana,", "{name: Ana, manager: ¦ana,", "users.ana.manager", "ana → ana"),
    ("a rule for no contact", "{name: Ana,", "{name: Ana, rules: {high: [{via: ¦bx}]},",
     "users.ana.rules.high[0].via", "did you mean 'box'?"),
    ("a point without a trigger", "5m}]}}", "5m}], points: [¦{name: p, do: [{notify: [user:ana]}]}]}}",
     "policies.only.points[0]", "either `at`"),
    ("a point that reads the time", "5m}]}}",
     "5m}], points: [{name: p, when: ¦\"open('always')\", do: [{inform: [user:ana]}]}]}}",
     "policies.only.points[0].when", "does not read the time"),
    ("two verbs", "5m}]}}", "5m}], points: [{name: p, at: 5% of resolve, do: [¦{update: x, call: y}]}]}}",
     "policies.only.points[0].do[0]", "exactly one of"),
    ("escalation to no level", "5m}]}}",
     "5m}], points: [{name: p, at: 5% of resolve, do: [{escalate: {level: ¦x}}]}]}}",
     "policies.only.points[0].do[0].escalate.level", "a level of this policy (first)"),
    ("a share of no clock", "5m}]}}", "5m}], points: [{name: p, at: ¦5% of reslve, do: [{update: x}]}]}}",
     "policies.only.points[0].at", "a share of a clock"),
    ("a key twice", "version: 1", "version: 1\n¦version: 1", "version", "first at"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "path", "words"),
    [(row[1], row[2], row[3], row[4:]) for row in REPLACED],
    ids=[row[0] for row in REPLACED],
)
def test_a_mistake_in_a_part_is_told_with_its_place(tmp_path, old, new, path, words):
    assert old in SMALLEST
    text, places = marked(SMALLEST.replace(old, new, 1))
    errors = [error for error in errors_of(tmp_path, text) if error.path == path]

    assert len(errors) == 1
    assert (errors[0].place.line, errors[0].place.column) == (places or [(1, 1)])[0]
    assert all(word in errors[0].message for word in words), errors[0].message


NOT_YAML = [
    ("", (1, 1), "an empty file"),
    ("# nothing but a comment\n", (1, 1), "an empty file"),
    ("- 1\n", (1, 1), "no mapping"),
    ("users: {ana: [1,\n", (2, 1), "the end of the file inside {…} or […]"),
    ("users:\n  ana: {}\n bob: {}\n", (3, 2), "indented unlike those it belongs to"),
    ("loud: 'tier == 'gold''\n", (1, 17), "quotes around the whole of it"),
    ("loud: priority == 1 ? true : false\n", (1, 28), "quotes around text that holds ': '"),
    ("users: {ana: {name: Ana]}\n", (1, 24), "found ']' where {…} or […] goes on"),
    ("users: {ana: {name: @ana}}\n", (1, 21), "found '@' where a value begins"),
    ("loud: 'tier\n", (2, 1), "the end of the file inside quotes"),
    ("loud: !acknowledged\n", (1, 7), "quotes around text with !"),
    ("users:\n\tana: {}\n", (2, 1), "indent with spaces"),
    ("loud: *nothing\n", (1, 7), "an undefined alias"),
    ("users: &u {ana: *u}\n", (1, 8), "an alias to what it stands in"),
    ("a: 1\n---\nb: 2\n", (2, 1), "another document"),
    ("loud: 'a\x07b'\n", (1, 9), "a character that YAML does not allow"),
    ("a: " + "[" * 500 + "]" * 500, (1, 1), "beyond all measure"),
]


@pytest.mark.parametrize(("text", "place", "words"), NOT_YAML, ids=[row[2] for row in NOT_YAML])
def test_what_is_no_bundle_at_all_is_told_too(tmp_path, text, place, words):
    told = [(error.place.line, error.place.column, error.message) for error in errors_of(tmp_path, text)]

    assert any((line, column) == place and words in message for line, column, message in told), told


def test_bytes_that_are_no_text_are_told_with_their_line(tmp_path):
    file = tmp_path / "bundle.yaml"
    file.write_bytes(b"version: 1\nloud: \xff\n")

    with pytest.raises(PolicyErrors, match=r"bundle\.yaml:2:1: found bytes that are not UTF-8"):
        load(file)


def test_a_missing_file_and_an_empty_folder_are_told(tmp_path):
    with pytest.raises(PolicyErrors) as missing:
        load(tmp_path / "none.yaml")
    with pytest.raises(PolicyErrors, match=r"0: found a folder without \*\.yaml files"):
        load(tmp_path)

    assert str(missing.value) == (
        f"{tmp_path}/none.yaml: found no file or folder of this name, expected a policy bundle: "
        "a YAML file, or a folder of them"
    )


def test_aliases_that_multiply_are_refused(tmp_path):
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 10) + "]" for n in range(1, 9)]

    assert any("beyond all measure" in error.found for error in errors_of(tmp_path, "\n".join(rows)))


def test_every_mistake_is_shown_at_once(tmp_path):
    text = (
        SMALLEST
        + "usres: {}\nteams: {t: {members: [anna], led: ana}}\nloud: tir == ''\nslas: [{name: a, resolve: soon}]\n"
    )
    errors = errors_of(tmp_path, text)

    assert [error.path for error in errors] == ["usres", "teams.t.led", "loud", "slas[0].resolve"]
    assert errors[2].place.line == 8


def test_an_entry_of_the_wrong_shape_does_not_hide_mistakes_beside_it(tmp_path):
    text = SMALLEST + "slas:\n- {name: a, resolve: soon}\n- {name: b, resolve: 1h, calendar: office}\n"
    errors = errors_of(tmp_path, text)

    assert [(error.path, error.place.line) for error in errors] == [
        ("slas[0].resolve", 7),
        ("slas[1].calendar", 8),
    ]


# What newcomers write: (a section, path, what is suggested)
MEANT = [
    ("subscriptions: [{who: ana, events: [opened]}]", "subscriptions[0].who", "[user:ana]"),
    ("subscriptions: [{who: [ana], events: [opened]}]", "subscriptions[0].who[0]", "user:ana"),
    ("subscriptions: [{who: ['user: ana'], events: [opened]}]", "subscriptions[0].who[0]", "user:ana"),
    ("subscriptions: [{who: [{user: ana}], events: [opened]}]", "subscriptions[0].who[0]", "user:ana"),
    ("subscriptions: [{who: [user:ana], events: opened}]", "subscriptions[0].events", "[opened]"),
    ("slas: [{name: a, resolve: 5 min}]", "slas[0].resolve", "5m"),
    ("slas: [{name: a, resolve: 1 hour 30 minutes}]", "slas[0].resolve", "1h30m"),
    ("slas: [{name: a, resolve: 1h, warn_at: [0.5]}]", "slas[0].warn_at[0]", "50%"),
    ("slas: [{name: a, resolve: 1h, warn_at: [50 %]}]", "slas[0].warn_at[0]", "50%"),
    ("slas: [{name: 1, resolve: 1h}]", "slas[0].name", "1"),
    ("calendars: {o: {timezone: UTC, hours: [{from: 8:00}]}}", "calendars.o.hours[0].from", "08:00"),
    ("calendars: {o: {timezone: UTC, hours: [{to: 18}]}}", "calendars.o.hours[0].to", "18:00"),
    ("calendars: {o: {timezone: UTC, hours: [{days: Monday to Friday}]}}", "calendars.o.hours[0].days", "mon-fri"),
    ("calendars: {o: {timezone: europe/prague, hours: [{}]}}", "calendars.o.timezone", "Europe/Prague"),
    ("calendars: {o: {timezone: Prague, hours: [{}]}}", "calendars.o.timezone", "Europe/Prague"),
    ("calendars: {o: {timezone: UTC, hours: [{}], holidays: {add: [24.12.2026]}}}", "calendars.o.holidays.add[0]",
     "2026-12-24"),
    ("schedules: {s: {timezone: UTC, layers: [{rotation: [ana], shift: weekly, starts: 2026-01-05}]}}",
     "schedules.s.layers[0].shift", "1w"),
    ("schedules: {s: {timezone: UTC, layers: [{rotation: [ana], shift: 1w, starts: 2026-1-5 8:00}]}}",
     "schedules.s.layers[0].starts", "2026-01-05T08:00"),
    ("tiers: [Gold]", "tiers[0]", "gold"),
    ("teams: {Web Shop: {}}", "teams.Web Shop", "web-shop"),
    ("heartbeats: {b: {every: 1h, late_after: 1h, event: {tilte: x}}}", "heartbeats.b.event.tilte", "title"),
]  # fmt: skip


@pytest.mark.parametrize(("added", "path", "hint"), MEANT, ids=[row[0] for row in MEANT])
def test_what_was_probably_meant_is_suggested(tmp_path, added, path, hint):
    errors = errors_of(tmp_path, SMALLEST + added + "\n")

    assert [(error.path, error.hint) for error in errors] == [(path, hint)]


# Conditions with the habits of other languages: (the condition, words of the message)
HABITS = [
    ("tier = 'gold'", "to compare is '=='"),
    ("tier == 'gold' and priority == 1", "'and' is written '&&'"),
    ("tier == 'gold' OR priority == 1", "'or' is written '||'"),
    ("not acknowledged", "'not' is written '!'"),
    ("tier <> 'gold'", "'is not' is written '!='"),
    ("priority => 2", "the signs are '<=' and '>='"),
    ("tier in ('gold', 'silver')", "a list is written ['a', 'b']"),
    ('tier == "gold', "quotes must close"),
    ("tier == gold", "text stands in quotes ('gold')"),
    ("budget > 10.0", "what was sent is attributes.budget"),
    ("acknowledged == True", "did you mean 'true'?"),
    ("label.job == 'web'", "did you mean 'labels.job'?"),
    ("title.contain('disk')", "no method 'contain'; did you mean 'contains'?"),
]


@pytest.mark.parametrize(("condition", "words"), HABITS, ids=[row[0] for row in HABITS])
def test_a_condition_of_another_language_is_told_how_to_write_it(tmp_path, condition, words):
    errors = errors_of(tmp_path, SMALLEST + "loud: " + condition + "\n")

    assert [error.path for error in errors] == ["loud"]
    assert words in errors[0].message


# One mistake beside others: (what is wrong, old, new, every path in the order of the file)
BESIDE = [
    ("other contacts of the same user", "contacts: {box: {inbox: ana}}",
     "manager: bob, contacts: {box: {inbox: ana}, fax: {fax: '1'}, mail: {email: nobody}}",
     ["users.ana.manager", "users.ana.contacts.fax", "users.ana.contacts.mail.email"]),
    ("a condition in the same row", "routes:", "priorities: [{priority: 9, when: severity = 'x'}]\nroutes:",
     ["priorities[0].priority", "priorities[0].when"]),
    ("members of the same list", "notify: [user:ana]", "notify: [user:bob, nobody, team:none]",
     [f"policies.only.levels[0].notify[{index}]" for index in range(3)]),
    ("other levels of the same policy", "acknowledge_within: 5m}]",
     "acknowledge_within: soon}, {name: second, notify: [user:bob], acknowledge_within: 5m, handles: tir == ''}]",
     ["policies.only.levels[0].acknowledge_within", "policies.only.levels[1].notify[0]",
      "policies.only.levels[1].handles"]),
    ("what a part with two verbs says", "5m}]}}",
     "5m}], points: [{name: p, when: tir == '', at: 50% of resolve, do: [{inform: [user:bob], call: no}]}]}}",
     ["policies.only.points[0]", "policies.only.points[0].when", "policies.only.points[0].do[0]",
      "policies.only.points[0].do[0].inform[0]", "policies.only.points[0].do[0].call"]),
    ("a rule of the whole part beside a wrong value", "5m}]}}",
     "5m}], points: [{name: p, at: 50% of resolve, do: [{inform: [nobody], escalate: {level: first}}]}]}}",
     ["policies.only.points[0].do[0]", "policies.only.points[0].do[0].inform[0]"]),
    ("what stands under a name that is none", "routes:", "teams: {Web: {members: [bob]}}\nroutes:",
     ["teams.Web", "teams.Web.members[0]"]),
    ("what stands beside a key that is none", "routes:", "teams: {web: {led: ana, members: [bob]}}\nroutes:",
     ["teams.web.led", "teams.web.members[0]"]),
    ("what stands beside a section that is none", "routes:", "usres: {}\nloud: tir == ''\nroutes:",
     ["usres", "loud"]),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "paths"), [row[1:] for row in BESIDE], ids=[row[0] for row in BESIDE])
def test_a_mistake_hides_nothing_beside_it(tmp_path, old, new, paths):
    errors = errors_of(tmp_path, SMALLEST.replace(old, new, 1))

    assert [error.path for error in errors] == paths


# A mistake that is told once: (what is wrong, old, new, its path)
ONCE = [
    ("one member of a list", "notify: [user:ana]", "notify: [nobody]", "policies.only.levels[0].notify[0]"),
    ("one policy of one", "levels: [", "lvels: [", "policies.only.lvels"),
    ("a required key, misspelt", "name: Ana", "nmae: Ana", "users.ana.nmae"),
    ("a section that others name, misspelt", "users:", "user:", "user"),
    ("a section that others name, of the wrong shape", "{ana: {name: Ana, contacts: {box: {inbox: ana}}}}", "[ana]", "users"),
    ("a name in capitals that others use", "users: {ana:", "users: {Ana:", "users.Ana"),
    ("levels that are no list", "[{name: first, notify: [user:ana], acknowledge_within: 5m}]", "none", "policies.only.levels"),
    ("a promise that is none", "routes:", "slas: [{name: a, resolve: soon}]\nroutes:", "slas[0].resolve"),
    ("tiers that are no list", "routes:", "tiers: gold\ncustomers: {a: {name: A, tier: gold}}\nroutes:", "tiers"),
    ("contacts that are no mapping", "contacts: {box: {inbox: ana}}", "contacts: x, rules: {low: [{via: box}]}",
     "users.ana.contacts"),
    ("skills that are no list", "name: Ana", "skills: go, name: Ana", "users.ana.skills"),
    ("a circle of managers", "users: {ana: {", "users: {bob: {name: B, manager: ana}, ana: {manager: bob, ",
     "users.bob.manager"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "path"), [row[1:] for row in ONCE], ids=[row[0] for row in ONCE])
def test_one_mistake_is_one_error(tmp_path, old, new, path):
    text = SMALLEST.replace("routes: [{", "routes: [{start_at: first, ").replace(old, new, 1)

    assert [error.path for error in errors_of(tmp_path, text)] == [path]


def test_a_file_that_cannot_be_read_does_not_make_the_names_of_others_unknown(tmp_path):
    (tmp_path / "a.yaml").write_text(SMALLEST + "teams: {web: {lead: bob, led: x}}\n")
    (tmp_path / "b.yaml").write_text("users: {bob: {name: Bob}\n")

    with pytest.raises(PolicyErrors) as caught:
        load(tmp_path)

    assert [error.path for error in caught.value.errors] == ["teams.web.led", ""]


def test_a_name_that_stands_in_an_entry_of_the_wrong_shape_is_known(tmp_path):
    text = SMALLEST + "teams: {web: {member: []}}\nservices: {shop: {team: web}}\n"

    assert [error.path for error in errors_of(tmp_path, text)] == ["teams.web.member"]


def test_an_error_reads_as_one_line(tmp_path):
    errors = errors_of(tmp_path, SMALLEST.replace("notify: [user:ana]", "notify: [user:annna]"))

    assert str(errors[0]) == (
        f"{tmp_path}/bundle.yaml:4:51: policies.only.levels[0].notify[0]: found 'user:annna', expected a user "
        "(ana); did you mean 'user:ana'?"
    )
