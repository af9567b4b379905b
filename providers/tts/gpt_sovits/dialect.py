"""Which API a server speaks, told by its /openapi.json, which FastAPI serves by itself.

api.py has the path /change_refer, api_v2.py has /tts; there are packs that serve the names of api_v2.py at /.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import httpx

from xiaozhi_persona.providers.tts.gpt_sovits.utterance import Utterance, v1_body, v2_body


@dataclass(frozen=True)
class Dialect:
    """How to ask a server for speech."""

    api: Literal["v1", "v2"]
    path: str
    """Where to post to."""
    knows_chunks: bool = True
    """Whether streaming_mode may be 2 and 3; releases before November 2025 take true and false only."""

    def body(self, utterance: Utterance) -> dict[str, Any]:
        """Return what is posted. Raises ServiceRejected for what this API cannot do."""
        return v1_body(utterance) if self.api == "v1" else v2_body(utterance, knows_chunks=self.knows_chunks)


_UNKNOWN = {
    "auto": (Dialect("v2", "/tts"), Dialect("v1", "/"), Dialect("v2", "/")),
    "v1": (Dialect("v1", "/"),),
    "v2": (Dialect("v2", "/tts"), Dialect("v2", "/")),
}


def guesses(api: Literal["auto", "v1", "v2"]) -> tuple[Dialect, ...]:
    """Return what to try, in this order, at a server that does not describe itself."""
    return _UNKNOWN[api]


async def ask_dialect(client: httpx.AsyncClient, url: str) -> tuple[Dialect | None, int]:
    """Ask the server at a base address what it is; None when it does not tell. With the status of its answer.

    The caller sets the deadline. Raises httpx.HTTPError.
    """
    response = await client.get(url + "/openapi.json")
    with contextlib.suppress(ValueError):
        if response.is_success:
            return described(response.json()), response.status_code
    return None, response.status_code


def described(openapi: Any) -> Dialect | None:
    """Return what a parsed /openapi.json tells, None when it is that of another program."""
    paths = openapi.get("paths") if isinstance(openapi, dict) else None
    if not isinstance(paths, dict):
        return None
    for path in paths:
        if path.rstrip("/").endswith("/tts"):
            return Dialect("v2", path, _knows_chunks(openapi, path))
    at_root = set(_fields(openapi, "/"))
    if "text_lang" in at_root:
        return Dialect("v2", "/", _knows_chunks(openapi, "/"))
    if "/change_refer" in paths or at_root & {"text_language", "refer_wav_path"}:
        return Dialect("v1", "/")
    return None


def _knows_chunks(openapi: Mapping[str, Any], path: str) -> bool:
    """Whether the request has what came together with the modes 2 and 3; True when it is not described."""
    fields = dict(_typed_fields(openapi, path))
    mode = fields.get("streaming_mode", {})
    return "overlap_length" in fields or mode.get("type") != "boolean"


def _fields(openapi: Mapping[str, Any], path: str) -> Iterator[str]:
    for name, _ in _typed_fields(openapi, path):
        yield name


def _typed_fields(openapi: Mapping[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the names and schemas of a path's query parameters and body."""
    for operation in _object(_object(openapi, "paths"), path).values():
        if not isinstance(operation, dict):
            continue
        for parameter in operation.get("parameters") or ():
            if isinstance(parameter, dict) and "name" in parameter:
                yield parameter["name"], _object(parameter, "schema")
        schema: Any = operation
        for key in ("requestBody", "content", "application/json", "schema"):
            schema = _object(schema, key)
        reference = schema.get("$ref")
        if isinstance(reference, str):
            schema = openapi
            for key in reference.removeprefix("#/").split("/"):
                schema = _object(schema, key)
        for name, field in _object(schema, "properties").items():
            yield name, field if isinstance(field, dict) else {}


def _object(data: Any, key: str) -> dict[str, Any]:
    value = data.get(key) if isinstance(data, dict) else None
    return value if isinstance(value, dict) else {}
