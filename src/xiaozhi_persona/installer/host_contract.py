"""What the doors need of the host's own classes, checked in its sources without importing them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import tr


@dataclass(frozen=True)
class Base:
    """A class of the host, and what of it is used."""

    file: str
    name: str
    methods: dict[str, int] = field(default_factory=dict)
    """Name of each method that is called or overridden, with how many values it is given by position."""
    attributes: tuple[str, ...] = ()
    """Names that the class, or a method of it through `self`, assigns."""


BASES = (
    Base(
        "core/providers/tts/base.py",
        "TTSProviderBase",
        {
            "__init__": 2,  # config, delete_audio_file
            "open_audio_channels": 1,  # conn
            "tts_text_priority_thread": 0,
            "_audio_play_priority_thread": 0,
            "to_tts": 1,  # text
            "to_tts_stream": 1,  # text
            "text_to_speak": 2,  # text, output_file
            "handle_opus": 1,  # opus_data
            "generate_filename": 0,
            "_process_audio_file_stream": 2,  # tts_file, callback
            "close": 0,
        },
        ("conn", "tts_text_queue", "tts_audio_queue", "tts_audio_first_sentence", "opus_encoder"),
    ),
    Base("core/providers/tts/dto/dto.py", "SentenceType", attributes=("FIRST", "MIDDLE", "LAST")),
    Base("core/providers/tts/dto/dto.py", "ContentType", attributes=("TEXT", "FILE", "ACTION")),
    Base("core/providers/tts/dto/dto.py", "InterfaceType", attributes=("SINGLE_STREAM",)),
    Base("core/utils/opus_encoder_utils.py", "OpusEncoderUtils", {"reset_state": 0}),
    Base(
        "core/connection.py",
        "ConnectionHandler",
        {"chat": 1, "close": 0, "clear_queues": 0, "change_system_prompt": 1},  # query; prompt
        (
            *("sentence_id", "client_abort", "stop_event", "sample_rate", "loop", "websocket", "features"),
            *("config", "memory", "dialogue", "tts", "prompt_manager", "func_handler", "executor"),
            *("intent_type", "close_after_chat", "client_is_speaking"),
        ),
    ),
    Base("core/providers/intent/base.py", "IntentProviderBase", {"__init__": 1, "detect_intent": 3}),
    Base(
        "core/utils/prompt_manager.py",
        "PromptManager",
        {
            "update_context_info": 2,
            "build_enhanced_prompt": 3,
        },  # conn, client_ip; prompt, device_id, client_ip
    ),
    Base(
        "core/providers/tools/unified_tool_handler.py",
        "UnifiedToolHandler",
        {"get_functions": 0},
        ("tool_manager",),
    ),
    Base(
        "core/providers/tools/unified_tool_manager.py",
        "ToolManager",
        {"get_all_tools": 0, "has_tool": 1, "execute_tool": 2, "refresh_tools": 0},
    ),
    Base(
        "core/providers/memory/base.py",
        "MemoryProviderBase",
        {
            "__init__": 1,  # config
            "init_memory": 2,  # role_id, llm
            "query_memory": 1,  # query
            "save_memory": 1,  # msgs
        },
    ),
    Base(
        "core/providers/asr/base.py",
        "ASRProviderBase",
        {
            "__init__": 0,
            "speech_to_text": 2,  # packets, session_id
            "save_audio_to_file": 2,  # pcm_data, session_id
        },
    ),
    Base("core/providers/asr/dto/dto.py", "InterfaceType", attributes=("LOCAL",)),
    Base("core/utils/dialogue.py", "Dialogue", {"put": 1}),  # message
    Base("core/utils/dialogue.py", "Message", attributes=("role", "content")),
    Base("plugins_func/register.py", "ToolType", attributes=("SYSTEM_CTL",)),
    Base("plugins_func/register.py", "Action", attributes=("RESPONSE", "REQLLM", "ERROR", "NOTFOUND")),
    Base("plugins_func/register.py", "ActionResponse", {"__init__": 3}),  # action, result, response
)

_DECODER = Base("core/providers/asr/base.py", "ASRProviderBase", {"decode_opus": 1})  # opus_data
"""What is needed besides where a recognizer is given Opus packets (before 0.9.6)."""

SEND_AUDIO = ("core/handle/sendAudioHandle.py", "sendAudioMessage")
"""The function that takes the audio tuples: conn, sentence type, audio, text, and from 0.9.3 on the sentence id."""

FUNCTIONS = {
    SEND_AUDIO: 4,
    ("core/handle/sendAudioHandle.py", "send_stt_message"): 2,  # conn, text
    ("core/handle/sendAudioHandle.py", "send_tts_message"): 2,  # conn, state
    ("core/handle/abortHandle.py", "handleAbortMessage"): 1,  # conn
    ("core/handle/intentHandler.py", "handle_user_intent"): 2,  # conn, text
    ("core/utils/util.py", "remove_punctuation_and_length"): 1,  # text
    ("plugins_func/register.py", "register_function"): 3,  # name, desc, type
}
"""The functions that are used, with how many values they are given by position."""


def missing_in(server: Path) -> Iterator[str]:
    """Yield, in Chinese, what the host in the folder `server` lacks of what the doors need."""
    for base in (*BASES, _DECODER) if _gives_opus(server) else BASES:
        place = tr("{file} 的 {name}", file=base.file, name=base.name)
        tree = parse(server / base.file)
        found = next((node for node in ast.walk(tree) if _is_class(node, base.name)), None)
        if not isinstance(found, ast.ClassDef):
            yield tr("没有 {place}", place=place)
            continue
        methods = {
            node.name: node
            for node in found.body
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        }
        for name, given in base.methods.items():
            if name not in methods:
                yield tr("{place} 没有 {name}()", place=place, name=name)
            elif not _takes(methods[name].args, given + (not _is_static(methods[name]))):
                yield tr("{place} 的 {name}() 不再收 {given} 个位置参数", place=place, name=name, given=given)
        assigned = set(_assigned(found))
        for name in base.attributes:
            if name not in assigned:
                yield tr("{place} 没有 {name}", place=place, name=name)
    for file, name in FUNCTIONS:
        if _function(server, file, name) is None:
            yield tr("{file} 没有 {name}()", file=file, name=name)


def takes_sentence_id(server: Path) -> bool:
    """Whether audio tuples may carry the id of their turn as a fourth member (from 0.9.3 on)."""
    function = _function(server, *SEND_AUDIO)
    return function is not None and "sentence_id" in [argument.arg for argument in function.args.args]


def parse(file: Path) -> ast.Module:
    """Return the tree of a Python file; an empty one when there is no such file. Raises SettingsError."""
    try:
        return ast.parse(file.read_bytes())
    except FileNotFoundError:
        return ast.Module([], [])
    except (OSError, SyntaxError, ValueError) as exc:
        raise SettingsError(
            tr("读不懂 {file}（{exc}）。请重新下载这个文件，再运行一次。", file=file, exc=exc)
        ) from exc


def _gives_opus(server: Path) -> bool:
    """Whether the recognizer is told the form of its sound, which then may be Opus packets."""
    return any(
        isinstance(node, ast.AsyncFunctionDef)
        and node.name == "speech_to_text"
        and "audio_format" in [argument.arg for argument in node.args.args]
        for node in ast.walk(parse(server / _DECODER.file))
    )


def _is_static(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(isinstance(name, ast.Name) and name.id == "staticmethod" for name in node.decorator_list)


def _function(server: Path, file: str, name: str) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    for node in parse(server / file).body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == name:
            return node if _takes(node.args, FUNCTIONS[file, name]) else None
    return None


def _is_class(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.ClassDef) and node.name == name


def _takes(arguments: ast.arguments, given: int) -> bool:
    """Whether a call with `given` values by position, and nothing else, fits."""
    positional = len(arguments.posonlyargs) + len(arguments.args)
    required = positional - len(arguments.defaults)
    keywords_needed = any(default is None for default in arguments.kw_defaults)
    return required <= given and (given <= positional or arguments.vararg is not None) and not keywords_needed


def _assigned(node: ast.ClassDef) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Attribute) and isinstance(inner.ctx, ast.Store):
            if isinstance(inner.value, ast.Name) and inner.value.id == "self":
                yield inner.attr
        elif isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
            yield inner.id
