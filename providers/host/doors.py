"""The doors: the thin files that the host finds by their names, and all that is to be known of each.

Where the host looks for a kind of module, and under which class name: core/utils/tts.py and its like (0.9.1 to 0.9.6).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from xiaozhi_persona.language import later
from xiaozhi_persona.providers.host.tool_names import ROLE_TOOL_FILE, TOOL_FILE

_PACKAGE = "xiaozhi_persona.providers.host"


@dataclass(frozen=True)
class Door:
    """One file of ours in the host."""

    kind: str
    """Kind of module as the host's settings name it: TTS. A plugin has no section of its own."""
    path: PurePosixPath
    """Below the folder that holds the host's app.py."""
    implementation: str
    """The class behind it, as module.Class; of a plugin the function that enters its tools. Installed files name it."""
    title: str = ""
    """What it is called in the host's console, in Chinese; give it to `tr`."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """Keys of its section that are worth a field in the console, with their labels; every value is entered as text."""
    same_keys: Mapping[str, str] = field(default_factory=dict)
    """Types of the host's own whose sections it reads as they are, each with what the console's models are called."""
    api: str = ""
    """Of a voice whose section has GPT-SoVITS's own keys: the API that it speaks, v1 or v2."""
    server: str = ""
    """What of GPT-SoVITS speaks that API, as it stands before Chinese."""
    url: str = ""
    """Where that is on the same machine, as the door's section has it."""

    @property
    def type(self) -> str:
        """What `type` of a section of the host's settings says to select this door."""
        return self.path.stem


_VOICE_FIELDS = {"url": "GPT-SoVITS 地址", "role": "角色"}

GPT_SOVITS_V1 = Door(
    "TTS",
    PurePosixPath("core/providers/tts/gpt_sovits_v1.py"),
    f"{_PACKAGE}.tts.GptSovitsV1",
    later("GPT-SoVITS V1（感情语音）"),
    _VOICE_FIELDS
    | {
        "refer_wav_path": "参考音频（角色没有时）",
        "prompt_text": "参考音频的文字",
        "prompt_language": "参考音频的语言",
        "text_language": "要说的语言",
    },
    {"gpt_sovits_v3": "GPT-SoVITS V3"},
    api="v1",
    server="api.py ",
    url="http://127.0.0.1:9880",
)

GPT_SOVITS_V2 = Door(
    "TTS",
    PurePosixPath("core/providers/tts/gpt_sovits_v2_stream.py"),
    f"{_PACKAGE}.tts.GptSovitsV2Stream",
    later("GPT-SoVITS V2（感情语音，流式）"),
    _VOICE_FIELDS
    | {
        "ref_audio_path": "参考音频（角色没有时）",
        "prompt_text": "参考音频的文字",
        "prompt_lang": "参考音频的语言",
        "text_lang": "要说的语言",
    },
    {"gpt_sovits_v2": "GPT-SoVITS V2"},
    api="v2",
    server="api_v2.py 或整合包",
    url="http://127.0.0.1:9880/tts",
)

ANY_VOICE = Door(
    "TTS",
    PurePosixPath("core/providers/tts/persona_voice.py"),
    f"{_PACKAGE}.tts.AnyVoice",
    later("自选的语音合成（感情语音）"),
    {"engine": "用哪种语音合成（同 config.yaml 的 tts.engine）", "role": "角色"},
)
"""Its section holds the keys of our settings section of the engine."""

MEMORY = Door(
    "Memory",
    PurePosixPath("core/providers/memory/persona_memory/persona_memory.py"),
    f"{_PACKAGE}.memory.PersonaMemoryProvider",
    later("长期记忆（日记）"),
)

RECOGNIZER = Door(
    "ASR",
    PurePosixPath("core/providers/asr/persona_funasr.py"),
    f"{_PACKAGE}.asr.PersonaFunAsr",
    "FunASR（xiaozhi-persona）",
    {
        "model_dir": "模型的文件夹，或模型库里的名字",
        "output_dir": "输出目录",
        "engine": "引擎（funasr_onnx、funasr、funasr_server）",
        "server_url": "FunASR 服务器的地址",
        "device": "在哪里算（auto、cpu、cuda:0、mps）",
        "language": "说的语言（auto、zh、en、yue、ja、ko）",
    },
    {"fun_local": "FunASR"},
)

TOOLS = Door(
    "plugin",
    PurePosixPath(f"plugins_func/functions/{TOOL_FILE}.py"),
    f"{_PACKAGE}.memory_tools.register_tools",
)

INTENT = Door(
    "Intent",
    PurePosixPath("core/providers/intent/persona_intent/persona_intent.py"),
    f"{_PACKAGE}.intent.PersonaIntentProvider",
    later("本地意图"),
)

ROLE = Door(
    "plugin",
    PurePosixPath(f"plugins_func/functions/{ROLE_TOOL_FILE}.py"),
    f"{_PACKAGE}.role_tool.register_role_tool",
)
"""It brings the local intents where the settings come from the console, which knows no kind of intent but its own."""

VOICES: Mapping[str, Door] = {door.type: door for door in (GPT_SOVITS_V1, GPT_SOVITS_V2, ANY_VOICE)}
"""The voices, by their types."""

DEFAULT_VOICE = GPT_SOVITS_V2
"""The one of who chooses none."""

DOORS = (*VOICES.values(), MEMORY, RECOGNIZER, TOOLS, INTENT, ROLE)
"""All of them."""
