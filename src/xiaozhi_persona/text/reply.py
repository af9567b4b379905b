"""From a chat model's reply, as it streams, to the sentences that are spoken."""

from __future__ import annotations

from dataclasses import replace

from xiaozhi_persona.text.emotions import EmotionNames, emotion_of_emoji
from xiaozhi_persona.text.markup import Markup
from xiaozhi_persona.text.sentences import Segment, SentenceCutter


class ReplyReader:
    """Reads one reply: feed() its chunks, then finish(); each returns the sentences that are whole."""

    def __init__(self, names: EmotionNames) -> None:
        self._markup = Markup(names)
        self._cutter = SentenceCutter()
        self._from_emoji = False

    def feed(self, chunk: str) -> list[Segment]:
        """Return the sentences that are whole now."""
        return self._read(chunk, last=False)

    def finish(self) -> list[Segment]:
        """Return the rest, at the reply's end."""
        return self._read("", last=True)

    def _read(self, chunk: str, last: bool) -> list[Segment]:
        segments: list[Segment] = []
        for token in self._markup.finish() if last else self._markup.feed(chunk):
            if token.spoken:
                segments += self._sourced(self._cutter.feed(token.source))
            elif token.emotion:
                segments += self._sourced(self._cutter.change(token.emotion))
                self._from_emoji = emotion_of_emoji(token.source) is not None
            elif any(character.isalnum() for character in token.source):
                segments += self._sourced(self._cutter.left_out())
        return segments + self._sourced(self._cutter.finish()) if last else segments

    def _sourced(self, segments: list[Segment]) -> list[Segment]:
        return [replace(segment, from_emoji=True) for segment in segments] if self._from_emoji else segments


def sentences_of(text: str, names: EmotionNames) -> list[str]:
    """Return the sentences of a text as the speech pipeline cuts them."""
    reader = ReplyReader(names)
    return [segment.text for segment in reader.feed(text) + reader.finish()]
