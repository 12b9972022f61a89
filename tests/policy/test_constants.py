"""Constants that can never work are errors when they are saved, wherever an expression can be written."""

import typing
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from shared.policy import Bundle, Expressions
from shared.policy.cel.constants import Constants
from shared.policy.errors import dotted
from shared.policy.loading.introspection import entries_of, fields, members_of, model_of, one_or_more
from shared.policy.model.base import Expression
from tests.policy.bundles import COMPLETE, MARK, SMALLEST, errors_of, marked


def faults(source: str, **how: Any) -> list[tuple[int, int, str]]:
    found = Constants({"office", "always"}, {"desk"}).faults(source, **how)
    return [(each.line, each.column, each.message) for each in found]


REFUSED = [
    # as the reports have them
    ("labels.host.matches(¦'[')", "missing ]: ["),
    ("labels.host.matches(¦'*')", "no argument for repetition operator: *"),
    ("title.matches(¦'^(?!test)')", "without look-aheads and look-behinds"),
    ("¦duration('5 minutes') > duration('1m')", "a duration is written '5m'"),
    ("timestamp(attributes.due) > ¦timestamp('nonsense')", "a time is written '2027-01-31T08:00:00Z'"),
    ("priority == ¦int('x')", "cannot convert string to int"),
    # wherever it stands
    ("matches(labels.host, ¦'[')", "missing ]"),
    ("tier == 'gold' && labels.host.matches(¦'[')", "missing ]"),
    ("tier == 'gold' ? labels.host.matches(¦'[') : false", "missing ]"),
    ("true || ¦int('x') == priority", "cannot convert"),
    ("false && ¦int('x') == priority", "cannot convert"),
    ("labels.exists(key, labels[key].matches(¦'['))", "missing ]"),
    ("attributes.hosts.all(h, attributes.hosts.exists(g, g.matches(¦'a{2000}')))", "invalid repetition size"),
    ("['web', '['].exists(p, labels.host.matches(¦p))", "missing ]"),
    ("[].exists(each, labels.host.matches(¦'['))", "missing ]"),
    ("title.matches(¦'*' + '.example')", "no argument"),
    ("'ěšč🔥' == title ||\n  title.matches(¦'[')", "missing ]"),
    ("title == '[' // matches('[')\n|| title.matches(¦'[')", "missing ]"),
    ("title.matches(¦r'\\K')", "invalid escape"),
    # other constants than these
    ("timestamp(attributes.due).getHours(¦'Prague') > 8", "a zone is written 'Europe/Prague'"),
    ("impact / ¦0 == 1", "it divides by zero"),
    ("impact % ¦(2 - 2) == 1", "it divides by zero"),
    ("attributes.projects[¦-1] == 'x'", "counting begins at 0"),
    ("¦[1, 2][2] == priority", "counting begins at 0"),
    ("¦{'gold': 1}['silver'] == priority", "Key not found"),
    ("¦9223372036854775807 + 1 == priority", "integer overflow"),
    ("¦bool('maybe') || acknowledged", "from 'string' to 'bool'"),
    ("open(¦r'ofice')", "no calendar 'ofice'; did you mean 'office'?"),
    ("['desk', 'dsk'].exists(each, on_call(¦each) == assignee)", "no schedule 'dsk'; did you mean 'desk'?"),
]


@pytest.mark.parametrize(("source", "why"), REFUSED)
def test_a_constant_that_can_never_work_is_found_where_it_stands(source, why):
    clean, places = marked(source)
    if MARK + "(" in source:  # the place is that of what is in the brackets
        places = [(line, column + 1) for line, column in places]
    found = faults(clean)

    assert [(line, column) for line, column, _ in found] == places
    assert why in found[0][2]


SOUND = [
    r"title.matches('^(web|db)-\\d+$') && labels.host.matches(r'\bprod\b')",
    "title.matches('[[:alpha:]]{1,5}') || title.matches('(?i)error')",
    "labels.host.matches('^' + labels.prefix)",  # nobody knows before it is sent
    "duration(attributes.wait) > duration('1h30m') && timestamp(attributes.due) > timestamp('2027-01-31T08:00:00Z')",
    "timestamp(attributes.due).getHours('Europe/Prague') >= 8 && timestamp(attributes.due).getDayOfWeek() < 5",
    "impact / 2 == 1 && attributes.a / 0.0 > 1.0",  # a double may be divided
    "[0, 1, 2].exists(each, each != 0 && impact / each == 1)",  # looked at before it divides
    "attributes.projects[0] == 'x' && attributes['the key'] == 1.0",
    "int(attributes.count) > 5 && tier in ['gold', 'silver']",
    "has(attributes.due) && ['web', 'db'].exists(each, title.startsWith(each))",
    "open('office') || ['always', 'office'].all(each, open(each)) || on_call('desk') == ''",
    "title == 'matches(\"[\")' // .matches('[')",
]


@pytest.mark.parametrize("source", SOUND)
def test_what_may_work_is_no_error(source):
    Expressions({"office"}, {"desk"}).condition(source, "here")
    assert faults(source) == []


