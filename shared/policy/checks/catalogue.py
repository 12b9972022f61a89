"""Every check of a sound bundle: what it will never do, for good or as things stand now."""

from collections.abc import Iterator

from shared.policy.checks import (
    comparisons,
    empty_schedules,
    reserved_names,
    unreachable_contacts,
    unsendable_rules,
)
from shared.policy.checks.installation import NOWHERE, Installation
from shared.policy.errors import Finding
from shared.policy.model.bundle import Bundle


def findings(bundle: Bundle, installation: Installation = NOWHERE) -> Iterator[Finding]:
    """All of them. Takes up to seconds with a large bundle: call it in a thread.

    Also of a bundle that an older release stored: none of these, error or not, keeps it from being used.
    """
    yield from lasting(bundle, installation)
    yield from passing(bundle, installation)


def passing(bundle: Bundle, installation: Installation) -> list[Finding]:
    """Those that change with the time and with overrides."""
    return list(empty_schedules.findings(bundle, installation))


def lasting(bundle: Bundle, installation: Installation = NOWHERE) -> Iterator[Finding]:
    """Those that stay the same until the bundle, or what can be sent, changes."""
    yield from unreachable_contacts.findings(bundle, installation)
    yield from unsendable_rules.findings(bundle, installation)
    yield from reserved_names.findings(bundle)
    yield from comparisons.findings(bundle)
    if bundle.templates:
        from shared.policy.templates import dry_run  # noqa: PLC0415 - only bundles with templates pay for Jinja

        yield from dry_run.unsampled_findings(bundle)
