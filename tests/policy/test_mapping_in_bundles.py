"""An integration's `map`, `ignore` and `each` in the bundle: how they may be written, what is told of mistakes."""

import json

import pytest

from shared.policy import dump_json, load, load_json
from tests.policy.bundles import COMPLETE, SMALLEST, errors_of, marked

KEYS = 'keys: [{sha256: "' + "0" * 64 + '"}]'


def test_the_shapes_of_a_map_travel_as_they_were_written():
    bundle = load(COMPLETE)
    again = load_json(dump_json(bundle))
    assert again == bundle
    plain = json.loads(dump_json(bundle))["integrations"]
    assert isinstance(plain["crm"]["map"], dict)
    assert [list(each) for each in plain["cluster"]["map"]] == [["map", "when"], ["map"]]
    assert bundle.integrations["cluster"].shapes[1][0] == "true"


MISTAKES = [
    ("map: {title: \"¦body.text.replace('x')\"}", "'replace' is written"),
    ('map: [{map: {title: "¦body.text.lower()"}}]', "no method 'lower'; did you mean 'lowerAscii'?"),
    ("map:\n      - when: \"body.a == 1 && ¦lowr(body.b) == 'x'\"\n        map: {}", "no function 'lowr'"),
    ("ignore: \"body.a.matches(¦'[')\"", "missing ]"),
    ('each: "¦jsn(body.Message)"', "no function 'jsn'; did you mean 'json'?"),
    ('ignore: "body.a ==¦"', "Syntax error"),
    ('map: [{¦wen: "true", map: {}}]', "did you mean 'when'?"),
    ("map: [{map: {¦titel: \"'x'\"}}]", "did you mean 'title'?"),
    ("map: [{map: {labels.: ¦5}}]", "text: put it in quotes"),
    ("map: ¦5", "a mapping"),
    ("map: ¦[]", "at least 1 entry"),
    ("map: [¦5]", "a mapping"),
    ('each: "body"\n    samples: [¦5]', "a file's name"),
]


@pytest.mark.parametrize(("said", "why"), MISTAKES)
def test_a_mistake_in_a_mapping_is_told_where_it_stands(tmp_path, said, why):
    text, places = marked(SMALLEST + f"integrations:\n  crm:\n    kind: json\n    {KEYS}\n    {said}\n")
    errors = errors_of(tmp_path, text)
    told = [(each.place.line, each.place.column) for each in errors]
    assert places[0] in told, [str(each) for each in errors]
    assert any(why in each.message for each in errors), [str(each) for each in errors]


@pytest.mark.parametrize("said", ['ignore: "true"', "each: alerts", "samples: [a.json]", "map: [{map: {}}]"])
def test_shapes_are_for_kind_json_only(tmp_path, said):
    text = SMALLEST + f"integrations:\n  prometheus:\n    kind: alertmanager\n    {KEYS}\n    {said}\n"
    (error,) = errors_of(tmp_path, text)
    assert error.message.endswith("only where kind is json")
