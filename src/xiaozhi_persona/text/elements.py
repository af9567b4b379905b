"""Markup in angle brackets: HTML, SSML, emotion tags, thinking, calls of tools, and the marks of chat templates."""

from __future__ import annotations

import re

from xiaozhi_persona.text.emotions import FEELING_KEYS, EmotionNames
from xiaozhi_persona.text.marks import ADDRESSES
from xiaozhi_persona.text.skips import MAX_LOOKAHEAD, TEXT, Address, Cut, Place, Skip, Until

_COMMENT = "<!--"
_WHOLE = re.compile(r"<(/?)\s?([A-Za-z_][\w:.\-]{0,23})\s{0,3}(/?)>")
_BEGUN = re.compile(r"</?\s?(?:[A-Za-z_][\w:.\-]{0,23}(?:\s{1,3}[A-Za-z_:\-]{0,16}\s?|\s{0,3}/)?)?")
_ATTRIBUTED = re.compile(r"<([A-Za-z_][\w:.\-]{0,23})(?:(?:\s{1,3}[A-Za-z_:\-]{1,16}){1,3}\s?)?=")
_PLAYED = re.compile(r"<(?:video|audio|iframe|input|script)(?:\s{1,3}[A-Za-z_:\-]{0,16}){0,3}")
_VALUED = re.compile(r"<([A-Za-z]{3,12})[:：]?\s")
_WIDE = re.compile(r"<(/?)([\u3041-\u30fa\u3400-\u9fff\uac00-\ud7a3、，:：]{1,8})(>?)")
_TRANSLATED = re.compile(r"<[\u3040-\u30ff\u3400-\u9fff、。，！？…「」ー～]+>?")
_KANA = re.compile(r"[\u3041-\u3096\u30a1-\u30fa]")
_SAID_END = tuple("。！？!?～~…")
"""Behind these a model writes what it said once more in Japanese, as LingChat asks it: `好呀。<いいよ。>`."""
_TEMPLATE = re.compile(r"<[|｜]")
_ATTRIBUTE = re.compile(r"([A-Za-z_:\-]{1,20})\s?=\s?[\"']?([^\"'>=]{1,40})")
_HIDDEN = re.compile(
    "think|thought|inner|reason|reflect|analysis|scratch|monolog|tool|function|invoke|observation|(?:style|script|svg|head|title|rt|rp|rtc|plan)$",
    re.IGNORECASE,
)
_THINKING = re.compile("think|thought|inner|reason|reflect|analysis|scratch|monolog", re.IGNORECASE)
_RUBY = re.compile(r"r(?:t|p|tc)$", re.IGNORECASE)
_HIDDEN_BEGINS = tuple("\n{[<")  # of what follows a tag within a sentence, where it hides something
_COMPOUND = re.compile(r"[:\-._]")
_ACT = re.compile(
    r"(?:actions?|gesture|pose|motion|animation|narration|stage|sfx|scene|camera)$", re.IGNORECASE
)
_BLOCK = re.compile(
    r"(?:br|p|div|li|ul|ol|dl|dt|dd|tr|hr|h[1-6]|table|blockquote|section|article)$", re.IGNORECASE
)
_HTML = re.compile(r"(?:a|b|big|center|code|del|details|em|font|i|img|ins|kbd|mark|pre|s|small|span|strike|strong|sub|summary|sup|tbody|td|th|thead|u)$", re.IGNORECASE)  # fmt: skip
_MAX_CONTENT, _MAX_ATTRIBUTES, _MAX_CHANNEL = 40, 2000, 24


