"""The engines that the settings name, put together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from xiaozhi_persona.audio.opus import OpusEncoder
from xiaozhi_persona.bridge.mcp.own_servers import OwnServers
from xiaozhi_persona.bridge.mcp.server_files import own_servers
from xiaozhi_persona.bridge.wits.intents import Intents
from xiaozhi_persona.errors import PackageMissing, ServiceError
from xiaozhi_persona.language import tr
from xiaozhi_persona.memory.persona_memory import PersonaMemory
from xiaozhi_persona.providers.asr.engine import open_recognizer
from xiaozhi_persona.providers.asr.recognizer import Recognizer
from xiaozhi_persona.providers.embed.engine import open_embedder
from xiaozhi_persona.providers.llm.asked import asks
from xiaozhi_persona.providers.llm.offline import OfflineChatModel
from xiaozhi_persona.providers.llm.openai import OpenAiChatModel
from xiaozhi_persona.providers.llm.vision import VisionModel
from xiaozhi_persona.providers.speech.choices import EmotionChoices
from xiaozhi_persona.providers.tts.engine import open_synthesizer, takes_pace
from xiaozhi_persona.providers.tts.synthesizer import Synthesizer
from xiaozhi_persona.providers.vad.detector import VoiceActivityDetector, load_vad_model
from xiaozhi_persona.roles.casting import Casting
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.spine import ChatModel, Embedder, Memory, SpeechRecognizer, SpeechSynthesizer

log = logging.getLogger(__name__)

_SETTLE_S = 2.0
"""How long MCP servers that are slow to start are waited for, so that people see their tools in the table."""


@dataclass
class Parts:
    """What a conversation is made with. Shared by all devices."""

    casting: Casting
    choices: EmotionChoices
    vad: VoiceActivityDetector
    recognizer: SpeechRecognizer
    chat_model: ChatModel
    synthesizer: SpeechSynthesizer
    memory: Memory
    described: list[tuple[str, str, str]]
    """For people: each part, what it is now, and how an embedded one is replaced."""
    intents: Intents | None = None
    """What is carried out without the chat model; None for nothing."""
    servers: OwnServers = field(default_factory=OwnServers)
    """The owner's MCP servers."""
    vision: VisionModel | None = None
    voice_trouble: str = ""
    """Why the chosen voice cannot speak yet, "" when it can."""
    closers: list[Callable[[], Awaitable[None]]] = field(default_factory=list)

    async def aclose(self) -> None:
        """End threads and connections."""
        for close in reversed(self.closers):
            await close()


async def build_parts(settings: Settings) -> Parts:
    """Load every engine; models load in threads. Raises SettingsError or PackageMissing with the next step."""
    async with AsyncExitStack() as stack:  # when a part fails, those before it are closed
        casting = Casting(settings, takes_pace=takes_pace(settings))
        vision = VisionModel(settings.llm.vision) if settings.llm.vision.base_url else None
        if vision:
            stack.push_async_callback(vision.aclose)
        servers = await _own_servers(settings, vision)
        stack.push_async_callback(servers.aclose)
        synthesizer = open_synthesizer(settings)
        stack.push_async_callback(synthesizer.aclose)
        recognizer = open_recognizer(settings, casting.names())
        stack.push_async_callback(recognizer.aclose)
        vad_file = settings.path(settings.vad.model) if settings.vad.model else None
        vad_model = asyncio.create_task(asyncio.to_thread(load_vad_model, vad_file))
        ears = asyncio.create_task(_load(recognizer))
        voice = asyncio.create_task(_load_voice(synthesizer))
        loading = (
            vad_model,
            ears,
            asyncio.create_task(
                asyncio.to_thread(OpusEncoder)
            ),  # finding libopus takes a while, and may fail
            voice,
        )
        # Nothing loads any more when a failure closes the parts.
        await asyncio.gather(*loading, return_exceptions=True)
        for task in loading:
            await task
        vad = VoiceActivityDetector(vad_model.result())
        stack.push_async_callback(vad.aclose)
        embedder = open_embedder(settings.memory)
        memory = PersonaMemory(
            settings.memory,
            settings.memory_dir,
            role_of=lambda owner: (casting.role(owner.talks_at).name, casting.lore(owner.talks_at)),
            recent_turns=2 * settings.llm.history_turns,
            recent_chars=settings.llm.history_chars,
            on_forget=synthesizer.clear_cache,
            embedder=embedder,
        )
        stack.push_async_callback(memory.aclose)
        intents = await Intents.open(settings, casting)
        stack.push_async_callback(intents.aclose)
        chat_model: ChatModel
        if settings.llm.base_url:
            chat_model = online = OpenAiChatModel(settings.llm)
            stack.push_async_callback(online.aclose)
            memory.asks_model = asks(online)
        else:
            chat_model = OfflineChatModel()
        await servers.settle(_SETTLE_S)
        return Parts(
            casting=casting,
            choices=EmotionChoices(casting, settings),
            vad=vad,
            recognizer=recognizer,
            chat_model=chat_model,
            synthesizer=synthesizer,
            memory=memory,
            intents=intents,
            servers=servers,
            vision=vision,
            described=[
                *_describe(settings, vad.name, recognizer, ears.result(), synthesizer, embedder),
                *_describe_tools(servers, vision),
            ],
            voice_trouble=voice.result(),
            closers=[stack.pop_all().aclose],
        )


