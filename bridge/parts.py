"""The engines that the settings name, put together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from xiaozhi_persona.memory.recent import RecentMemory
from xiaozhi_persona.providers.asr.sensevoice import TINY_MODEL, SenseVoiceRecognizer
from xiaozhi_persona.providers.llm.offline import OfflineChatModel
from xiaozhi_persona.providers.llm.openai import OpenAiChatModel
from xiaozhi_persona.providers.tts.espeak import EspeakSynthesizer
from xiaozhi_persona.providers.vad.detector import VoiceActivityDetector, load_vad_model
from xiaozhi_persona.roles.role import Role, load_role
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.spine import ChatModel, Memory, SpeechRecognizer, SpeechSynthesizer


@dataclass
class Parts:
    """What a conversation is made with. Shared by all devices."""

    role: Role
    vad: VoiceActivityDetector
    recognizer: SpeechRecognizer
    chat_model: ChatModel
    synthesizer: SpeechSynthesizer
    memory: Memory
    embedded: dict[str, str] = field(default_factory=dict)
    """Which parts are the embedded ones, and what takes their place: {part: setting}."""
    closers: list[Callable[[], Awaitable[None]]] = field(default_factory=list)

    async def aclose(self) -> None:
        """End threads and connections."""
        for close in reversed(self.closers):
            await close()


async def build_parts(settings: Settings) -> Parts:
    """Load every engine; models load in threads. Raises SettingsError or PackageMissing with the next step."""
    role = load_role(settings.role)
    own_model = settings.asr.model
    recognizer = SenseVoiceRecognizer(settings.asr, settings.path(own_model) if own_model else TINY_MODEL)
    vad_file = settings.path(settings.vad.model) if settings.vad.model else None
    vad_model, _ = await asyncio.gather(asyncio.to_thread(load_vad_model, vad_file), recognizer.load())
    vad = VoiceActivityDetector(vad_model)
    embedded = {"语音合成 eSpeak NG": "", "记忆（最近几轮）": ""}
    if not own_model:
        embedded["语音识别 自带小模型，只认识演示的句子"] = "asr.model"
    closers: list[Callable[[], Awaitable[None]]] = [recognizer.aclose, vad.aclose]
    chat_model: ChatModel
    if settings.llm.base_url:
        chat_model = online = OpenAiChatModel(settings.llm)
        closers.append(online.aclose)
    else:
        chat_model = OfflineChatModel()
        embedded["对话模型 离线应答"] = "llm.base_url"
    return Parts(
        role=role,
        vad=vad,
        recognizer=recognizer,
        chat_model=chat_model,
        synthesizer=EspeakSynthesizer(settings.tts),
        memory=RecentMemory(max_turns=2 * settings.llm.history_turns),
        embedded=embedded,
        closers=closers,
    )
