"""Functions on text in expressions: the CEL strings extension's own, with what they cost bounded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.policy import Activation, ExpressionError, Expressions, Failed
from shared.policy.cel.body_mapping import BodyMapping
from shared.policy.cel.text_functions import DEEPEST, MOST_PARTS

SAID = {
    "'tacocat'.charAt(3)": "o",
    "'tacocat'.charAt(7)": "",
    "'%s is %d of %.1f, %x and %b'.format(['ana', 2, 3.25, 255, 5])": "ana is 2 of 3.2, ff and 101",
    "'%s %s %s %s'.format([[1, 'a'], {'k': true}, null, 2.0])": "[1, a] {k: true} null 2",
    "'%s'.format([timestamp('2026-01-05T08:00:00Z')])": "2026-01-05T08:00:00Z",
    "'100%%'.format([])": "100%",
    "'hello mellow'.indexOf('ello', 2)": 7,
    "'hello mellow'.lastIndexOf('ello')": 7,
    "'hello mellow'.lastIndexOf('ello', 6)": 1,
    "['a', 'b'].join()": "ab",
    "['a', 'b'].join(', ')": "a, b",
    "'TÉxt'.lowerAscii()": "tÉxt",
    "'tÉxt'.upperAscii()": "TÉXT",
    "'a-b-c'.replace('-', '')": "abc",
    "'a-b-c'.replace('-', '+', 1)": "a+b-c",
    "'abc'.replace('', '_')": "_a_b_c_",
    "'a,b,c'.split(',')": ["a", "b", "c"],
    "'a,b,c'.split(',', 2)": ["a", "b,c"],
    "'a,b,c'.split(',', 0)": [],
    "'ěšč'.split('')": ["ě", "š", "č"],
    "'tacocat'.substring(4)": "cat",
    "'tacocat'.substring(0, 4)": "taco",
    "'  \\ttrim\\n '.trim()": "trim",
    "'gums'.reverse()": "smug",
    "strings.quote('one\\n\"two\"')": '"one\\n\\"two\\""',
    'json(\'{"alarm": {"id": 7}}\').alarm.id': 7,
    "json('[\"a\", null]')[1] == null": True,
}


@pytest.mark.parametrize(("source", "value"), SAID.items())
def test_text_can_be_taken_apart_and_put_together(source, value):
    mapping = BodyMapping([("true", {"title": source})])
    assert mapping.outcome(mapping.view({})).values == {"title": value}


FROM_THE_EXTENSION = [source for source in SAID if "json" not in source and "2.0" not in source]


@pytest.mark.parametrize("source", FROM_THE_EXTENSION)
def test_they_are_the_extensions_own(source):
    """What the library's extension, which knows no bounds, gives for the same."""
    from cel_expr_python import cel  # noqa: PLC0415 - the engine itself
    from cel_expr_python.ext import ext_strings  # noqa: PLC0415

    env = cel.NewEnv(extensions=[ext_strings.ExtStrings()])
    assert env.compile(source).eval(env.Activation({})).plain_value() == SAID[source]


@pytest.fixture
def expressions():
    return Expressions({"office"}, {"desk"})


def test_conditions_know_them_too(expressions):
    condition = expressions.condition(
        "labels.job.split('/')[0].lowerAscii() == 'db' && json(attributes.raw).level == 2", "routes[0].when"
    )
    assert condition.evaluate(
        Activation({"labels": {"job": "DB/main"}, "attributes": {"raw": '{"level": 2}'}})
    )


@pytest.mark.parametrize(
    ("source", "column", "why"),
    [
        ("title.replace('x') == ''", 7, "'replace' is written text.replace(old, new) or"),
        ("tier == 'gold' && title.lower() == 'x'", 30, "no method 'lower'; did you mean 'lowerAscii'?"),
        ("json(title, 1) == 1", 1, "'json' is written json(text)"),
        ("strings.quote(title, 1) == ''", 1, "'strings.quote' is written strings.quote(text)"),
        ("priority.trim() == ''", 14, "'trim' does not take (int)"),
    ],
)
def test_a_function_that_is_called_wrongly_is_told_with_its_column(expressions, source, column, why):
    with pytest.raises(ExpressionError) as told:
        expressions.condition(source, "routes[0].when")
    assert why in told.value.message
    assert told.value.column == column


