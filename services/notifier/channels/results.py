"""What became of one attempt: three values, matched exhaustively."""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Delivered:
    """The provider took it. `confirmed`: it is known to be where the person reads it.

    `reference` is the provider's own id of the message: a receipt names it later, an update needs it.
    """

    confirmed: bool = True
    answer: str = ""
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Rejected:
    """It will never work like this. `disable`: nothing shall ever be sent to this endpoint again."""

    reason: str
    disable: bool = False


@dataclass(frozen=True, slots=True)
class Unavailable:
    """It may work later; `retry_after` in seconds where the provider said when.

    `provider_works`: it answered, and only this address has to wait.
    """

    reason: str
    retry_after: float | None = None
    provider_works: bool = False

    @property
    def spares_others(self) -> bool:
        """Whether other addresses of the provider are not to wait: it works, or says only to come later."""
        return self.provider_works or self.retry_after is not None


Result: TypeAlias = Delivered | Rejected | Unavailable
