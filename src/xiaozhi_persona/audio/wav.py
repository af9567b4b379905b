"""WAV files: read whatever PCM people have as 16-bit mono, write 16-bit mono."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np

from xiaozhi_persona.audio.resample import resample
from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.spine import Samples


def read_wav(path: Path, sample_rate_hz: int) -> Samples:
    """Read a PCM WAV file (8, 16, 24 or 32 bit, any rate, channels averaged) at `sample_rate_hz`.

    Raises SettingsError when the file is not there or is no PCM WAV.
    """
    try:
        with wave.open(str(path), "rb") as file:
            width, channels, rate = file.getsampwidth(), file.getnchannels(), file.getframerate()
            data = file.readframes(file.getnframes())
    except FileNotFoundError as exc:
        raise SettingsError(f"没有这个文件：{path}。请检查路径。") from exc
    except IsADirectoryError as exc:
        raise SettingsError(f"{path} 是文件夹。请写里面的 WAV 文件，如 {path}/*.wav") from exc
    except (wave.Error, EOFError, OSError) as exc:
        reason = str(exc) or "它是空的，或者缺了后面一截"
        raise SettingsError(
            f"{path} 不是能读的 PCM WAV（{reason}）。可先转换：ffmpeg -i 原文件 -ar 16000 -ac 1 新文件.wav"
        ) from exc
    data = data[: len(data) // (width * channels) * width * channels]
    if width == 1:
        samples = ((np.frombuffer(data, np.uint8).astype(np.int16) - 128) * 256).astype(np.int16)
    else:  # the two most significant bytes of each little-endian sample
        parts = np.frombuffer(data, np.uint8).reshape(-1, width)[:, width - 2 :]
        samples = np.ascontiguousarray(parts).view("<i2").reshape(-1).astype(np.int16)
    if channels > 1:
        samples = samples.reshape(-1, channels).mean(axis=1).astype(np.int16)
    return resample(samples, rate, sample_rate_hz)


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
