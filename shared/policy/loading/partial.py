"""What can still be read of a bundle that does not fit its shape.

One mistake must not hide the next: everything beside a wrong value is read as it stands, so that its names
and expressions are checked too. In place of the wrong value stands a blank (empty text, an empty list, the
assignee as a target); what is said of a blank is no finding.
"""

from collections.abc import Collection, Iterator
from typing import Any

from pydantic import BaseModel, TypeAdapter

from shared.json_object import JsonObject
from shared.policy.errors import Finding, Path, shown
from shared.policy.loading.introspection import entries_of, fields, members_of, model_of, one_or_more
from shared.policy.model.bundle import Bundle
from shared.policy.model.targets import AnyTarget, AssigneeTarget


class PartialReader:
    """Reads one tree around its wrong paths; `findings` are the rules of whole parts that it meets broken."""

    def __init__(self, wrong: Collection[Path]) -> None:
        self._doubtful = {path[:length] for path in wrong for length in range(len(path) + 1)}
        self._adapters: dict[int, tuple[Any, TypeAdapter[Any]]] = {}
        self.findings: list[Finding] = []

    def bundle(self, tree: JsonObject) -> Bundle:
        """A bundle in which only the wrong values are blank. Good for checking, for nothing else."""
        read: Bundle = self._value(Bundle, tree, ())
        return read

    def _value(self, kind: Any, written: Any, path: Path) -> Any:
        if path not in self._doubtful:
            return self._adapter(kind).validate_python(written, by_alias=True, by_name=False)
        model, inner, member = model_of(kind), entries_of(kind), members_of(kind)
        if one_or_more(kind) and not isinstance(written, list):
            return (self._value(member, written, path),)
        if model is not None:
            readable = isinstance(written, dict) and not _has_own_surface(model)
            return self._part(model, written if readable else {}, path)
        if inner is not None and isinstance(written, dict):
            return dict(self._entries(inner, written, path))
        if member is not None and isinstance(written, list):
            return tuple(self._value(member, each, (*path, index)) for index, each in enumerate(written))
        return _blank(kind, written)

    def _adapter(self, kind: Any) -> TypeAdapter[Any]:
        """One for each type; the type is kept so that its id stays its own."""
        if id(kind) not in self._adapters:
            self._adapters[id(kind)] = (kind, TypeAdapter(kind))
        return self._adapters[id(kind)][1]

    def _entries(self, kind: Any, written: JsonObject, path: Path) -> Iterator[tuple[str, Any]]:
        for name, each in written.items():
            if model_of(kind) is not None or (*path, name) not in self._doubtful:
                yield name, self._value(kind, each, (*path, name))

    def _part(self, model: type[BaseModel], written: JsonObject, path: Path) -> BaseModel:
        values = {}
        for key, (name, kind) in fields(model).items():
            if key in written:
                values[name] = self._value(kind, written[key], (*path, key))
            elif model.model_fields[name].is_required():
                values[name] = _blank(kind, None)
        part = model.model_construct(**values)
        if written and all(key in fields(model) for key in written):
            self._whole_part(part, written, path)
        return part

    def _whole_part(self, part: BaseModel, written: JsonObject, path: Path) -> None:
        for rule in type(part).__pydantic_decorators__.model_validators.values():
            if rule.info.mode == "after":
                try:
                    rule.func(part)
                except ValueError as err:
                    self.findings.append(Finding(path, shown(written), str(err)))


def _has_own_surface(model: type[BaseModel]) -> bool:
    """Whether its YAML is not simply its fields."""
    rules = model.__pydantic_decorators__.model_validators.values()
    return any(rule.info.mode == "before" for rule in rules)


def _blank(kind: Any, written: Any) -> Any:
    model = model_of(kind)
    if model is not None:
        return model.model_construct(
            **{
                name: _blank(inner, None)
                for name, inner in fields(model).values()
                if model.model_fields[name].is_required()
            }
        )
    if kind == AnyTarget:
        return AssigneeTarget()
    if entries_of(kind) is not None:
        return {}
    if members_of(kind) is not None:
        return ()
    return str(written) if isinstance(written, int | float) and not isinstance(written, bool) else ""
