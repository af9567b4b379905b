"""Forms with files, as they come over HTTP (RFC 7578, RFC 2046 section 5.1.1).

They are read here and not by aiohttp, whose reader goes line by line: five million empty ones would hold up every device.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_MAX_HEAD_BYTES = 2000
_BOUNDARY = re.compile(r'multipart/form-data\b.*?;\s*boundary="?([^\s";]{1,70})', re.I)
_NAME = re.compile(r'\b(file)?name="?([^";\r\n]*)', re.I)


@dataclass(frozen=True)
class FormPart:
    """One field of a form."""

    name: str
    is_file: bool
    content: bytes


def form_parts(body: bytes, content_type: str, most: int) -> Iterator[FormPart]:
    """Yield the first `most` fields of a form. Raises ValueError for what is none."""
    match = _BOUNDARY.match(content_type)
    if match is None:
        raise ValueError
    delimiter = b"\r\n--" + match[1].encode("latin-1", "replace")
    for part in (b"\r\n" + body).split(delimiter, most)[1:]:
        head, _, content = part.partition(b"\r\n\r\n")
        named = _NAME.findall(head[:_MAX_HEAD_BYTES].decode("latin-1"))
        name = next((name for is_file, name in named if not is_file), "")
        yield FormPart(name, any(is_file for is_file, _ in named), content)
