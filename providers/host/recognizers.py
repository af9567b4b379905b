"""The recognizers of the doors: one for each set of settings, shared by all connections."""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import Future

from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.providers.asr.engine import open_recognizer
from xiaozhi_persona.providers.asr.recognizer import Recognizer
from xiaozhi_persona.providers.host.loop import at_close, submit
from xiaozhi_persona.settings import Settings

log = logging.getLogger(__name__)

_lock = threading.Lock()
_recognizers: dict[str, Recognizer] = {}


def shared_recognizer(settings: Settings) -> Recognizer:
    """Return the recognizer for these settings; its model begins to load. Raises SettingsError."""
    key = f"{settings.data_dir} {settings.asr.model_dump_json()}"
    with _lock:
        if key not in _recognizers:
            if not _recognizers:
                at_close(_close_all)
            _recognizers[key] = recognizer = open_recognizer(settings)
            _begin_loading(recognizer)
        return _recognizers[key]


def _begin_loading(recognizer: Recognizer) -> None:
    def told(loading: Future[None]) -> None:
        failure = None if loading.cancelled() else loading.exception()
        if isinstance(failure, PersonaError):
            log.error("%s", failure)
        elif failure is not None:
            log.error("语音识别的模型读不进来", exc_info=failure)
        else:
            log.info("语音识别好了：%s", recognizer.name)

    submit(recognizer.load()).add_done_callback(told)


async def _close_all() -> None:
    with _lock:
        open_ones = list(_recognizers.values())
        _recognizers.clear()
    await asyncio.gather(*(recognizer.aclose() for recognizer in open_ones))
