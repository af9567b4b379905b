"""What the models of FunASR write, brought into a Transcript.

Tags in their output, such as ``<|zh|><|HAPPY|><|Speech|><|withitn|>``: modelscope/FunASR, funasr/utils/postprocess_utils.py.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from xiaozhi_persona.spine import Transcript
from xiaozhi_persona.text.emotions import built_in_names

_TAG = re.compile(r"<\|([^|<>]*)\|>")
_NO_TEXT = re.compile(r"<\|[^|<>]*\|>|<\||\|>")  # halves too: within a tag, another one leaves them
_NO_WORD = re.compile(r"</?(?:s|unk)>")
_LANGUAGES = ("zh", "en", "yue", "ja", "ko")
_PART = re.compile(rf"(?=<\|(?:{'|'.join(_LANGUAGES)}|nospeech)\|>)")  # each begins with its language
_EVENTS = frozenset(("Speech", "BGM", "Applause", "Laughter", "Cry", "Sneeze", "Breath", "Cough"))

# Han, kana and their punctuation: scripts that put no spaces between words.
_UNSPACED = "\u3000-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff01-\uff65\U00020000-\U0003ffff"
_NEEDLESS_SPACE = re.compile(rf"(?<=[{_UNSPACED}])\s+(?=[{_UNSPACED}])")


def read_tags(output: str) -> Transcript:
    """Take the tags of a model's output into their fields; text without words or letters is no text."""
    return join_transcripts([_read_part(part) for part in _PART.split(output)])


def _read_part(output: str) -> Transcript:
    language = emotion = event = ""
    for tag in _TAG.findall(output):
        if tag in _LANGUAGES:
            language = language or tag
        elif tag in _EVENTS:
            event = event or tag.lower()
        elif not emotion and (known := built_in_names().get(tag)):
            emotion = known.face
    # What it writes beside nospeech is a guess at noise.
    text = "" if output.startswith("<|nospeech|>") else join_words(_NO_TEXT.sub(" ", output))
    return Transcript(text, language, emotion, event)


def join_words(text: str) -> str:
    """Drop what stands for no word and the spaces between Chinese and Japanese letters; keep one between others."""
    text = _NEEDLESS_SPACE.sub("", " ".join(_NO_WORD.sub(" ", text).split()))
    return text if any(letter.isalnum() for letter in text) else ""


def join_transcripts(parts: Sequence[Transcript]) -> Transcript:
    """Put the parts of one recording together: all the text, and of each field what was told first."""
    if len(parts) == 1:
        return parts[0]
    return Transcript(
        join_words(" ".join(part.text for part in parts)),
        next((part.language for part in parts if part.language), ""),
        next((part.emotion for part in parts if part.emotion), ""),
        next((part.event for part in parts if part.event), ""),
    )
