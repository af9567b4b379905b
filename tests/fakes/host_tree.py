"""A made-up xiaozhi-esp32-server: only the files that install looks at, with nothing in them but names."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

SETTINGS = """\
# 我的小智
server:
  ip: 0.0.0.0        # 所有网卡
  port: 8000

selected_module:
  LLM: MyLLM
  TTS: EdgeTTS  # 微软的

# 模型
LLM:
  MyLLM:
    type: openai
    api_key: "密钥"   # 不要给别人看
TTS:
  EdgeTTS:
    type: edge
    voice: 'zh-CN-XiaoxiaoNeural'
    # rate: 1

prompt: |
  你是小智。
  说话短一点。
"""

_DEFAULTS = """\
prompt_template: agent-base-prompt.txt
selected_module:
  ASR: FunASR
  TTS: EdgeTTS
  Memory: nomem
  Intent: function_call
Memory:
  nomem: {type: nomem}
Intent:
  nointent: {type: nointent}
  function_call: {type: function_call, functions: [change_role, get_weather]}
ASR:
  FunASR: {type: fun_local, model_dir: models/SenseVoiceSmall, output_dir: tmp/}
  DoubaoASR: {type: doubao, output_dir: tmp/}
TTS:
  EdgeTTS: {type: edge, output_dir: tmp/}
  GPT_SOVITS_V2: {type: gpt_sovits_v2, url: "http://127.0.0.1:9880/tts", ref_audio_path: demo.wav}
  GPT_SOVITS_V3: {type: gpt_sovits_v3, url: "http://127.0.0.1:9880", refer_wav_path: demo.wav}
"""

_TTS_BASE = """\
class TTSProviderBase:
    def __init__(self, config, delete_audio_file):
        self.conn = self.opus_encoder = None
        self.tts_text_queue = self.tts_audio_queue = []
        self.tts_audio_first_sentence = True
    def generate_filename(self, extension=".wav"): ...
    def handle_opus(self, opus_data): ...
    def to_tts_stream(self, text, opus_handler=None): ...
    def to_tts(self, text): ...
    async def text_to_speak(self, text, output_file): ...
    async def open_audio_channels(self, conn): ...
    def tts_text_priority_thread(self): ...
    def _audio_play_priority_thread(self): ...
    def _process_audio_file_stream(self, tts_file, callback): ...
    async def close(self): ...
"""

_DTO = """\
class SentenceType:
    FIRST, MIDDLE, LAST = "FIRST", "MIDDLE", "LAST"
class ContentType:
    TEXT, FILE, ACTION = "TEXT", "FILE", "ACTION"
class InterfaceType:
    SINGLE_STREAM = "SINGLE_STREAM"
"""

_ASR_BASE = """\
class ASRProviderBase:
    def __init__(self): ...
    def save_audio_to_file(self, pcm_data, session_id): ...
    async def speech_to_text(self, opus_data, session_id, {form}artifacts=None): ...
    async def speech_to_text_wrapper(self, opus_data, session_id): ...
"""

_ASR_DECODER = "    @staticmethod\n    def decode_opus(opus_data): ...\n"

_ASR_DTO = """\
class InterfaceType:
    STREAM = "STREAM"
    LOCAL = "LOCAL"
"""

_CONNECTION = """\
class ConnectionHandler:
    def __init__(self):
        self.sentence_id = self.client_abort = self.stop_event = self.sample_rate = None
        self.loop = self.websocket = self.features = None
        self.config = self.memory = self.dialogue = None
    def chat(self, query, depth=0): ...
"""

_MEMORY_BASE = """\
class MemoryProviderBase:
    def __init__(self, config): ...
    def init_memory(self, role_id, llm, **kwargs): ...
    async def query_memory(self, query): ...
    async def save_memory(self, msgs, session_id=None): ...
"""

_DIALOGUE = """\
class Message:
    def __init__(self, role, content=None):
        self.role, self.content = role, content
class Dialogue:
    def put(self, message): ...
"""

_REGISTER = """\
class ToolType:
    SYSTEM_CTL = 4
class Action:
    RESPONSE, REQLLM = 2, 3
class ActionResponse:
    def __init__(self, action, result=None, response=None): ...
def register_function(name, desc, type=None): ...
"""

_ENCODER = "class OpusEncoderUtils:\n    def reset_state(self): ...\n"


def write_host(folder: Path, version: str = "0.9.6", settings: str | bytes | None = SETTINGS) -> Path:
    """Write a repository of the host into `folder`; return the folder with its app.py.

    `settings` are those of data/.config.yaml, None for no such file.
    """
    server = folder / "main" / "xiaozhi-server"
    sends = "sentence_id=None" if version >= "0.9.3" else ""
    ears = _ASR_BASE.format(form="")
    if version < "0.9.6":
        ears = _ASR_BASE.format(form='audio_format="opus", ') + _ASR_DECODER
    texts = {
        "app.py": "",
        "config.yaml": _DEFAULTS,
        "config/logger.py": f'SERVER_VERSION = "{version}"\n',
        "core/connection.py": _CONNECTION,
        "core/handle/sendAudioHandle.py": f"async def sendAudioMessage(conn, kind, audios, text, {sends}): ...\n",
        "core/providers/asr/base.py": ears,
        "core/providers/asr/dto/dto.py": _ASR_DTO,
        "core/providers/memory/base.py": _MEMORY_BASE,
        "core/utils/dialogue.py": _DIALOGUE,
        "plugins_func/register.py": _REGISTER,
        "plugins_func/functions/get_weather.py": "",
        "core/providers/tts/base.py": _TTS_BASE,
        "core/providers/tts/edge.py": "",
        "core/providers/tts/dto/dto.py": _DTO,
        "core/utils/opus_encoder_utils.py": _ENCODER,
    }
    for name, text in texts.items():
        file = server / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    (server / "data").mkdir()
    if settings is not None:
        content = settings.encode("utf-8") if isinstance(settings, str) else settings
        (server / "data" / ".config.yaml").write_bytes(content)
    return server


def snapshot(folder: Path) -> dict[str, str]:
    """Return everything in a folder: each path with its rights and what it holds."""
    return {
        str(path.relative_to(folder)): f"{path.lstat().st_mode:o} {_content(path)}"
        for path in sorted(folder.rglob("*"))
    }


def _content(path: Path) -> str:
    if path.is_symlink():
        return f"-> {os.readlink(path)}"
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "/"
