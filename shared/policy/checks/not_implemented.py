"""Which parts of a bundle are read and checked, but do nothing yet. It shrinks with each release."""

from collections.abc import Iterator

from shared.policy.model.bundle import Bundle


def not_in_force(bundle: Bundle) -> list[str]:
    """Plain sentences, each naming the place; empty when everything in the bundle takes effect."""
    return [f"{where} is not in force yet{': ' if why else ''}{why}" for where, why in _parts(bundle)]


def _parts(_bundle: Bundle) -> Iterator[tuple[str, str]]:
    """Place and reason of each; at the moment none."""
    yield from ()
