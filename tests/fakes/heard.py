"""A spoken turn through the whole bridge with its real parts, for each kind of recognizer."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from fakes.bridge import messages, running
from fakes.parts import FakeChatModel

from xiaozhi_persona.audio.wav import read_wav
from xiaozhi_persona.bridge.messages import ListenMode, Stt, Tts
from xiaozhi_persona.bridge.parts import Parts, build_parts
from xiaozhi_persona.settings import Settings

SPEECH = Path(__file__).parents[1] / "data" / "speech"
TEXTS: dict[str, str] = json.loads((SPEECH / "texts.json").read_text(encoding="utf-8"))


def settings_with(folder: Path, **asr: Any) -> Settings:
    session = {"start_gap_ms": 0, "stop_margin_ms": 0}
    phrases = {"not_understood": "没听清。"}
    settings = {"asr": asr, "bridge": {"host": "127.0.0.1"}, "session": session, "phrases": phrases}
    return Settings.model_validate(settings).at(folder)


async def hear(settings: Settings, mode: ListenMode = "auto", name: str = "speech1.wav") -> tuple[str, str]:
    """Return what the bridge heard of a recording that a device plays to it, and what it said."""
    async with running(await parts_of(settings), settings) as rig, rig.device(mode) as device:
        return await turn(device, name)


async def hear_two(settings: Settings) -> list[str]:
    """Return what the bridge heard of two devices that play speech1.wav and speech2.wav to it at once."""
    async with (
        running(await parts_of(settings), settings) as rig,
        rig.device(device_id="a") as one,
        rig.device(device_id="b") as other,
    ):
        turns = await asyncio.gather(turn(one, "speech1.wav"), turn(other, "speech2.wav"))
    return [heard for heard, _ in turns]


async def parts_of(settings: Settings) -> Parts:
    """Build the real parts, with a chat model that is brief: what it says is played in real time."""
    parts = await build_parts(settings)
    parts.chat_model = FakeChatModel("好。")
    return parts


async def turn(device: Any, name: str) -> tuple[str, str]:
    await device.say(read_wav(SPEECH / name, 16000))
    await device.reply(20)
    heard = [message.text for message in messages(device) if isinstance(message, Stt)]
    said = [message.text for message in messages(device) if isinstance(message, Tts) and message.text]
    return "".join(heard), "".join(said)
