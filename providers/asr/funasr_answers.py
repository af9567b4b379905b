"""What a FunASR websocket server answers: which answers are results, and which is the last.

The servers differ in how one sees that a result was the last (modelscope/FunASR, runtime/websocket/bin, and
runtime/python/websocket/funasr_wss_server.py with its history):

======================  ======================================  =================================================
server                  `is_final` of the last result           before it
======================  ======================================  =================================================
C++, 2pass              true, also where there is no text       false
C++, offline            false, also where there is no text      (there is one result)
Python, since 2026-07   a message with `is_end`, if asked for   true
Python, since 2026-02   true, and only after one more sound     true
Python, since 2024-09   false, also where there is no text      true
Python, older           false, and nothing where there is none  true
======================  ======================================  =================================================

The fourth and the fifth answer each sound after the end, with the name that was told last: what comes with another name
is after the last result. In mode online no Python server before 2026-07 tells the last one.

So a server is first asked for the text of a moment of noise, and its answer shows its kind. As long as the kind is not
known, more sound is sent after the end, and after `is_final: true` no more is waited for than a second.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from xiaozhi_persona.language import tr


@dataclass(frozen=True)
class ServerWay:
    """How one kind of server is spoken to."""

    is_cpp: bool = False
    says_end: bool = False
    """Whether a message with `is_end` comes after the last result."""
    answers_more: bool = False
    """Whether sound after the end of an utterance is answered, too."""
    end_mark: bool | None = None
    """C++: the value of `is_final` that the last result has."""

    @property
    def is_known(self) -> bool:
        """Whether it is sure when a result is complete."""
        return self.is_cpp or self.says_end or self.answers_more


def name_after(name: str) -> str:
    """What the sound after the end of the utterance `name` is called."""
    return f"{name}+"


class Answers:
    """The answers to one utterance."""

    def __init__(self, way: ServerWay, server_mode: str, name: str) -> None:
        """`name` is what the utterance was called when it was sent."""
        self.texts: list[str] = []
        """The parts of the result, in order; empty ones too."""
        self.is_complete = False
        self.says_end = False
        self.answers_more = False
        self.error = ""
        """What the server says has gone wrong."""
        self._known = way
        self._is_online = server_mode == "online"
        self._name = name
        self._last: dict[str, Any] = {}

    @property
    def may_be_complete(self) -> bool:
        """Whether what is there may be all, and nothing more may come to tell."""
        return bool(self.texts) and not self._known.is_known

    @property
    def way(self) -> ServerWay:
        """The kind of server as the answers show it."""
        if self.says_end:
            return ServerWay(says_end=True)
        if self.answers_more:
            return ServerWay(answers_more=True)
        if self._last and _is_of_cpp(self._last):
            return ServerWay(is_cpp=True, end_mark=bool(self._last.get("is_final")))
        return ServerWay()

    def take(self, message: str | bytes) -> None:
        """Take the next message. What is no answer to this utterance changes nothing."""
        try:
            answer = json.loads(message)
        except (ValueError, RecursionError):
            return
        if not isinstance(answer, dict):
            return
        name = answer.get("wav_name", self._name)
        if name == name_after(self._name) and not _is_of_cpp(answer):
            self.answers_more = self.is_complete = True
            self.error = (
                "" if self.texts else tr("没有结果")
            )  # where there is no speech there is an empty text
        elif name not in (self._name, ""):
            return
        elif answer.get("is_end"):
            self.says_end = self.is_complete = True
            self.error = str(answer.get("error") or "")
        elif "text" in answer:
            # In mode online there are only guesses, and no result replaces them.
            if self._is_online or not str(answer.get("mode", "")).endswith("online"):
                self.texts.append(str(answer["text"] or ""))
                self._last = answer
                self.is_complete = self._is_last(answer)
            elif answer.get("is_final") and _is_of_cpp(answer):
                self._last = answer
                self.is_complete = True  # a guess that nothing replaces

    def _is_last(self, answer: dict[str, Any]) -> bool:
        marked = bool(answer.get("is_final"))
        if self._known.is_known:
            return marked == self._known.end_mark
        return not (marked or self._is_online or _is_of_cpp(answer))


def _is_of_cpp(answer: dict[str, Any]) -> bool:
    """Whether a C++ server has sent it: their JSON library sorts the fields."""
    return list(answer) == sorted(answer)
