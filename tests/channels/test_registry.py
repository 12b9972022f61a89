"""A channel is one file and one line in the registry. What else has to know its name, these tests say."""

import ast
import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest

from services import notifier
from services.notifier import channels
from services.notifier.channels import (
    CHANNELS,
    ChannelDependencies,
    MailServer,
    build_channels,
    missing,
    sendable,
)
from shared.network.outbound import Outbound
from shared.policy.model.targets import CHANNELS as NAMES
from tests.channels.envelopes import SIGNER

MAIL = MailServer.at("smtp://localhost", "ladder@localhost")
ELSEWHERE = {
    "api/routes.py": "the inbox has a path of its own",
    "domain/contacts.py": "a call is a webhook, whatever channels there are",
}


async def _keep(_):
    """Nothing is stored here."""


async def test_every_file_with_a_channel_has_its_line_in_the_registry():
    found = set()
    for module in pkgutil.iter_modules(channels.__path__, f"{channels.__name__}."):
        for _, one in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if (
                one.__module__ == module.name
                and not getattr(one, "_is_protocol", False)
                and hasattr(one, "send")
            ):
                found.add(one)
    built = build_channels(ChannelDependencies(Outbound.allowing([]), SIGNER, _keep, MAIL))
    missing = {one.__name__ for one in found - {type(each) for each in built.values()}}
    assert not missing, f"add a line to CHANNELS in {channels.__file__}"


def test_the_policy_knows_every_channel_by_its_name():
    known = set(missing(MAIL))
    assert known == set(NAMES), "`Channel` in shared/policy/model/targets.py names those of the registry"
    assert CHANNELS.keys() - known == {"canary"}


def test_what_can_be_sent_follows_from_what_is_missing():
    lacks = {name for name, why in missing(None).items() if why}
    assert "email" in lacks
    assert all("LADDER_" in missing(None)[name] for name in lacks)
    by_url = {name for name in lacks if CHANNELS[name].urls_need_nothing}
    assert set(sendable(None)) == {*(missing(None).keys() - lacks), *(f"{name}:url" for name in by_url)}
    assert "email" in sendable(MAIL)


@pytest.mark.parametrize("channel", [name for name in CHANNELS if name != "canary"])
def test_nothing_else_in_the_notifier_names_a_channel(channel):
    """Else a new one would be more than a file and a line."""
    root = Path(notifier.__file__).parent
    for path in root.rglob("*.py"):
        place = str(path.relative_to(root))
        if place.startswith(("channels/", "migrations/")) or place in ELSEWHERE:
            continue
        named = [
            node.lineno
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Constant) and node.value == channel
        ]
        assert not named, f"{place}:{named}"
