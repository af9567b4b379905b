"""The parameters of tools: whatever a server writes becomes what every chat model's server takes."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xiaozhi_persona.bridge.mcp.schemas import fitted, parameters_of

KEYS = [
    "type",
    "properties",
    "items",
    "required",
    "enum",
    "const",
    "anyOf",
    "oneOf",
    "allOf",
    "$ref",
    "description",
]
TEXTS = st.sampled_from(
    ["object", "array", "string", "integer", "null", "#", "#/properties/a", "#/$defs/x", "说明", ""]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*KEYS, "a", "minimum"]), inner, max_size=5)
    ),
    max_leaves=30,
)


def check(schema: dict[str, Any]) -> int:
    """Check what servers ask of a schema; return of how many parts it is."""
    kind = schema["type"]
    assert kind in ("string", "integer", "number", "boolean", "array", "object")
    assert {*schema} <= {
        "type",
        "description",
        "enum",
        "minimum",
        "maximum",
        "items",
        "properties",
        "required",
    }
    assert isinstance(schema.get("description", ""), str)
    assert all(isinstance(choice, str) for choice in schema.get("enum", ()))
    parts = 1
    if kind == "array":
        parts += check(schema["items"])
    if kind == "object":
        assert {*schema.get("required", ())} <= {*schema.get("properties", {})}
        parts += sum(map(check, schema.get("properties", {}).values()))
    return parts


@settings(max_examples=300, deadline=None)
@given(VALUES)
def test_anything_becomes_parameters(schema: Any) -> None:
    parameters = parameters_of(schema)
    assert parameters["type"] == "object" and isinstance(parameters["properties"], dict)
    check(parameters)
    json.dumps(parameters, allow_nan=False)
    fitted({"a": schema, "b": "1"}, parameters)


@pytest.mark.parametrize(
    ("written", "taken"),
    [
        (
            {"type": "integer", "minimum": 0, "maximum": 100},
            {"type": "integer", "minimum": 0, "maximum": 100},
        ),
        ({"type": "array"}, {"type": "array", "items": {"type": "string"}}),
        (
            {"type": ["array", "null"], "items": {"type": ["object", "null"]}},
            {"type": "array", "items": {"type": "object"}},
        ),
        (
            {"anyOf": [{"type": "null"}, {"type": "number"}], "description": "多少"},
            {"type": "number", "description": "多少"},
        ),
        ({"$ref": "#/$defs/level", "default": 3}, {"type": "string", "enum": ["高", "低"]}),
        ({"const": "开"}, {"type": "string", "enum": ["开"]}),
        ({"enum": [1, 2]}, {"type": "string"}),
        (True, {"type": "string"}),
        ({"type": "number", "minimum": float("nan"), "maximum": float("inf")}, {"type": "number"}),
        ({"type": "number", "minimum": 10**400}, {"type": "number"}),
    ],
)
def test_what_servers_refuse_is_written_otherwise(written: Any, taken: dict[str, Any]) -> None:
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"a": written},
        "required": ["a", "gone"],
        "additionalProperties": False,
        "$defs": {"level": {"enum": ["高", "低"]}},
    }
    assert parameters_of(whole) == {"type": "object", "properties": {"a": taken}, "required": ["a"]}


def test_what_refers_to_itself_ends() -> None:
    branches = {f"p{n}": {"$ref": "#"} for n in range(64)}
    began_s = time.process_time()
    parameters = parameters_of({"type": "object", "properties": branches})
    assert time.process_time() - began_s < 0.5 and check(parameters) < 30_000
    check(parameters_of({"$ref": "#"}))


@pytest.mark.parametrize(
    ("kind", "written", "taken"),
    [
        ("integer", "50", 50),
        ("integer", 50.0, 50),
        ("integer", "一半", "一半"),
        ("integer", "nan", "nan"),
        ("number", "1e999", "1e999"),
        ("number", " 1.5 ", 1.5),
        ("boolean", "True", True),
        ("boolean", "好", "好"),
        ("string", 5, "5"),
        ("string", True, True),
        ("integer", None, None),
    ],
)
def test_arguments_get_the_type_that_is_asked_for(kind: str, written: Any, taken: Any) -> None:
    arguments = fitted({"a": written, "other": "1"}, {"properties": {"a": {"type": kind}}})
    assert arguments == {"a": taken, "other": "1"} and type(arguments["a"]) is type(taken)
