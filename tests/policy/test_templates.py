"""Templates render within bounds, whatever stands in them, and the bounds are in nobody's way."""

import resource
import time
from datetime import UTC, datetime

import pytest

from shared.policy.templates.rendering import LONGEST, BrokenTemplateError, rendered

NAMES = {
    "title": "Checkout is down",
    "priority": 1,
    "labels": {"env": "prod", "team": "desk"},
    "opened_at": datetime(2026, 3, 2, 9, tzinfo=UTC),
    "big": "a" * 99_000,
    "many": [1] * 9_000,
    "others": [1] * 9_000,
}
DOUBLING = (
    "{%% set ns = namespace(x=%s) %%}{%% for i in range(100) %%}{%% set ns.x = %s %%}{%% endfor %%}{{ ns.x }}"
)
HOSTILE = [
    # memory in one operation
    "{{ 'x' * 400000000 }}",
    "{{ 400000000 * 'x' }}",
    "{{ ([1] * 400000000)|length }}",
    "{{ 'x'|center(1000000000) }}",
    "{{ 'x'.center(1000000000) }}",
    "{{ 'x'['ljust'](1000000000) }}",
    "{{ '%1000000000d' % 5 }}",
    "{{ '%*d' % (1000000000, 5) }}",
    "{{ '%1000000000d'|format(5) }}",
    "{{ '{:>1000000000}'.format(1) }}",
    "{{ (1).to_bytes(1000000000, 'big') }}",
    "{{ 2 ** 10000000000 }}",
    "{{ 'x'|indent(1000000000) }}",
    "{{ [1]|batch(1000000000, 0)|list }}",
    "{{ [1]|slice(1000000000)|list }}",
    "{{ 1|round(1000000000) }}",
    "{{ [1, 2]|map('center', 1000000000)|list }}",
    "{{ (['x' * 1000] * 90)|join('y' * 90000) }}",
    "{{ ('x' * 90000)|replace('x', 'y' * 90000) }}",
    "{{ ('x' * 90000).replace('', 'y' * 90000) }}",
    "{% filter center(1000000000) %}x{% endfilter %}",
    "{% autoescape 'x'|center(1000000000) %}{% endautoescape %}",
    # memory step by step
    DOUBLING % ("'xx'", "ns.x ~ ns.x"),
    DOUBLING % ("'xx'", "ns.x + ns.x"),
    DOUBLING % ("'xx'", "ns.x|replace('x', 'xx')"),
    DOUBLING % ("[1]", "[ns.x, ns.x]"),
    DOUBLING % ("(1,)", "(ns.x, ns.x)"),
    DOUBLING % ("{}", "{'a': ns.x, 'b': ns.x}"),
    DOUBLING % ("{}", "dict(a=ns.x, b=ns.x)"),
    "{% set y %}{% for i in range(1000) %}{{ big }}{% endfor %}{% endset %}{{ y|length }}",
    # time
    "{% for a in range(999) %}{% for b in range(999) %}{% for c in range(999) %}{% endfor %}{% endfor %}{% endfor %}",
    "{% for i in range(900) %}" + "{% if many == others %}{% endif %}" * 100 + "{% endfor %}",
    "{% for i in range(900) %}" + "{% if 'ab' in big %}{% endif %}" * 100 + "{% endfor %}",
    "{% for i in range(1000) %}{{ big|upper|length }}{% endfor %}",
    "{{ range(100000000)|sum }}",
    "{{ lipsum(1000000) }}",
    # depth
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(40) }}",
    "{% for x in [1, 2] recursive %}{{ loop([1, 2]) }}{% endfor %}",
    "{% block a %}{{ self.a() }}{% endblock %}",
    "{{ " + "(" * 5_000 + "1" + ")" * 5_000 + " }}",
    "{{ 1" + " + 1" * 4_000 + " }}",
    "{{ " + "9" * 9_000 + " }}",
    # what is elsewhere
    "{% include '/etc/passwd' %}",
    "{% extends 'x' %}",
    "{% import 'x' as y %}",
    "{{ title.__class__.__mro__ }}",
    "{{ undefined_name }}",
    "{% if %}",
]


@pytest.mark.parametrize("source", HOSTILE, ids=lambda source: source[:40])
def test_no_template_takes_the_time_or_the_memory_that_pages_need(source: str) -> None:
    """It fails as a template, within the time in which nobody notices, and nothing large was made meanwhile."""
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.thread_time()
    with pytest.raises(BrokenTemplateError):
        rendered(source, NAMES)
    assert time.thread_time() - began < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024


def test_a_message_without_end_is_cut_and_no_more_of_it_is_made() -> None:
    assert len(rendered("{% for i in range(999) %}{{ title }}{% endfor %}", NAMES)) == LONGEST


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("[{{ priority }}] {{ title }}", "[1] Checkout is down"),
        ("{% for k, v in labels.items() %}{{ loop.index }}{{ k }}={{ v|upper }};{% endfor %}", "1env=PROD;2team=DESK;"),
        ("{{ title[:8] ~ '…' }} {{ title.split(' ')[0] }} {{ title.replace('down', 'up') }}",
         "Checkout… Checkout Checkout is up"),
        ("{{ '%.2f' % 3.14159 }} {{ '%5d'|format(3) }} {{ 3 * 4 + 2 ** 10 }}", "3.14     3 1036"),
        ("{{ labels|dictsort|map('first')|join(', ') }} {{ labels|tojson }}", 'env, team {"env": "prod", "team": "desk"}'),
        ("{% set ns = namespace(n=0) %}{% for k in labels %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}", "2"),
        ("{% macro m(x) %}<{{ x }}>{% endmacro %}{% for k in labels %}{{ m(k) }}{% endfor %}", "<env><team>"),
        ("{{ labels.none|default('-') }} {{ labels.none is defined }} {{ opened_at.strftime('%Y') }}", "- False 2026"),
        ("{% if labels.env == 'prod' and priority < 2 %}loud{% else %}low{% endif %}", "loud"),
        ("{% for a, b in [(1, 2), (3, 4)] %}{{ a + b }}{% if not loop.last %},{% endif %}{% endfor %}", "3,7"),
    ],
)  # fmt: skip
def test_what_people_write_renders_as_ever(source: str, text: str) -> None:
    assert rendered(source, NAMES) == text


def test_what_fails_is_named_with_its_line() -> None:
    with pytest.raises(BrokenTemplateError, match="too large") as told:
        rendered("Dear all,\n\n{{ title }}\n{{ 'x' * 400000000 }}\n", NAMES)
    assert told.value.line == 4
