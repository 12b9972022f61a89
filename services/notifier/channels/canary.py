"""The canary's channel: it goes nowhere. That the canary got this far is all there is to show."""

from services.notifier.channels.envelope import Envelope
from services.notifier.channels.results import Delivered, Result


class CanaryChannel:
    """Takes everything and keeps nothing. No policy can name it."""

    async def send(self, envelope: Envelope) -> Result:
        del envelope
        return Delivered()

    async def close(self) -> None:
        """There is nothing to close."""
