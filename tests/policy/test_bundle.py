"""A bundle as a value: every section loads, travels as JSON, and keeps its hash."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jsonschema
import pytest
from pydantic import ValidationError
from ruamel.yaml import YAML

from shared.policy import (
    AddressTarget,
    AssigneeTarget,
    AtShare,
    CustomerTarget,
    LeadOf,
    ManagerOf,
    PolicyErrors,
    Rate,
    ScheduleTarget,
    Shift,
    SkillTarget,
    Sla,
    TeamTarget,
    UserTarget,
    content_hash,
    dump_json,
    load,
    load_json,
    not_in_force,
    schema,
)
from tests.policy.bundles import COMPLETE, EXAMPLE, SMALLEST, smallest

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def complete():
    return load(COMPLETE)


def test_every_section_of_the_language_loads(complete):
    ana, checkout = complete.users["ana"], complete.policies["checkout"]

    assert (ana.contacts["bot"].channel, ana.contacts["bot"].secret) == ("webhook", "secret:ana-hook")
    assert [(step.via, step.after) for step in ana.rules.high][1] == ("phone", timedelta(minutes=2))
    assert ana.quiet_hours is not None
    [quiet] = ana.quiet_hours
    assert (quiet.from_, quiet.to) == (22 * 60, 7 * 60)
    assert complete.schedules["desk"].layers[0].shift == Shift(days=7)
    assert complete.schedules["desk"].layers[0].starts == datetime.fromisoformat("2026-01-05T08:00")
    assert complete.calendars["office"].hours[0].days == frozenset(range(5))
    assert complete.customers["acme"].value == 250_000
    assert complete.kinds["deadline_overrun"].attributes["due"] == "datetime"
    assert complete.slas[0].warn_at == (50.0, 80.0)
    assert complete.slas[0].goal("resolve") == timedelta(hours=4)
    assert (checkout.rounds, checkout.finally_.every) == (2, timedelta(minutes=15))
    assert checkout.points[0].at == AtShare(50.0, "resolve")
    assert complete.integrations["crm"].rate == Rate(100, 1)
    assert complete.integrations["crm"].keys[0].expires == datetime(2027, 1, 1, tzinfo=UTC)


def test_a_promise_may_say_whose_act_keeps_it_and_an_answer_is_a_persons_by_itself():
    written = {
        "name": "s",
        "acknowledge": {"within": "5m", "by": "person"},
        "respond": "15m",
        "update": "30m",
    }
    sla = Sla.model_validate(written)
    assert [sla.by(target) for target in ("acknowledge", "respond", "update", "resolve")] == [
        "person",
        "person",
        "anybody",
        "anybody",
    ]
    assert sla.goal("acknowledge") == timedelta(minutes=5)
    assert sla.model_dump(exclude_defaults=True) == written  # short stays short: the hash of a bundle stays
    assert (
        Sla.model_validate({"name": "s", "respond": {"within": "1h", "by": "anybody"}}).by("respond")
        == "anybody"
    )


def test_what_a_bundle_leaves_out_has_the_documented_default():
    bundle = smallest()
    policy = bundle.policies["only"]

    assert (policy.rounds, policy.reopen_within, policy.forgotten_after) == (
        1,
        timedelta(hours=1),
        timedelta(days=1),
    )
    assert policy.finally_.every == timedelta(minutes=15)
    assert (bundle.tiers, bundle.loud, bundle.users["ana"].role) == (("standard",), "true", "responder")
    assert bundle.tier_of("platinum") == "standard"


def test_a_pagerduty_integration_reopens_nothing_unless_it_says_so():
    keys = [{"sha256": "a" * 64}]
    bundle = smallest(
        integrations={
            "pager": {"kind": "pagerduty", "keys": keys},
            "kept": {"kind": "pagerduty", "keys": keys, "reopen_within": "2h"},
            "scripts": {"kind": "native", "keys": keys},
        }
    )
    said = {name: integration.reopens_within for name, integration in bundle.integrations.items()}

    assert said == {"pager": timedelta(0), "kept": timedelta(hours=2), "scripts": None}


def test_an_api_key_without_a_role_has_that_of_the_user_it_acts_as():
    keys = [{"sha256": "a" * 64}]
    bundle = smallest(
        api_keys={
            "bot": {"keys": keys, "acts_as": "ana"},
            "board": {"keys": keys},
            "ops": {"keys": keys, "role": "admin"},
        }
    )

    assert [bundle.role_of(name) for name in ("bot", "board", "ops")] == ["responder", "viewer", "admin"]


TARGETS = [
    ("user:ana", UserTarget("ana"), "user:ana"),
    ("schedule:desk", ScheduleTarget("desk"), "schedule:desk"),
    ("customer", CustomerTarget(), "customer"),
    ({"manager_of": "assignee"}, ManagerOf(AssigneeTarget()), "manager of assignee"),
    ({"manager_of": {"lead_of": "service"}}, ManagerOf(LeadOf("service")), "manager of lead of service"),
    ({"skill": "go", "among": "team:x"}, SkillTarget("go", TeamTarget("x")), "skill go among team:x"),
    ({"email": "a@b.example"}, AddressTarget("email", "a@b.example"), "email a@b.example"),
]


@pytest.mark.parametrize(("written", "target", "text"), TARGETS)
def test_a_target_is_a_value_that_reads_well_and_is_written_back(written, target, text):
    bundle = smallest(last_resort=[written])

    assert bundle.last_resort == (target,)
    assert target.text == text
    assert json.loads(dump_json(bundle))["last_resort"] == [written]


@pytest.mark.parametrize("path", [COMPLETE, EXAMPLE], ids=["complete", "example"])
def test_a_bundle_survives_its_json(path):
    bundle = load(path)

    assert load_json(dump_json(bundle)) == bundle
    assert dump_json(load_json(dump_json(bundle))) == dump_json(bundle)


def test_a_bundle_is_frozen(complete):
    with pytest.raises(ValidationError, match="frozen"):
        complete.loud = "true"


def test_the_hash_is_the_same_in_every_process(complete):
    program = f"from pathlib import Path\nfrom shared.policy import *\nprint(content_hash(load(Path({str(COMPLETE)!r}))))"
    told = {
        subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            cwd=PROJECT,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout.strip()
        for seed in ("0", "1", "2")
    }

    assert told == {content_hash(complete)}


def test_the_hash_changes_with_what_a_bundle_says_and_not_with_how_it_says_it():
    plain = content_hash(smallest())

    assert content_hash(smallest(tiers=["standard"])) == plain
    assert content_hash(smallest(tiers=["gold", "standard"])) != plain


def test_what_ladderignore_names_is_no_part_of_the_folder(tmp_path):
    (tmp_path / "policy.yaml").write_text(SMALLEST)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "policy.yaml").write_text("nonsense: of another policy")
    (tmp_path / "old.yaml").write_text("nonsense")
    (tmp_path / ".ladderignore").write_text("# not ours\nother/\n\nold.yaml\n")
    assert load(tmp_path) == load(tmp_path / "policy.yaml")


def test_a_folder_is_merged_by_section_and_hashes_like_one_file(tmp_path):
    (tmp_path / "team-a").mkdir()
    (tmp_path / "team-a" / "people.yaml").write_text(
        "users: {bob: {name: Bob}}\nslas: [{name: b, resolve: 2h}]\n"
    )
    (tmp_path / "all.yaml").write_text(SMALLEST + "slas: [{name: a, resolve: 1h}]\n")
    (tmp_path / ".hidden.yaml").write_text("nonsense")
    (tmp_path / "notes.txt").write_text("not read")
    one = tmp_path / ".one.yaml"
    text = SMALLEST.replace("users: {", "users: {bob: {name: Bob}, ")
    one.write_text(text + "slas: [{name: a, resolve: 1h}, {name: b, resolve: 2h}]\n")

    merged = load(tmp_path)

    assert [sla.name for sla in merged.slas] == ["a", "b"]
    assert sorted(merged.users) == ["ana", "bob"]
    assert content_hash(merged) == content_hash(load(one))


def test_a_name_in_two_files_is_an_error_that_names_both_places(tmp_path):
    (tmp_path / "a.yaml").write_text(SMALLEST)
    (tmp_path / "b.yaml").write_text("version: 1\nusers:\n  ana: {name: Another}\nloud: 'true'\n")
    (tmp_path / "c.yaml").write_text("loud: 'false'\n")

    with pytest.raises(PolicyErrors) as caught:
        load(tmp_path)

    twice = "a second time, expected it only once (first at"
    assert [str(error) for error in caught.value.errors] == [
        f"{tmp_path}/b.yaml:3:3: users.ana: found 'ana' {twice} {tmp_path}/a.yaml:3:9)",
        f"{tmp_path}/c.yaml:1:1: loud: found 'loud' {twice} {tmp_path}/b.yaml:4:1)",
    ]


def test_errors_of_a_folder_name_the_file_they_stand_in(tmp_path):
    (tmp_path / "a.yaml").write_text(SMALLEST + "slas: [{name: a, resolve: 1h}]\n")
    (tmp_path / "b.yaml").write_text("slas:\n- {name: b, resolve: 1h, calendar: office}\n")

    with pytest.raises(PolicyErrors, match=r"b\.yaml:2:36: slas\[1\]\.calendar"):
        load(tmp_path)


def _as_editors_read(path):
    yaml = YAML(typ="safe", pure=True)
    text = path.read_text()
    return json.loads(json.dumps(yaml.load(text), default=str))


@pytest.mark.parametrize("path", [COMPLETE, EXAMPLE / "ladder.yaml"], ids=["complete", "example"])
def test_the_schema_accepts_what_loads(path):
    jsonschema.validate(_as_editors_read(path), schema(), cls=jsonschema.Draft202012Validator)


def test_the_schema_accepts_a_goal_that_says_whose_act_keeps_it():
    plain = _as_editors_read(COMPLETE)
    plain["slas"][0].update(acknowledge={"within": "5m", "by": "person"}, respond={"within": "1h"})
    jsonschema.validate(plain, schema(), cls=jsonschema.Draft202012Validator)


WRONG = [
    ("unknown section", lambda plain: plain.update(usres={})),
    ("unknown key", lambda plain: plain["users"]["ana"].update(nmae="x")),
    ("no duration", lambda plain: plain["slas"][0].update(resolve="soon")),
    ("nobody's goal", lambda plain: plain["slas"][0].update(update={"within": "5m", "by": "robots"})),
    ("no target", lambda plain: plain.update(last_resort=["karel"])),
    ("no name", lambda plain: plain["users"].update({"Ana N": {"name": "x"}})),
    ("no last resort", lambda plain: plain.pop("last_resort")),
    ("two contacts in one", lambda plain: plain["users"]["ana"]["contacts"].update(x={"fax": "1"})),
]


@pytest.mark.parametrize("change", [row[1] for row in WRONG], ids=[row[0] for row in WRONG])
def test_the_schema_refuses_what_does_not_load(change):
    plain = _as_editors_read(COMPLETE)
    change(plain)

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(plain, schema(), cls=jsonschema.Draft202012Validator)


def test_the_example_is_wholly_in_force():
    assert not_in_force(load(EXAMPLE)) == []


def test_everything_that_a_bundle_may_say_is_in_force(complete):
    assert not_in_force(complete) == []


def test_modes_clocks_and_calendars_are_in_force():
    level = {"name": "a", "notify": ["user:ana"], "acknowledge_within": "5m", "mode": {"one_by_one": "2m"}}
    point = {"name": "p", "at": "50% of update", "do": [{"inform": ["user:ana"]}]}
    bundle = smallest(
        policies={"only": {"levels": [level], "points": [point]}},
        calendars={"office": {"timezone": "UTC", "hours": [{"days": "mon-fri"}]}},
        loud="open('office')",
    )

    assert not_in_force(bundle) == []