class Element(Skip):
    """An element that is not spoken, up to and with its end tag."""

    def __init__(self, name: str, names: EmotionNames | None = None, is_tag: bool = False) -> None:
        """With `names`, its content tells a feeling; `is_tag`: nothing else, and it is short."""
        self._name, self._names, self._is_tag, self._content = name.casefold(), names, is_tag, ""
        self._is_thinking = _THINKING.match(name) is not None
        self.effect = "" if is_tag or name.startswith(("rt", "rp")) else "gap"

    def take(self, buffer: str) -> int:
        """Wait where the end tag may begin."""
        if buffer[0] != "<":
            self._content += buffer[0] if self._names else ""
            if self._is_tag and (buffer[0] == "\n" or len(self._content) > _MAX_CONTENT):
                self._end()
            return 1
        whole = _WHOLE.fullmatch(buffer)
        if whole and whole[1] and self._is_ended_by(whole[2].casefold()):
            self._end()
        if whole:
            return whole.end()
        return 0 if _BEGUN.fullmatch(buffer) else 1

    def _is_ended_by(self, name: str) -> bool:
        return name == self._name or (self._is_thinking and _THINKING.match(name) is not None)

    def _end(self) -> None:
        self.ended = True
        if self._names:
            self.emotion = self._names.read(self._content) or self._names.within(self._content[:_MAX_CONTENT])


class Attributes(Skip):
    """The rest of a tag with attributes: `<emotion name="happy">`."""

    def __init__(self, begun: str, name: str, names: EmotionNames) -> None:
        self._text, self._name, self._names = begun, name, names

    def take(self, buffer: str) -> int:
        """Read up to and with the closing bracket, in its line."""
        if buffer[0] not in ">\n":
            self._text += buffer[0] if len(self._text) < _MAX_ATTRIBUTES else ""
            return 1
        self.ended = True
        is_feeling_tag = _bare(self._name) in FEELING_KEYS
        if is_feeling_tag:
            self.emotion = self._names.read(self._text.partition(" ")[2].rstrip("/ "))
        for key, value in _ATTRIBUTE.findall(self._text[:_MAX_ATTRIBUTES]):
            is_feeling = key.casefold() in FEELING_KEYS or key == "style"
            if (is_feeling or is_feeling_tag) and (found := self._names.read(value.strip())):
                self.emotion = found
                break
        if buffer[0] == ">" and not self.emotion and not self._text.endswith("/"):
            self.next = _hidden(self._name, self._names)
        return int(buffer[0] == ">")


class Template(Skip):
    """A mark of a chat template, or a tag spelled like one: `<|im_end|>`, `<|HAPPY|>`."""

    def __init__(self, names: EmotionNames) -> None:
        self._names, self._text = names, ""

    def take(self, buffer: str) -> int:
        """Read up to and with the closing bracket, in its line."""
        self.ended = buffer[0] in ">\n" or len(self._text) > _MAX_CONTENT
        if self.ended:
            name = self._text.strip("|｜ ")
            self.emotion = self._names.read(name)
            if name == "im_start":  # and whose turn it is
                self.next = Until("\n")
            elif name in ("start", "channel"):
                self.next = Channel()
        self._text += buffer[0]
        return int(buffer[0] != "\n")


class Channel(Skip):
    """Who speaks, or in which channel, behind `<|start|>` and `<|channel|>`: only `final` is for people.

    Source: the harmony format of gpt-oss (github.com/openai/harmony), which leaks where a server does not read it.
    """

    def __init__(self) -> None:
        self._name = ""

    def take(self, buffer: str) -> int:
        """Read one word."""
        if len(self._name) < _MAX_CHANNEL and (buffer[0].isascii() and buffer[0].isalpha()):
            self._name += buffer[0]
            return 1
        self.ended = True
        if self._name in ("analysis", "commentary"):
            self.next = Until("<|end|>")
        return 0


