"""A recognizer that always hears what its section says; a JSON object stands for one with more than the text."""

import json
import os

from core.providers.asr.base import ASRProviderBase
from core.providers.asr.dto.dto import InterfaceType


class ASRProvider(ASRProviderBase):
    def __init__(self, config, delete_audio_file):
        super().__init__()
        self.interface_type = InterfaceType.LOCAL
        self.output_dir = config.get("output_dir", "tmp/")
        self.delete_audio_file = delete_audio_file
        self._text = config.get("text", "你好")
        os.makedirs(self.output_dir, exist_ok=True)

    async def speech_to_text(self, audio, session_id, *args, **kwargs):
        return (json.loads(self._text) if self._text.startswith("{") else self._text), None
