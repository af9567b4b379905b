"""The device's own sounds, which need no server: tones, and a phrase that was recorded once (see record.py)."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np

from xiaozhi_persona.audio.resample import resample
from xiaozhi_persona.audio.streams import OggDecoder
from xiaozhi_persona.language import language
from xiaozhi_persona.spine import Samples

RATE_HZ = 24000
_LEVEL = 32767 * 10 ** (-15 / 20)
"""Below the level of speech: a tone is clearer than a voice."""
_NOTE_MS = 90
_FADE_MS = 10
"""Without it notes begin and end with a click."""


@functools.cache
def ready_tone() -> Samples:
    """Two notes that rise: the device listens."""
    return _notes(660.0, 880.0)


@functools.cache
def error_tone() -> Samples:
    """Two notes that fall: something went wrong."""
    return _notes(440.0, 330.0)


@functools.cache
def offline_phrase() -> Samples:
    """A voice that says that no server can be reached, in the language of the messages."""
    chunks = OggDecoder().feed(phrase_file(language()).read_bytes())  # by libopus, which is loaded already
    return resample(np.concatenate([chunk.samples for chunk in chunks]), chunks[0].sample_rate_hz, RATE_HZ)


def phrase_file(code: str) -> Path:
    """Return the recording of a language."""
    return Path(__file__).with_name(f"offline_{code}.ogg")


def _notes(*pitches_hz: float) -> Samples:
    at_s = np.arange(RATE_HZ * _NOTE_MS // 1000) / RATE_HZ
    ends_s = np.minimum(at_s, at_s[::-1])
    shape = _LEVEL * np.clip(ends_s / (_FADE_MS / 1000), 0.0, 1.0)
    notes = [shape * np.sin(2 * np.pi * pitch_hz * at_s) for pitch_hz in pitches_hz]
    samples: Samples = np.concatenate(notes).astype(np.int16)
    return samples
