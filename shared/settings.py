"""Settings by environment: variables `LADDER_…`, and every one of them also from a file by `LADDER_…_FILE`.

Each service declares its own class out of these parts; nothing is read at import. A setting that cannot be
used is a BadSettingError whose text is a clear sentence that names the variable.
"""

import os
from collections.abc import Sequence
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final, Self, TypeAlias

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from shared.database.url import read as read_url
from shared.security.demo_keys import is_loopback
from shared.security.keys import Signer

PREFIX: Final = "LADDER_"
_SHORTEST_CANARY_SECONDS: Final = 5


class BadSettingError(Exception):
    """A setting is missing or cannot be used; the text has one sentence a line, each naming its variable."""


def variable(field: str) -> str:
    """The environment variable of a field."""
    return PREFIX + field.upper()


def _split(value: Any) -> Any:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


CommaSeparated: TypeAlias = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
"""Several values in one variable, separated by commas."""


class _Files(PydanticBaseSettingsSource):
    """`LADDER_X_FILE=/run/secrets/x` stands for `LADDER_X` with what is in that file."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        del field
        name = variable(field_name)
        place = os.environ.get(f"{name}_FILE", "")
        if not place or f"{field_name}_file" in self.settings_cls.model_fields:
            return None, field_name, False
        if os.environ.get(name):
            raise BadSettingError(f"{name} and {name}_FILE are both set: keep one of them.")
        try:
            return Path(place).read_text(encoding="utf-8").strip(), field_name, False
        except (OSError, UnicodeDecodeError) as err:
            why = getattr(err, "strerror", None) or str(err)
            raise BadSettingError(f"{name}_FILE: {place} cannot be read: {why}.") from err

    def __call__(self) -> dict[str, Any]:
        found = {
            name: self.get_field_value(field, name)[0]
            for name, field in self.settings_cls.model_fields.items()
        }
        return {name: value for name, value in found.items() if value}


class LadderSettings(BaseSettings):
    """The base of all settings. An empty variable counts as not set; unknown variables are left alone."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, _Files(settings_cls)

    @classmethod
    def read(cls, **given: Any) -> Self:
        """The settings; `given` wins over the environment, and what this class does not know is passed over.

        Raises BadSettingError.
        """
        known = {name: value for name, value in given.items() if name in cls.model_fields}
        try:
            return cls(**known)
        except ValidationError as err:
            raise BadSettingError("\n".join(sentences(err))) from err


def sentences(err: ValidationError) -> Sequence[str]:
    """What is wrong, one sentence for each variable, without the value (it may be secret)."""
    return [
        _sentence(variable(str(error["loc"][0]) if error["loc"] else ""), error) for error in err.errors()
    ]


def _sentence(name: str, error: Any) -> str:
    if error["type"] == "missing":
        return f"{name} is not set."
    why = error["msg"].removeprefix("Value error, ")
    return f"{name}: {why[:1].lower()}{why[1:]}."


class ListenSettings(LadderSettings):
    """`LADDER_LISTEN`: where the process listens: `127.0.0.1:8080`, `:8080` (everywhere), `[::1]:8080`."""

    listen: str = "127.0.0.1:8080"

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the process."""
        return is_loopback(self.listen.strip().rpartition(":")[0].strip("[]"))


class DatabaseSettings(LadderSettings):
    """`LADDER_DATABASE_URL`: `postgresql://user:password@host:port/name`, see shared.database.url."""

    database_url: SecretStr | None = None
    read_timeout_seconds: float = Field(
        default=5.0, ge=0.1, le=600, description="how long a query of somebody who only looks may take"
    )
    report_timeout_seconds: float = Field(
        default=20.0, ge=0.1, le=600, description="the same for a report (`/v1/reports`)"
    )

    @field_validator("database_url")
    @classmethod
    def _can_be_read(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            read_url(url.get_secret_value())
        return url


class SecretKeySettings(LadderSettings):
    """`LADDER_SECRET_KEY`: signs links; several, comma-separated, while rotating (the first one signs)."""

    secret_key: SecretStr | None = None

    @cached_property
    def signer(self) -> Signer:
        """Signs and verifies references. Raises BadSettingError when there is no key."""
        keys = _split(self.secret_key.get_secret_value()) if self.secret_key else ()
        if not keys:
            raise BadSettingError(
                "LADDER_SECRET_KEY is not set: give a long random text, the same everywhere."
            )
        return Signer(keys)


class CanarySettings(LadderSettings):
    """`LADDER_CANARY_SECONDS`: the same in every process."""

    canary_seconds: int = Field(
        default=60, le=3600, description="how often a canary goes through all services; 0: never"
    )

    @field_validator("canary_seconds")
    @classmethod
    def _is_not_too_often(cls, seconds: int) -> int:
        if seconds and seconds < _SHORTEST_CANARY_SECONDS:
            raise ValueError(f"0, or at least {_SHORTEST_CANARY_SECONDS} seconds")
        return seconds

    @property
    def canary_every(self) -> timedelta:
        return timedelta(seconds=self.canary_seconds)
