"""What can be said of a sound bundle beyond that it is one: what it will never do, here and now."""

from collections.abc import Iterator

from shared.policy import comparisons, emptiness, reach, reserved
from shared.policy.errors import Finding
from shared.policy.model import Bundle
from shared.policy.reach import NOWHERE, Installation


def findings(bundle: Bundle, installation: Installation = NOWHERE) -> Iterator[Finding]:
    """All of them. Takes up to seconds with a large bundle: call it in a thread.

    Also of a bundle that an older release stored: none of these, error or not, keeps it from being used.
    """
    yield from lasting(bundle, installation)
    yield from passing(bundle, installation)


def passing(bundle: Bundle, installation: Installation) -> list[Finding]:
    """Those that change with the time and with overrides."""
    return list(emptiness.findings(bundle, installation))


def lasting(bundle: Bundle, installation: Installation = NOWHERE) -> Iterator[Finding]:
    """Those that stay the same until the bundle, or what can be sent, changes."""
    yield from reach.findings(bundle, installation)
    yield from reserved.findings(bundle)
    yield from comparisons.findings(bundle)
    if bundle.templates:
        from shared.policy import template_trial  # noqa: PLC0415 - only bundles with templates pay for Jinja

        yield from template_trial.promises(bundle)
