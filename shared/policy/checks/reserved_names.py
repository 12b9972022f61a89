"""Names that mean Ladder itself: whoever posted under one could say that Ladder is well when it is not."""

from collections.abc import Iterator
from typing import Final

from shared.events import OWN_INTEGRATION
from shared.policy.errors import Finding
from shared.policy.model.bundle import Bundle

TAKEN: Final = "L104"


def findings(bundle: Bundle) -> Iterator[Finding]:
    """An error of what is saved now; what an older release took goes on working."""
    if OWN_INTEGRATION in bundle.integrations:
        yield Finding(
            ("integrations", OWN_INTEGRATION),
            at_key=True,
            code=TAKEN,
            said=f"the integration `{OWN_INTEGRATION}` is Ladder itself: its canaries come by it",
            mend="give it another name; its senders' address changes with it",
        )
