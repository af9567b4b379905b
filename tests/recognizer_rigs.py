"""Every recognizer, with its model or server, for the tests that all of them must pass: held, failing, counted.

::

    async with KINDS["funasr_onnx"](tmp_path, monkeypatch) as ears:
        recognizer = ears.opened(workers=2)
        ears.hold()
        ...
        await ears.working(2)       # two are being recognized
        ears.go_on()

Each hears in RECORDINGS what is said there, and no words in any other sound.
"""

from __future__ import annotations

import asyncio
import builtins
import functools
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import anyio
import numpy as np
import pytest
from fakes.funasr_package import funasr_package
from fakes.funasr_server import FunasrServer, Kind
from fakes.heard import SPEECH, TEXTS

from xiaozhi_persona.audio.wav import read_wav
from xiaozhi_persona.providers.asr import funasr_server
from xiaozhi_persona.providers.asr.engine import open_recognizer
from xiaozhi_persona.providers.asr.recognizer import Recognizer
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.spine import Samples

RECORDINGS = {text: read_wav(SPEECH / name, 16000) for name, text in TEXTS.items()}
PATIENCE_S = 10.0

_WORDS = {sound.tobytes().strip(b"\0"): text for text, sound in RECORDINGS.items()}


def words_in(pcm: bytes) -> str:
    """Return what is said in 16-bit samples, "" in any but those of RECORDINGS."""
    return _WORDS.get(pcm.strip(b"\0"), "")


class Ears(Protocol):
    """One engine, which opens recognizers that do as the test says."""

    engine: str
    """Its name in the table."""
    is_embedded: bool
    """Whether it is the one that users are told to replace."""
    faults: Mapping[str, str]
    """What may go wrong with an utterance, with a pattern of what is said then."""
    unusable: tuple[dict[str, Any], str]
    """Settings with which it cannot load, with a pattern of what is said then."""

    async def __aenter__(self) -> Ears: ...

    async def __aexit__(self, *_: object) -> None:
        """Close what is open; what is left then fails the test."""
        ...

    @property
    def loads(self) -> int:
        """How often a model was read; of a server, how many connections were made."""
        ...

    @property
    def asked(self) -> list[int]:
        """Samples of each sound that it was to recognize, but for what loading tries."""
        ...

    @property
    def at_once(self) -> int:
        """How many it has recognized at the same time, at most."""
        ...

    def settings(self, **asr: Any) -> Settings:
        """Return settings that name it; what is out of a setting's range is for tests."""
        ...

    def opened(self, **asr: Any) -> Recognizer: ...

    def hold(self) -> None:
        """Keep what it is to recognize waiting."""
        ...

    def hold_loading(self) -> None: ...

    async def working(self, count: int = 1) -> None:
        """Wait until it recognizes so many."""
        ...

    async def loading(self) -> None:
        """Wait until it loads."""
        ...

    def go_on(self) -> None:
        """Hold nothing any more."""
        ...

    def fail(self, fault: str) -> None:
        """Let the next ones fail; "" for no more."""
        ...


class _Gate:
    """A place in a model that threads go through as a test lets them."""

    def __init__(self) -> None:
        self.is_open = True
        self.at_once = self._inside = 0
        self._changed = threading.Condition()

    def pass_through(self) -> None:
        with self._changed:
            self._inside += 1
            self.at_once = max(self.at_once, self._inside)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self.is_open, PATIENCE_S)
            self._inside -= 1

    async def wait_inside(self, count: int) -> None:
        def wait() -> bool:
            with self._changed:
                return self._changed.wait_for(lambda: self._inside >= count, PATIENCE_S)

        assert await asyncio.to_thread(wait)

    def open(self) -> None:
        with self._changed:
            self.is_open = True
            self._changed.notify_all()


