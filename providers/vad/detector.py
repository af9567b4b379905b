"""How likely is it speech? Silero VAD with onnxruntime, for all devices in one thread; WebRTC's VAD without a model.

Silero: snakers4/silero-vad 6, src/silero_vad/utils_vad.py: windows of 512 samples at 16 kHz, each led by the last
64 samples of the one before, and a recurrent state of shape (2, batch, 128).
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from xiaozhi_persona.errors import PackageMissing, SettingsError, pip_install
from xiaozhi_persona.language import tr
from xiaozhi_persona.spine import Samples

log = logging.getLogger(__name__)

SAMPLE_RATE_HZ = 16000
WINDOW_SAMPLES = 512
"""32 ms: the stretch that gets one probability."""

_CONTEXT_SAMPLES = 64


@dataclass
class VadStream:
    """The sound of one microphone on its way through the detector."""

    rest: Samples = field(default_factory=lambda: np.zeros(0, np.int16))
    context: NDArray[np.float32] = field(default_factory=lambda: np.zeros(_CONTEXT_SAMPLES, np.float32))
    state: NDArray[np.float32] = field(default_factory=lambda: np.zeros((2, 128), np.float32))


class VadModel(Protocol):
    """A model that judges one window of each of several streams."""

    name: str

    def judge(self, streams: list[VadStream], windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probability of speech, shape (n,), for windows of shape (n, 512) within -1 to 1."""
        ...


class VoiceActivityDetector:
    """Judges the sound of all devices. What arrives while the thread is busy is judged together next."""

    def __init__(self, model: VadModel) -> None:
        self.name = model.name
        self._model = model
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="vad")
        self._waiting: list[tuple[VadStream, list[Samples], asyncio.Future[list[float]]]] = []
        self._worker: asyncio.Task[None] | None = None

    async def probabilities(self, stream: VadStream, samples: Samples) -> list[float]:
        """Return the probability of speech for each 32 ms window that `samples` (16 kHz) completes.

        One call at a time for each stream.
        """
        joined = np.concatenate((stream.rest, samples))
        whole = len(joined) // WINDOW_SAMPLES * WINDOW_SAMPLES
        stream.rest = joined[whole:]
        if not whole:
            return []
        windows = [joined[i : i + WINDOW_SAMPLES] for i in range(0, whole, WINDOW_SAMPLES)]
        result: asyncio.Future[list[float]] = asyncio.get_running_loop().create_future()
        self._waiting.append((stream, windows, result))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work(), name="vad")
        return await result

    async def aclose(self) -> None:
        """End the thread."""
        if self._worker:
            await asyncio.wait({self._worker}, timeout=5)
        await asyncio.to_thread(self._executor.shutdown)

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch, self._waiting = self._waiting, []
            work = [(stream, windows) for stream, windows, _ in batch]
            try:
                results = await loop.run_in_executor(self._executor, self._judge, work)
            except Exception:
                log.exception("语音端点检测出错")
                results = [[0.0] * len(windows) for _, windows in work]
            for (_, _, future), result in zip(batch, results, strict=True):
                if not future.done():
                    future.set_result(result)

    def _judge(self, work: list[tuple[VadStream, list[Samples]]]) -> list[list[float]]:
        results: list[list[float]] = [[] for _ in work]
        for step in range(max(len(windows) for _, windows in work)):
            chosen = [i for i, (_, windows) in enumerate(work) if len(windows) > step]
            sound = np.stack([work[i][1][step] for i in chosen]).astype(np.float32) / np.float32(32768)
            judged = self._model.judge([work[i][0] for i in chosen], sound)
            for i, probability in zip(chosen, judged, strict=True):
                results[i].append(float(probability))
        return results


class SileroModel:
    """The ONNX file of Silero VAD."""

    name = "Silero VAD"

    def __init__(self, file: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session: Any = onnxruntime.InferenceSession(str(file), options, ["CPUExecutionProvider"])
            self.judge([VadStream()], np.zeros((1, WINDOW_SAMPLES), np.float32))  # no other model takes this
        except Exception as exc:  # onnxruntime's own exceptions have no public base class
            raise SettingsError(
                tr("读不了 VAD 模型 {file}：{exc}。请改 vad.model，或留空用自带的。", file=file, exc=exc)
            ) from exc

    def judge(self, streams: list[VadStream], windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probability of speech, shape (n,), for windows of shape (n, 512)."""
        contexts = np.stack([stream.context for stream in streams])
        states = np.stack([stream.state for stream in streams], axis=1)
        feed = {
            "input": np.concatenate((contexts, windows), axis=1),
            "state": states,
            "sr": np.array(SAMPLE_RATE_HZ, np.int64),
        }
        probabilities, states = self._session.run(None, feed)
        for i, stream in enumerate(streams):
            stream.context = windows[i, -_CONTEXT_SAMPLES:]
            stream.state = states[:, i]
        judged: NDArray[np.float32] = probabilities[:, 0]
        return judged


class WebRtcModel:
    """WebRTC's VAD: no model file, no state, and easily misled by noise."""

    name = "WebRTC VAD"

    def __init__(self) -> None:
        import webrtcvad

        self._vad: Any = webrtcvad.Vad(2)

    def judge(self, streams: list[VadStream], windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return 1 or 0 for each window; of its 32 ms the first 30 are judged, a length that this VAD takes."""
        pcm = (windows[:, :480] * 32768).astype("<i2")
        return np.array([self._vad.is_speech(row.tobytes(), SAMPLE_RATE_HZ) for row in pcm], np.float32)


def load_vad_model(file: Path | None) -> VadModel:
    """Load Silero from `file`, else from an installed silero-vad wheel, else take WebRTC's VAD.

    Raises SettingsError for a file that is not there, PackageMissing when there is nothing at all.
    """
    if file is not None and not file.is_file():
        raise SettingsError(tr("没有 VAD 模型 {file}。请改 vad.model，或留空用自带的。", file=file))
    file = file or _file_of_wheel()
    try:
        if file is not None:
            return SileroModel(file)
        log.warning(
            "没有 Silero VAD 的模型，改用 WebRTC VAD，嘈杂时不太准。可运行 %s",
            pip_install("--no-deps", "silero-vad"),
        )
        return WebRtcModel()
    except ImportError as exc:
        raise PackageMissing(
            tr(
                "没有语音端点检测：运行 {pip_install}",
                pip_install=pip_install("onnxruntime", "webrtcvad-wheels"),
            )
        ) from exc


def _file_of_wheel() -> Path | None:
    """Find the model inside an installed silero-vad without importing it, since it imports torch."""
    spec = importlib.util.find_spec("silero_vad")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        file = Path(folder) / "data" / "silero_vad.onnx"
        if file.is_file():
            return file
    return None
