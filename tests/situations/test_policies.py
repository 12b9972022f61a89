"""Every worked policy checks, does all that it says, and stands by itself."""

import pytest

from shared.policy import load
from shared.security.demo_keys import DEMO_KEY, DEMO_ROUTING_KEY
from shared.security.keys import digest
from tests.situations.telling import SITUATIONS

FILES = sorted(SITUATIONS.glob("*.yaml"))
PAGES = SITUATIONS.parents[2] / "docs" / "situations"


def test_there_is_one_for_each_typical_use_and_each_is_explained():
    assert [file.stem for file in FILES] == ["crisis", "incidents", "projects", "support"]
    for file in FILES:
        assert file.name in (PAGES / f"{file.stem}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_checks(file):
    load(file)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_can_be_tried_without_a_provider_and_with_the_demo_keys(file):
    bundle = load(file)
    reached = [*bundle.users.values(), *bundle.customers.values(), *bundle.teams.values()]
    for one in reached:
        channels = {contact.channel for contact in one.contacts.values()}
        assert "inbox" in channels or not channels, one
    for key, kind in ((DEMO_KEY, "native"), (DEMO_ROUTING_KEY, "pagerduty")):
        doors = [door for door in bundle.integrations.values() if door.kind == kind]
        assert any(each.sha256 == digest(key) for door in doors for each in door.keys)
    assert [
        bundle.role_of(name)
        for name, one in bundle.api_keys.items()
        if one.keys[0].sha256 == digest(DEMO_KEY)
    ] == ["admin"]


def test_the_demo_beside_them_is_not_merged_with_them():
    folder = SITUATIONS.parent
    assert load(folder) == load(folder / "ladder.yaml")