class _Opened:
    """Opens recognizers, and closes them."""

    engine: str
    asr: dict[str, Any]
    """The settings that it always has."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._made: list[Recognizer] = []

    def settings(self, **asr: Any) -> Settings:
        settings = Settings.model_validate({"asr": {"engine": self.engine}}).at(self._folder)
        return settings.model_copy(update={"asr": settings.asr.model_copy(update=self.asr | asr)})

    def opened(self, **asr: Any) -> Recognizer:
        self._made.append(open_recognizer(self.settings(**asr)))
        return self._made[-1]

    async def close_all(self) -> None:
        with anyio.fail_after(PATIENCE_S):
            for recognizer in self._made:
                await recognizer.aclose()


class _ModelEars(_Opened):
    """A model of this process. What loading tries is quiet noise, which is not held, does not fail and is not counted."""

    faults: Mapping[str, str] = {
        "RuntimeError": "broken model",
        "MemoryError": "内存不够",
        "KeyError": "语音识别出错",
        "ValueError": "^[^\n]{,300}$",  # with pages of text
        "SystemExit": "语音识别出错",
    }
    unusable = ({"model": "gone"}, r"gone.*asr\.model")

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(folder, monkeypatch)
        self.loads, self.asked = 0, list[int]()
        self._fault = ""
        self._recognizing, self._reading = _Gate(), _Gate()

    async def __aenter__(self) -> _ModelEars:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.go_on()
        await self.close_all()

    @property
    def at_once(self) -> int:
        return self._recognizing.at_once

    def hold(self) -> None:
        self._recognizing.is_open = False

    def hold_loading(self) -> None:
        self._reading.is_open = False

    async def working(self, count: int = 1) -> None:
        await self._recognizing.wait_inside(count)

    async def loading(self) -> None:
        await self._reading.wait_inside(1)

    def go_on(self) -> None:
        self._recognizing.open()
        self._reading.open()

    def fail(self, fault: str) -> None:
        self._fault = fault

    def _load(self) -> None:
        self.loads += 1
        self._reading.pass_through()

    def _hear(self, sound: Samples) -> None:
        """Stand where the model begins to recognize."""
        if int(np.abs(sound.astype(np.int32)).max(initial=0)) < 1000:
            return
        self.asked.append(len(sound))
        self._recognizing.pass_through()
        if self._fault:
            kind = getattr(builtins, self._fault)
            raise kind("broken model" + "\na page" * 999 * (kind is ValueError))


class OnnxEars(_ModelEars):
    """The tiny model, really."""

    engine, is_embedded = "funasr_onnx", True
    asr: dict[str, Any] = {}

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(folder, monkeypatch)
        funasr_onnx = pytest.importorskip("funasr_onnx", reason="the extra asr is not installed")
        real = funasr_onnx.SenseVoiceSmall

        def make(*arguments: Any, **options: Any) -> Callable[..., Any]:
            self._load()
            model = real(*arguments, **options)

            def recognize(sound: Any, **options: Any) -> Any:
                self._hear((sound * 32768).astype(np.int16))
                return model(sound, **options)

            return recognize

        monkeypatch.setattr(funasr_onnx, "SenseVoiceSmall", make)


class TorchEars(_ModelEars):
    """FunASR with torch, both of which a stub stands for; test_asr_torch.py has the real ones."""

    engine, is_embedded = "funasr", False
    asr: dict[str, Any] = {"model": "model"}

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(folder, monkeypatch)
        (folder / "model").mkdir()
        (folder / "model" / "model.pt").touch()

        def hear(sound: Samples) -> str:
            self._hear(sound)
            return words_in(sound.tobytes())

        for name, module in funasr_package(self._load, hear):
            monkeypatch.setitem(sys.modules, name, module)


class ServerEars(_Opened):
    """A FunASR server of one kind."""

    engine, is_embedded = "funasr_server", False
    faults: Mapping[str, str] = dict.fromkeys(("close_midway", "close_at_end"), "断开.*日志")
    unusable = ({"server_url": "ws://127.0.0.1:1"}, r"127\.0\.0\.1:1.*asr\.server_url")

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, kind: Kind) -> None:
        super().__init__(folder, monkeypatch)
        self._server = FunasrServer(kind, hears=words_in)
        for name, seconds in {"_PROBE_MORE_S": 0.05, "_MORE_S": 0.2}.items():
            monkeypatch.setattr(funasr_server, name, seconds)

    async def __aenter__(self) -> ServerEars:
        await self._server.__aenter__()
        self.asr = {"server_url": self._server.url}
        return self

    async def __aexit__(self, *_: object) -> None:
        self.go_on()
        await self.close_all()
        with anyio.fail_after(PATIENCE_S):
            await self._server.wait_empty()
        await self._server.__aexit__()

    @property
    def loads(self) -> int:
        return self._server.connections

    @property
    def asked(self) -> list[int]:
        return [len(utterance.pcm) // 2 for utterance in self._server.utterances]

    @property
    def at_once(self) -> int:
        return self._server.at_once

    def hold(self) -> None:
        self._server.answers.clear()

    def hold_loading(self) -> None:
        self._server.admits.clear()

    async def working(self, count: int = 1) -> None:
        with anyio.fail_after(PATIENCE_S):
            await self._server.wait_working(count)

    async def loading(self) -> None:
        with anyio.fail_after(PATIENCE_S):
            await self._server.knocked.wait()

    def go_on(self) -> None:
        self._server.answers.set()
        self._server.admits.set()

    def fail(self, fault: str) -> None:
        self._server.mode = fault or "normal"  # type: ignore[assignment]


Opening = Callable[[Path, pytest.MonkeyPatch], Ears]

KINDS: Mapping[str, Opening] = {
    "funasr_onnx": OnnxEars,
    "funasr": TorchEars,
    "funasr_server cpp": functools.partial(ServerEars, kind="cpp"),
    "funasr_server python": functools.partial(ServerEars, kind="python"),
    "funasr_server python_2024_09": functools.partial(ServerEars, kind="python_2024_09"),
    # Not python_2024: where there are no words it does not answer, which only the deadline ends.
}
"""Every engine of the table, in one way or several of being set up: the name begins with that of the engine."""
