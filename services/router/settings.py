"""The router's own settings; its database and its log are the host's."""

from pathlib import Path

from pydantic import Field

from shared.settings import ListenSettings, SecretKeySettings


class RouterSettings(ListenSettings, SecretKeySettings):
    """All by environment, prefix `LADDER_`."""

    public_url: str = Field(default="", description="under which people reach the API: stands in links")
    policy: Path | None = Field(
        default=None,
        description="a policy bundle: a YAML file, or a folder of them; taken at start and on change",
    )
