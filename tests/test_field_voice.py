"""What chat models really write, as people reported it: each reply, in any chunks, and what is to be heard of it."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from xiaozhi_persona.text.emotions import built_in_names
from xiaozhi_persona.text.reply import read_reply

CASES = [
    json.loads(line)
    for line in (Path(__file__).parent / "data" / "field_voice.jsonl")
    .read_text(encoding="utf-8")
    .splitlines()
]


def heard(chunks: list[str]) -> list[list[str | None]]:
    segments = read_reply(chunks, built_in_names())
    return [[segment.emotion.face if segment.emotion else None, segment.text] for segment in segments]


def chunked(reply: str, seed: int) -> list[str]:
    order, chunks = random.Random(seed), []
    while reply:
        length = order.randint(1, 7)
        chunks.append(reply[:length])
        reply = reply[length:]
    return chunks


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['kind']}-{case['reply'][:20]}")
def test_a_reply_is_heard_as_it_is_meant(case: dict[str, str]) -> None:
    reply = case["reply"]
    assert heard([reply]) == case["said"]
    assert heard(list(reply)) == case["said"]
    for seed in range(5):
        assert heard(chunked(reply, seed)) == case["said"]
