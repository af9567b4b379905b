from config.logger import setup_logging
from core.providers.tts.base import TTSProviderBase


class DefaultTTS(TTSProviderBase):
    async def text_to_speak(self, text, output_file):
        setup_logging().bind(tag=__name__).error("no TTS")