HOSTILE = {
    "text.replace('', text)": "a text of more than 1048576 characters",
    "text.split('')": f"split: more than {MOST_PARTS} parts",
    "many.map(each, text).join(text)": "a text of more than 1048576 characters",
    "'%s%s%s%s%s%s%s'.format([text, text, text, text, text, text, text])": "a text of more than",
    "'%.5000f'.format([1.0])": "format: at most 100 digits",
    "'%d'.format([])": "format: fewer values than places for them",
    "'x'.format([1])": "format: more values than places for them",
    "'%q'.format([1])": "format: no directive '%q'",
    "'abc'.substring(2, 9)": "substring: 9 is outside of the text, which has 3 characters",
    "few.map(a, few.map(b, text.reverse()))": "it takes too many steps",
    "many.exists(a, text.lowerAscii().trim() == 'x')": "it takes too many steps",
    f"json('{'[' * (DEEPEST + 1)}{']' * (DEEPEST + 1)}')": f"json: nested deeper than {DEEPEST} levels",
    f"json('{'[' * 2000}')": "json: nested too deeply",
    "json(text)": "json: this text is no JSON",
    "json('{\"a\": 1e999}').a > 1.0": "json: this text is no JSON",
    "[1].join()": "join: a list of texts is needed",
    'json(\'{"a": "\\\\ud800"}\').a': "json: this text is no JSON",
}


@pytest.mark.parametrize(("source", "why"), HOSTILE.items())
def test_what_they_cost_is_bounded_whatever_is_sent(source, why):
    mapping = BodyMapping([("true", {"title": source})])
    view = mapping.view({"text": "x" * 200_000, "many": ["y"] * 500, "few": ["y"] * 9})
    assert why in mapping.outcome(view).failed["title"]


def test_what_no_database_keeps_is_replaced_in_json_inside_text_too():
    mapping = BodyMapping([("true", {"title": "json(text).a"})])
    assert mapping.outcome(mapping.view({"text": r'{"a": "x\u0000"}'})).values == {"title": "x\ufffd"}


def test_a_number_in_text_that_nothing_holds_is_a_decimal():
    mapping = BodyMapping([("true", {"title": "json(text).n"})])
    assert mapping.outcome(mapping.view({"text": '{"n": 36893488147419103232}'})).values["title"] == 2.0**65


STORABLE = st.characters(
    blacklist_characters="\0", blacklist_categories=["Cs"]
)  # as intake cleans what is sent


@given(text=st.text(STORABLE, max_size=20), other=st.text(STORABLE, max_size=3), place=st.integers(-2, 22))
def test_any_text_gives_a_value_or_a_reason(expressions_of_all, text, other, place):
    view = expressions_of_all.view({"text": text, "other": other, "place": place})
    outcome = expressions_of_all.outcome(view)
    assert outcome.values.keys() | outcome.failed.keys() == ALL.keys()
    assert outcome.values["joined"] == text
    assert all(":" in why or "No matching" in why for why in outcome.failed.values())


ALL = {
    "joined": "text.split(other).join(other)",
    "at": "text.charAt(place)",
    "found": "text.indexOf(other, place)",
    "last": "text.lastIndexOf(other, place)",
    "part": "text.substring(place)",
    "json": "json(text)",
    "quoted": "strings.quote(text)",
    "formatted": "text.format([other])",
}


@pytest.fixture(scope="module")
def expressions_of_all():
    return BodyMapping([("true", ALL)])


def test_each_evaluation_begins_with_all_it_may_spend(expressions):
    costly = expressions.condition("attributes.many.all(each, attributes.text.trim() != '')", "a")
    seen = {"attributes": {"text": "x" * 200_000, "many": ["y"] * 30}}
    assert [costly.evaluate(Activation(seen)) for _ in range(3)] == [True, True, True]
    more = {"attributes": {"text": "x" * 200_000, "many": ["y"] * 60}}
    assert costly.evaluate(Activation(more)) == Failed("it takes too many steps")
