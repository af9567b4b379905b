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
        self.tts = self.prompt_manager = self.func_handler = self.executor = None
        self.intent_type = self.close_after_chat = self.client_is_speaking = None
    def chat(self, query, depth=0): ...
    def clear_queues(self): ...
    def change_system_prompt(self, prompt): ...
    async def close(self, ws=None): ...
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
    ERROR, NOTFOUND, RESPONSE, REQLLM = -1, 0, 2, 3
class ActionResponse:
    def __init__(self, action, result=None, response=None): ...
def register_function(name, desc, type=None): ...
"""

_SENDING = """\
async def sendAudioMessage(conn, kind, audios, text, {sends}): ...
async def send_tts_message(conn, state, text=None): ...
async def send_stt_message(conn, text): ...
"""

_INTENT_BASE = """\
class IntentProviderBase:
    def __init__(self, config): ...
    async def detect_intent(self, conn, dialogue_history, text): ...
"""

_PROMPT_MANAGER = """\
class PromptManager:
    def update_context_info(self, conn, client_ip): ...
    def build_enhanced_prompt(self, user_prompt, device_id, client_ip=None, *args, **kwargs): ...
"""

_TOOL_HANDLER = """\
class UnifiedToolHandler:
    def __init__(self, conn):
        self.tool_manager = None
    def get_functions(self): ...
"""

_TOOL_MANAGER = """\
class ToolManager:
    def get_all_tools(self): ...
    def has_tool(self, tool_name): ...
    def refresh_tools(self): ...
    async def execute_tool(self, tool_name, arguments): ...
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
        "core/handle/sendAudioHandle.py": _SENDING.format(sends=sends),
        "core/handle/abortHandle.py": "async def handleAbortMessage(conn): ...\n",
        "core/handle/intentHandler.py": "async def handle_user_intent(conn, text): ...\n",
        "core/providers/intent/base.py": _INTENT_BASE,
        "core/providers/tools/unified_tool_handler.py": _TOOL_HANDLER,
        "core/providers/tools/unified_tool_manager.py": _TOOL_MANAGER,
        "core/utils/prompt_manager.py": _PROMPT_MANAGER,
        "core/utils/util.py": "def remove_punctuation_and_length(text): ...\n",
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
