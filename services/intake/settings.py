"""Intake's own settings; which log it uses is the host's."""

from pathlib import Path

from pydantic import Field

from shared.settings import CanarySettings, CommaSeparated, ListenSettings


class IntakeSettings(ListenSettings, CanarySettings):
    """All by environment, prefix `LADDER_`."""

    secrets_dir: Path | None = Field(default=None, description="the folder of `secret:NAME`")
    outbound_allow: CommaSeparated = Field(
        default=(), description="hosts and networks inside that Ladder may speak to all the same"
    )
    intake_publish_seconds: float = Field(
        default=4.0,
        gt=0,
        le=4.5,
        description="how long a post waits for the log's acknowledgement before it is answered 503",
    )
    intake_in_flight_bytes: int = Field(
        default=64 * 1024 * 1024,
        ge=16 * 1024 * 1024,
        description="bodies that may wait for the log at once; beyond it posts are answered 503 at once",
    )
