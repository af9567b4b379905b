"""The websocket server of FunASR's runtime, C++ or Python, as a recognizer.

Protocol: modelscope/FunASR, runtime/docs/websocket_protocol.md. A JSON message opens an utterance, binary messages carry
16-bit PCM, `{"is_speaking": false}` ends it, and JSON answers come back.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import itertools
import json
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import anyio
import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
from websockets.protocol import State
from websockets.typing import Subprotocol

from xiaozhi_persona.checks import Check
from xiaozhi_persona.errors import ServiceTimeout, ServiceUnavailable, SettingsError
from xiaozhi_persona.language import later, tr
from xiaozhi_persona.providers.asr.checks import check_hearing
from xiaozhi_persona.providers.asr.funasr_answers import Answers, ServerWay, name_after
from xiaozhi_persona.providers.asr.recognizer import closed
from xiaozhi_persona.providers.asr.transcripts import read_tags
from xiaozhi_persona.providers.asr.utterance import RATE_HZ, count_pieces, has_sound
from xiaozhi_persona.settings import AsrSettings, Settings
from xiaozhi_persona.spine import Samples, Transcript

PACKAGES = ()
NAMED_BY = "server_url"

_FRAME_BYTES = 2 * 960  # 60 ms, as FunASR's client sends: the Python server finds one pause a message at most
_MORE_S = 1.0
_PROBE_S = 5.0
_PROBE_MORE_S = 0.3  # for the `is_end` that some send after the result
_LONGEST_ANSWER_BYTES = 16 << 20  # with the times of each word, that of an hour is megabytes
_IDLE_S = 60.0  # a connection that was silent for longer may be dead without anyone knowing
_HOTWORD_WEIGHT = 20  # as in FunASR's own list of examples
_ADVICE = later("请检查服务器是否在运行，以及 asr.server_url。")


def open_engine(settings: Settings, hotwords: tuple[str, ...]) -> FunasrServerRecognizer:
    """Return a recognizer for the server of the settings, not connected yet. Raises SettingsError."""
    certificate = settings.asr.server_certificate
    file = settings.path(certificate) if certificate not in ("", "off") else None
    return FunasrServerRecognizer(settings.asr, hotwords, file)


def check(settings: Settings) -> AsyncIterator[Check]:
    """Check the server with one sentence."""
    return check_hearing(settings, open_engine)


class FunasrServerRecognizer:
    """Recognizes on a server, over `settings.workers` connections that are kept; belongs to one event loop."""

    advice = ""

    def __init__(self, settings: AsrSettings, hotwords: Sequence[str], certificate: Path | None) -> None:
        """`certificate` holds what the server's own is checked with. Raises SettingsError."""
        if not settings.server_url:
            raise SettingsError(
                tr(
                    "asr.engine 是 funasr_server，还要在 asr.server_url 写服务器的地址，如 ws://127.0.0.1:10095"
                )
            )
        self.is_closed = False
        self.name = tr("FunASR 服务器（{server_url}）", server_url=settings.server_url)
        self._settings = settings
        self._hotwords = hotwords
        self._tls = _tls(settings, certificate)
        self._names = itertools.count(1)
        self._waiting = 0
        self._free = asyncio.Semaphore(settings.workers)
        self._idle: list[tuple[ClientConnection, float]] = []
        """Open connections with the time each was last used."""
        self._way: ServerWay | None = None

    async def load(self) -> None:
        """Connect, and make the server recognize once, where that has not been done. Raises ServiceUnavailable."""
        async with self._free:
            if self.is_closed:
                raise closed()
            if not any(connection.state is State.OPEN for connection, _ in self._idle):
                self._keep(await self._connect())

    async def transcribe(self, pcm16k: Samples) -> Transcript:
        """Recognize one utterance of 16 kHz mono sound; no text when there is no speech in it.

        Raises ServiceUnavailable (not reached, too many are waiting, or it broke off), ServiceTimeout.
        """
        if not has_sound(pcm16k):
            return Transcript("")
        settings = self._settings
        if self._waiting >= settings.workers + settings.queue_utterances:
            raise ServiceUnavailable(
                tr(
                    "语音识别太忙：已有 {queue_utterances} 句在等 {server_url}。请稍后再说，或调大 asr.workers。",
                    queue_utterances=settings.queue_utterances,
                    server_url=settings.server_url,
                )
            )
        self._waiting += 1
        timeout_s = settings.timeout_s * count_pieces(pcm16k)
        try:
            with anyio.fail_after(timeout_s):
                async with self._free:
                    if self.is_closed:
                        raise closed()
                    return read_tags(await self._ask(pcm16k))
        except TimeoutError as exc:
            self._doubt()
            raise ServiceTimeout(
                tr(
                    "FunASR 服务器 {server_url} 在 {timeout_s:g} 秒内没有给出结果。"
                    "请看它的日志，或调大 asr.timeout_s。",
                    server_url=settings.server_url,
                    timeout_s=timeout_s,
                )
            ) from exc
        finally:
            self._waiting -= 1

    async def aclose(self) -> None:
        """Close the connections; who is being answered closes its own, and who still waits is told."""
        self.is_closed = True
        idle, self._idle = self._idle, []
        await asyncio.gather(*(connection.close() for connection, _ in idle))

    async def _ask(self, pcm16k: Samples) -> str:
        """Use a kept connection, and a new one when the server has closed that meanwhile."""
        while self._idle:
            connection, used_s = self._idle.pop()
            is_trusted = self._way is not None and time.monotonic() - used_s <= _IDLE_S
            if connection.state is State.OPEN and not is_trusted:
                _drop(connection)
                continue
            with contextlib.suppress(ConnectionClosed):
                return await self._converse(connection, pcm16k)
        connection = await self._connect()
        try:
            return await self._converse(connection, pcm16k)
        except ConnectionClosed as exc:
            raise ServiceUnavailable(
                tr(
                    "FunASR 服务器 {server_url} 没有给出结果就断开了（{exc}）。请看它的日志。",
                    server_url=self._settings.server_url,
                    exc=exc,
                )
            ) from exc

    async def _connect(self) -> ClientConnection:
        """Open a connection, and learn of which kind the server is when that is not known."""
        connection = await self._open()
        if self._way is not None:
            return connection
        patience_s = min(_PROBE_S, self._settings.timeout_s / 2)
        try:
            with anyio.fail_after(patience_s + _PROBE_MORE_S):
                way = await self._probe(connection)
        except (TimeoutError, ConnectionClosed):
            way = ServerWay()
            connection = await self._open()
        if self._way is None or way.is_known:  # another one may have learned it meanwhile
            self._way = way
        return connection

    def _doubt(self) -> None:
        """Ask again of which kind the server is: it may have come back as another one."""
        if self._way and self._way.is_known:
            self._way = None

    async def _open(self) -> ClientConnection:
        url = self._settings.server_url
        # The proxy of the environment is not for a server in the house. Before websockets 15 there is none to switch off.
        options: dict[str, Any] = {"proxy": None} if "proxy" in inspect.signature(connect).parameters else {}
        try:
            with anyio.fail_after(self._settings.connect_timeout_s):
                connection = await connect(
                    url,
                    ssl=self._tls,
                    subprotocols=[Subprotocol("binary")],
                    compression=None,
                    ping_interval=None,  # the Python server does not answer while it recognizes
                    open_timeout=None,
                    close_timeout=1.0,
                    max_size=_LONGEST_ANSWER_BYTES,
                    **options,
                )
        except TimeoutError as exc:
            raise ServiceTimeout(
                tr(
                    "FunASR 服务器 {url} 在 {connect_timeout_s:g} 秒内没有应答。{advice}",
                    url=url,
                    connect_timeout_s=self._settings.connect_timeout_s,
                    advice=tr(_ADVICE),
                )
            ) from exc
        except ssl.SSLCertVerificationError as exc:
            raise ServiceUnavailable(
                tr(
                    "FunASR 服务器 {url} 的证书不能相信（{verify_message}）。"
                    "自签的证书请写进 asr.server_certificate，或写 off 不检查。",
                    url=url,
                    verify_message=exc.verify_message,
                )
            ) from exc
        except (OSError, InvalidHandshake, InvalidURI, EOFError) as exc:
            hint = (
                tr("它可能要用 wss://。") if url.startswith("ws://") and not isinstance(exc, OSError) else ""
            )
            raise ServiceUnavailable(
                tr(
                    "连不上 FunASR 服务器 {url}（{exc}）。{hint}{advice}",
                    url=url,
                    exc=exc,
                    hint=hint,
                    advice=tr(_ADVICE),
                )
            ) from exc
        if self.is_closed:
            _drop(connection)
            raise closed()
        return connection

    async def _probe(self, connection: ClientConnection) -> ServerWay:
        """Learn of which kind a server is. It has recognized once then, too, and the next time is quicker."""
        name = f"u{next(self._names)}"
        answers = Answers(ServerWay(), self._settings.server_mode, name)
        try:
            await self._say(connection, name, _moment_of_noise(), None)
            while not (answers.says_end or answers.answers_more):
                more_s = _PROBE_MORE_S if answers.texts or answers.is_complete else None
                with anyio.move_on_after(more_s) as patience:
                    answers.take(await connection.recv())
                if patience.cancelled_caught:
                    break
        except BaseException:
            _drop(connection)
            raise
        return answers.way

    async def _converse(self, connection: ClientConnection, pcm16k: Samples) -> str:
        """Send an utterance and return its text; the connection is kept when it is at rest, else dropped."""
        name = f"u{next(self._names)}"
        way = self._way  # another one may learn or doubt it meanwhile
        at_rest = False
        try:
            await self._say(connection, name, pcm16k, way)
            text, at_rest = await self._result(connection, name, way or ServerWay())
            return text
        except ConnectionClosed:
            self._doubt()
            raise
        finally:
            if at_rest:
                self._keep(connection)
            else:
                _drop(connection)

    def _keep(self, connection: ClientConnection) -> None:
        if self.is_closed:
            _drop(connection)
        else:
            self._idle.append((connection, time.monotonic()))

    async def _say(
        self, connection: ClientConnection, name: str, pcm16k: Samples, way: ServerWay | None
    ) -> None:
        await connection.send(json.dumps(self._opening(name, way), ensure_ascii=False))
        data = pcm16k.astype("<i2").tobytes()
        for start in range(0, len(data), _FRAME_BYTES):
            await connection.send(data[start : start + _FRAME_BYTES])
        await connection.send(json.dumps({"is_speaking": False, "is_end": True}))
        if way is None or way.answers_more or not way.is_known:
            await connection.send(bytes(_FRAME_BYTES))
            await connection.send(json.dumps({"wav_name": name_after(name)}))
            await connection.send(bytes(_FRAME_BYTES))

    async def _result(self, connection: ClientConnection, name: str, way: ServerWay) -> tuple[str, bool]:
        """Put the parts of a result together; also return whether the last one surely has come."""
        answers = Answers(way, self._settings.server_mode, name)
        while not answers.is_complete:
            with anyio.move_on_after(_MORE_S if answers.may_be_complete else None) as patience:
                answers.take(await connection.recv())
            if patience.cancelled_caught:
                break
        if answers.is_complete and answers.way.is_known:
            self._way = answers.way
        elif answers.way.is_cpp:
            self._way = None  # it was too slow to show its kind, but it can
        if answers.error and not answers.texts:
            raise ServiceUnavailable(
                tr(
                    "FunASR 服务器 {server_url} 识别不了（{error}）。请看它的日志。",
                    server_url=self._settings.server_url,
                    error=answers.error,
                )
            )
        return " ".join(answers.texts), answers.is_complete

    def _opening(self, name: str, way: ServerWay | None) -> dict[str, Any]:
        settings = self._settings
        opening: dict[str, Any] = {
            "mode": settings.server_mode,
            "chunk_size": [5, 10, 5],
            "chunk_interval": 10,
            "encoder_chunk_look_back": 4,
            "decoder_chunk_look_back": 0,
            "audio_fs": RATE_HZ,
            "wav_format": "pcm",
            "wav_name": name,
            "is_speaking": True,
            "itn": settings.itn,
            "svs_itn": settings.itn,
            "svs_lang": settings.language,
        }
        if not self._hotwords:
            return opening
        if way is None or way.is_cpp:  # of these the first message of a connection counts
            weights = dict.fromkeys(self._hotwords, _HOTWORD_WEIGHT)
            opening["hotwords"] = json.dumps(weights, ensure_ascii=False)
        else:  # the Python servers hand it to the model as it is, the old ones from either field
            opening["hotwords"] = opening["hotword"] = " ".join(self._hotwords)
        return opening


def _drop(connection: ClientConnection) -> None:
    """Close at once, without the words of parting that a hung server would not answer."""
    connection.transport.abort()


def _moment_of_noise() -> Samples:
    noise: Samples = np.random.default_rng(0).normal(0, 30, RATE_HZ // 2).astype(np.int16)
    return noise


def _tls(settings: AsrSettings, certificate: Path | None) -> ssl.SSLContext | None:
    if not settings.server_url.startswith("wss:"):
        return None
    try:
        context = ssl.create_default_context(cafile=certificate)
    except (OSError, ssl.SSLError) as exc:
        raise SettingsError(
            tr(
                "读不了证书 {certificate}（{exc}）。请检查 asr.server_certificate。",
                certificate=certificate,
                exc=exc,
            )
        ) from exc
    if settings.server_certificate == "off":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
