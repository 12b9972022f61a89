"""What a channel has to be told by the environment, declared in the channel's own file."""

from collections.abc import Callable
from typing import TypeAlias, TypeVar

from shared.settings import LadderSettings


class ChannelSettings(LadderSettings):
    """The base of a channel's settings: variables `LADDER_…`, secrets also from files by `LADDER_…_FILE`."""

    @property
    def missing(self) -> str:
        """What has to be set before this channel can send, in a sentence; '' if it can."""
        return ""


Settings = TypeVar("Settings", bound=ChannelSettings)
ReadSettings: TypeAlias = Callable[[type[Settings]], Settings]
"""Reads the settings of one channel; raises BadSettingError."""


def from_environment(kind: type[Settings]) -> Settings:
    """The settings as the environment has them. Raises BadSettingError."""
    return kind.read()
