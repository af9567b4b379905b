"""The synthesizer that the settings name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from xiaozhi_persona.providers.tts.espeak import EspeakSynthesizer
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.spine import SpeechSynthesizer


def open_synthesizer(settings: Settings) -> tuple[SpeechSynthesizer, Callable[[], Awaitable[None]] | None]:
    """Return the synthesizer, and what closes its connections where it has any.

    Raises SettingsError for addresses and parameters that cannot be used.
    """
    espeak = EspeakSynthesizer(settings.espeak)
    if settings.tts.engine == "espeak":
        return espeak, None
    from xiaozhi_persona.providers.tts.fallback import FallbackSynthesizer
    from xiaozhi_persona.providers.tts.gpt_sovits import GptSovitsSynthesizer

    sovits = GptSovitsSynthesizer(settings.gpt_sovits, settings.data_dir / "cache" / "speech")
    speaking = FallbackSynthesizer(sovits, espeak) if settings.tts.fallback == "espeak" else sovits
    return speaking, sovits.aclose
