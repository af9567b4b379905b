"""The body of an OpenAI-style chat completion, read as it arrives: bytes in, pieces of the reply out. No I/O.

Formats: "Chat completion chunk object" and "Chat completion object" of the OpenAI API reference, and "Server-sent
events" of the HTML standard. Compatible servers differ in small things; where each does, the reason is said below.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from xiaozhi_persona.language import tr
from xiaozhi_persona.spine import ToolCall

LONGEST_LINE_BYTES = 1 << 20
"""A line, or a body that is no event stream, longer than this is not read on."""


@dataclass(frozen=True)
class Complaint:
    """What a server says went wrong, in its own words."""

    reason: str
    status: int = 0
    """HTTP status, where the complaint names one."""


class CompletionReader:
    """Reads one body: `feed` it as it comes, then `end` it; the attributes tell how it stands."""

    def __init__(self) -> None:
        self.pieces = 0
        """Pieces of text and of tool calls so far, blank ones not counted."""
        self.finished = False
        """Whether the server said that the reply is complete."""
        self.finish_reason = ""
        self.thoughts = 0
        """Pieces of reasoning so far, which is not part of the reply."""
        self.is_foreign = False
        """Whether the body is no chat completion at all: a web page, say."""
        self.complaint: Complaint | None = None
        self._rest = bytearray()
        self._is_stream = False
        self._plain: list[bytes] = []
        self._plain_bytes = 0
        self._calls: list[_Call] = []

    def feed(self, data: bytes) -> list[str]:
        """Return the text of the lines that are complete now."""
        # Split by CR and LF alone: JSON text may hold other line separators of Unicode as they are.
        *lines, rest = data.replace(b"\r", b"\n").split(b"\n")
        if lines:
            lines[0] = bytes(self._rest) + lines[0]
            self._rest.clear()
        self._rest += rest
        if max(len(self._rest), self._plain_bytes) > LONGEST_LINE_BYTES:
            self.complaint = self.complaint or Complaint(tr("一行数据超过 1 MB"))
            self._rest, self._plain = bytearray(), []
        return [text for line in lines for text in self._line(line)]

    def end(self) -> list[str]:
        """Return the text of what is left, which is the whole reply when the server did not stream."""
        rest, self._rest = self._rest, bytearray()
        texts = list(self._line(bytes(rest)))
        if not self._is_stream and self._plain:
            body = _loads(b"\n".join(self._plain))
            if isinstance(body, dict):
                texts += self._chunk(body)
                self.finished = "choices" in body
            self.is_foreign = not self.finished
        return texts

    def tool_calls(self) -> list[ToolCall]:
        """Return the assembled tool calls."""
        return [call.whole(number) for number, call in enumerate(self._calls) if call.name]

    def _line(self, line: bytes) -> Iterator[str]:
        if line.startswith(b"data:"):
            self._is_stream = True
            data = line[5:].strip()
            if data == b"[DONE]":
                self.finished = True
            elif isinstance(chunk := _loads(data), dict):
                yield from self._chunk(chunk)
        elif line and not self._is_stream and not line.startswith((b":", b"event:", b"id:", b"retry:")):
            self._plain.append(line)
            self._plain_bytes += len(line)

    def _chunk(self, chunk: dict[str, Any]) -> Iterator[str]:
        complaint = complaint_of(chunk)
        if complaint:
            self.complaint = self.complaint or complaint
            return
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if not isinstance(choice, dict) or choice.get("index"):
                continue
            delta = choice.get("delta") or choice.get("message")
            if isinstance(delta, dict):
                yield from self._delta(delta)
            if isinstance(choice.get("finish_reason"), str) and choice["finish_reason"]:
                self.finished, self.finish_reason = True, choice["finish_reason"]

    def _delta(self, delta: dict[str, Any]) -> Iterator[str]:
        self.thoughts += bool(delta.get("reasoning_content") or delta.get("reasoning"))
        content = delta.get("content")
        parts = content if isinstance(content, list) else [content]
        for part in parts:
            text = part.get("text") if isinstance(part, dict) else part
            if isinstance(text, str) and text:
                self.pieces += bool(text.strip())
                yield text
        fragments = delta.get("tool_calls")
        for fragment in fragments if isinstance(fragments, list) else ():
            if isinstance(fragment, dict):
                self._fragment(fragment)
                self.pieces += 1

    def _fragment(self, fragment: dict[str, Any]) -> None:
        id_, index = _text(fragment.get("id")), fragment.get("index")
        call = next((call for call in reversed(self._calls) if index is None or call.index == index), None)
        # Some servers number all calls 0 and tell them apart by their ids.
        if call is None or (id_ and call.id and id_ != call.id):
            call = _Call(index)
            self._calls.append(call)
        call.id = call.id or id_
        function = fragment.get("function")
        if not isinstance(function, dict):
            return
        name, arguments = _text(function.get("name")), function.get("arguments")
        # Some servers repeat the name in every fragment.
        if name != call.name:
            call.name += name
        if isinstance(arguments, dict):
            arguments = json.dumps(arguments, ensure_ascii=False)
        call.arguments.append(_text(arguments))


def complaint_of(body: Any) -> Complaint | None:
    """Return what went wrong if `body` (a parsed error answer, or a chunk of a stream) says so."""
    if not isinstance(body, dict):
        return None
    error = body.get("error") or ("choices" not in body and body.get("detail"))
    if isinstance(error, dict):
        reason = _text(error.get("message")) or json.dumps(error, ensure_ascii=False)
        status = error.get("code")
    elif error:
        reason, status = (
            error if isinstance(error, str) else json.dumps(error, ensure_ascii=False),
            body.get("code"),
        )
    elif isinstance(body.get("message"), str) and "choices" not in body:
        reason, status = body["message"], body.get("code")
    else:
        return None
    number = int(str(status)) if str(status).isdecimal() else 0
    return Complaint(short(reason), number if 400 <= number < 600 else 0)


def complaint_in(body: bytes) -> Complaint:
    """Return what the body of an error answer says, whatever form it has."""
    text = body.decode("utf-8", "replace")
    is_page = text.lstrip().startswith("<")
    return complaint_of(_loads(body)) or Complaint("" if is_page else short(text))


def short(text: str) -> str:
    """Return the text on one line of at most 120 characters."""
    line = " ".join(text.split())
    return line if len(line) <= 120 else line[:119] + "…"


@dataclass
class _Call:
    index: Any
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)

    def whole(self, number: int) -> ToolCall:
        return ToolCall(self.id or f"call_{number}", self.name, "".join(self.arguments) or "{}")


def _loads(data: bytes) -> Any:
    """Return the parsed JSON, None when it is none."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