def angle(buffer: str, final: bool, place: Place) -> Cut | None:
    """Tell a tag, a comment or `<https://...>` from a less-than sign; None to wait."""
    lowered = buffer.casefold()
    if lowered == _COMMENT:
        return Cut(len(buffer), skip=Until("-->"))
    if lowered[1:] in ADDRESSES:
        return Cut(len(buffer), skip=Address(closing=">"))
    if _TEMPLATE.match(buffer) and len(buffer) > 2:
        return Cut(2, skip=Template(place.names)) if buffer[2].isalpha() or buffer[2] in "/_" else TEXT
    if whole := _WHOLE.match(buffer):
        following = buffer[whole.end() :]
        is_hidden = _HIDDEN.match(whole[2]) is not None and not (whole[1] or whole[3])
        if is_hidden and not (place.clause_start or following or final):
            return None
        hides = place.clause_start or following in _HIDDEN_BEGINS or _RUBY.match(whole[2])
        if is_hidden and not hides:
            return Cut(whole.end())  # named in a sentence: `用<title>写标题`
        return _tag(whole[2], bool(whole[1]), bool(whole[3]), whole.end(), place)
    valued = _VALUED.match(buffer)
    attributed = _ATTRIBUTED.fullmatch(buffer)
    if attributed or (valued and valued[1].casefold() in FEELING_KEYS and len(buffer) > valued.end()):
        name = (attributed or valued)[1]  # type: ignore[index]
        return Cut(len(buffer), skip=Attributes(buffer, name, place.names))
    if place.before in _SAID_END and not _KANA.search(place.tail) and _TRANSLATED.fullmatch(buffer):
        if _KANA.search(buffer) and not (buffer.endswith(">") and place.names.read(buffer[1:-1])):
            return Cut(
                len(buffer), effect="gap", skip=None if buffer.endswith(">") else Until(">", in_line=True)
            )
        if not final and len(buffer) <= MAX_LOOKAHEAD and not buffer.endswith(">"):
            return None
    wide = _WIDE.fullmatch(buffer)
    if wide and wide[3]:
        emotion = place.names.read(wide[2])
        if emotion:
            return Cut(len(buffer), effect="calm") if wide[1] else Cut(len(buffer), emotion=emotion)
        return TEXT
    begins = ("<|", "<｜", "</", _COMMENT, *(f"<{address}" for address in ADDRESSES))
    begun = (
        wide
        or _BEGUN.fullmatch(buffer)
        or _PLAYED.fullmatch(lowered)
        or any(text.startswith(lowered) for text in begins)
    )
    name = lowered.lstrip("</ ")
    is_name = " " in name or _COMPOUND.search(name) or _HIDDEN.match(name) or place.names.may_go_on(name)
    too_long = len(buffer) > MAX_LOOKAHEAD + 1 and not is_name
    return None if begun and not too_long and not final else TEXT


def think_mark(buffer: str, final: bool, place: Place) -> Cut | None:
    """Tell `◁think▷`, with which some models begin to think, from other text; None to wait."""
    if buffer == "◁think▷":
        return Cut(len(buffer), skip=Until("◁/think▷"))
    if buffer == "◁/think▷":
        return Cut(len(buffer), effect="restart")
    waits = "◁think▷".startswith(buffer) or "◁/think▷".startswith(buffer)
    return None if waits and not final else TEXT


def _tag(name: str, is_end: bool, is_empty: bool, taken: int, place: Place) -> Cut:
    emotion = place.names.read(name)
    if _BLOCK.match(name):
        return Cut(taken, text="\n")
    if is_end:
        if _THINKING.match(name):
            return Cut(taken, effect="restart")
        return Cut(taken, effect="calm" if emotion else "")
    if not is_empty and (skip := _hidden(name, place.names)):
        return Cut(taken, skip=skip)
    if emotion:
        place.brackets.add("<")
        return Cut(taken, emotion=emotion)
    is_type = place.before.isascii() and place.before.isalnum() and not _HTML.match(name)  # List<String>
    return TEXT if is_type else Cut(taken)


def _bare(name: str) -> str:
    """Return the name of an element without the name space: `amazon:emotion`."""
    return name.rpartition(":")[2].casefold()


def _hidden(name: str, names: EmotionNames) -> Skip | None:
    """Return how the content of an element is left out, None where it is spoken."""
    if name.casefold() in FEELING_KEYS:
        return Element(name, names, is_tag=True)
    if _ACT.match(name):
        return Element(name, names)
    return Element(name) if _HIDDEN.match(name) else None
