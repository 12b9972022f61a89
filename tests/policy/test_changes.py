"""What changed between two policies, as somebody who reads the terminal is told."""

import copy
import json
from pathlib import Path

import pytest

from shared.policy import dump_json, load
from shared.policy.model.changes import MOST_TOLD, changes

EXAMPLE = json.loads(dump_json(load(Path(__file__).parents[2] / "deploy" / "policy")))
DEMO_SHA = EXAMPLE["api_keys"]["demo"]["keys"][0]["sha256"]


def told(change, before=EXAMPLE):
    after = copy.deepcopy(before)
    change(after)
    return changes(json.dumps(before).encode(), json.dumps(after).encode())


def test_team_desk_eva_added_the_level_waits_longer_and_an_integration_went():
    def change(policy):
        policy["teams"]["desk"]["members"].append("eva")
        policy["policies"]["quick"]["levels"][0]["acknowledge_within"] = "30s"
        del policy["integrations"]["pager"]

    assert sorted(told(change)) == [
        "integration pager removed",
        "policies.quick.levels[0].acknowledge_within: 15s → 30s",
        "team desk: eva added",
    ]


@pytest.mark.parametrize(
    ("change", "sentences"),
    [
        (lambda it: None, []),
        (lambda it: it["users"].update(eva={"name": "Eva"}), ["user eva added"]),
        (lambda it: it["users"].update(eva={}, jan={}), ["users eva, jan added"]),
        (
            lambda it: it["customers"].update({f"c{number}": {} for number in range(12)}),
            ["12 customers added (c0, c1, c2, …)"],
        ),
        (lambda it: it["teams"]["desk"].update(lead="karel"), ["teams.desk.lead: petra → karel"]),
        (lambda it: it["tiers"].reverse(), ["tiers: [gold, silver, standard] → [standard, silver, gold]"]),
        (lambda it: it["slas"][0].update(update="1h"), ["slas[0].update: unset → 1h"]),
        (lambda it: it["users"]["ana"].pop("skills"), ["users.ana.skills: [checkout] → unset"]),
        (lambda it: it["customers"]["acme"].update(value=300000.0), ["customers.acme.value: 250000 → 300000"]),
        (  # a level in front of others does not change them
            lambda it: it["policies"]["quick"]["levels"].insert(0, {"name": "robot", "notify": ["user:ana"]}),
            ["policies.quick.levels: robot added"],
        ),
        (
            lambda it: it["policies"]["quick"]["levels"].reverse(),
            ["policies.quick.levels: now in the order experts, service desk"],
        ),
        (
            lambda it: it["policies"]["quick"]["levels"][1].update(name="specialists"),
            ["policies.quick.levels: specialists added, experts removed"],
        ),
        (lambda it: it["policies"]["finance"]["levels"][0].update(name="cfo"), ["policies.finance.levels[0].name: controller → cfo"]),
        (lambda it: it["routes"].insert(1, {"policy": "finance", "when": "tier == 'gold'"}), ["routes[1] added: {policy: finance, when: tier == 'gold'}"]),
        (lambda it: it["routes"].pop(0), ["routes[0] removed: {policy: finance, when: kind == 'budget_overrun' && attribu…"]),
        (lambda it: it["routes"][2].update(policy="finance"), ["routes[2].policy: quick → finance"]),
    ],
)  # fmt: skip
def test_each_difference_is_one_sentence_in_the_words_of_the_policy(change, sentences):
    assert told(change) == sentences


def test_addresses_keys_and_secrets_are_never_quoted():
    def change(policy):
        policy["users"]["ana"]["contacts"] = {
            "hook": {"webhook": "https://x.example/T0K3N", "secret": "S3CRET"}
        }
        policy["api_keys"]["demo"]["keys"].append({"sha256": "b" * 64})
        policy["integrations"]["demo"]["signing_secret"] = "S3CRET"
        policy["calls"] = {"restart": {"webhook": "https://x.example/T0K3N"}}
        policy["last_resort"] = ["user:karel", {"webhook": "https://x.example/T0K3N"}]

    heard = told(change)
    assert {"user ana: contact hook added", "user ana: contact box removed"} <= set(heard)
    assert {
        "api_keys.demo.keys changed",
        "integrations.demo.signing_secret changed",
        "call restart added",
    } <= set(heard)
    assert not any(hidden in " ".join(heard) for hidden in ("T0K3N", "S3CRET", DEMO_SHA, "b" * 64))


def test_a_policy_that_is_another_one_altogether_is_told_in_so_many_lines_and_a_number():
    other = {"users": {f"u{number}": {"name": "x"} for number in range(200)}}
    changed = copy.deepcopy(other)
    for user in changed["users"].values():
        user["name"] = "y"
    heard = changes(json.dumps(other).encode(), json.dumps(changed).encode())
    assert len(heard) == MOST_TOLD + 1
    assert heard[-1] == f"and {200 - MOST_TOLD} more"
