"""Maintenance windows as they are stored, and as they are shown.

A single window is in the column `window`, as every release knows it; several, and those that name a calendar,
are in `windows`. A release that does not know that column sees a maintenance that never begins.
"""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from pydantic import TypeAdapter

from shared.policy import Bundle
from shared.policy.model.calendar_names import ALWAYS, bind
from shared.policy.model.people import Window

Windows: TypeAlias = tuple[Window, ...]
_SEVERAL: Final = TypeAdapter(Windows)
_ONE: Final = TypeAdapter(Window)


def columns(windows: Windows | None) -> Mapping[str, str | None]:
    """The values of both columns."""
    one = several = None
    if windows is not None and len(windows) == 1 and windows[0].calendar is None:
        one = _ONE.dump_json(windows[0], by_alias=True, exclude_none=True).decode()
    elif windows is not None:
        several = _SEVERAL.dump_json(windows, by_alias=True, exclude_defaults=True).decode()
    return {"window": one, "windows": several}


def read(row: Any) -> Windows | None:
    """The windows of a row with both columns as text; None when it has none."""
    if row.windows is not None:
        return _SEVERAL.validate_json(row.windows)
    return None if row.window is None else (_ONE.validate_json(row.window),)


def bound(windows: Windows | None, bundle: Bundle) -> Windows | None:
    """The same windows, with the bundle's calendars in place of their names."""
    bind(windows or (), bundle.calendars)
    return windows


def unknown_calendars(windows: Windows | None, bundle: Bundle) -> Mapping[int, str]:
    """By number, the calendars that windows name and the bundle lacks."""
    named = {number: window.calendar for number, window in enumerate(windows or ())}
    known = {ALWAYS, *bundle.calendars}
    return {number: name for number, name in named.items() if name is not None and name not in known}


def shown(windows: Windows | None) -> Any:
    """As the API shows them: one, or a list of several."""
    made = [_shown(window) for window in windows or ()]
    return made[0] if len(made) == 1 else made or None


def _shown(window: Window) -> dict[str, str]:
    if window.calendar is not None:
        return {"calendar": window.calendar}
    plain: dict[str, str] = window.model_dump(mode="json", by_alias=True, exclude_none=True)
    return plain
