"""JSON objects as they come in and go out: decoded, and with nothing known of what is in them."""

from typing import Any, TypeAlias

JsonObject: TypeAlias = dict[str, Any]
"""An object of JSON by its names. What has a known shape is a struct or a `TypedDict` instead."""
