"""Records the phrases of earcons.py with our own eSpeak voice: python -m xiaozhi_persona.bridge.client.signs.record"""

from __future__ import annotations

import asyncio

import numpy as np

from xiaozhi_persona.bridge.client.signs.earcons import RATE_HZ, phrase_file
from xiaozhi_persona.providers.tts.espeak import EspeakSynthesizer
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.spine import Clip

PHRASES = {
    "zh": "连不上服务器，我会一直试。",
    "en": "I cannot reach the server. I keep trying.",
}


async def record() -> None:
    """Write a file for each language."""
    import soundfile

    from xiaozhi_persona.audio.resample import resample

    voice = EspeakSynthesizer(Settings().espeak)
    for code, text in PHRASES.items():
        chunks = [chunk async for chunk in voice.synthesize(text, Clip())]
        sound = np.concatenate([resample(chunk.samples, chunk.sample_rate_hz, RATE_HZ) for chunk in chunks])
        soundfile.write(phrase_file(code), sound // 2, RATE_HZ, format="OGG", subtype="OPUS")


if __name__ == "__main__":
    asyncio.run(record())