async def _own_servers(settings: Settings, vision: VisionModel | None) -> OwnServers:
    """Begin to connect to the owner's MCP servers. What is wrong in their file is told in the log."""
    found, troubles = await asyncio.to_thread(own_servers, settings)
    for trouble in troubles:
        log.error("%s", trouble)
    servers = OwnServers(found, settings.mcp.timeout_s, vision)
    servers.start()
    return servers


async def _load(recognizer: Recognizer) -> str:
    """Load the recognizer, and return what people are told behind its name.

    Without it the bridge starts all the same, and says at each turn that it has not heard. Raises SettingsError.
    """
    try:
        await recognizer.load()
    except (PackageMissing, ServiceError) as exc:
        log.error("%s", exc)
        return tr("：现在用不了，原因见日志")
    return ""


async def _load_voice(synthesizer: Synthesizer) -> str:
    """Load the synthesizer, and return why it cannot speak yet, "" when it can. Raises SettingsError, PackageMissing."""
    try:
        await synthesizer.load()
    except ServiceError as exc:
        return str(exc)
    return ""


def _describe(
    settings: Settings,
    vad: str,
    recognizer: Recognizer,
    trouble: str,
    synthesizer: Synthesizer,
    embedder: Embedder | None,
) -> list[tuple[str, str, str]]:
    own = tr("你设置的")
    return [
        (tr("端点检测"), vad, own if settings.vad.model else ""),
        (tr("语音识别"), recognizer.name + trouble, recognizer.advice or own),
        (
            (tr("对话模型"), settings.llm.model or settings.llm.base_url, own)
            if settings.llm.base_url
            else (
                tr("对话模型"),
                tr("自带的离线应答：只会简单的话"),
                tr("llm.base_url 设为 OpenAI 兼容接口的地址"),
            )
        ),
        (tr("语音合成"), synthesizer.name, synthesizer.advice or own),
        (
            tr("记忆"),
            tr("日记与事实（{memory_dir}）", memory_dir=settings.memory_dir)
            + (tr("，按意思找用 {name}", name=embedder.name) if embedder else ""),
            "",
        ),
        (tr("角色"), settings.role, tr("role 设为别的角色") if settings.role == "default" else own),
    ]


def _describe_tools(servers: OwnServers, vision: VisionModel | None) -> list[tuple[str, str, str]]:
    """Return the rows of what only those have who have set it."""
    rows = [(tr("看图"), vision.name, tr("你设置的"))] if vision else []
    for name, trouble, count in servers.states():
        found = trouble or tr("{count} 个工具", count=count)
        rows.append((tr("MCP 服务器 {name}", name=name), found, tr("你设置的")))
    return rows
