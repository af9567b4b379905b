"""The synthesizer that the settings name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xiaozhi_persona.providers.tts.espeak import EspeakSynthesizer
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.spine import SpeechSynthesizer

if TYPE_CHECKING:
    from xiaozhi_persona.providers.tts.gpt_sovits import GptSovitsSynthesizer


def open_synthesizer(settings: Settings) -> tuple[SpeechSynthesizer, GptSovitsSynthesizer | None]:
    """Return the synthesizer, and the one in it that has connections to close and a cache, where there is one.

    Raises SettingsError for addresses and parameters that cannot be used.
    """
    espeak = EspeakSynthesizer(settings.espeak)
    if settings.tts.engine == "espeak":
        return espeak, None
    from xiaozhi_persona.providers.tts.fallback import FallbackSynthesizer
    from xiaozhi_persona.providers.tts.gpt_sovits import GptSovitsSynthesizer

    sovits = GptSovitsSynthesizer(settings.gpt_sovits, settings.data_dir / "cache" / "speech")
    return (FallbackSynthesizer(sovits, espeak) if settings.tts.fallback == "espeak" else sovits), sovits
