"""The router's own settings; those of database and log are the host's."""

from datetime import timedelta
from pathlib import Path

from pydantic import Field, SecretStr

from services.router.retention_periods import Keep
from shared.settings import CanarySettings, ListenSettings, SecretKeySettings


class RouterSettings(ListenSettings, SecretKeySettings, CanarySettings):
    """Settings from the environment, with the prefix `LADDER_`."""

    public_url: str = Field(default="", description="under which people reach the API: stands in links")
    policy: Path | None = Field(
        default=None,
        description="a policy bundle: a YAML file, or a folder of them; taken at start and on change",
    )
    keep_incidents_days: int = Field(
        default=400,
        ge=1,
        le=36_500,
        description="how long closed incidents, their timelines and the policies they followed are kept",
    )
    keep_reports_days: int = Field(
        default=1_100,
        ge=1,
        le=36_500,
        description="how long what reports are made of is kept, or as incidents",
    )
    keep_dead_letters_days: int = Field(
        default=30, ge=1, le=36_500, description="how long records that could not be used are kept"
    )

    slack_signing_secret: SecretStr | None = Field(
        default=None,
        description="with which Slack signs what it posts; several, comma-separated, while rotating",
    )

    twilio_token: SecretStr | None = Field(
        default=None,
        description="with which Twilio signs answers that it posts; several, comma-separated, while rotating",
    )

    @property
    def slack_signing_secrets(self) -> tuple[str, ...]:
        """Those that count; empty where Slack is not set up."""
        return _several(self.slack_signing_secret)

    @property
    def twilio_tokens(self) -> tuple[str, ...]:
        """Those that count; empty where nobody texts or calls."""
        return _several(self.twilio_token)

    @property
    def keep(self) -> Keep:
        return Keep(
            incidents=timedelta(days=self.keep_incidents_days),
            reports=timedelta(days=self.keep_reports_days),
            dead_letters=timedelta(days=self.keep_dead_letters_days),
        )


def _several(secret: SecretStr | None) -> tuple[str, ...]:
    given = secret.get_secret_value() if secret else ""
    return tuple(part.strip() for part in given.split(",") if part.strip())
