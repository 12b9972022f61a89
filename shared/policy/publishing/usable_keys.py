"""Which keys of a policy open doors in this process: the demo's only where nobody else can reach it.

A policy comes by the log or the database, too, so looking at a file when a process starts is not enough.
"""

from collections.abc import Mapping
from typing import Final, TypeVar

from shared import telemetry
from shared.policy.model.bundle import Bundle
from shared.policy.model.integrations import ApiKey, Integration
from shared.security.demo_keys import DEMO_DIGESTS

log = telemetry.logger(__name__)
KeyHolder = TypeVar("KeyHolder", Integration, ApiKey)


class UsableKeys:
    """`loopback`: only this machine reaches the process. Says once in the log that keys are left out."""

    def __init__(self, *, loopback: bool) -> None:
        self._loopback: Final = loopback
        self._said = False

    def of(self, bundle: Bundle) -> Bundle:
        """The bundle with the keys that count here; a door may be left without any."""
        if self._loopback:
            return bundle
        integrations, api_keys = _without_demo_keys(bundle.integrations), _without_demo_keys(bundle.api_keys)
        if not integrations and not api_keys:
            return bundle
        if not self._said:
            self._said = True
            log.warning(
                "the policy has demo keys: they are refused, because LADDER_LISTEN is not loopback",
                action="demo_keys_refused",
                integrations=sorted(integrations),
                api_keys=sorted(api_keys),
            )
        return bundle.model_copy(
            update={
                "integrations": {**bundle.integrations, **integrations},
                "api_keys": {**bundle.api_keys, **api_keys},
            }
        )


def _without_demo_keys(holders: Mapping[str, KeyHolder]) -> dict[str, KeyHolder]:
    """Those that list a demo key, without it."""
    kept = {
        name: tuple(key for key in holder.keys if key.sha256.lower() not in DEMO_DIGESTS)
        for name, holder in holders.items()
    }
    return {
        name: holder.model_copy(update={"keys": kept[name]})
        for name, holder in holders.items()
        if len(kept[name]) < len(holder.keys)
    }
