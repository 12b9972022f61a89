"""Reading a bundle's files: plain values, and where each of them stands.

YAML 1.2 by ruamel, composed but not constructed: `NO` stays text, `20:00` too, and every key and value keeps
its line and column. Aliases are followed (not into themselves); tags and merge keys are refused.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from json import JSONDecodeError
from pathlib import Path as FilePath
from typing import Any, Final

from shared.json_object import JsonObject
from shared.policy.errors import Finding, Location, Path, PolicyError, dotted, located
from shared.policy.loading import json_nodes
from shared.policy.loading.files import files_of
from shared.policy.loading.yaml_messages import in_words

_LARGEST: Final = 8 * 1024 * 1024
_MOST_NODES: Final = 100_000  # more for a longer text: aliases multiply what is written
_NODE_LENGTH: Final = 8
_LARGEST_FLOW: Final = 256 * 1024  # what begins like JSON and is none is read as YAML up to this size
_MOST_OPEN: Final = 500
_BRACKETS: Final = re.compile(r"[\[\]{}]")
_DASHES: Final = re.compile(r"(?:[-?:] +){500}")
_DEEPEST: Final = 60
_MOST_DIGITS: Final = 40
_UNSTORABLE: Final = "NUL or half a surrogate pair"
_SCALARS: Final = ("str", "int", "float", "bool", "null", "timestamp")
# Sections that may stand in one file only, because two of them have no order of their own.
_SINGLE: Final = ("tiers",)


@dataclass(slots=True)
class Source:
    """What was read: the merged tree, the place of every key and value, the errors so far."""

    tree: JsonObject = field(default_factory=dict)
    values: dict[Path, Location] = field(default_factory=dict)
    keys: dict[Path, Location] = field(default_factory=dict)
    lines: dict[str, list[str]] = field(default_factory=dict)
    errors: list[PolicyError] = field(default_factory=list)
    complete: bool = True  # False: some file could not be read, so nobody knows which names there are

    def place(self, path: Path, *, at_key: bool = False) -> Location:
        """The nearest place: of the path's key or value, else of what holds it."""
        if at_key and path in self.keys:
            return self.keys[path]
        while path and path not in self.values:
            path = path[:-1]
        return self.values.get(path) or Location(next(iter(self.lines), ""))

    def error(self, finding: Finding) -> PolicyError:
        """The finding with its exact place, inside an expression's text where that stands on one line."""
        place = self.place(finding.path, at_key=finding.at_key)
        if finding.line and not finding.at_key:
            place = self._inside(finding, place)
        return located(finding, place)

    def _inside(self, finding: Finding, place: Location) -> Location:
        lines = self.lines.get(place.file, [])
        if place.line > len(lines):
            return place
        rest = lines[place.line - 1][place.column - 1 :]
        if rest.startswith("|"):  # a block: its text begins on the next line, indented
            first = next((line for line in lines[place.line :] if line.strip()), "")
            indent = len(first) - len(first.lstrip())
            return Location(place.file, place.line + finding.line, indent + finding.column)
        value: Any = self.tree
        for part in finding.path:
            value = value[part]
        quoted = rest[:1] in ("'", '"')
        if isinstance(value, str) and rest[quoted:].startswith(value):
            return replace(place, column=place.column + quoted + finding.column - 1)
        return place


def read(path: FilePath) -> Source:
    """Read a file, or every `*.yaml` and `*.yml` of a folder in the order of their names, and merge them.

    Hidden files and folders are passed over (Kubernetes mounts have some), and so is what the folder's
    `.ladderignore` names, a file or folder a line. Errors are in the answer.
    """
    source = Source()
    files = files_of(path)
    if isinstance(files, str):
        expected = "a policy bundle: a YAML file, or a folder of them"
        source.errors.append(PolicyError(Location(str(path), 0, 0), "", files, expected))
        return source
    for file in files:
        _read_file(file, source)
    return source


def read_plain(path: FilePath) -> JsonObject | None:
    """The values of a file of sound JSON, without their places; None for everything else."""
    if not path.is_file() or path.stat().st_size > _LARGEST:
        return None
    try:
        return json_nodes.plain(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError):
        return None