MAPPED = [
    ("ticket.state.matches(¦'[') ? 'resolve' : 'trigger'", "missing ]"),
    ("ticket.priority == 1 ? 'P' + string(1) : ¦'P' + 1", "No matching overloads"),
    ("¦lower(ticket.state)", "no function 'lower'"),
    ("¦lowerAscii(ticket.state)", "'lowerAscii' is written text.lowerAscii()"),
    ("¦body.state.lower()", "no method 'lower'; did you mean 'lowerAscii'?"),
    ("body.text + ¦body.a.replace('x')", "'replace' is written text.replace(old, new) or"),
    ("¦body.text.json().a", "'json' is written json(text)"),
    ("¦strings.quot(body.text)", "no method 'quot'"),
    ("¦strings.quote(body.text, 1)", "'strings.quote' is written strings.quote(text)"),
    ("body.text.split(',')[¦-1]", "counting begins at 0"),
    ("¦json('{').a == body.text", "json: this text is no JSON"),
    ("¦'%d'.format(['x']) + body.text", "format: %d does not take a text"),
    ("¦ticket.state.startswith('x')", "no method 'startswith'; did you mean 'startsWith'?"),
    ("¦ticket.tags.exists(tag)", "'exists' is written list.exists(each, …)"),
    ("ticket.tags[¦-1]", "counting begins at 0"),
]


@pytest.mark.parametrize(("source", "why"), MAPPED)
def test_a_mapping_that_no_body_can_please_is_found_too(source, why):
    clean, places = marked(source)
    found = faults(clean, untyped=True)

    assert [(line, column) for line, column, _ in found] == places
    assert why in found[0][2]


def _expressions(kind: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Where the shape of a bundle takes an expression; `*` is any name, `#` any number.

    What may be one or a list stands alone in the complete example.
    """
    model, named, numbered = model_of(kind), entries_of(kind), members_of(kind)
    if _is_expression(kind):
        yield path
    elif model is not None:
        for key, (_, each) in fields(model).items():
            yield from _expressions(each, (*path, key))
    else:
        for inner, sign in ((named, "*"), (numbered, "#")):
            if inner is not None:
                yield from _expressions(inner, path if one_or_more(kind) else (*path, sign))


def _is_expression(kind: Any) -> bool:
    own = typing.get_origin(kind) is typing.Annotated and Expression.__metadata__[1] in kind.__metadata__
    return own or (model_of(kind) is None and any(map(_is_expression, _choices(kind))))


def _choices(kind: Any) -> tuple[Any, ...]:
    held = entries_of(kind) or members_of(kind)
    return (
        () if held is not None else tuple(each for each in typing.get_args(kind) if not isinstance(each, str))
    )


def _replaced(tree: Any, pattern: tuple[str, ...], instead: str, path: tuple[Any, ...] = ()) -> Iterator[Any]:
    """Write this in every such place; the paths of those that there are."""
    if not pattern:
        return
    first, rest = pattern[0], pattern[1:]
    keys = range(len(tree)) if isinstance(tree, list) else list(tree) if isinstance(tree, dict) else ()
    for key in [each for each in keys if first in ("#" if isinstance(tree, list) else "*", each)]:
        if not rest:
            tree[key] = instead
            yield (*path, key)
        else:
            yield from _replaced(tree[key], rest, instead, (*path, key))


def test_wherever_an_expression_can_be_written_the_bundle_is_refused_with_its_place(tmp_path):
    """The complete example writes one in each place that its shape knows; a new place is found here."""
    tree = YAML(typ="safe", pure=True).load(COMPLETE.read_text())
    patterns = list(_expressions(Bundle))
    changed = [list(_replaced(tree, each, "title.matches('[')")) for each in patterns]
    assert all(changed), dict(zip(patterns, changed, strict=True))
    file = tmp_path / "all.yaml"
    with file.open("w") as stream:
        YAML(typ="safe", pure=True).dump(tree, stream)

    found = errors_of(tmp_path, file.read_text(), "all.yaml")
    told = {each.path for each in found if "missing ]: [" in each.message}
    assert told == {dotted(path) for paths in changed for path in paths}
    assert len(told) > 20


def test_the_place_in_the_file_is_that_of_the_constant(tmp_path):
    text, places = marked(SMALLEST + "loud: \"tier == 'gold' && labels.host.matches(¦'[')\"\n")
    (error,) = errors_of(tmp_path, text)

    assert (error.place.line, error.place.column) == places[0]
    assert error.message.endswith("this can never work: invalid regular expression: missing ]: [")


LEAVES = st.sampled_from(
    ["tier", "'a'", "1", "labels.host", "attributes.x", "true", "duration('1h')", "int('x')", "[1, 2]", "'['"]
)
ANY = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["&&", "||", "==", "+", "/", "in", "<"]), inner).map(
            lambda made: f"({made[0]} {made[1]} {made[2]})"
        ),
        st.tuples(inner, inner).map(lambda made: f"{made[0]}.matches({made[1]})"),
        st.tuples(inner, inner).map(lambda made: f"{made[0]}.all(v, {made[1]}) ? v : {made[1]}"),
        inner.map(lambda each: f"{each}[0]"),
        inner.map(lambda each: f"{{'k': {each}}}"),
    ),
    max_leaves=6,
)


@given(source=ANY)
def test_whatever_is_written_nothing_but_errors_with_a_place_comes_of_it(source):
    for line, column, message in faults(source) + faults(source, untyped=True):
        assert line == 1
        assert 1 <= column <= len(source)
        assert message


@given(pattern=st.text(alphabet="ab()[]{}*+?|^$\\.,12-:=!", max_size=8))
def test_a_pattern_is_judged_by_the_engine_that_runs_it(pattern):
    """Refused exactly when it fails at run time."""
    source = f"title.matches(r'{pattern}')"
    from cel_expr_python import cel  # noqa: PLC0415 - the engine itself

    env = cel.NewEnv(variables={"title": cel.Type.STRING})
    try:
        fails = env.compile(source).eval(env.Activation({"title": "a"})).type().name() == "ERROR"
    except RuntimeError:
        return  # it does not parse
    assert bool(faults(source)) == fails
