"""Replies that are written as JSON: `{"emotion": "happy", "text": "今天真好！"}`, also in a ```json fence or in a list.

The words are handed on as their string is read. What such keys are called: models that were told to answer in JSON
choose them, so both lists are broad, and every other key is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from xiaozhi_persona.text.emotions import FEELING_KEYS

_WORD_KEYS = frozenset(
    re.findall(
        r"\S+",
        "text texts content contents reply replies response answer message messages speech say says said speak spoken output words "
        "sentence sentences utterance dialogue dialog line lines result final "
        "回复 回覆 回答 回應 回应 答复 内容 內容 台词 对话 文本 文字 话 说 说的话 消息 返事 応答 セリフ 台詞 답변 대답 대사 내용",
    )
)
_OTHER_ENDS = frozenset(
    ("type", "id", "lang", "language", "format", "length", "count", "role", "name", "time")
)
_CALL_KEYS = frozenset(
    "arguments args parameters params function functions tool tools tool_name calls action actions command cmd call intent api url music song "
    "playlist play volume brightness device 音乐 歌曲 歌名 播放 音量 亮度 设备 指令 命令 动作 操作 工具 函数 参数".split()
)
"""Keys of an object that is a request to a machine, and the words they are made of: `play_music`."""
_THINKING_KEYS = frozenset(
    "thought thoughts think thinking inner reason reasons reasoning analysis cot scratchpad 思考 想法 推理 分析 心理 内心".split()
)
_THOUGHT_KEYS = _THINKING_KEYS | frozenset(
    "plan plans observation step steps note notes 计划 理由 原因 步骤 备注".split()
)
_MAX_VALUES, _MAX_VALUE = (
    20,
    2000,
)  # values, and characters of one, that are kept, since they may be all that a reply says
_NAME_KEYS = frozenset(("name", "type", "label", "value", "primary", "main"))
_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’"}
_OPENED = re.compile(r"(?:`{3,4}(?:json|JSON)?\s{0,3})?(?:\[\s{0,8})?\{\s{0,8}[\"'“‘]")
_BARE_OPENED = re.compile(r"\{\s{0,8}([A-Za-z_]{2,16}|[\u3400-\u9fff]{2,4})\s{0,3}[:：]\s{0,3}[\"'“‘]")
_BARE_BEGUN = re.compile(r"\{\s{0,8}([A-Za-z_]{1,16}|[\u3400-\u9fff]{1,4})\s{0,3}([:：]?)\s{0,3}")
_OPENING = re.compile(
    r"(?:`{1,4}|`{3,4}(?:j|js|jso|json|J|JS|JSO|JSON)?\s{0,3})?(?:\[\s{0,8})?(?:\{\s{0,8})?"
)
_KEY_BEGUN = re.compile(r"([\w \-]{0,16})([\"'”’]?)\s{0,3}([:：]?)")
_KEY_PARTS = re.compile(r"[\s_\-]+")
_MAY_BEGIN = re.compile(r"[\n{]")
_MAX_KEY = 100
_ESCAPES = {"n": "\n", "t": " ", "r": "", "b": "", "f": ""}


class Piece(NamedTuple):
    """A piece of what the reply says."""

    kind: Literal["text", "feeling", "late feeling", "break"]
    """`late feeling`: of the words right before it; `break`: the words before and behind are two strings."""
    text: str = ""


class JsonReader:
    """Reads one reply; one that is no JSON is handed on as it is."""

    def __init__(self) -> None:
        self._held = ""
        self._leading = True
        self._line_start = True
        self._walk: _Walk | None = None
        self._after = False  # behind a JSON value

    @property
    def is_open(self) -> bool:
        """Whether a JSON value is begun, or may be."""
        return self._walk is not None or bool(self._held)

    def feed(self, chunk: str) -> list[Piece]:
        """Return what is decided now."""
        if not (self._walk or self._line_start or "\n" in chunk or "{" in chunk):
            return [Piece("text", chunk)]
        pieces: list[Piece] = []
        at = 0
        while at < len(chunk):
            if self._walk:
                pieces += self._walk.step(chunk[at])
                if self._walk.ended:
                    self._walk, self._line_start, self._after = None, True, True
                at += 1
            elif self._line_start:
                pieces += self._start(chunk[at])
                at += 1
            else:
                end = next((found.start() for found in _MAY_BEGIN.finditer(chunk, at)), len(chunk))
                ended = chunk[end : end + 1] == "\n"
                pieces.append(Piece("text", chunk[at : end + ended]))
                self._line_start = end < len(chunk)
                at = end + ended
        return pieces

    def finish(self) -> list[Piece]:
        """Return the rest, at the reply's end."""
        if self._walk:
            return self._walk.finish()
        held, self._held = self._held, ""
        return [Piece("text", held)] if held else []

    def _start(self, character: str) -> list[Piece]:
        """Read the beginning of a line, or what stands from a brace on, where JSON may begin."""
        if not self._held and (character.isspace() or (self._after and character in ",]`")):
            return [] if self._after else [Piece("text", character)]
        self._held += character
        opened = _OPENED.match(self._held)
        if opened:
            begun = _KEY_BEGUN.fullmatch(self._held, opened.end())
            known = begun is not None and _is_key(begun[1], whole=bool(begun[2]))
            is_json = self._leading and opened.group()[-1] in "\"'"  # `{“天下”` may be words
            if is_json or (begun and begun[3] and known):
                return self._walked()
            if begun and known and not begun[3]:
                return []
        elif bare := _BARE_OPENED.match(self._held):
            if _is_key(bare[1], whole=True):
                return self._walked()
        elif (
            _OPENING.fullmatch(self._held)
            or (begun := _BARE_BEGUN.fullmatch(self._held))
            and _is_key(begun[1], whole=bool(begun[2]))
        ):
            return []
        held, self._held = self._held, ""
        self._leading = self._line_start = self._after = False
        return [Piece("text", held)]

    def _walked(self) -> list[Piece]:
        """Begin to walk through what was held back."""
        walk = self._walk = _Walk()
        held, self._held, self._leading = self._held, "", False
        return [piece for c in held.lstrip("`json JSON\n") for piece in walk.step(c)]


