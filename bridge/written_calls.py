"""Tool calls that a chat model writes into its text instead of calling, as small ones do: read, and never spoken.

Forms seen: `<tool_call>{"name": ..., "arguments": {...}}</tool_call>` (Qwen, Hermes), `<function=name>` with
`<parameter=key>` in it (Qwen3-Coder), `[TOOL_CALLS] [...]` (Mistral), `<|python_tag|>{...}` (Llama), the marks of DeepSeek
and Kimi, a JSON object of that form alone or in a Markdown fence, and `name(key="value")`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from xiaozhi_persona.bridge.call_texts import calls_in, may_be_arguments, may_be_object
from xiaozhi_persona.spine import ToolCall

MAX_BLOCK_CHARACTERS = 10_000
"""A call that is longer is none: what was held back is dropped."""

_BLOCKS = {
    "<tool_call>": "</tool_call>",
    "<tool_calls>": "</tool_calls>",
    "<function_call>": "</function_call>",
    "<function_calls>": "</function_calls>",
    "<function=": "</function>",
    "<|tool_call|>": "<|/tool_call|>",
    "<|tool_call_begin|>": "<|tool_call_end|>",
    "<|tool_calls_section_begin|>": "<|tool_calls_section_end|>",
    "<|python_tag|>": "<|eom_id|>",
    "<｜tool▁calls▁begin｜>": "<｜tool▁calls▁end｜>",
    "[tool_calls]": "\0",
}
"""What begins a call, in lower case, and what ends it; the reply's end does so, too."""

_THINK, _THOUGHT = "<think>", re.compile("</think>", re.IGNORECASE)
_FENCE = "```"
_FENCE_HEAD = re.compile(r"```[A-Za-z_]*\s*")
_AROUND = ("", "print(", "tool_code\n", "tool_code\nprint(")
"""What models write before `name(`: it is dropped with the call."""


