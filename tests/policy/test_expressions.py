"""Conditions: what they see, what they say when they fail, and that a section is evaluated at once."""

import time

import pytest

from shared.policy import Activation, ExpressionError, Expressions, Failed, FieldMapping
from shared.policy.cel.names import mentioned


@pytest.fixture
def expressions():
    return Expressions(calendars=["office"], schedules=["desk"])


def outcome(expressions, source, **values):
    names = {name.replace("__", "."): value for name, value in values.items()}
    return expressions.condition(source, "here").evaluate(Activation(names))


ROWS = [
    ("priority == 1 && tier == 'gold'", {"priority": 1, "tier": "gold"}, True),
    ("tier == ''", {}, True),  # an absent text is ''
    ("tier == ''", {"tier": None}, True),
    ("impact == 0 && urgency == 0", {}, True),  # an absent number is 0
    ("!acknowledged", {}, True),
    ("customer.id == '' && customer.value < 1", {}, True),  # no customer
    ("customer.value > 100000", {"customer__value": 250000}, True),  # whole or not
    ("customer.value * 2.0 > 3.0", {"customer__value": 2}, True),
    ("attributes.forecast > attributes.budget * 1.1", {"attributes": {"forecast": 12, "budget": 10}}, True),
    ("attributes.a.b[0] * 2.0 == 6.0", {"attributes": {"a": {"b": [3]}}}, True),
    ("attributes['the key'] == 1.0", {"attributes": {"the key": 1}}, True),
    ("has(attributes.due)", {"attributes": {}}, False),
    ("'x' in attributes.projects", {"attributes": {"projects": ["x"]}}, True),
    ("attributes.big > 1.0", {"attributes": {"big": 10**400}}, True),  # beyond a double: infinite
    ("attributes.flag", {"attributes": {"flag": True}}, True),
    ("labels.job == 'web' // the web", {"labels": {"job": "web"}}, True),
    ("open('always')", {}, False),  # whoever builds the activation answers; here nothing is open
]


@pytest.mark.parametrize(("source", "values", "expected"), ROWS)
def test_a_condition_sees_the_record(expressions, source, values, expected):
    assert outcome(expressions, source, **values) is expected


HOSTILE = "true"
for _name in "abcde":
    HOSTILE = f"[1,2,3,4,5,6,7,8,9,10].all({_name}, {HOSTILE})"

FAILURES = [
    ("attributes.forecast > 1.0", {}, "Key not found"),
    ("attributes.a > 1.0", {"attributes": {"a": "text"}}, "No matching overloads"),
    ("attributes.a", {"attributes": {"a": 1}}, "gave float, not true or false"),
    ("tier == 'x'", {"tier": "\ud800"}, "construction from null"),
    (HOSTILE, {}, "budget exceeded"),
]


@pytest.mark.parametrize(("source", "values", "reason"), FAILURES)
def test_a_condition_that_fails_is_a_value_with_its_reason(expressions, source, values, reason):
    failed = outcome(expressions, source, **values)

    assert isinstance(failed, Failed)
    assert reason in failed.reason
    assert not failed


def test_functions_ask_the_decision_under_way(expressions):
    condition = expressions.condition("open('office') && on_call('desk') == assignee", "here")
    asked = []

    def is_open(name):
        asked.append(name)
        return True

    assert condition.evaluate(Activation({"assignee": "ana"}, open=is_open, on_call=lambda _: "ana")) is True
    assert (
        condition.evaluate(Activation({"assignee": "ana"}, open=is_open, on_call=lambda _: "petra")) is False
    )
    assert asked == ["office", "office"]


def test_an_exception_in_a_function_is_a_failure_too(expressions):
    condition = expressions.condition("open('office')", "here")

    assert condition.evaluate(Activation({}, open=lambda _: 1 / 0)) == Failed("division by zero")


ERRORS = [
    ("tir == 'gold'", 1, "no name 'tir'; did you mean 'tier'?"),
    ("tier == '' || customer.nam == ''", 15, "no name 'customer.nam'; did you mean 'customer.name'?"),
    ("priority == 'a'", 10, "'==' does not take (int, string)"),
    ("priority", 1, "this is int, not true or false"),
    ("tier == '' && opn('office')", 15, "no function 'opn'; did you mean 'open'?"),
    ("open('ofice')", 1, "no calendar 'ofice'; did you mean 'office'?"),
    ("on_call('dsk') == ''", 1, "no schedule 'dsk'; did you mean 'desk'?"),
    ("tier ==", 8, "Syntax error: mismatched input '<EOF>'"),
    ("tier == '\ud800'", 1, "this text is not valid Unicode"),
]


