"""What went wrong at a server that speaks, told by the body as well as by the status.

::

    ServiceUnavailable
     +-- Unreachable    no connection, or it ended before an answer: the server is set aside
     +-- CutOff         the answer began as a success and ended without sound
     +-- WrongLength    the whole sound is far too short or long for its text
    ServiceTimeout
     +-- Silent         no sound within the deadline: the server is set aside
    ServiceBroken
     +-- Stalled        silent after the first sound: the server is set aside
"""

from __future__ import annotations

import json
import re
from typing import Any, Protocol

from xiaozhi_persona.errors import ServiceBroken, ServiceError, ServiceTimeout, ServiceUnavailable
from xiaozhi_persona.spine import PcmChunk

LONGEST_COMPLAINT_BYTES = 64 * 1024
_LONGEST_REASON = 300

_TITLE = re.compile(r"<title>([^<]+)</title>", re.IGNORECASE)
_HTML_TAG = re.compile(r"<(style|script)\b.*?</\1>|<[^<>]*>", re.DOTALL | re.IGNORECASE)


class Unreachable(ServiceUnavailable):
    """The server cannot be reached, or hung up before it answered."""


class CutOff(ServiceUnavailable):
    """The answer began as a success and ended, or was cut off, without any sound."""


class WrongLength(ServiceUnavailable):
    """The whole sentence is in `sound`, and cannot be the whole text and no more."""

    def __init__(self, message: str, sound: PcmChunk) -> None:
        super().__init__(message)
        self.sound = sound


class Silent(ServiceTimeout):
    """The server was asked, and no sound came within the deadline."""


class Stalled(ServiceBroken):
    """Sound began to come, and then nothing more within the deadline."""


DOWN = (Unreachable, Silent, Stalled)
"""After these the server is set aside."""


class Failures(Protocol):
    """The errors of one server's answers, in words that tell what to do at that server."""

    def refusal(self, status: int, body: bytes) -> ServiceError:
        """Return the error for an answer that is no sound, whatever its status."""
        ...

    def cut_off(self) -> ServiceError:
        """Return the error for an answer that ended without sound."""
        ...

    def broken_off(self) -> ServiceError:
        """Return the error for sound that was cut off."""
        ...

    def only_silence(self) -> ServiceError:
        """Return the error for a whole answer in which every sample is zero."""
        ...

    def stalled(self, limit_s: float) -> ServiceError:
        """Return the error for sound that stopped coming."""
        ...

    def wrong_length(self, sound: PcmChunk, seconds: float, predicted_s: float) -> ServiceError:
        """Return the error for a whole sentence that cannot be its text."""
        ...


def parsed(body: bytes) -> dict[str, Any]:
    """Return the JSON object of a body, {} where there is none."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def reason_of(body: bytes) -> tuple[str, dict[str, Any]]:
    """Return what a body that is no sound says, on one line, and its JSON object where there is one."""
    data = parsed(body)
    parts = [data.get("message"), data.get("Exception"), _inner(data.get("error"))]
    details = data.get("detail")
    if isinstance(details, list):
        for detail in details:
            if isinstance(detail, dict):
                where = ".".join(str(part) for part in detail.get("loc") or ())
                parts.append(f"{where} {detail.get('msg', '')}")
    else:
        parts.append(_inner(details))
    text = " ".join(str(part) for part in parts if part)
    if not text and not data:
        page = body.decode("utf-8", "replace")
        title = _TITLE.search(page)
        text = title[1] if title else _HTML_TAG.sub(" ", page)
    return " ".join(text.split())[:_LONGEST_REASON].rstrip("。.！! "), data


def _inner(value: Any) -> Any:
    return value.get("message") or value if isinstance(value, dict) else value
