"""The recognizers of the doors: one for each set of settings, shared by all connections."""

from __future__ import annotations

import logging
from concurrent.futures import Future

from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.providers.asr.engine import open_recognizer
from xiaozhi_persona.providers.asr.recognizer import Recognizer
from xiaozhi_persona.providers.host.loop import submit
from xiaozhi_persona.providers.host.roles import casting_of
from xiaozhi_persona.providers.host.shared_instances import SharedInstances
from xiaozhi_persona.settings import Settings

log = logging.getLogger(__name__)

_shared: SharedInstances[Recognizer] = SharedInstances()


def shared_recognizer(settings: Settings, door: object) -> Recognizer:
    """Return the recognizer for these settings; its model begins to load. Raises SettingsError.

    It is kept for as long as `door` lives: else each change of the settings in the console would leave one more model
    in the memory.
    """
    key = f"{settings.data_dir} {settings.asr.model_dump_json()} {settings.role} {settings.role_of_device}"
    return _shared.get(key, lambda: _loading(settings), door)


def _loading(settings: Settings) -> Recognizer:
    recognizer = open_recognizer(settings, casting_of(settings).names())

    def told(loading: Future[None]) -> None:
        if loading.cancelled() or recognizer.is_closed:  # at the end of the process, or not wanted any more
            return
        failure = loading.exception()
        if isinstance(failure, PersonaError):
            log.error("%s", failure)
        elif failure is not None:
            log.error("语音识别的模型读不进来", exc_info=failure)
        else:
            log.info("语音识别好了：%s", recognizer.name)

    submit(recognizer.load()).add_done_callback(told)
    return recognizer
