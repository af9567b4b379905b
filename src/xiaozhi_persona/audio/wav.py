"""Recordings: read whatever people have as 16-bit mono, write WAV of 16-bit mono."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xiaozhi_persona.audio.resample import resample
from xiaozhi_persona.errors import SettingsError, pip_install
from xiaozhi_persona.language import tr
from xiaozhi_persona.spine import Samples

_Sound = NDArray[np.float32]
_LONGEST_HEADER_BYTES = 4096


def read_wav(path: Path, sample_rate_hz: int) -> Samples:
    """Read a recording at `sample_rate_hz`, channels averaged: WAV of any kind, FLAC, MP3, Ogg; M4A where PyAV is.

    Raises SettingsError when the file is not there or cannot be read.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as exc:
        raise SettingsError(tr("没有这个文件：{path}。请检查路径。", path=path)) from exc
    except OSError as exc:
        if path.is_dir():
            raise SettingsError(tr("{path} 是文件夹。请写里面的录音，如 {path}/*.wav", path=path)) from exc
        raise SettingsError(
            tr("读不了 {path}（{strerror}）。请检查它的权限。", path=path, strerror=exc.strerror)
        ) from exc
    if not data:
        raise SettingsError(tr("{path} 是空的。请换一个录音。", path=path))
    sound, rate_hz = _with_libsndfile(data) or _with_pyav(data, path)
    mono = np.nan_to_num(sound.mean(axis=1), posinf=1.0, neginf=-1.0) * 32768
    return resample(np.clip(np.rint(mono), -32768, 32767).astype(np.int16), rate_hz, sample_rate_hz)


def _with_libsndfile(data: bytes) -> tuple[_Sound, int] | None:
    """Return sound of shape (samples, channels) within -1 to 1, and its rate; None for what libsndfile cannot read."""
    import soundfile

    at = data.find(b"data\0\0\0\0", 12, _LONGEST_HEADER_BYTES) if data.startswith(b"RIFF") else -1
    if at > 0:  # a recorder that never came to write the sizes: the sound goes on to the end
        data = data[: at + 4] + b"\xff" * 4 + data[at + 8 :]
    try:
        sound, rate_hz = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    except soundfile.LibsndfileError:
        return None
    return sound, int(rate_hz)


def _with_pyav(data: bytes, path: Path) -> tuple[_Sound, int]:
    convert = tr("先转换：ffmpeg -i 原文件 -ar 16000 -ac 1 新文件.wav")
    try:
        import av
    except ImportError as exc:
        raise SettingsError(
            tr(
                "{path} 不是能读的 WAV、FLAC、MP3 或 Ogg。M4A 等别的格式要 PyAV：运行 {pip_install}，或{convert}",
                path=path,
                pip_install=pip_install("av"),
                convert=convert,
            )
        ) from exc
    try:
        with av.open(io.BytesIO(data)) as container:
            resampler = av.AudioResampler("fltp", "mono")
            frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
    except (av.FFmpegError, IndexError) as exc:
        raise SettingsError(
            tr("{path} 不是能读的录音（{exc}）。可{convert}", path=path, exc=exc, convert=convert)
        ) from exc
    if not frames:
        raise SettingsError(tr("{path} 里没有声音。请换一个录音，或{convert}", path=path, convert=convert))
    return np.concatenate([frame.to_ndarray() for frame in frames], axis=1).T, int(frames[0].sample_rate)


def write_wav(path: Path, samples: Samples, sample_rate_hz: int) -> None:
    """Write 16-bit mono, making the folder where needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(wav_bytes(samples, sample_rate_hz))


def wav_bytes(samples: Samples, sample_rate_hz: int) -> bytes:
    """Return a WAV file of 16-bit mono."""
    raw = io.BytesIO()
    with wave.open(raw, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate_hz)
        file.writeframes(samples.astype("<i2").tobytes())
    return raw.getvalue()
