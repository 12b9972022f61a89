"""How people answer by telephone: said by the notifier, understood by the router."""

from typing import Final

TEXTED: Final = {"acknowledge": "1", "resolve": "2"}
PRESSED: Final = {"acknowledge": "4", "escalate": "6"}
CODE_LENGTH: Final = 4


def code_of(incident_id: str) -> str:
    """What tells the incident from others in an answer: the beginning of its id, four hexadecimal digits."""
    return incident_id[:CODE_LENGTH].lower()
