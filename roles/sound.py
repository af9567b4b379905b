"""Reference clips as sound: read in every form of WAV that audio programs write, else as a recording, and measured.

Format: Multimedia Programming Interface and Data Specifications 1.0 (RIFF WAVE), and WAVEFORMATEXTENSIBLE.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xiaozhi_persona.audio.recordings import Floats, open_recording
from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import tr

MAX_FILE_BYTES = 64 << 20
"""A reference clip lasts seconds; a longer file is none."""

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_FRAME_S = 0.02
_SPEECH_BELOW_LOUDEST_DB = 35.0
_QUIETEST_SPEECH_DBFS = -60.0
_CLIPPED = 0.999
_CLIPPED_RUN = 3  # samples in a row at full scale; a single one may be a true peak


@dataclass(frozen=True)
class ClipSound:
    """A recording: mono samples of -1 to 1, shape (n,), and how they were stored."""

    samples: Floats
    sample_rate_hz: int
    channels: int = 1
    bits: int = 16

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.samples) / self.sample_rate_hz

    @property
    def samples_at_16k(self) -> int:
        """Its length as api_v2 counts it: librosa.load at 16 kHz, which rounds up in floating point."""
        return math.ceil(len(self.samples) * (float(16000) / self.sample_rate_hz))

    @property
    def peak_dbfs(self) -> float:
        """Its highest sample."""
        return _db(float(np.abs(self.samples).max(initial=0.0)))

    @property
    def level_dbfs(self) -> float:
        """The mean power where there is speech."""
        frames = self._frame_power[self._spoken]
        return _db(math.sqrt(float(frames.mean()))) if len(frames) else -math.inf

    @property
    def noise_dbfs(self) -> float:
        """The power of what is behind the speech: the quietest twentieth of the time between its begin and its end."""
        begin, end = self._spoken_frames
        quietest = np.sort(self._frame_power[begin:end])[: max(2, (end - begin) // 20)]
        return _db(math.sqrt(float(quietest.mean()))) if len(quietest) else -math.inf

    @property
    def clipped_runs(self) -> int:
        """How often it stays at full scale."""
        full = np.concatenate(([0], np.abs(self.samples) >= _CLIPPED, [0])).astype(np.int8)
        edges = np.flatnonzero(np.diff(full))
        return int(np.count_nonzero(edges[1::2] - edges[::2] >= _CLIPPED_RUN))

    @property
    def speech_s(self) -> tuple[float, float]:
        """From when to when there is speech; (0, 0) when there is none."""
        begin, end = self._spoken_frames
        return begin * _FRAME_S, min(self.seconds, end * _FRAME_S)

    def cut(self, begin_s: float, end_s: float) -> ClipSound:
        """Return the part between two times."""
        begin, end = (round(max(0.0, at) * self.sample_rate_hz) for at in (begin_s, end_s))
        return ClipSound(self.samples[begin:end], self.sample_rate_hz, self.channels, self.bits)

    def pauses_s(self) -> list[float]:
        """Return the middles of the pauses of at least 0.1 s, between speech."""
        return [(a + b) / 2 * _FRAME_S for a, b in self._pauses if (b - a) * _FRAME_S >= 0.1 - 1e-9]

    @property
    def longest_pause_s(self) -> float:
        """How long it is quiet between speech."""
        return max((b - a for a, b in self._pauses), default=0) * _FRAME_S

    @cached_property
    def _pauses(self) -> list[tuple[int, int]]:
        """The runs of quiet frames between the first and the last frame of speech."""
        begin, end = self._spoken_frames
        edges = np.flatnonzero(np.diff(self._spoken[begin:end].astype(np.int8))) + 1 + begin
        return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))

    @cached_property
    def _spoken_frames(self) -> tuple[int, int]:
        """The first frame of speech and the one behind the last; (0, 0) when there is none."""
        spoken = np.flatnonzero(self._spoken)
        return (int(spoken[0]), int(spoken[-1]) + 1) if len(spoken) else (0, 0)

    @cached_property
    def _frame_power(self) -> NDArray[np.float64]:
        size = max(1, round(self.sample_rate_hz * _FRAME_S))
        padded = np.pad(self.samples.astype(np.float64), (0, -len(self.samples) % size))
        power: NDArray[np.float64] = (padded.reshape(-1, size) ** 2).mean(axis=1)
        return power

    @cached_property
    def _spoken(self) -> NDArray[np.bool_]:
        loudest = float(self._frame_power.max(initial=0.0))
        least = max(loudest / 10 ** (_SPEECH_BELOW_LOUDEST_DB / 10), 10 ** (_QUIETEST_SPEECH_DBFS / 10))
        spoken: NDArray[np.bool_] = self._frame_power >= least
        return spoken


def read_clip(file: Path) -> ClipSound:
    """Read a WAV file of whole numbers (8 to 32 bit) or floating point, or what open_recording() reads, channels averaged.

    Raises SettingsError when it is none.
    """
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            raise SettingsError(
                tr(
                    "{file} 有 {value} MB，不像参考音频。先剪出 3 到 10 秒。",
                    file=file,
                    value=file.stat().st_size >> 20,
                )
            )
        data = file.read_bytes()
    except OSError as exc:
        raise SettingsError(
            tr("读不了 {file}（{strerror}）。请检查路径和权限。", file=file, strerror=exc.strerror)
        ) from exc
    if not data.startswith((b"RIFF", b"RF64")) and file.suffix.lower() != ".wav":
        return _decoded(file)
    try:
        return _parse(data)
    except (ValueError, struct.error) as exc:
        raise SettingsError(
            tr(
                "{file} 不是能读的 WAV（{exc}）。可先转换：ffmpeg -i 原文件 -ac 1 新文件.wav",
                file=file,
                exc=exc,
            )
        ) from exc


def _decoded(file: Path) -> ClipSound:
    recording = open_recording(file)
    samples = np.concatenate([np.zeros(0, np.float32), *_within(recording.pieces(), MAX_FILE_BYTES)])
    return ClipSound(samples, recording.sample_rate_hz, recording.channels, recording.bits)


def _within(pieces: Iterable[Floats], samples: int) -> Iterator[Floats]:
    """Yield pieces until there are so many samples: a small file may unpack to hours."""
    for piece in pieces:
        if samples <= 0:
            return
        samples -= len(piece)
        yield piece


def _parse(data: bytes) -> ClipSound:
    if data[:4] not in (b"RIFF", b"RF64") or data[8:12] != b"WAVE":
        raise ValueError(tr("没有 RIFF WAVE 的开头"))
    form, sound, at = b"", None, 12
    while at + 8 <= len(data) and sound is None:
        kind, size = struct.unpack_from("<4sI", data, at)
        if kind == b"fmt ":
            form = data[at + 8 : at + 8 + size]
        elif kind == b"data":
            sound = data[at + 8 : at + 8 + size] if size else data[at + 8 :]  # 0: written while streaming
        at += 8 + size + size % 2
    if sound is None or len(form) < 16:
        raise ValueError(tr("没有声音数据"))
    tag, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", form)
    if tag == _EXTENSIBLE and len(form) >= 26:
        tag = struct.unpack_from("<H", form, 24)[0]
    if not (1 <= channels <= 16 and 1000 <= rate <= 768000):
        raise ValueError(tr("{channels} 个声道、{rate} Hz", channels=channels, rate=rate))
    width = bits // 8
    sound = sound[: len(sound) // max(1, width * channels) * width * channels]
    samples = _decode(sound, tag, width)
    if not len(samples):
        raise ValueError(tr("没有声音数据"))
    if not np.isfinite(samples).all():
        raise ValueError(tr("有不是数的样本"))
    return ClipSound(samples.reshape(-1, channels).mean(axis=1, dtype=np.float32), rate, channels, bits)


def _decode(sound: bytes, tag: int, width: int) -> Floats:
    if tag == _FLOAT and width in (4, 8):
        return np.frombuffer(sound, f"<f{width}").astype(np.float32)
    if tag != _PCM or width not in (1, 2, 3, 4):
        raise ValueError(tr("格式 {tag}、{value} 位不认识", tag=tag, value=width * 8))
    if width == 1:
        return ((np.frombuffer(sound, np.uint8) - 128.0) / 128).astype(np.float32)
    if width == 3:
        wide = np.zeros((len(sound) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(sound, np.uint8).reshape(-1, 3)
        sound, width = wide.tobytes(), 4
    return (np.frombuffer(sound, f"<i{width}") / float(1 << (8 * width - 1))).astype(np.float32)


def _db(amplitude: float) -> float:
    return 20 * math.log10(amplitude) if amplitude > 0 else -math.inf
