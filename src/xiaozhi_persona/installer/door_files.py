"""What stands in the door files: a few lines each, which import the class behind the door."""

from __future__ import annotations

from collections.abc import Mapping

from xiaozhi_persona import __version__
from xiaozhi_persona.providers.host.doors import Door

MARK = "# xiaozhi-persona "
"""How the first line of every file of ours in the host begins."""


def door_text(door: Door) -> str:
    """Return what stands in the file of a door."""
    module, _, name = door.implementation.rpartition(".")
    header = _HEADER.format(version=__version__)
    return header + _BODIES[door.kind].format(module=module, name=name, type=door.type)


def is_ours(content: bytes) -> bool:
    """Whether a file was written by install, this version's or another's."""
    return content.startswith(MARK.encode("utf-8"))


_HEADER = (
    MARK + "{version} 的文件：由 xiaozhi-persona install 写入，由 xiaozhi-persona uninstall 删去。\n"
    "# 请不要改动它，设置写在 data/.config.yaml。\n"
)

# The stand-in keeps the host talking to its devices, without a voice, where our package cannot be imported. Its
# to_tts_stream does nothing, since the base's would ask text_to_speak five times for every sentence.
_BODIES: Mapping[str, str] = {
    "TTS": """\
try:
    from {module} import {name} as TTSProvider
except ImportError as exc:
    import sys

    from config.logger import setup_logging
    from core.providers.tts.base import TTSProviderBase

    WHY = f"{type} 用不了，没有声音：{{exc}}。请运行：xiaozhi-persona install 本文件夹 --python {{sys.executable}}"

    class TTSProvider(TTSProviderBase):
        def __init__(self, config, delete_audio_file):
            super().__init__(config, delete_audio_file)
            setup_logging().bind(tag="xiaozhi-persona").error("{{}}", WHY)

        def to_tts_stream(self, text, opus_handler=None):
            return None

        def to_tts(self, text):
            return []

        async def text_to_speak(self, text, output_file):
            return None
""",
    "ASR": """\
try:
    from {module} import {name} as ASRProvider
except ImportError as exc:
    import os
    import sys

    from config.logger import setup_logging
    from core.providers.asr.base import ASRProviderBase
    from core.providers.asr.dto.dto import InterfaceType

    WHY = f"{type} 用不了，听不见说话：{{exc}}。请运行：xiaozhi-persona install 本文件夹 --python {{sys.executable}}"

    class ASRProvider(ASRProviderBase):
        def __init__(self, config, delete_audio_file):
            super().__init__()
            self.interface_type = InterfaceType.LOCAL
            self.delete_audio_file = delete_audio_file
            self.output_dir = config.get("output_dir") or "tmp/"
            os.makedirs(self.output_dir, exist_ok=True)
            setup_logging().bind(tag="xiaozhi-persona").error("{{}}", WHY)

        async def speech_to_text(self, audio, session_id, *more, **named):
            return "", None
""",
    "Memory": """\
try:
    from {module} import {name} as MemoryProvider
except ImportError as exc:
    import sys

    from config.logger import setup_logging
    from core.providers.memory.base import MemoryProviderBase

    WHY = f"{type} 用不了，没有记忆：{{exc}}。请运行：xiaozhi-persona install 本文件夹 --python {{sys.executable}}"

    class MemoryProvider(MemoryProviderBase):
        def __init__(self, config, summary_memory=None):
            super().__init__(config)
            setup_logging().bind(tag="xiaozhi-persona").error("{{}}", WHY)

        async def query_memory(self, query):
            return ""

        async def save_memory(self, msgs, session_id=None):
            return None
""",
    "Intent": """\
try:
    from {module} import {name} as IntentProvider
except ImportError as exc:
    import sys

    from config.logger import setup_logging
    from core.providers.intent.base import IntentProviderBase

    WHY = f"{type} 用不了，没有本地意图：{{exc}}。请运行：xiaozhi-persona install 本文件夹 --python {{sys.executable}}"

    class IntentProvider(IntentProviderBase):
        def __init__(self, config):
            super().__init__(config)
            config["type"] = "function_call" if "functions" in config else "nointent"
            setup_logging().bind(tag="xiaozhi-persona").error("{{}}", WHY)

        async def detect_intent(self, conn, dialogue_history, text):
            return '{{"function_call": {{"name": "continue_chat"}}}}'
""",
    # The host imports every file of the folder at its start, and ends when one of them raises.
    "plugin": """\
try:
    from {module} import {name}

    {name}(__name__)
except Exception as exc:
    import sys

    from config.logger import setup_logging

    WHY = f"{type} 用不了：{{exc}}。请运行：xiaozhi-persona install 本文件夹 --python {{sys.executable}}"
    setup_logging().bind(tag="xiaozhi-persona").error("{{}}", WHY)
""",
}
