"""The bundle as JSON: one canonical form, so that equal bundles have equal bytes and one hash.

The JSON has the YAML's own shape (`"5m"`, `"user:ana"`), keys sorted, defaults left out: a release that adds
a field with a default leaves every hash as it was.
"""

import hashlib
import json
from typing import Any, Final

from shared.json_object import JsonObject
from shared.policy.model import targets
from shared.policy.model.bundle import Bundle


def dump_json(bundle: Bundle) -> bytes:
    """The canonical JSON."""
    plain = bundle.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def load_json(body: bytes) -> Bundle:
    """The bundle of `dump_json`. Shapes and types are checked again, names and expressions are not.

    Raises pydantic's ValidationError.
    """
    return Bundle.model_validate_json(body)


def content_hash(bundle: Bundle) -> str:
    """The hex SHA-256 of the canonical JSON: the same for every layout of files, in every process."""
    return hash_of(dump_json(bundle))


def hash_of(canonical: bytes) -> str:
    """The content hash of what `dump_json` gave."""
    return hashlib.sha256(canonical).hexdigest()


_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def schema() -> JsonObject:
    """JSON Schema (draft 2020-12) of the YAML surface, for editors. Names across sections are not in it."""
    body = Bundle.model_json_schema(by_alias=True, mode="validation")
    whole: JsonObject = _with_targets(body)
    whole["$defs"]["Target"] = targets.schema()
    return {"$schema": _DIALECT} | whole | {"title": "Ladder policy bundle"}


def _with_targets(node: Any) -> Any:
    if isinstance(node, dict):
        if node == targets.TARGET_SCHEMA:
            return {"$ref": "#/$defs/Target"}
        if "patternProperties" in node:
            node = {"additionalProperties": False, **node}
        return {key: _with_targets(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_with_targets(value) for value in node]
    return node
