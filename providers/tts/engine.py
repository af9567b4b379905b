"""The synthesizer that the settings name."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.providers.tts.espeak import EspeakSynthesizer, load_engine
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.spine import SpeechSynthesizer

if TYPE_CHECKING:
    from xiaozhi_persona.providers.tts.gpt_sovits import GptSovitsSynthesizer

_log = logging.getLogger(__name__)


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


def load_espeak(settings: Settings) -> None:
    """Load eSpeak where the settings make use of it, so that its lack is told now and not at the first sentence.

    Takes a thread's time. Raises PackageMissing and ServiceUnavailable where it is the only voice; where it is the
    fallback, they go into the log.
    """
    if "espeak" not in (settings.tts.engine, settings.tts.fallback):
        return
    try:
        load_engine()
    except PersonaError as exc:
        if settings.tts.engine == "espeak":
            raise
        _log.warning("备用的声音用不了：%s（或把 tts.fallback 设为 none）", exc)
