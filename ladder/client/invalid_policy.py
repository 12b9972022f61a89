"""A policy that is not sent, because it has errors."""

from ladder.refusal import NotPossibleError
from shared.json_object import JsonObject
from shared.policy import PolicyErrors
from shared.policy.checks.report import entry


class InvalidPolicyError(NotPossibleError):
    """What is wrong with it, each error with its place."""

    exit_code = 1
    kind = "policy-refused"
    title = "The bundle cannot be used"

    def __init__(self, errors: PolicyErrors) -> None:
        super().__init__("\n".join(each.line for each in errors.errors))
        self._errors = errors

    def problem(self) -> JsonObject:
        """The same document with which Ladder refuses it."""
        errors = [
            {**entry(error), "field": error.path, "reason": error.message} for error in self._errors.errors
        ]
        return super().problem() | {"detail": "The policy in force stays as it is.", "errors": errors}