class WrittenCalls:
    """Reads the text of one reply. Without tools nothing is held back."""

    def __init__(self, names: Sequence[str]) -> None:
        """`names` are those of the tools."""
        self.calls: list[ToolCall] = []
        self._names = names
        self._openers = [(around, name) for name in names for around in _AROUND]
        self._begins = {*"<[{`", *((around + name)[0] for around, name in self._openers)} if names else set()
        self._buffer = ""
        self._closer = ""  # what ends the block that the buffer is in
        self._thinks = False  # calls in its thoughts are none; they are not spoken either
        self._before = ""  # the character before the buffer
        self._brackets: _Brackets | None = None  # of the call that may be in the buffer

    def feed(self, text: str) -> str:
        """Return what is certainly no call, and can be spoken."""
        self._buffer += text
        return self._read(False)

    def finish(self) -> str:
        """Return the rest, at the reply's end."""
        return self._read(True)

    def _read(self, final: bool) -> str:
        spoken = ""
        while self._buffer:
            if self._closer:
                if not self._end_block(final):
                    break
                continue
            if self._thinks:
                taken, self._thinks = _thoughts(self._buffer, final)
            else:
                at = next((i for i, c in enumerate(self._buffer) if c in self._begins), len(self._buffer))
                taken = at or self._decide(final)
            if not taken:
                break
            self._brackets = None
            if taken > 0:
                spoken += self._buffer[:taken]
                self._before = self._buffer[taken - 1]
                self._buffer = self._buffer[taken:]
        return spoken

    def _end_block(self, final: bool) -> bool:
        """Take the block when it is whole. Returns whether it was taken."""
        inner, closer, rest = self._buffer.partition(self._closer)
        if not closer and not final:
            if len(self._buffer) > MAX_BLOCK_CHARACTERS:
                self._buffer = self._buffer[-len(self._closer) :]
            return False
        self._buffer, self._closer = rest, ""
        self.calls += calls_in(inner, self._names) or [ToolCall("", "", inner[:200])]
        return True

    def _decide(self, final: bool) -> int:
        """Return how many characters are to be spoken, 0 to wait for more, -1 when something else was done."""
        buffer, lowered = self._buffer, self._buffer.lower()
        if lowered.startswith(_THINK):
            self._thinks = True
            return len(_THINK)
        if _THINK.startswith(lowered) and not final:
            return 0
        for opener, closer in _BLOCKS.items():
            if lowered.startswith(opener):
                following = buffer[len(opener) : len(opener) + 1]
                if opener[-1] == ">" and self._before.isalnum():
                    if not following and not final:
                        return 0
                    if following.isalpha() and not following.isascii():
                        return len(opener)  # named in a sentence: `用<tool_call>标签`
                self._buffer = buffer[0 if opener == "<function=" else len(opener) :]
                self._closer = closer
                return -1
            if opener.startswith(lowered) and not final:
                return 0
        if buffer[0] in "{[":
            return self._json(final)
        if buffer[0] == "`":
            return self._fence(final)
        if not (self._before.isascii() and (self._before.isalnum() or self._before == "_")):
            for around, name in self._openers:
                opener = f"{around}{name}("
                if buffer.startswith(opener):
                    return self._written(around, len(opener) - 1, final)
                if opener.startswith(buffer) and not final:
                    return 0
        return 1

    def _written(self, around: str, bracket: int, final: bool) -> int:
        """Take `name(key=value)`, whose bracket opens there, with what is around it."""
        may_be = may_be_arguments(self._buffer[bracket : bracket + 70])
        if may_be is None and not final:
            return 0
        if not may_be:
            return 1
        return self._bracketed(around.find("(") if "(" in around else bracket, final, around)

    def _json(self, final: bool) -> int:
        may_be = may_be_object(self._buffer[:70])
        if may_be is None and not final:
            return 0
        return self._bracketed(0, final) if may_be else 1

    def _bracketed(self, start: int, final: bool, around: str = "") -> int:
        """Take a call that ends where the bracket at `start` is closed."""
        self._brackets = self._brackets or _Brackets(start)
        end = self._brackets.closed_at(self._buffer)
        if not end:
            if not final and len(self._buffer) <= MAX_BLOCK_CHARACTERS:
                return 0
            end = len(self._buffer)
        return self._take(end, end, around)

    def _fence(self, final: bool) -> int:
        head = _FENCE_HEAD.match(self._buffer)
        if not head:
            return 1 if final or not _FENCE.startswith(self._buffer) else 0
        inside = self._buffer[head.end() :]
        if not inside and not final:
            return 0
        may_be = may_be_object(inside[:70]) if inside[:1] in ("{", "[") else False
        if may_be is None and not final:
            return 0
        if not may_be:
            return head.end()
        end = inside.find(_FENCE)
        if end < 0 and not final and len(inside) <= MAX_BLOCK_CHARACTERS:
            return 0
        whole = head.end() + (end + len(_FENCE) if end >= 0 else len(inside))
        return self._take(whole, whole)

    def _take(self, end: int, spoken: int, around: str = "") -> int:
        """Take the calls before `end`; where there are none, it is text."""
        written = self._buffer[len(around) : end - around.count("(")]
        calls = calls_in(written.strip("`"), self._names)
        if not calls:
            return spoken
        self.calls += calls
        self._buffer = self._buffer[end:]
        return -1


def _thoughts(text: str, final: bool) -> tuple[int, bool]:
    """Return how many characters are certainly thoughts, and whether these go on."""
    if end := _THOUGHT.search(text):
        return end.end(), False
    tail = next((n for n in range(min(7, len(text)), 0, -1) if "</think>".startswith(text[-n:].lower())), 0)
    return len(text) - (0 if final else tail), True


class _Brackets:
    """Finds where the bracket at `start` of a growing text is closed."""

    def __init__(self, start: int) -> None:
        self._place, self._depth, self._quote, self._escaped = start, 0, "", False

    def closed_at(self, text: str) -> int:
        """Return the place behind it, 0 when it is not closed so far."""
        while self._place < len(text):
            character = text[self._place]
            self._place += 1
            if self._quote:
                if not self._escaped and character == self._quote:
                    self._quote = ""
                self._escaped = character == "\\" and not self._escaped
            elif character == '"':
                self._quote = character
            elif character in "{[(":
                self._depth += 1
            elif character in ")]}":
                self._depth -= 1
                if not self._depth:
                    return self._place
        return 0
