"""The recognizer door: what the host takes for its own speech recognition, with our FunASR behind it.

Written for the bases of xiaozhi-esp32-server 0.9.1 to 0.9.6 (core/providers/asr/base.py).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from core.providers.asr.base import ASRProviderBase
from core.providers.asr.dto.dto import InterfaceType

from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.providers.host.logs import log_through_host
from xiaozhi_persona.providers.host.loop import submit
from xiaozhi_persona.providers.host.recognizers import shared_recognizer
from xiaozhi_persona.providers.host.sections import asr_settings
from xiaozhi_persona.spine import SpeechRecognizer

log = logging.getLogger(__name__)
log_through_host()


class PersonaFunAsr(ASRProviderBase):  # type: ignore[misc]
    """One for all connections; nothing of a connection is kept here."""

    def __init__(self, config: Mapping[str, Any], delete_audio_file: bool) -> None:
        """Never raises, and does not wait for the model, which loads in the background."""
        super().__init__()
        self.interface_type = InterfaceType.LOCAL
        self.output_dir = str(config.get("output_dir") or "tmp/")
        self.delete_audio_file = delete_audio_file
        Path(self.output_dir).mkdir(parents=True, exist_ok=True)
        self._recognizer: SpeechRecognizer | None = None
        try:
            self._recognizer = shared_recognizer(asr_settings(config, Path.cwd()), self)
        except PersonaError as exc:
            log.error("%s 改好之前听不见说话。", exc)

    async def speech_to_text(
        self, opus_data: Sequence[bytes], session_id: str, *more: Any, **named: Any
    ) -> tuple[str, str | None]:
        """Return the words of one utterance, "" when there are none, and the file in which its sound was kept.

        Hosts up to 0.9.1 give (packets, session, format), up to 0.9.5 (packets, session, format, artifacts), then
        (sound, session, artifacts). The words are plain text: a dict would reach the chat model as JSON.
        """
        given = [*more, *named.values()]
        artifacts = next((value for value in given if hasattr(value, "pcm_bytes")), None)
        form = next((value for value in given if isinstance(value, str)), "")
        try:
            if artifacts is not None:
                sound, file = artifacts.pcm_bytes, artifacts.file_path
            else:
                frames = self.decode_opus(opus_data) if form == "opus" else opus_data
                sound, file = b"".join(frames), None
                if (
                    sound and not self.delete_audio_file
                ):  # hosts that give no artifacts keep no file themselves
                    file = self.save_audio_to_file(frames, session_id)
            if self._recognizer is None or not sound:
                return "", file
            samples = np.frombuffer(sound[: len(sound) // 2 * 2], dtype="<i2")
            heard = await asyncio.wrap_future(submit(self._recognizer.transcribe(samples)))
        except PersonaError as exc:
            log.warning("%s", exc)
            return "", None
        except Exception:
            log.exception("语音识别出错")
            return "", None
        return heard.text, file

    async def close(self) -> None:
        """Nothing: the host calls this when any connection ends, and the others go on."""
