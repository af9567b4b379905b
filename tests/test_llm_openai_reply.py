from __future__ import annotations

import json
from typing import Any

import pytest

from xiaozhi_persona.providers.llm.openai_reply import LONGEST_LINE_BYTES, CompletionReader
from xiaozhi_persona.spine import ToolCall


def event(text: str) -> bytes:
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": {"content": text}}]}).encode() + b"\n\n"


def read(*chunks: bytes) -> tuple[str, CompletionReader]:
    reader = CompletionReader()
    text = "".join(text for chunk in chunks for text in reader.feed(chunk)) + "".join(reader.end())
    return text, reader


ODD = (
    b": comment\n\n:\n\nevent: message\nid: 7\nretry: 10\n\n"
    b"data:{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":null,\"reasoning_content\":\"hm\"}}]}\r\n\r\n"
    b"data: {\"choices\":[]}\n\ndata: {\"choices\":null}\n\ndata: {\"choices\":[null]}\n\ndata: {\"choices\":[{\"delta\":null}]}\n\n"
    b"data: nonsense\n\ndata: [1]\n\ndata:\n\ndata: {\"choices\": [{\"index\": 1, \"delta\": {\"content\": \"no\"}}]}\n\nnonsense\n\n"
    b"data: {\"choices\":[{\"delta\":{\"content\":\"a\xe2\x80\xa8b\"},\"finish_reason\":\"\"}]}\r\rdata: \xff\n"
    b"data: {\"choices\":[{\"delta\":{\"content\":[{\"type\":\"text\",\"text\":\"c\"}],\"tool_calls\":null}}]}\n"
    b"data: {\"error\":null,\"usage\":{},\"choices\":[{\"delta\":{\"content\":\"d\"},\"finish_reason\":\"stop\"}]}"
)  # fmt: skip


@pytest.mark.parametrize("size", [1, 2, 7, 64, 10_000])
def test_odd_lines_do_no_harm_however_the_bytes_are_cut(size: int) -> None:
    text, reader = read(*(ODD[i : i + size] for i in range(0, len(ODD), size)))
    assert text == "a\u2028bcd"
    assert reader.finished
    assert reader.thoughts == 1
    assert reader.complaint is None


def test_either_way_of_saying_the_end_will_do() -> None:
    assert not read(event("a"))[1].finished
    assert read(event("a"), b"data: [DONE]\n\n")[1].finished
    assert read(event("a"), b"data:[DONE]")[1].finished


@pytest.mark.parametrize(
    "chunk",
    [
        {"error": {"message": "why"}},
        {"error": "why"},
        {"object": "error", "message": "why"},
        {"code": "InvalidParameter", "message": "why"},
        {"detail": "why"},
    ],
)
def test_every_form_of_an_error_is_understood(chunk: dict[str, Any]) -> None:
    _, reader = read(b"data: " + json.dumps(chunk).encode() + b"\n\n")
    assert reader.complaint
    assert reader.complaint.reason == "why"


def test_a_line_without_end_is_given_up() -> None:
    _, reader = read(b"data: " + b"x" * LONGEST_LINE_BYTES)
    assert reader.complaint


def calls_of(*fragments: dict[str, Any]) -> list[ToolCall]:
    chunks = [{"choices": [{"delta": {"tool_calls": [fragment]}}]} for fragment in fragments]
    return read(*(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks))[1].tool_calls()


def fragment(
    index: int | None = None, id_: str | None = None, name: Any = None, arguments: Any = None
) -> dict[str, Any]:
    head = {} if index is None else {"index": index}
    return {**head, "id": id_, "function": {"name": name, "arguments": arguments}}


@pytest.mark.parametrize(
    ("fragments", "calls"),
    [
        ([fragment(0, "a", "f", '{"x"'), fragment(0, None, None, ": 1}")], [("a", "f", '{"x": 1}')]),
        ([fragment(0, "a", "f", "{"), fragment(0, "", "", "}")], [("a", "f", "{}")]),
        ([fragment(0, "a", "f", "{"), fragment(0, "a", "f", "}")], [("a", "f", "{}")]),
        ([fragment(0, "a", "fun"), fragment(0, None, "ction")], [("a", "function", "{}")]),
        ([fragment(0, "a", "f", "1"), fragment(1, "b", "g", "2"), fragment(0, None, None, "3")], [("a", "f", "13"), ("b", "g", "2")]),
        ([fragment(0, "a", "f", "{}"), fragment(0, "b", "g", "{}")], [("a", "f", "{}"), ("b", "g", "{}")]),
        ([fragment(None, "a", "f", "{"), fragment(None, None, None, "}")], [("a", "f", "{}")]),
        ([fragment(0, None, "f", {"x": "一"})], [("call_0", "f", '{"x": "一"}')]),
        ([{"index": 0}, {"index": 1, "function": []}, fragment(2, "c", 5)], []),
    ],
)  # fmt: skip
def test_tool_calls_are_assembled_from_the_fragments_of_any_server(
    fragments: list[dict[str, Any]], calls: list[tuple[str, str, str]]
) -> None:
    assert calls_of(*fragments) == [ToolCall(*call) for call in calls]
