"""The plan of a decision is what its tables say: every stage once, with a reason; what is due is acted on."""

import ast
import importlib
import pkgutil
from collections import Counter
from pathlib import Path

import pytest

from services.router.domain import __path__ as domain
from services.router.domain import plan
from services.router.domain.draft.draft import Draft
from services.router.domain.draft.stages import Moment, Stage
from services.router.domain.model.context import Context
from tests.domain.tale import tale

STAGES = (*plan.BEFORE, *plan.CONCLUSION)
DUE = (*plan.WHILE_OPEN, *plan.WHILE_RESOLVED)
ACTED_ON = (*(due.moment for due in DUE), *(stage.moment for stage in STAGES if stage.moment))
WRITTEN = Path(__file__).parents[2] / "docs" / "decisions" / "0026-the-plan-of-a-decision-is-a-table.md"


def test_every_stage_stands_once_and_says_why_there():
    assert not [name for name, times in Counter(stage.name for stage in STAGES).items() if times > 1]
    assert not [does for does, times in Counter(stage.does for stage in STAGES).items() if times > 1]
    for table in (plan.WHILE_OPEN, plan.WHILE_RESOLVED):
        assert len({due.moment.name for due in table}) == len(table)
    assert all(each.why for each in (*STAGES, *DUE))


def test_a_stage_that_acts_on_a_moment_does_what_the_moment_says():
    assert all(stage.does is stage.moment.act for stage in STAGES if stage.moment)


def test_every_moment_that_a_module_knows_stands_in_the_plan():
    modules = [
        importlib.import_module(found.name)
        for found in pkgutil.walk_packages(domain, "services.router.domain.")
    ]
    known = {
        id(value): value for module in modules for value in vars(module).values() if isinstance(value, Moment)
    }
    missing = [moment.name for key, moment in known.items() if key not in {id(each) for each in ACTED_ON}]
    assert not missing, "name it in services/router/domain/plan.py: nobody looks at it"


@pytest.mark.parametrize(
    "stage", [*STAGES, *plan.OPEN_MOMENTS, *plan.RESOLVED_MOMENTS], ids=lambda each: each.name
)
def test_what_a_stage_asks_for_is_there_to_be_asked(stage):
    story = tale()
    story.event()
    stage.when(Draft(story.standing, story.policy, Context(story.policy), story.now))


def test_the_plan_is_written_down_as_it_is():
    assert as_text() in WRITTEN.read_text(encoding="utf-8"), f"put it there:\n\n{as_text()}"


def as_text() -> str:
    """The tables as the decision record shows them."""
    lines = ["| | stage | only while | why there |", "|---|---|---|---|"]
    lines += [_row("before", stage) for stage in plan.BEFORE]
    for word, table in (("due while open", plan.WHILE_OPEN), ("due while resolved", plan.WHILE_RESOLVED)):
        lines += [_line(word, due.moment.name, _condition(due.moment), due.why) for due in table]
    lines += [_row("after a timer" if stage.on_timer else "after", stage) for stage in plan.CONCLUSION]
    return "\n".join(lines) + "\n"


def _row(word: str, stage: Stage) -> str:
    moment = f" (moment: {stage.moment.name})" if stage.moment else ""
    return _line(word, stage.name + moment, _condition(stage), stage.why)


def _condition(stage: Stage | Moment) -> str:
    """When it applies, as it is written in the source."""
    written = stage.when.__code__
    source = Path(written.co_filename).read_text(encoding="utf-8")
    found = [
        node.body
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Lambda) and node.lineno == written.co_firstlineno
    ]
    assert len(found) == 1, f"{stage.name}: its condition is no lambda, or not the only one in its line"
    text = ast.get_source_segment(source, found[0])
    assert text is not None
    return " ".join(text.replace("draft.", "").split())


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
