"""From a chat model's reply, as it streams, to the sentences that are spoken."""

from __future__ import annotations

import re

from xiaozhi_persona.text.emotions import EmotionNames
from xiaozhi_persona.text.markup import Markup
from xiaozhi_persona.text.sentences import Segment, SentenceCutter

_THINKING = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL | re.IGNORECASE)


class ReplyReader:
    """Reads one reply: feed() its chunks, then finish(); each returns the sentences that are whole."""

    def __init__(self, names: EmotionNames) -> None:
        self._markup = Markup(names)
        self._cutter = SentenceCutter()

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
                segments += self._cutter.feed(token.source)
            elif token.emotion:
                segments += self._cutter.change(token.emotion)
        return segments + self._cutter.finish() if last else segments


def without_thinking(reply: str) -> str:
    """Return a whole reply as the history keeps it: tags stay, the model's thinking goes."""
    return _THINKING.sub("", reply).strip()
