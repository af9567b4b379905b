"""The part of `doctor` that looks at the recognizer that the settings name."""

from __future__ import annotations

from collections.abc import AsyncIterator

from xiaozhi_persona.checks import Check, failed
from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.language import tr
from xiaozhi_persona.providers.asr.engine import engine_of, open_recognizer
from xiaozhi_persona.settings import Settings


async def check_recognizer(settings: Settings) -> AsyncIterator[Check]:
    """Tell which recognizer it is, and how people replace the embedded one; then what its engine checks."""
    what = tr("语音识别")
    try:
        recognizer = open_recognizer(settings)
    except PersonaError as exc:
        yield failed(what, exc)
        return
    await recognizer.aclose()
    yield Check("warning" if recognizer.advice else "ok", what, recognizer.name, recognizer.advice)
    async for check in engine_of(settings.asr.engine).check(settings):
        yield check
