"""A policy that is not even sent, because it has errors."""

from typing import Any

from ladder.refusal import RefusedError
from shared.policy import PolicyErrors


class UnsoundPolicyError(RefusedError):
    """What is wrong with it, each error with its place."""

    exit_code = 1
    kind = "policy-refused"
    title = "The bundle cannot be used"

    def __init__(self, errors: PolicyErrors) -> None:
        super().__init__(str(errors))
        self._errors = errors

    def problem(self) -> dict[str, Any]:
        """As Ladder itself refuses it."""
        errors = [
            {
                "field": error.path,
                "reason": error.message,
                "file": error.place.file,
                "line": error.place.line,
                "column": error.place.column,
            }
            for error in self._errors.errors
        ]
        return super().problem() | {"detail": "The policy in force stays as it is.", "errors": errors}
