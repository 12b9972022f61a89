"""What the model's types say of a bundle's shape: the keys of a part, what a mapping or a list holds."""

import typing
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Annotated, Any

from pydantic import BaseModel

from shared.policy.errors import Path
from shared.policy.model.base import OneOrMore


@cache
def fields(model: type[BaseModel]) -> Mapping[str, tuple[str, Any]]:
    """YAML key → the field's name and its whole type, with what limits it."""
    return {
        info.alias or name: (
            name,
            Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation,
        )
        for name, info in model.model_fields.items()
    }


def model_of(kind: Any) -> type[BaseModel] | None:
    """The part that a type allows, if any."""
    for each in _flat(kind):
        if isinstance(each, type) and issubclass(each, BaseModel):
            return each
    return None


def entries_of(kind: Any) -> Any:
    """The type of a mapping's values; None: this type is no mapping by name."""
    return _argument(kind, dict, 1)


def members_of(kind: Any) -> Any:
    """The type of a list's members; None: this type is no list."""
    return _argument(kind, tuple, 0)


def one_or_more(kind: Any) -> bool:
    """Whether a type is a list whose only member may stand without brackets."""
    if typing.get_origin(kind) is Annotated:
        inner, *metadata = typing.get_args(kind)
        return any(isinstance(each, OneOrMore) for each in metadata) or one_or_more(inner)
    return _is_union(kind) and any(one_or_more(each) for each in typing.get_args(kind))


def kind_at(root: type[BaseModel], path: Path) -> Any:
    """The type at a path of a shape; None: the shape knows nothing there."""
    kind: Any = root
    for part in path:
        if one_or_more(kind) and not isinstance(part, int):
            kind = members_of(kind)
        model = model_of(kind)
        if model is None:
            numbered, named = members_of(kind), entries_of(kind)
            kind = (numbered or named) if isinstance(part, int) else (named or numbered)
        else:
            kind = fields(model).get(str(part), ("", None))[1]
    return kind


def keys_at(root: type[BaseModel], path: Path) -> list[str]:
    """The keys that a shape knows at a path."""
    kind = kind_at(root, path)
    model = model_of(members_of(kind) if one_or_more(kind) else kind)
    return list(fields(model)) if model else []


def _argument(kind: Any, container: type, position: int) -> Any:
    for each in _flat(kind):
        if typing.get_origin(each) is container:
            return typing.get_args(each)[position]
    return None


def _flat(kind: Any) -> Iterator[Any]:
    """A type without Annotated and unions."""
    if typing.get_origin(kind) is Annotated:
        yield from _flat(typing.get_args(kind)[0])
    elif _is_union(kind):
        for each in typing.get_args(kind):
            yield from _flat(each)
    else:
        yield kind


def _is_union(kind: Any) -> bool:
    return typing.get_origin(kind) in (typing.Union, type(int | None))