def _read_file(file: FilePath, source: Source) -> None:
    name = str(file)

    def refuse(found: str, expected: str, place: Location | None = None) -> None:
        source.complete = False
        source.errors.append(PolicyError(place or Location(name), "", found, expected))

    try:
        body = file.read_bytes()
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        line = body[: err.start].count(b"\n") + 1
        return refuse("bytes that are not UTF-8", "a YAML file in UTF-8", Location(name, line))
    except OSError as err:
        return refuse(err.strerror or str(err), "a file that can be read")
    if len(body) > _LARGEST:
        return refuse(f"{len(body)} bytes", f"at most {_LARGEST} bytes")
    if _is_deep(text):
        return refuse("nesting beyond all measure", "a policy bundle")
    source.lines[name] = text.splitlines()
    node = _composed(text, name)
    if isinstance(node, PolicyError):
        source.complete = False
        source.errors.append(node)
    elif node is None:
        refuse("an empty file", "a policy bundle")
    elif node.id != "mapping":
        refuse("no mapping", "a mapping of sections (version, users, policies, …)", _place(name, node))
    else:
        _Reader(name, source).merge(node)
    return None


def _is_deep(text: str) -> bool:
    """Whether more brackets or dashes are open at once than in any policy: YAML's reader is slow at them.

    Those in quotes and comments count too, which is why the limit is far above what is ever meant.
    """
    if _DASHES.search(text):
        return True
    depth = 0
    for bracket in _BRACKETS.finditer(text):
        depth = depth + 1 if bracket[0] in "[{" else max(0, depth - 1)
        if depth > _MOST_OPEN:
            return True
    return False


def _composed(text: str, name: str) -> Any:
    """The root node, None for an empty file, or the error."""
    if json_nodes.looks_like_json(text):
        try:
            return json_nodes.composed(text)
        except JSONDecodeError as err:
            if len(text) > _LARGEST_FLOW:
                return PolicyError(Location(name, err.lineno, err.colno), "", err.msg, "JSON")
    return _composed_yaml(text, name)


def _composed_yaml(text: str, name: str) -> Any:
    from ruamel.yaml import YAML  # noqa: PLC0415 - only who loads YAML pays for it
    from ruamel.yaml.error import MarkedYAMLError, YAMLError  # noqa: PLC0415

    try:
        return YAML(typ="rt", pure=True).compose(text)
    except MarkedYAMLError as err:
        mark = err.problem_mark or err.context_mark
        place = Location(name, mark.line + 1, mark.column + 1) if mark else Location(name)
        found, expected = in_words(err.problem or "text that does not parse")
        return PolicyError(place, "", found, expected)
    except YAMLError as err:  # a character that YAML does not allow
        at = getattr(err, "position", 0) or 0
        before = text[:at]
        place = Location(name, before.count("\n") + 1, at - (before.rfind("\n") + 1) + 1)
        return PolicyError(place, "", "a character that YAML does not allow", "YAML")
    except (ValueError, OverflowError):  # "\UFFFFFFFF"
        return PolicyError(Location(name), "", "an escape that is no character", "YAML")
    except RecursionError:
        return PolicyError(Location(name), "", "nesting beyond all measure", "a policy bundle")


def _place(name: str, node: Any) -> Location:
    return Location(name, node.start_mark.line + 1, node.start_mark.column + 1)


