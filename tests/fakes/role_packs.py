"""Role packs made on the spot: a role.yaml, and clips that hum instead of speaking."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from xiaozhi_persona.spine import Samples


def hum(seconds: float, rate_hz: int = 16000, level: float = 0.2) -> Samples:
    """A tone with a gap of 80 ms before each quarter of a second: speech to whoever only looks at loudness."""
    at = np.arange(round(seconds * rate_hz)) / rate_hz
    sounds = (at % 0.25 < 0.17) | (at > seconds - 0.05)
    tone: Samples = (np.sin(2 * np.pi * 220 * at) * sounds * level * 32767).astype(np.int16)
    return tone


def write_clip(
    file: Path, samples: Samples | float = 4.0, text: str = "", rate_hz: int = 16000, channels: int = 1
) -> Path:
    """Write a WAV of `samples`, or of a hum of so many seconds, with its text beside it."""
    sound = samples if isinstance(samples, np.ndarray) else hum(samples, rate_hz)
    file.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(file), "wb") as output:
        output.setnchannels(channels)
        output.setsampwidth(2)
        output.setframerate(rate_hz)
        output.writeframes(np.repeat(sound, channels).astype("<i2").tobytes())
    if text:
        file.with_suffix(".txt").write_text(text, encoding="utf-8")
    return file


def write_role(folder: Path, sheet: str = "name: 小梅", clips: dict[str, str] | None = None) -> Path:
    """Write a pack; `clips` are paths in refs/, without .wav, with their texts."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "role.yaml").write_text(sheet, encoding="utf-8")
    for path, text in (clips or {}).items():
        write_clip(folder / "refs" / f"{path}.wav", 4.0, text)
    return folder
