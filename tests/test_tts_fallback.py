from __future__ import annotations

import logging
from collections.abc import AsyncGenerator

import numpy as np
import pytest
from fakes.sovits_client import CALM, clip, say, synthesizer_at
from fakes.sovits_server import FakeSovits, Fault, pitch_of

from xiaozhi_persona.errors import ServiceBroken
from xiaozhi_persona.providers.tts.fallback import FallbackSynthesizer
from xiaozhi_persona.spine import Clip, PcmChunk, Voice


class Robot:
    """Notes what it was asked to say, and whether its iterator was closed."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.closed = 0

    async def synthesize(self, text: str, clip: Clip) -> AsyncGenerator[PcmChunk, None]:
        self.said.append(text)
        try:
            for _ in range(3):
                yield PcmChunk(np.ones(2400, np.int16), 24000)
        finally:
            self.closed += 1


async def test_the_first_voice_speaks_while_it_can() -> None:
    robot = Robot()
    async with FakeSovits() as server, synthesizer_at(server) as voice:
        assert (await say(FallbackSynthesizer(voice, robot))).pitch_hz == pitch_of(CALM)
    assert not robot.said


@pytest.mark.parametrize("fault", ["refuse", "hang", "engine", "cut_off_empty", "reset"])
async def test_the_second_voice_speaks_when_the_first_fails(
    fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    robot = Robot()
    with caplog.at_level(logging.WARNING, "xiaozhi_persona"):
        async with (
            FakeSovits(fault=fault) as server,
            synthesizer_at(server, first_audio_timeout_s=0.5) as voice,
        ):
            spoken = await say(FallbackSynthesizer(voice, robot), "一句秘密的话。")
    assert spoken.error is None and spoken.seconds == pytest.approx(0.3)
    assert robot.said == ["一句秘密的话。"]
    (line,) = [message for message in caplog.messages if "gpt_sovits.gpt_weights" not in message]
    assert "GPT-SoVITS" in line and "秘密" not in caplog.text


async def test_wrong_parameters_of_a_role_do_not_make_it_mute() -> None:
    robot = Robot()
    async with FakeSovits() as server, synthesizer_at(server) as voice:
        how = Clip(voice=Voice(parameters={"nonsense": 1}))
        assert (await say(FallbackSynthesizer(voice, robot), how=how)).error is None
    assert robot.said


async def test_a_failure_after_the_first_sound_goes_on() -> None:
    robot = Robot()
    async with FakeSovits(fault="cut_off") as server, synthesizer_at(server) as voice:
        spoken = await say(FallbackSynthesizer(voice, robot))
    assert isinstance(spoken.error, ServiceBroken) and spoken.chunks and not robot.said


async def test_closing_closes_whichever_speaks() -> None:
    robot = Robot()
    async with FakeSovits(fault="refuse") as server, synthesizer_at(server) as voice:
        sound = FallbackSynthesizer(voice, robot).synthesize("你好。", clip())
        await anext(sound)
        await sound.aclose()
        assert robot.closed == 1
        server.fault = "hang_midway"
        sound = FallbackSynthesizer(voice, robot).synthesize("今天天气真好。", clip())
        await anext(sound)
        await sound.aclose()
        await server.disconnected.wait()
