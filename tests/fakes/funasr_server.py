"""A FunASR websocket server that hears what it is told to hear, and misbehaves as it is told.

Written from FunASR's published protocol (modelscope/FunASR, runtime/docs/websocket_protocol.md), with the ways in which
its servers differ, see Kind.

::

    async with FunasrServer("python") as server:
        server.parts = ["你好。", "小智。"]     # what is recognized, one part for each pause
        server.mode = "close_midway"          # one of Mode
        settings = AsrSettings(engine="funasr_server", server_url=server.url)
        ...
        server.utterances[-1].pcm
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from websockets.asyncio.server import Request, Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

Kind = Literal[
    "cpp",  # 2pass: is_final marks the last result; without a text there is no mode
    "cpp_offline",  # is_final is false on the only result
    # With these, sound after the end is the beginning of the next utterance.
    "python",  # 2026-07: is_final is true on every result, and a message with is_end ends them, if the client asks for it
    "python_2026_02",  # the same, but the last result comes only after one more sound, and nothing ends them
    "python_2024_09",  # is_final says whether the client still speaks: true on parts, false on the last result
    "python_2024",  # the same, and no answer at all where there is no text
    # The two before the last answer all that comes after the end. In mode online only the first three tell the end.
]

Mode = Literal[
    "normal",
    "close_midway",  # hangs up when the first sound has come
    "close_at_end",  # ... when the client has ended the utterance
    "close_after",  # ... after each answer
    "garbage",  # messages that are no answers, then the answer
]

_GARBAGE = (
    "no json",
    "[1]",
    "[" * 100_000,
    '{"mode": "offline"}',
    '{"is_end": false, "is_final": false, "mode": "offline"}',
    '{"is_final": false, "mode": "offline", "text": null}',
    '{"is_final": true, "mode": "offline", "text": "别人的", "wav_name": [1]}',
)


@dataclass
class Utterance:
    """What a client said."""

    opening: dict[str, Any]
    connection: int
    """The client's port."""
    pcm: bytes = b""
    frames: int = 0
    has_ended: bool = False
    is_answered: bool = False
    asks_for_end: bool = False

    @property
    def is_loud(self) -> bool:
        """Whether there is more in it than the noise of an idle microphone."""
        samples = np.frombuffer(self.pcm, "<i2")
        return bool(len(samples)) and int(np.abs(samples.astype(np.int32)).max()) > 500