class _Reader:
    """One file's nodes into the source's tree."""

    def __init__(self, name: str, source: Source) -> None:
        self._name: Final = name
        self._source: Final = source
        self._nodes = 0
        self._most_nodes = _MOST_NODES + sum(map(len, source.lines[name])) // _NODE_LENGTH
        self._open: set[int] = set()

    def merge(self, root: Any) -> None:
        self._source.values.setdefault((), _place(self._name, root))
        for section, key, node in self._entries(root, ()):
            if self._is_nothing(node):  # a section whose entries are all commented out
                self._source.keys.setdefault((section,), _place(self._name, key))
                continue
            self._merge_section(section, key, node)

    def _merge_section(self, section: str, key: Any, node: Any) -> None:
        source, path = self._source, (section,)
        before = source.tree.get(section)
        if before is None:
            source.keys[path] = _place(self._name, key)
            source.tree[section] = self._value(node, path)
        elif node.id == "sequence" and isinstance(before, list) and section not in _SINGLE:
            for each in node.value:
                before.append(self._value(each, (section, len(before))))
        elif node.id == "mapping" and isinstance(before, dict):
            for name, inner_key, inner in self._entries(node, path):
                if name in before:
                    self._twice((section, name), inner_key)
                else:
                    source.keys[section, name] = _place(self._name, inner_key)
                    before[name] = self._value(inner, (section, name))
        elif not (section == "version" and node.value == str(before)):
            self._twice(path, key)

    def _twice(self, path: Path, key: Any) -> None:
        first = self._source.keys.get(path)
        self._refuse(path, key, f"{path[-1]!r} a second time", f"it only once (first at {first})")

    def _value(self, node: Any, path: Path) -> Any:
        """The plain value of a node; notes the place of everything in it."""
        self._nodes += 1
        self._source.values[path] = _place(self._name, node)
        if self._nodes > self._most_nodes or len(path) > _DEEPEST:
            if self._nodes <= self._most_nodes + 1:
                self._refuse(path, node, "aliases or nesting beyond all measure", "a policy bundle")
            return None
        if id(node) in self._open:
            self._refuse(path, node, "an alias to what it stands in", "a value")
            return None
        if node.id == "scalar":
            return self._scalar(node, path)
        self._open.add(id(node))
        try:
            if node.id == "sequence":
                return [self._value(each, (*path, index)) for index, each in enumerate(node.value)]
            values = {}
            for name, key, each in self._entries(node, path):
                self._source.keys[*path, name] = _place(self._name, key)
                values[name] = self._value(each, (*path, name))
            return values
        finally:
            self._open.discard(id(node))

    def _entries(self, node: Any, path: Path) -> Iterator[tuple[str, Any, Any]]:
        seen: JsonObject = {}
        for key, value in node.value:
            if key.id != "scalar":
                self._refuse(path, key, "a key that is no text", "a name as the key")
            elif (name := _storable(key.value)) is None:
                self._refuse(path, key, _UNSTORABLE, "a name as the key")
            elif key.value == "<<" and key.style is None:
                self._refuse((*path, "<<"), key, "a merge key", "keys of its own (YAML 1.2 has no merge key)")
            elif name in seen:
                first = _place(self._name, seen[name])
                expected = f"it only once (first at {first})"
                self._refuse((*path, name), key, f"{name!r} a second time", expected)
            else:
                seen[name] = key
                yield name, key, value

    def _scalar(self, node: Any, path: Path) -> Any:
        text = _storable(node.value)
        kind = str(node.tag).rpartition(":")[2]
        if kind not in _SCALARS or not str(node.tag).startswith("tag:yaml.org,2002:"):
            self._refuse(path, node, f"the tag {node.tag}", "a plain value, or quotes around text with !")
            return None
        if text is None:
            self._refuse(path, node, _UNSTORABLE, "text")
            return None
        return _plain(kind, text)

    def _is_nothing(self, node: Any) -> bool:
        return node.id == "scalar" and str(node.tag).endswith(":null")

    def _refuse(self, path: Path, node: Any, found: str, expected: str) -> None:
        self._source.errors.append(PolicyError(_place(self._name, node), dotted(path), found, expected))


def _storable(text: str) -> str | None:
    """The text with surrogate pairs joined (JSON writes what is outside the first plane as two escapes);
    None where it holds what no database takes.
    """
    if "\0" in text:
        return None
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        return None


def _plain(kind: str, text: str) -> Any:
    """A scalar's value by YAML 1.2's core schema; times and dates stay text."""
    digits = text.replace("_", "").lower()
    if kind == "null":
        return None
    if kind == "bool":
        return digits == "true"
    if len(digits) > _MOST_DIGITS:
        return text  # no number that anybody means
    try:
        if kind == "int":
            return int(digits, 0 if "x" in digits or "o" in digits else 10)
        return float(digits.replace(".inf", "inf").replace(".nan", "nan")) if kind == "float" else text
    except ValueError:
        return text