@pytest.mark.parametrize(("source", "column", "message"), ERRORS)
def test_a_mistake_is_found_when_it_is_compiled(expressions, source, column, message):
    with pytest.raises(ExpressionError) as caught:
        expressions.condition(source, "here")

    assert (caught.value.column, caught.value.message) == (column, message)


def test_a_section_is_evaluated_at_once_and_names_its_first_match(expressions):
    sources = ["tier == 'gold' // the best", "priority == 1", "attributes.a > 1.0"]
    section = expressions.conditions([expressions.condition(each, "here") for each in sources])
    activation = Activation({"tier": "silver", "priority": 1, "attributes": {"a": 2}})

    assert section.first(activation) == (1, [False, True, True])
    assert expressions.conditions([]).first(activation) == (None, [])


@pytest.mark.parametrize("size", [2, 3, 7, 100])
def test_one_failure_does_not_touch_its_neighbours(expressions, size):
    for culprit in range(0, size, 1 + size // 8):
        sources = ["attributes.missing > 1.0" if n == culprit else f"priority == {n}" for n in range(size)]
        section = expressions.conditions([expressions.condition(each, "here") for each in sources])
        outcomes = section.evaluate(Activation({"priority": (culprit + 1) % size}))

        assert [n for n, each in enumerate(outcomes) if isinstance(each, Failed)] == [culprit]
        assert [n for n, each in enumerate(outcomes) if each is True] == [(culprit + 1) % size]


def test_a_section_too_deep_for_one_list_is_evaluated_in_parts(expressions):
    deep = "(" * 28 + "priority == 1" + ")" * 28
    section = expressions.conditions([expressions.condition(deep, str(n)) for n in range(3)])

    assert section.evaluate(Activation({"priority": 1})) == [True, True, True]


def test_the_names_that_a_condition_mentions_come_with_their_values(expressions):
    source = "tier == 'priority' && attributes.forecast > attributes['budget'] && labels.job.startsWith('w')"
    condition = expressions.condition(source, "here")
    activation = Activation(
        {"tier": "gold", "attributes": {"forecast": 5, "other": 1}, "labels": {"job": "web"}}
    )

    assert activation.used(condition) == {"tier": "gold", "attributes.forecast": 5, "labels.job": "web"}


MENTIONED = [
    ('tier == "a\\"priority" && level in [\'x\']', ("tier", "level")),
    ("open('office') || on_call('desk') == assignee", ("assignee",)),
    ("size(attributes) > 1", ("attributes",)),
    ("attributes.a.b.c == 1.0 // kind", ("attributes.a",)),
    ("labels.exists(k, k == 'tier')", ("labels",)),
    ("customer . value > 1", ("customer.value",)),
    ("title.matches(r'\\d+ tier')", ("title",)),
]


@pytest.mark.parametrize(("source", "names"), MENTIONED)
def test_the_names_of_an_expression_are_read_off_its_text(source, names):
    assert mentioned(source) == names


def test_a_condition_compiled_later_widens_what_an_activation_sees(expressions):
    activation = Activation({"tier": "gold", "kind": "crisis"})

    assert expressions.condition("tier == 'gold'", "one").evaluate(activation) is True
    assert expressions.condition("kind == 'crisis'", "two").evaluate(activation) is True


def test_a_mapping_reads_raw_bodies_and_leaves_out_what_fails():
    mapping = FieldMapping(
        {
            "title": "alert.labels.name + '!'",
            "severity": "alert.labels.severity",
            "customer": "alert.nothing",
            "attributes.count": "alert.count",
            "labels.huge": "huge",
        }
    )
    body = {"alert": {"labels": {"name": "disk"}, "nothing": None, "count": 3}, "huge": 10**30}

    assert mapping.evaluate(body) == {"title": "disk!", "attributes.count": 3, "labels.huge": 1e30}


def test_a_mapping_with_bad_syntax_is_refused():
    with pytest.raises(ExpressionError, match="Syntax error"):
        FieldMapping({"title": "a ? b"})


def test_a_hundred_conditions_take_microseconds(expressions, record_property):
    """The figure goes to the report; `make bench` measures it properly."""
    sources = [f"tier == 'gold' && priority == {n + 10} && kind != 'k{n}'" for n in range(100)]
    section = expressions.conditions([expressions.condition(each, "here") for each in sources])
    values = {"tier": "gold", "priority": 1, "kind": "incident"}
    section.evaluate(Activation(values))
    rounds = 200
    began = time.perf_counter()
    for _ in range(rounds):
        first, _outcomes = section.first(Activation(values))
    record_property("microseconds", (time.perf_counter() - began) / rounds * 1e6)

    assert first is None