@dataclass
class FunasrServer:
    """Listens on 127.0.0.1 while entered. Everything may be changed between utterances."""

    kind: Kind = "cpp"
    tls: ssl.SSLContext | None = None
    port: int = 0
    """0 for a free one."""
    parts: list[str] = field(default_factory=lambda: ["你好，小智。"])
    """What is recognized in an utterance: the parts between pauses."""
    hears: Callable[[bytes], str] | None = None
    """What is recognized in the samples of an utterance, instead of `parts`."""
    mode: Mode = "normal"
    next_modes: list[Mode] = field(default_factory=list)
    """Modes of the next loud utterances, used up one by one before `mode` holds again."""
    wait_s: float = 0.0
    """How long the model works on a part."""
    names_answers: bool = True
    ends_with_guess: bool = False
    """2pass: the last answer is of the quick model, after that of the careful one."""
    mutes: int = 0
    """How many of the next quiet utterances get no answer."""
    error: str = ""
    """What the end of an utterance says has gone wrong (python)."""

    def __post_init__(self) -> None:
        self.url = ""
        self.utterances: list[Utterance] = []
        """The loud ones."""
        self.quiet: list[Utterance] = []
        self.connections = 0
        self.open = 0
        self.at_once = 0
        """How many utterances were worked on at the same time, at most."""
        self.arrived = asyncio.Event()
        """Set when an utterance has ended."""
        self.admits, self.answers = asyncio.Event(), asyncio.Event()
        """Clear it, and clients that connect, or loud utterances that have ended, wait until it is set again."""
        self.admits.set()
        self.answers.set()
        self.knocked = asyncio.Event()
        """Set when a client wants to connect."""
        self._working = 0
        self._server: Server | None = None

    async def __aenter__(self) -> FunasrServer:
        self._server = await serve(
            self._serve,
            "127.0.0.1",
            self.port,
            ssl=self.tls,
            process_request=self._admit,
            compression=None,
            close_timeout=0.1,
            ping_interval=None,
        )
        self.port = next(iter(self._server.sockets)).getsockname()[1]
        self.url = f"{'wss' if self.tls else 'ws'}://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        for held in (self.admits, self.answers):
            held.set()
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def drop_all(self) -> None:
        """Hang up on every client."""
        assert self._server is not None
        await asyncio.gather(*(connection.close() for connection in self._server.connections))

    async def wait_empty(self) -> None:
        """Wait until every client has hung up."""
        assert self._server is not None
        await asyncio.gather(*(connection.wait_closed() for connection in self._server.connections))

    async def wait_working(self, count: int) -> None:
        """Wait until so many loud utterances are worked on at the same time."""
        while self._working < count:
            self.arrived.clear()
            await self.arrived.wait()

    def freeze(self) -> None:
        """Read nothing any more, not even a word of parting."""
        assert self._server is not None
        for connection in self._server.connections:
            connection.transport.pause_reading()

    async def _admit(self, _: ServerConnection, __: Request) -> None:
        self.knocked.set()
        await self.admits.wait()

    async def _serve(self, connection: ServerConnection) -> None:
        self.connections += 1
        self.open += 1
        try:
            opening: dict[str, Any] = {}
            more = b""
            utterance: Utterance | None = None
            async for message in connection:
                if isinstance(message, str):
                    fields = json.loads(message)
                    opening.update(fields)
                    if fields.get("is_speaking") is False and utterance is not None:
                        utterance.asks_for_end = bool(fields.get("is_end"))
                        utterance.has_ended = True
                        if self.kind != "python_2026_02":
                            await self._answer(connection, utterance)
                    elif fields.get("is_speaking"):
                        opening = fields
                        utterance = Utterance(opening, connection.remote_address[1], more)
                        more = b""
                    elif utterance is not None and self.kind == "python_2024_09":
                        await self._say_more(connection, utterance)
                elif utterance is not None and utterance.has_ended and self.kind.startswith("cpp"):
                    more += message
                elif utterance is not None and utterance.is_answered:
                    await self._say_more(connection, utterance)
                elif utterance is not None and utterance.has_ended:
                    await self._answer(connection, utterance)
                elif utterance is not None:
                    utterance.pcm += message
                    utterance.frames += 1
                    if utterance.is_loud and self._next_mode("close_midway"):
                        return
        except ConnectionClosed:
            pass
        finally:
            self.open -= 1

    def _next_mode(self, wanted: Mode) -> bool:
        """Whether that mode is the one that holds now; one of next_modes is used up when it does."""
        now = self.next_modes[0] if self.next_modes else self.mode
        if now == wanted and self.next_modes:
            self.next_modes.pop(0)
        return now == wanted

    async def _answer(self, connection: ServerConnection, utterance: Utterance) -> None:
        utterance.is_answered = True
        if not utterance.is_loud:
            self.quiet.append(utterance)
            if self.mutes:
                self.mutes -= 1
                return
            if self.kind != "python_2024" and self._tells_last(utterance):
                await self._say(connection, utterance, "", last=True)
            await self._say_end(connection, utterance)
            return
        self.utterances.append(utterance)
        self.arrived.set()
        self._working += 1
        self.at_once = max(self.at_once, self._working)
        try:
            await self.answers.wait()
            if self._next_mode("close_at_end"):
                await connection.close()
                return
            if self._next_mode("garbage"):
                for message in (*_GARBAGE, b"\0\1"):
                    await connection.send(message)
                await connection.send(
                    json.dumps({"mode": "offline", "text": "别人的", "wav_name": "x", "is_final": True})
                )
            elif self.next_modes:
                self._next_mode("normal")
            await self._say_parts(connection, utterance)
            await self._say_end(connection, utterance)
            if self._next_mode("close_after"):
                await connection.close()
        finally:
            self._working -= 1

    async def _say_parts(self, connection: ServerConnection, utterance: Utterance) -> None:
        mode = utterance.opening["mode"]
        if mode == "2pass" and self.kind != "cpp_offline":
            for letter in "".join(self.parts):
                await self._say(connection, utterance, letter, last=False, kind="2pass-online")
        parts = [self.hears(utterance.pcm)] if self.hears else self.parts
        if self.kind == "cpp_offline":
            parts = ["".join(parts)]  # it finds the pauses itself and joins the parts
        for number, part in enumerate(parts, 1):
            if self.wait_s:
                await asyncio.sleep(self.wait_s)
            last = number == len(parts) and not self.ends_with_guess and self._tells_last(utterance)
            if part or (last and self.kind == "cpp") or self.kind not in ("cpp", "python_2024"):
                await self._say(connection, utterance, part, last)
        if self.ends_with_guess:
            await self._say(connection, utterance, "嗯", last=True, kind="2pass-online")

    def _tells_last(self, utterance: Utterance) -> bool:
        return utterance.opening["mode"] != "online" or not self.kind.startswith("python_")

    async def _say_more(self, connection: ServerConnection, utterance: Utterance) -> None:
        """Answer what came after the end."""
        if self.kind in ("python_2026_02", "python_2024_09") and self._tells_last(utterance):
            await self._say(connection, utterance, "", last=True)

    async def _say(
        self, connection: ServerConnection, utterance: Utterance, text: str, last: bool, kind: str = ""
    ) -> None:
        mode = utterance.opening["mode"]
        newer = not kind and (last or mode != "online")
        marks = {"cpp": last, "cpp_offline": False, "python": newer, "python_2026_02": newer}
        answer: dict[str, Any] = {
            "mode": kind or {"2pass": "2pass-offline"}.get(mode, mode),
            "text": text,
            "is_final": marks.get(self.kind, not last),
        }
        if self.names_answers:
            answer["wav_name"] = utterance.opening["wav_name"]
        if self.kind == "cpp_offline":
            answer |= {"mode": "offline"} | ({"timestamp": "[[50,290]]"} if text else {})
        elif self.kind == "cpp":
            answer |= {"timestamp": 1763738662000}
            if text:
                guesses = kind or mode == "online"
                answer |= {
                    "mode": "2pass-online" if guesses else "2pass-offline",
                    "index": 0,
                    "slice_type": 1,
                }
            else:
                del answer["mode"]
        await connection.send(json.dumps(answer, ensure_ascii=False, sort_keys=self.kind.startswith("cpp")))

    async def _say_end(self, connection: ServerConnection, utterance: Utterance) -> None:
        if self.kind == "python" and utterance.asks_for_end:
            end = {"mode": utterance.opening["mode"], "wav_name": utterance.opening["wav_name"]}
            failed = {"error": self.error} if self.error else {}
            await connection.send(json.dumps({**end, "is_final": not failed, "is_end": True, **failed}))
