"""The notifier's own settings; where it listens, its database and its log are the host's."""

from datetime import timedelta
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator

from services.notifier.channels import MailServer
from shared.settings import CommaSeparated, SecretKeySettings


class NotifierSettings(SecretKeySettings):
    """All by environment, prefix `LADDER_`."""

    public_url: str = Field(default="", description="under which people reach the API: stands in links")
    secrets_dir: Path | None = Field(default=None, description="the folder of `secret:NAME`")
    outbound_allow: CommaSeparated = Field(
        default=(), description="hosts and networks inside that messages may go to all the same"
    )
    smtp_url: SecretStr | None = Field(
        default=None, description="smtp://user:password@host:port?starttls=yes|no|auto, or smtps://…"
    )
    mail_from: str = Field(default="Ladder <ladder@localhost>", description="the sender of mails")
    notifier_keep_days: int = Field(
        default=30, ge=1, description="how long finished deliveries and inbox messages are kept"
    )

    @property
    def keep(self) -> timedelta:
        return timedelta(days=self.notifier_keep_days)

    @property
    def mail(self) -> MailServer | None:
        """Where mail is handed in; None where no server is set."""
        if self.smtp_url is None:
            return None
        return MailServer.at(self.smtp_url.get_secret_value(), self.mail_from)

    @model_validator(mode="after")
    def _mail_can_be_used(self) -> Self:
        try:
            _ = self.mail
        except ValueError as err:
            raise ValueError(f"LADDER_SMTP_URL: {err}") from err
        return self
