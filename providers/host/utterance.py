"""What the host's recognizer hands on: plain words, or JSON with the words and who spoke them."""

from __future__ import annotations

import contextlib
import json

_UNKNOWN_SPEAKER = "未知说话人"


def read_utterance(said: str, most_characters: int) -> tuple[str, str]:
    """Return the words, cut where they have no end, and the speaker where he is known."""
    text, speaker, heard = said.strip(), "", None
    if text.startswith("{") and text.endswith("}"):
        with contextlib.suppress(ValueError):
            heard = json.loads(text)
    if isinstance(heard, dict) and isinstance(heard.get("content"), str):
        text, speaker = heard["content"].strip(), str(heard.get("speaker") or "")
    return text[:most_characters], "" if speaker == _UNKNOWN_SPEAKER else speaker
