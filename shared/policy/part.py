"""What every piece of a bundle is: frozen, without unknown keys, strict about numbers and text."""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema

from shared.policy.targets import NAME_PATTERN


class Part(BaseModel):
    """A piece of the bundle. Field names are the YAML keys (`from_`, `finally_` for Python's own words)."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True, defer_build=True
    )


def _text_of_truth(written: Any) -> Any:
    return {True: "true", False: "false"}.get(written, written) if isinstance(written, bool) else written


Name = Annotated[str, StringConstraints(strict=True, pattern=f"^{NAME_PATTERN}$", max_length=100)]
Text = Annotated[
    str, StringConstraints(strict=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")
]
LongText = Annotated[str, StringConstraints(strict=True, max_length=20_000, pattern=r"^[^\x00]*$")]
Expression = Annotated[
    str,
    StringConstraints(strict=True, min_length=1, max_length=4000, pattern=r"^[^\x00]*$"),
    BeforeValidator(_text_of_truth),
    WithJsonSchema({"anyOf": [{"type": "string", "minLength": 1, "maxLength": 4000}, {"type": "boolean"}]}),
]
Count = Annotated[int, Field(strict=True, ge=1, le=100)]
PriorityNumber = Annotated[int, Field(strict=True, ge=1, le=5)]
Role: TypeAlias = Literal["viewer", "responder", "lead", "admin"]
EventName: TypeAlias = Literal[
    "opened", "escalated", "update", "at_risk", "breached", "taken", "resolved", "closed", "reopened"
]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
