"""Why something was decided, as the timeline and `explain` show it."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from shared.json_object import JsonObject


class Reason(msgspec.Struct, frozen=True):
    """Why: the rule (a path in the bundle, or a number), its expression, what it saw, what lost and why."""

    rule: str
    expression: str = ""
    values: Mapping[str, Any] = {}
    instead_of: Sequence[str] = ()

    def as_json(self) -> JsonObject:
        """As the API shows it; empty parts are left out."""
        parts: JsonObject = {"rule": self.rule}
        if self.expression:
            parts["expression"] = self.expression
        if self.values:
            parts["values"] = dict(self.values)
        if self.instead_of:
            parts["instead_of"] = list(self.instead_of)
        return parts
