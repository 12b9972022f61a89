"""The base of every part of a bundle: frozen, no unknown keys, strict about numbers and text."""

import typing
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, TypeAlias, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, ErrorDetails, InitErrorDetails, core_schema

from shared.policy.model.targets import NAME_PATTERN


class Part(BaseModel):
    """A piece of the bundle. Field names are the YAML keys (`from_`, `finally_` for Python's own words)."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True, defer_build=True
    )


@dataclass(frozen=True, slots=True)
class OneOrMore:
    """Marks a list whose only member may stand without brackets: `{…}` is `[{…}]`.

    As JSON one member is written alone too, unless `listed`. The places of errors are those of what was
    written.
    """

    listed: bool = False

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Validation and JSON of the list, around its own."""
        alone = None if self.listed else core_schema.wrap_serializer_function_ser_schema(_alone)
        return core_schema.no_info_wrap_validator_function(_listed, handler(source), serialization=alone)

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Either of the two."""
        listed = handler(core)
        return {"anyOf": [listed["items"], listed]}


def _listed(written: Any, inner: Any) -> Any:
    alone = not isinstance(written, list | tuple)
    try:
        return inner([written] if alone else written)
    except ValidationError as err:
        found = err.errors(include_url=False)
        told = [each for each in found if each["loc"]] or found  # wrong members make the list too short, too
        raise _moved(err, int(alone), told) from None


def _moved(err: ValidationError, by: int, told: Sequence[ErrorDetails] | None = None) -> ValidationError:
    """The same errors (or those of them) with the first parts of their paths left out."""
    found = err.errors(include_url=False) if told is None else told
    return ValidationError.from_exception_data(
        err.title,
        [
            InitErrorDetails(
                type=each["type"], loc=each["loc"][by:], input=each["input"], ctx=each.get("ctx", {})
            )
            for each in found
        ],
    )


@dataclass(frozen=True, slots=True)
class MappingOrList:
    """Marks a union of a mapping and a list: errors are told of the one that is written."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Validation and JSON of whichever it is."""
        mapping, listed = (handler.generate_schema(each) for each in typing.get_args(source))
        union = core_schema.tagged_union_schema(
            {"mapping": mapping, "list": listed},
            discriminator=lambda written: "list" if isinstance(written, list | tuple) else "mapping",
        )
        return core_schema.no_info_wrap_validator_function(_of_either, union)

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Either of the two."""
        return {"anyOf": handler(core)["oneOf"]}


def _of_either(written: Any, inner: Any) -> Any:
    try:
        return inner(written)
    except ValidationError as err:
        raise _moved(err, 1) from None


def _alone(members: Any, inner: Any) -> Any:
    plain = inner(members)
    return plain[0] if len(plain) == 1 else plain


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
ROLES: Final[tuple[Role, ...]] = get_args(Role)
EventName: TypeAlias = Literal[
    "opened",
    "escalated",
    "update",
    "at_risk",
    "breached",
    "taken",
    "resolved",
    "closed",
    "reopened",
    "maintenance",
]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]


def at_least(role: Role, needed: Role) -> bool:
    """Whether the role is high enough: a higher one may do what a lower one may."""
    return ROLES.index(role) >= ROLES.index(needed)


class HasRole:
    """Somebody with a role."""

    __slots__ = ()
    role: Role

    def may(self, needed: Role) -> bool:
        """Whether the role is high enough."""
        return at_least(self.role, needed)
