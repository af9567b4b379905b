"""The parameters of a tool, brought to the form that every chat model's server takes. No I/O.

One schema that a server does not understand spoils every request. What they refuse, by the reports of their users: lists
without `items`, several types at once, references, schemas that are `true`, names in `required` that are no properties.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

_MAX_DEPTH = 6
_MAX_PARTS = 500
_MAX_PROPERTIES = 64
_MAX_CHOICES = 100
_MAX_NAME = 64
_MAX_DESCRIPTION = 500
_MAX_NUMBER = 1e15
_TYPES = ("string", "integer", "number", "boolean", "array", "object")

_Schema = dict[str, Any]


def parameters_of(schema: object) -> dict[str, Any]:
    """Return a JSON schema as the parameters of a function: always an object, of bounded depth, size and texts."""
    cleaned = _Cleaner(schema if isinstance(schema, dict) else {}).cleaned()
    if cleaned["type"] != "object":
        cleaned = {"type": "object"}
    cleaned.pop("description", None)
    return {"properties": {}, **cleaned}


def fitted(arguments: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments with the types that the parameters name, where the chat model wrote them in another form.

    Small models write "50" for 50, and devices refuse it as missing.
    """
    properties = parameters.get("properties", {})
    return {name: _fitted(value, properties.get(name, {}).get("type")) for name, value in arguments.items()}


class _Cleaner:
    """Goes through one schema. What refers to itself ends where its parts have become too many."""

    def __init__(self, whole: _Schema) -> None:
        self._whole = whole
        self._left = _MAX_PARTS

    def cleaned(self) -> _Schema:
        """Return what is kept of it."""
        return self._cleaned(self._whole, _MAX_DEPTH)

    def _cleaned(self, schema: object, depth: int) -> _Schema:
        self._left -= 1
        if depth == 0 or self._left < 0:
            return {"type": "string"}
        schema = self._resolved(schema)
        described, choices = schema.get("description"), schema.get("enum")
        kept: _Schema = {"type": _type_of(schema)}
        if isinstance(described, str) and described.strip():
            kept["description"] = described.strip()[:_MAX_DESCRIPTION]
        if kept["type"] == "string" and "const" in schema:
            choices = [schema["const"]]
        if kept["type"] == "string" and isinstance(choices, list):
            written = [choice for choice in choices if isinstance(choice, str) and choice]
            kept |= {"enum": written[:_MAX_CHOICES]} if written else {}
        elif kept["type"] in ("integer", "number"):
            kept |= {key: schema[key] for key in ("minimum", "maximum") if _is_number(schema.get(key))}
        elif kept["type"] == "array":
            kept["items"] = self._cleaned(schema.get("items"), depth - 1)
        elif kept["type"] == "object" and isinstance(schema.get("properties"), dict):
            kept |= self._properties(schema, depth)
        return kept

    def _properties(self, schema: _Schema, depth: int) -> _Schema:
        named = [item for item in schema["properties"].items() if 0 < len(item[0]) <= _MAX_NAME]
        properties = {name: self._cleaned(inner, depth - 1) for name, inner in named[:_MAX_PROPERTIES]}
        written = schema.get("required")
        required = [name for name in properties if isinstance(written, list) and name in written]
        return {"properties": properties, **({"required": required} if required else {})}

    def _resolved(self, schema: object) -> _Schema:
        """Follow references, and take the first of several forms that is not null."""
        outer: _Schema = {}
        for _ in range(_MAX_DEPTH):
            if not isinstance(schema, dict):
                break
            forms = next((schema[key] for key in ("anyOf", "oneOf", "allOf") if schema.get(key)), None)
            if isinstance(schema.get("$ref"), str):
                inner = self._referred(schema["$ref"])
            elif isinstance(forms, list) and "type" not in schema:
                inner = next((form for form in forms if not _is_null(form)), None)
            else:
                return {**schema, **outer}
            outer = {key: schema[key] for key in ("description",) if key in schema} | outer
            schema = inner
        return outer

    def _referred(self, reference: str) -> object:
        found: object = self._whole
        for key in reference.removeprefix("#").split("/")[1:]:
            key = key.replace("~1", "/").replace("~0", "~")
            found = found.get(key) if isinstance(found, dict) else None
        return found


def _type_of(schema: _Schema) -> str:
    written = schema.get("type")
    named = [kind for kind in (written if isinstance(written, list) else [written]) if kind in _TYPES]
    if named:
        return str(named[0])
    if isinstance(schema.get("properties"), dict):
        return "object"
    return "array" if "items" in schema else "string"


def _is_null(form: object) -> bool:
    return isinstance(form, dict) and form.get("type") == "null"


def _is_number(value: object) -> bool:
    """Whether it is a number that every JSON reader takes: neither NaN nor without end."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _MAX_NUMBER


def _fitted(value: Any, kind: object) -> Any:
    if isinstance(value, str) and kind == "boolean" and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    if isinstance(value, str) and kind in ("integer", "number"):
        with contextlib.suppress(ValueError):
            number = float(value)
            value = number if _is_number(number) else value
    if kind == "integer" and isinstance(value, float) and value.is_integer():
        return int(value)
    if kind == "string" and _is_number(value):
        return str(value)
    return value
