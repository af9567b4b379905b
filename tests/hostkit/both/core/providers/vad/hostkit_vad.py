"""Voice is what is loud; half a second of quiet ends it."""

import numpy as np
import opuslib_next
from core.providers.vad.base import VADProviderBase

_LOUD = 1000
_QUIET_FRAMES = 8


class VADProvider(VADProviderBase):
    def __init__(self, config):
        self._config = config

    def is_vad(self, conn, data):
        if conn.client_listen_mode == "manual":
            return True
        if len(data) != 1920:  # hosts before 0.9.6 give Opus packets
            if not hasattr(conn, "hostkit_decoder"):
                conn.hostkit_decoder = opuslib_next.Decoder(16000, 1)
            data = conn.hostkit_decoder.decode(bytes(data), 960)
        loud = bool(np.abs(np.frombuffer(data, np.int16).astype(np.int32)).max() > _LOUD)
        if loud:
            conn.client_have_voice = True
            conn.hostkit_quiet = 0
        elif conn.client_have_voice:
            conn.hostkit_quiet = getattr(conn, "hostkit_quiet", 0) + 1
            if conn.hostkit_quiet >= _QUIET_FRAMES:
                conn.client_voice_stop = True
        return loud
