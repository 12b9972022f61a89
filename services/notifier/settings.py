"""The notifier's own settings; database and event log are set for the host process."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from services.notifier.channels.email import MailServer, mail_address
from services.notifier.channels.settings import Settings
from shared.settings import CommaSeparated, ListenSettings, SecretKeySettings


class NotifierSettings(ListenSettings, SecretKeySettings):
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
    mail_reply_to: str = Field(
        default="", description="who reads answers to mails, also those of stakeholders who want no more"
    )
    notifier_keep_days: int = Field(
        default=30, ge=1, description="how long finished deliveries and inbox messages are kept"
    )

    channel_settings: dict[str, Any] = Field(
        default_factory=dict, exclude=True, description="settings of channels that win over the environment"
    )
    deadman_url: SecretStr | None = Field(
        default=None,
        description="pinged by GET each time that a canary came through all services; it may go anywhere",
    )

    def of_channel(self, kind: type[Settings]) -> Settings:
        """The settings that a channel declares. Raises BadSettingError."""
        return kind.read(**self.channel_settings)

    @property
    def keep(self) -> timedelta:
        return timedelta(days=self.notifier_keep_days)

    @property
    def mail(self) -> MailServer | None:
        """The mail server; None where none is set."""
        if self.smtp_url is None:
            return None
        return MailServer.at(self.smtp_url.get_secret_value(), self.mail_from, self.mail_reply_to)

    @property
    def deadman(self) -> str:
        """The address to ping; '' for none."""
        return self.deadman_url.get_secret_value() if self.deadman_url else ""

    @field_validator("deadman_url")
    @classmethod
    def _is_a_web_address(cls, url: SecretStr | None) -> SecretStr | None:
        parts = urlsplit(url.get_secret_value()) if url else None
        if parts and (parts.scheme not in {"http", "https"} or not parts.hostname):
            raise ValueError("expected an address such as https://hc-ping.example/…")
        return url

    @field_validator("smtp_url")
    @classmethod
    def _names_a_server(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            MailServer.at(url.get_secret_value(), "")
        return url

    @field_validator("mail_from", "mail_reply_to")
    @classmethod
    def _is_an_address(cls, written: str, about: ValidationInfo) -> str:
        if not written and about.field_name == "mail_reply_to":
            return ""
        return str(mail_address("the sender" if about.field_name == "mail_from" else "the reader", written))
