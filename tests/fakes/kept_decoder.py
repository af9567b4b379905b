"""A client that keeps one Opus decoder for the whole connection, and how wrong what it hears is."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np

from xiaozhi_persona.audio.opus import OpusDecoder, OpusEncoder
from xiaozhi_persona.audio.resample import resample
from xiaozhi_persona.providers.tts.espeak import EspeakSynthesizer
from xiaozhi_persona.spine import Clip, Samples
from xiaozhi_persona.voice_settings import EspeakSettings

TEXTS = (
    "今天天气很好，我们去公园吧。",
    "我听见你说的话了，你的猫叫咪咪，对不对？",
    "好的，没问题！我马上帮你记下来。",
)
RATE_HZ = 24000
TOO_WRONG = 3000
"""Of 32,767: an error that is heard."""


def longest_wrong_ms(heard: Samples, sent: Samples, rate_hz: int = RATE_HZ) -> float:
    """Return the longest stretch that is wrong; up to 10 ms in between that are right, as in a voice, belong to it."""
    wrong = np.flatnonzero(np.abs(heard.astype(np.int32) - sent) > TOO_WRONG)
    if not len(wrong):
        return 0.0
    ends = np.flatnonzero(np.diff(wrong) > rate_hz // 100)
    starts, stops = wrong[np.r_[0, ends + 1]], wrong[np.r_[ends, len(wrong) - 1]]
    return float(np.max(stops - starts) + 1) * 1000 / rate_hz


async def spoken_replies() -> list[list[bytes]]:
    """Return the packets of each text, and of each in a low voice."""
    replies = []
    synthesizer = EspeakSynthesizer(EspeakSettings())
    for text in TEXTS:
        chunks = [chunk async for chunk in synthesizer.synthesize(text, Clip())]
        sound = resample(np.concatenate([c.samples for c in chunks]), chunks[0].sample_rate_hz, RATE_HZ)
        for voice in (sound, sound // 4):
            encoder = OpusEncoder(RATE_HZ)
            frames = voice[: len(voice) // encoder.frame_samples * encoder.frame_samples]
            replies.append([encoder.encode(f) for f in frames.reshape(-1, encoder.frame_samples)])
    return replies


def cut_replies(
    replies: Sequence[Sequence[bytes]], before: Sequence[bytes], rate_hz: int = RATE_HZ, count: int = 500
) -> list[float]:
    """Cut one reply after the other somewhere, with the packets `before` each.

    Return how long each is wrong (`longest_wrong_ms`) for a decoder that is kept.
    """
    alone = []
    for reply in replies:
        fresh = OpusDecoder(rate_hz)
        alone.append([fresh.decode(packet) for packet in reply])
    randomness, kept, wrong_ms = random.Random(12), OpusDecoder(rate_hz), []
    for _ in range(count + 1):
        which = randomness.randrange(len(replies))
        packets = replies[which][: randomness.randrange(1, 13)]
        for packet in before:
            kept.decode(packet)
        heard = np.concatenate([kept.decode(packet) for packet in packets])
        wrong_ms.append(longest_wrong_ms(heard, np.concatenate(alone[which][: len(packets)]), rate_hz))
    return wrong_ms[1:]
