"""From a chat model's reply, as it streams, to the sentences that are spoken."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from xiaozhi_persona.text.emotions import EmotionNames, emotion_of_emoji
from xiaozhi_persona.text.json_reply import JsonReader, Piece
from xiaozhi_persona.text.markup import Markup, Token
from xiaozhi_persona.text.sentences import Segment, SentenceCutter


class ReplyReader:
    """Reads one reply: feed() its chunks, then finish(); each returns the sentences that are whole."""

    def __init__(self, names: EmotionNames) -> None:
        self._names = names
        self._json = JsonReader()
        self._markup = Markup(names)
        self._cutter = SentenceCutter()
        self._from_emoji = False
        self._has_cut = False
        self._restarts = False

    def feed(self, chunk: str) -> list[Segment]:
        """Return the sentences that are whole now."""
        return [segment for piece in self._json.feed(chunk) for segment in self._read(piece)]

    def finish(self) -> list[Segment]:
        """Return the rest, at the reply's end."""
        rest = [segment for piece in self._json.finish() for segment in self._read(piece)]
        return rest + self._cut_all(self._markup.finish()) + self._marked(self._cutter.finish())

    def end_part(self) -> list[Segment]:
        """Return the rest of a part: what it leaves open hides nothing of the next. Its feeling goes on."""
        rest = self.finish()
        self._json, self._markup = JsonReader(), Markup(self._names)
        return rest

    @property
    def is_open(self) -> bool:
        """Whether something is begun, such as a sentence, whose end is not there."""
        return self._json.is_open or self._markup.is_open or self._cutter.is_open

    def begin_part(self, names: EmotionNames) -> None:
        """Behind end_part(): the next part is somebody else's, who has these tags and no feeling yet."""
        self._names, self._markup = names, Markup(names)
        self._cutter.change(None)

    def _read(self, piece: Piece) -> list[Segment]:
        if piece.kind == "text":
            return self._cut_all(self._markup.feed(piece.text))
        segments = self._cut_all(self._markup.finish())
        if piece.kind == "break":
            return segments + self._cut_all(self._markup.feed("\n"))
        emotion = self._names.read(piece.text)
        if emotion and piece.kind == "late feeling":
            self._cutter.color(emotion)
        elif emotion:
            segments += self._marked(self._cutter.change(emotion))
        return segments

    def _cut_all(self, tokens: list[Token]) -> list[Segment]:
        return [segment for token in tokens for segment in self._cut(token)]

    def _cut(self, token: Token) -> list[Segment]:
        cutter = self._cutter
        if token.effect in ("drop", "restart"):
            cutter.drop()
            self._restarts = self._restarts or (token.effect == "restart" and self._has_cut)
        if token.text:
            return self._marked(cutter.feed(token.text))
        segments = []
        if token.emotion or token.effect == "calm":
            segments = self._marked(cutter.change(token.emotion))
            self._from_emoji = emotion_of_emoji(token.source) is not None
        elif any(character.isalnum() for character in token.source):
            segments = self._marked(cutter.left_out())
        if token.effect == "gap":
            cutter.gap()
        return segments

    def _marked(self, segments: list[Segment]) -> list[Segment]:
        """Say of the sentences where their feeling is from, and of the first after thinking that it is that."""
        if not segments:
            return segments
        first, self._restarts, self._has_cut = self._restarts, False, True
        if self._from_emoji:
            segments = [replace(segment, from_emoji=True) for segment in segments]
        return [replace(segments[0], is_restart=True), *segments[1:]] if first else segments


def read_reply(chunks: Iterable[str], names: EmotionNames) -> list[Segment]:
    """Return the sentences of a whole reply as the speech pipeline cuts them when all of it is there."""
    reader = ReplyReader(names)
    segments = [segment for chunk in chunks for segment in reader.feed(chunk)] + reader.finish()
    begin = max((i for i, segment in enumerate(segments) if segment.is_restart), default=0)
    return segments[begin:]


def pieces_of(text: str, names: EmotionNames) -> frozenset[str]:
    """Return the sentences of a text, and those that short ones may be joined to before they are spoken."""
    segments = read_reply([text], names)
    pieces = {segment.text for segment in segments}
    for i, segment in enumerate(segments):
        for following in segments[i + 1 :]:
            joined = segment.joined(following) if segment.is_short else None
            if joined is None:
                break
            segment = joined
            pieces.add(segment.text)
    return frozenset(pieces)


def sentences_of(text: str, names: EmotionNames) -> list[str]:
    """Return the sentences of a text as the speech pipeline cuts them."""
    return [segment.text for segment in read_reply([text], names)]
