"""Both ports under messages, frames and requests that no client would send: nothing breaks, nothing is left, it still answers.

The same seed gives the same input; a failure names it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import random
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from fakes.bridge import Rig, make_settings, running
from fakes.parts import silence, speech
from fakes.peer import peer
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from xiaozhi_persona.audio.opus import OpusEncoder
from xiaozhi_persona.bridge.binary import pack
from xiaozhi_persona.bridge.parts import build_parts

SEEDS = [1, 2]
DEVICES = 40
CROWD = 8
"""How many are connected at once."""

WORDS = [
    "",
    "你好",
    "小智",
    "我今天很开心",
    "昨天我说了什么",
    "记住我叫小明",
    "忘掉昨天说的话",
    "确定",
    "\x00",
    "\ud800",
    "😀" * 20,
    "啊" * 900,
]
NAMES = [
    "hello",
    "listen",
    "abort",
    "mcp",
    "iot",
    "goodbye",
    "server",
    "start",
    "stop",
    "detect",
    "auto",
    "manual",
    "realtime",
    "websocket",
    "udp",
]
KEYS = [
    "type",
    "state",
    "mode",
    "text",
    "version",
    "transport",
    "audio_params",
    "features",
    "session_id",
    "payload",
    "sample_rate",
]
NUMBERS = [0, 1, 2, 3, -1, 0.5, 60, 16000, 1e308, float("inf"), float("nan"), 10**30, 2**63]  # fmt: skip
HANDSHAKE = (
    b"GET /xiaozhi/v1/ HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
HELLO = '{"type":"hello","version":1,"transport":"websocket"}'


class Odd:
    """Makes odd input out of one source of chance."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        encoder = OpusEncoder(16000, 60)
        sounds = [*(speech(0.06) for _ in range(5)), *(silence(0.06) for _ in range(10))]
        self._packets = [encoder.encode(sound) for sound in sounds]

    def one_of(self, *choices: Any) -> Any:
        return self.chance.choice(choices)

    def value(self, depth: int = 0) -> Any:
        kind = self.chance.randrange(7 if depth < 3 else 5)
        if kind == 5:
            return [self.value(depth + 1) for _ in range(self.chance.randrange(4))]
        if kind == 6:
            return {self.one_of(*KEYS, ""): self.value(depth + 1) for _ in range(self.chance.randrange(5))}
        return self.one_of(*[[None], [True, False], NUMBERS, WORDS, NAMES][kind])

    def message(self) -> str:
        """A message as a device sends it, some of its fields odd."""
        kind = self.one_of("hello", "listen", "listen", "listen", "abort", "mcp", "iot", "")
        message: dict[str, Any] = {"type": kind}
        if kind == "listen":
            message |= {
                "state": self.one_of("start", "stop", "detect"),
                "mode": self.one_of("auto", "manual", "realtime"),
            }
            message |= {"text": self.one_of(*WORDS)} if self.chance.random() < 0.6 else {}
        for _ in range(self.one_of(0, 0, 1, 3)):
            message[self.one_of(*KEYS)] = self.value()
        return json.dumps(message, ensure_ascii=self.one_of(True, False)).encode("utf-8", "replace").decode()

    def mutated(self, text: str) -> str:
        characters = list(text)
        for _ in range(self.chance.randint(1, 4)):
            what = self.one_of(
                "", '"', "{", "}", "[", "\\", "\\ud800", "0" * 20, "e999", chr(self.chance.randrange(0xD7FF))
            )
            characters.insert(self.chance.randrange(len(characters) + 1), what)
            del characters[self.chance.randrange(len(characters))]
        return "".join(characters)

    def sound(self) -> bytes:
        """An Opus packet in any framing, its header or its bytes wrong as often as not."""
        packet = bytearray(self.one_of(*self._packets))
        if self.chance.random() < 0.5:
            for _ in range(self.chance.randint(1, 6)):
                packet[self.chance.randrange(len(packet))] = self.chance.randrange(256)
            del packet[self.chance.randint(1, len(packet)) :]
        framed = bytearray(pack(bytes(packet), self.one_of(1, 2, 3)))
        if self.chance.random() < 0.3:
            framed[self.chance.randrange(min(16, len(framed)))] = self.chance.randrange(256)
        return bytes(framed)

    def anything(self) -> str | bytes:
        kind = self.chance.random()
        if kind < 0.4:
            return self.message()
        if kind < 0.55:
            return self.mutated(self.message())
        if kind < 0.85:
            return self.sound()
        if kind < 0.92:
            return self.chance.randbytes(self.one_of(0, 1, 3, 16, 1275, 5000))
        return self.one_of(
            json.dumps(self.value()),
            "[" * 5000,
            '{"a":' * 5000,
            '{"type":"listen","state":' + "9" * 5000 + "}",
        )

    def frames(self) -> bytes:
        """Websocket frames of which nearly none is right."""
        data = b""
        for _ in range(self.chance.randint(1, 6)):
            payload = self.one_of(HELLO.encode(), b"\xff\xfe", self.chance.randbytes(130))
            length = self.one_of(len(payload), len(payload), 0, 125)
            first = self.one_of(0x81, 0x82, 0x01, 0x80, 0x88, 0x89, 0x83, 0xF1)
            mask = self.one_of(0x80, 0x80, 0)
            size = bytes([mask | length]) if length < 126 else struct.pack(">BH", mask | 126, length)
            data += bytes([first]) + size + bytes(4 if mask else 0) + payload
        return data + self.one_of(b"", b"\x82\xff\x7f" + b"\xff" * 7, b"\x82\xfe")

    def request(self) -> bytes:
        """A request as a device or a page sends it, some of its bytes changed."""
        body = self.one_of(b"", b"{}", b"[" * 5000, self.chance.randbytes(300))
        method, path = (
            self.one_of("GET", "POST", "OPTIONS", "HEAD", "PUT", "BREW"),
            self.one_of("/xiaozhi/ota/", "/health", "/", "/%00", "/../x", "*", "/" + "a" * 9000),
        )
        length = self.one_of(len(body), len(body), len(body), 0, -1, "x", 10**20)
        head = f"{method} {path} HTTP/{self.one_of('1.1', '1.1', '1.0', '2.0', '9')}\r\nHost: {self.one_of('x', '', 'a b', '[::1]:1', 'é')}\r\n"
        for _ in range(self.one_of(0, 1, 3, 200)):
            head += f"{self.one_of('Device-Id', 'Connection', 'Expect', 'Upgrade', 'Transfer-Encoding', 'Content-Encoding', 'X')}: {self.one_of('x', 'close', '100-continue', 'websocket', 'chunked', 'gzip', 'a' * 9000)}\r\n"
        data = bytearray(head.encode() + f"Content-Length: {length}\r\n\r\n".encode() + body)
        for _ in range(self.one_of(0, 0, 1, 5)):
            data[self.chance.randrange(len(data))] = self.chance.randrange(256)
        return bytes(data[: self.one_of(len(data), len(data), self.chance.randint(1, len(data)))])