class _Walk:
    """Walks through one JSON value, a character at a time."""

    def __init__(self) -> None:
        self.ended = False
        self._nested: list[tuple[str, str]] = []  # the open brackets, and the key each stands behind
        self._key = ""
        self._is_key = False  # whether a string here is one
        self._quote = ""  # the mark that ends the string we are in
        self._says = False  # whether that string is spoken
        self._bare = ""  # a key without quotes
        self._string = ""
        self._escape = ""
        self._closing = ""  # a quote that may end the string, and what followed it
        self._has_feeling = False  # whether the key's feeling was told: the first of several decides
        self._unbroken = False  # words stand before, and it is not yet known whether their feeling follows
        self._has_words = False
        self._unknown: list[str] = []  # what stands under keys of no known meaning
        self._is_call = False

    def step(self, character: str) -> Iterator[Piece]:
        """Yield what the character decides."""
        if not self._quote:
            yield from self._structure(character)
        elif self._closing:
            if character.isspace():
                self._closing += character
            elif character in ",:}]`" or (character in "：，" and (self._is_key or self._quote in "”’")):
                yield from self._end_string()
                yield from self._structure(character)
            else:
                closing, self._closing = self._closing, ""
                yield from self._content(closing)
                yield from self.step(character)
        elif self._escape:
            yield from self._escaped(character)
        elif character == "\\":
            self._escape = "\\"
        elif character == self._quote:
            self._closing = character
        else:
            yield from self._content(character)

    def finish(self) -> list[Piece]:
        """Return what is left where the value breaks off."""
        return list(self._end_string()) if self._quote else []

    def _structure(self, character: str) -> Iterator[Piece]:
        if character in _QUOTES:
            self._quote, self._string = _QUOTES[character], ""
            self._says = not self._is_key and _is_words(self._key) and not self._is_thinking()
            if self._unbroken and not self._is_key:
                yield from self._break(not self._is_feeling())
        elif character in "{[":
            self._nested.append((character, self._key))
            self._is_key = character == "{"
        elif character in "}]":
            yield from self._break(character == "}")
            if self._nested:
                self._key = self._nested.pop()[1]
            self.ended = not self._nested
            self._is_key = False
            if self.ended:
                yield from self._unknown_words()
        elif character in ":：":
            if self._bare:
                self._string, self._bare = self._bare, ""
                yield from self._end_string()
            self._is_key = False
        elif character in ",，":
            self._is_key = bool(self._nested) and self._nested[-1][0] == "{"
        elif self._is_key and (character.isalnum() or character == "_") and len(self._bare) < _MAX_KEY:
            self._bare += character

    def _escaped(self, character: str) -> Iterator[Piece]:
        self._escape += character
        code = self._escape[2:]
        if self._escape[1] != "u":
            self._escape = ""
            yield from self._content(_ESCAPES.get(character, character))
        elif character not in "u0123456789abcdefABCDEF":
            self._escape = ""
        elif len(code) == 4:
            self._escape = ""
            yield from self._content(chr(int(code, 16)))

    def _content(self, text: str) -> Iterator[Piece]:
        if self._says:
            self._has_words = True
            yield Piece("text", text)
        elif len(self._string) < _MAX_VALUE:
            self._string += text

    def _end_string(self) -> Iterator[Piece]:
        self._quote = self._closing = ""
        if self._is_key:
            self._key, self._has_feeling = self._string[:_MAX_KEY].strip().casefold(), False
            self._is_call = self._is_call or _is_call(self._key)
            yield from self._break(not self._is_feeling())
        elif self._is_feeling() and self._has_feeling:
            pass
        elif self._is_feeling():
            self._has_feeling = True
            yield Piece("late feeling" if self._unbroken else "feeling", self._string)
            yield from self._break(True)
        elif self._says:
            self._unbroken = True
        elif (
            not (_is_unspoken(self._key) or self._is_thinking())
            and len(self._nested) < 3
            and len(self._unknown) < _MAX_VALUES
        ):
            self._unknown.append(self._string)

    def _unknown_words(self) -> Iterator[Piece]:
        """Yield what a reply without any known key says; a request to a machine says nothing."""
        unknown, self._unknown = self._unknown, []
        if not (self._has_words or self._is_call):
            for words in unknown:
                yield Piece("text", words)
                yield Piece("break")

    def _break(self, known: bool) -> Iterator[Piece]:
        """End the words before, once it is known whether their feeling follows them."""
        if known and self._unbroken:
            self._unbroken = False
            yield Piece("break")

    def _is_thinking(self) -> bool:
        """Whether we are inside of what the model thinks: `{"thinking": {"text": ...`."""
        return any(not _THINKING_KEYS.isdisjoint(_KEY_PARTS.split(key)) for _, key in self._nested)

    def _is_feeling(self) -> bool:
        outer = self._nested[-1][1] if self._nested and self._key in _NAME_KEYS else ""
        parts = {*_KEY_PARTS.split(self._key), *_KEY_PARTS.split(outer)}
        return not FEELING_KEYS.isdisjoint(parts) and (bool(outer) or not _is_other(self._key))


def _is_words(key: str) -> bool:
    return not _WORD_KEYS.isdisjoint(_KEY_PARTS.split(key)) and not _is_other(key)


def _is_other(key: str) -> bool:
    return _KEY_PARTS.split(key)[-1] in _OTHER_ENDS


def _is_call(key: str) -> bool:
    return key in _CALL_KEYS or _CALL_KEYS.issuperset(_KEY_PARTS.split(key))


def _is_unspoken(key: str) -> bool:
    return _is_other(key) or not _THOUGHT_KEYS.isdisjoint(_KEY_PARTS.split(key))


def _is_key(text: str, whole: bool) -> bool:
    """Whether a key that is read so far is one of words or of a feeling, or may become one."""
    text = text.casefold()
    keys = _WORD_KEYS | FEELING_KEYS
    return text in keys if whole else any(key.startswith(text) for key in keys)
