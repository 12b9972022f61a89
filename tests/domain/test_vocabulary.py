"""Each word in which decisions are put has its place wherever somebody has to know what to do with it."""

from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import pytest

from services.router.domain import actions, forecast
from services.router.domain.draft import fields, timeline
from services.router.domain.draft.expression_values import values
from services.router.domain.model import related
from services.router.domain.model.context import Context
from services.router.domain.model.incident import Incident
from services.router.domain.model.incident_fields import ChainFields, IncidentFields
from services.router.domain.model.parts import Chain
from services.router.domain.model.vocabulary import ActionName, EntryKind, Relation
from shared.events import RelatedChanged
from tests.domain.tale import START, Tale


def _words(closed: Any) -> Iterator[str]:
    for each in get_args(closed):
        if isinstance(each, str):
            yield each
        else:
            yield from _words(each)


@pytest.mark.parametrize(
    ("told", "untold"),
    [
        pytest.param(timeline.TELLING, timeline.WORKINGS, id="by messages"),
        pytest.param(forecast.WORTH_TELLING, forecast.NOT_FORETOLD, id="by a forecast"),
    ],
)
def test_each_kind_of_entry_is_told_or_not_by_decision(told, untold):
    assert not told & untold
    assert told | untold == set(_words(EntryKind))


def test_what_a_forecast_says_would_prevent_a_step_is_said_of_steps_that_it_tells():
    assert forecast._PREVENTS.keys() <= forecast.WORTH_TELLING


def test_a_change_of_whatever_expressions_see_makes_them_look_again():
    """Each name that they know belongs to a field of the incident, and each of those is there."""
    story = Tale()
    story.event()
    seen = {name for names in fields.SEEN_AS.values() for name in names}
    assert seen == values(story.standing, Context(story.policy), "desk").keys()
    assert fields.SEEN_AS.keys() | fields.STANDING <= set(Incident.__struct_fields__)


@pytest.mark.parametrize(("fields", "struct"), [(IncidentFields, Incident), (ChainFields, Chain)])
def test_what_a_draft_may_set_are_the_fields_that_there_are(fields, struct):
    assert get_type_hints(fields) == get_type_hints(struct)


def test_each_relation_says_what_comes_with_it():
    assert related.RELATIONS.keys() == set(_words(Relation))


def test_what_a_replica_of_another_release_tells_is_read_as_far_as_it_is_known():
    def told(relation: str, **values: Any) -> related.Related | None:
        message = RelatedChanged(
            message_id="m", to="", incident_id="p", relation=relation, at=START, values=values
        )
        return related.told_in(message)

    assert told("stands", assignee="ana") == related.Stands(assignee="ana", person=None)
    assert told("left", open=True, of_a_newer_release={"a": 1}) == related.Left(open=True)
    assert told("of_a_newer_release", a=1) is None


def test_there_is_an_action_for_each_name_of_one():
    assert actions.ACTIONS.keys() == set(_words(ActionName))