@contextlib.asynccontextmanager
async def attacked(folder: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Rig]:
    """A bridge with its real parts, which must be as it was when the block ends."""
    caplog.set_level(logging.INFO)
    settings = make_settings(hello_timeout_s=1.0).at(folder)
    async with running(await build_parts(settings), settings) as rig:
        await asks(rig)
        tasks, sockets = set(asyncio.all_tasks()), open_sockets()
        yield rig
        await asks(rig)
        left: Any = True
        with anyio.move_on_after(5):
            while left := (set(asyncio.all_tasks()) - tasks or open_sockets() - sockets):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert not left
    muted = "websockets.server"  # by the command
    wrong = [
        r.getMessage() for r in caplog.records if r.exc_info or r.levelno >= logging.ERROR if r.name != muted
    ]
    assert not wrong


def open_sockets() -> set[str]:
    """Return the names of our sockets, where the system tells them."""
    names = set()
    for link in Path("/proc/self/fd").glob("*"):
        with contextlib.suppress(OSError):  # the folder's own is closed by now
            names.add(os.readlink(link))
    return {name for name in names if name.startswith("socket:")}


async def asks(rig: Rig) -> None:
    """A device that does all right gets its answer, and a page its health."""
    async with rig.device(device_id="good") as device, httpx.AsyncClient() as http:
        device.type_text("我今天很开心")
        await device.until(lambda: any(isinstance(r.content, bytes) for r in device.received))
        health = await http.get(f"http://127.0.0.1:{rig.bridge.http_port}/health")
    assert health.json()["status"] == "ok"


async def in_crowds(what: Any, count: int) -> None:
    """Run `what` that often, some at once."""
    for _ in range(0, count, CROWD):
        with anyio.fail_after(20):
            await asyncio.gather(*(what() for _ in range(CROWD)))


@pytest.mark.parametrize("seed", SEEDS)
async def test_odd_messages(seed: int, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    odd = Odd(seed)

    async def device() -> None:
        headers = {"Device-Id": f"02:00:00:00:00:{odd.chance.randrange(256):02x}"}
        headers["Protocol-Version"] = odd.one_of("1", "2", "3", "99", "-1", "x", "9" * 50)
        with contextlib.suppress(WebSocketException):
            async with connect(
                rig.url, additional_headers=headers, compression=None, close_timeout=1
            ) as websocket:
                if odd.chance.random() < 0.8:
                    await websocket.send(HELLO)
                for _ in range(odd.chance.randint(5, 60)):
                    await websocket.send(odd.anything())
                    if odd.chance.random() < 0.2:
                        with anyio.move_on_after(0.02):
                            await websocket.recv()
                if odd.chance.random() < 0.3:
                    websocket.transport.abort()

    async with attacked(tmp_path, caplog) as rig:
        await in_crowds(device, DEVICES)


@pytest.mark.parametrize("seed", SEEDS)
async def test_odd_frames(seed: int, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    odd = Odd(seed)

    async def client() -> None:
        async with peer(rig.bridge.websocket_port, HANDSHAKE) as connection:
            assert b" 101 " in await connection.receive()
            connection.send(odd.frames())
            with anyio.move_on_after(0.1):  # half a frame ends nothing yet
                await connection.receive_all()

    async with attacked(tmp_path, caplog) as rig:
        await in_crowds(client, 80)


@pytest.mark.parametrize("seed", SEEDS)
async def test_odd_requests(seed: int, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    odd = Odd(seed)

    async def client() -> None:
        request, port = odd.request(), odd.one_of(rig.bridge.websocket_port, rig.bridge.http_port)
        async with peer(port, request) as connection:
            with anyio.move_on_after(0.1):  # half of a request has no answer
                answer = await connection.receive()
                assert not answer.startswith(b"HTTP/") or answer[9:10] in b"124", (request, answer)

    async with attacked(tmp_path, caplog) as rig:
        await in_crowds(client, 400)
