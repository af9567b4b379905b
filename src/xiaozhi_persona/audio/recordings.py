"""Recordings of any length, read piece by piece: WAV of any kind, FLAC, MP3, Ogg; M4A and video where PyAV is."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xiaozhi_persona.errors import SettingsError, first_line, pip_install
from xiaozhi_persona.language import tr

Floats = NDArray[np.float32]

SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".aac", ".mp4", ".webm", ".wma")
"""What recordings are named; those behind .opus need PyAV."""

_PIECE_FRAMES = 1 << 18
_HEADER_BYTES = 4096
_BITS = {"PCM_U8": 8, "PCM_S8": 8, "PCM_24": 24, "PCM_32": 32, "FLOAT": 32, "DOUBLE": 64}


@dataclass(frozen=True)
class Recording:
    """A recording that can be read."""

    path: Path
    sample_rate_hz: int
    channels: int
    bits: int
    seconds: float
    """How long it says it is; 0 where it does not say."""

    def pieces(self) -> Iterator[Floats]:
        """Yield its sound from the beginning, channels averaged, samples of -1 to 1. Raises SettingsError where it breaks off."""
        sound = _sound_file(self.path)
        for piece in _with_pyav(self.path) if sound is None else _with_libsndfile(sound, self.path):
            yield np.nan_to_num(piece, posinf=1.0, neginf=-1.0)


def open_recording(path: Path) -> Recording:
    """Look at the head of a recording. Raises SettingsError when it is not there, empty, or of a kind that cannot be read."""
    try:
        if not path.stat().st_size:
            raise SettingsError(tr("{path} 是空的。请换一个录音。", path=path))
        sound = _sound_file(path)
    except OSError as exc:
        raise SettingsError(
            tr("读不了 {path}（{strerror}）。请检查它的权限。", path=path, strerror=exc.strerror)
        ) from exc
    if sound is None:
        recording = _seen_by_pyav(path)
    else:
        with sound:
            bits, rate_hz = _BITS.get(sound.subtype, 16), int(sound.samplerate)
            recording = Recording(path, rate_hz, int(sound.channels), bits, sound.frames / max(1, rate_hz))
    if not recording.sample_rate_hz:  # a head, and nothing of it behind
        raise _broken(path, ValueError("0 Hz"))
    return recording


class _Unended(io.FileIO):
    """A WAV file whose recorder never came to write the size of the sound: it goes on to the end of the file."""

    def __init__(self, path: Path, size_at: int) -> None:
        super().__init__(path)
        self._size_at = size_at

    def readinto(self, buffer: Any) -> int:
        begin = self.tell()
        read = super().readinto(buffer) or 0
        for at in range(max(begin, self._size_at), min(begin + read, self._size_at + 4)):
            memoryview(buffer).cast("B")[at - begin] = 0xFF
        return read


def _sound_file(path: Path) -> Any:
    """Open a file with libsndfile; None for what it cannot read."""
    import soundfile

    with path.open("rb") as file:
        head = file.read(_HEADER_BYTES)
    at = head.find(b"data\0\0\0\0", 12) if head.startswith(b"RIFF") else -1
    try:
        return soundfile.SoundFile(_Unended(path, at + 4) if at > 0 else str(path))
    except soundfile.LibsndfileError:
        return None


def _with_libsndfile(sound: Any, path: Path) -> Iterator[Floats]:
    import soundfile

    with sound:
        try:
            while len(piece := sound.read(_PIECE_FRAMES, dtype="float32", always_2d=True)):
                yield piece.mean(axis=1, dtype=np.float32)
        except soundfile.LibsndfileError as exc:
            raise _broken(path, exc) from exc


def _seen_by_pyav(path: Path) -> Recording:
    av = _pyav(path)
    try:
        with av.open(str(path)) as container:
            stream = container.streams.audio[0]
            seconds = (container.duration or 0) / 1e6
            return Recording(path, int(stream.rate), int(stream.channels), 16, seconds)
    except (av.FFmpegError, IndexError) as exc:
        raise _broken(path, exc) from exc


def _with_pyav(path: Path) -> Iterator[Floats]:
    av = _pyav(path)
    try:
        with av.open(str(path)) as container:
            resampler = av.AudioResampler("fltp", "mono")
            for frame in container.decode(audio=0):
                for mono in resampler.resample(frame):
                    yield mono.to_ndarray()[0].astype(np.float32)
    except av.FFmpegError as exc:
        raise _broken(path, exc) from exc


def _pyav(path: Path) -> Any:
    try:
        import av
    except ImportError as exc:
        told = tr(
            "{path} 不是能读的 WAV、FLAC、MP3 或 Ogg。M4A 等别的格式要 PyAV：运行 {pip_install}，或{convert}",
            path=path,
            pip_install=pip_install("av"),
            convert=tr("先转换：ffmpeg -i 原文件 -ar 16000 -ac 1 新文件.wav"),
        )
        raise SettingsError(told) from exc
    return av


def _broken(path: Path, exc: Exception) -> SettingsError:
    convert = tr("先转换：ffmpeg -i 原文件 -ar 16000 -ac 1 新文件.wav")
    return SettingsError(
        tr("{path} 不是能读的录音（{exc}）。可{convert}", path=path, exc=first_line(exc), convert=convert)
    )
