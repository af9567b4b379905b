"""The roles of the doors: read once for each set of settings."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict

from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.providers.tts.engine import takes_pace
from xiaozhi_persona.roles.casting import Casting
from xiaozhi_persona.settings import Settings

log = logging.getLogger(__name__)

_KEPT = 16
"""The host gives changed settings to new connections; those of old ones are asked for no more."""

_lock = threading.Lock()
_made: OrderedDict[str, Casting] = OrderedDict()


def casting_of(settings: Settings) -> Casting:
    """Return the roles that these settings name; may be asked from any thread. Never raises.

    Roles that cannot be used are told in the log, and the bundled role is taken instead.
    """
    key = f"{settings.data_dir} {settings.model_dump_json()}"
    with _lock:
        if key not in _made:
            _made[key] = _casting(settings)
        _made.move_to_end(key)
        while len(_made) > _KEPT:
            _made.popitem(last=False)
        return _made[key]


def _casting(settings: Settings) -> Casting:
    try:
        return Casting(settings, takes_pace=takes_pace(settings))
    except PersonaError as exc:
        log.error("%s（现在用自带的角色 default）", exc)
        return Casting(Settings().at(settings.data_dir))
