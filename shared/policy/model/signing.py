"""What a sender signs its posts with, and where the signature stands."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Final, Literal, Self, TypeAlias

from pydantic import Field, StringConstraints, model_validator

from shared.policy.model.base import OneOrMore, Part, Text
from shared.policy.model.durations import Duration

HEADER_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$"
TOPIC_PATTERN: Final = r"^arn:aws(?:-[a-z-]+)?:sns:[a-z0-9-]{3,}:[0-9]{12}:[A-Za-z0-9_.-]{1,256}$"
Header: TypeAlias = Annotated[str, StringConstraints(strict=True, pattern=HEADER_PATTERN)]
Topic: TypeAlias = Annotated[str, StringConstraints(strict=True, pattern=TOPIC_PATTERN)]
Algorithm: TypeAlias = Literal["sha1", "sha256", "sha384", "sha512"]
Encoding: TypeAlias = Literal["hex", "base64"]

BODY: Final = "{body}"
TIMESTAMP: Final = "{timestamp}"
_NEAR: Final = timedelta(minutes=5)
_LIKE: Final[Mapping[str, Mapping[str, Any]]] = {
    "github": {"header": "X-Hub-Signature-256", "prefix": "sha256="},
    "sentry": {"header": "Sentry-Hook-Signature"},
    "grafana": {"header": "X-Grafana-Alerting-Signature"},
}
GRAFANAS_TIMESTAMP: Final = "X-Grafana-Alerting-Timestamp"


class Signature(Part):
    """An HMAC of the body in a header: `like` a sender that is known, or as `header` and the rest say.

    `secret`: several while rotating, each the text itself or secret:NAME. `timestamp`: the header with unix
    seconds; it is signed with the body (`signed`), and `within` bounds how far it may be from now.
    """

    secret: Annotated[tuple[Text, ...], Field(min_length=1, max_length=5), OneOrMore()]
    like: Literal["github", "sentry", "grafana"] | None = None
    header: Header | None = None
    prefix: Text | None = None
    algorithm: Algorithm = "sha256"
    encoding: Encoding = "hex"
    timestamp: Header | None = None
    signed: Text | None = None
    within: Duration = _NEAR

    @model_validator(mode="after")
    def _says_where_it_stands(self) -> Self:
        if self.like is None and self.header is None:
            raise ValueError("a header, or like: github, sentry or grafana")
        return self

    @model_validator(mode="after")
    def _signs_body_and_time(self) -> Self:
        written = self.what_is_signed
        if written.count(BODY) != 1:
            raise ValueError(f"{BODY} once in signed: what else is there is put around it")
        if (TIMESTAMP in written) != (self.timestamp is not None):
            raise ValueError(
                f"timestamp and {TIMESTAMP} in signed together: a time that is not signed proves nothing"
            )
        return self

    @property
    def where(self) -> str:
        """The header that carries it."""
        return self.header or str(_LIKE[self.like or ""]["header"])

    @property
    def before_it(self) -> str:
        """What stands before the signature in its header."""
        return (
            self.prefix if self.prefix is not None else str(_LIKE.get(self.like or "", {}).get("prefix", ""))
        )

    @property
    def what_is_signed(self) -> str:
        """With `{timestamp}` and `{body}` in their places."""
        return self.signed or (f"{TIMESTAMP}:{BODY}" if self.timestamp else BODY)
