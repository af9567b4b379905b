"""A reply after an interruption, heard with one Opus decoder that is kept for the whole connection."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes.bridge import make_settings, running
from fakes.kept_decoder import RATE_HZ, cut_replies, longest_wrong_ms, spoken_replies
from fakes.parts import FakeChatModel, make_parts
from fakes.sovits_server import FakeSovits
from host_doors import host_with_doors
from hostkit import VERSIONS, Llm, ToolCall

from xiaozhi_persona.audio.opus import OpusDecoder, OpusEncoder, decoder_reset
from xiaozhi_persona.audio.wav import write_wav
from xiaozhi_persona.bridge.client.connection import DeviceConnection
from xiaozhi_persona.bridge.client.link import Received
from xiaozhi_persona.bridge.link import Link
from xiaozhi_persona.bridge.messages import Listen, Tts
from xiaozhi_persona.errors import ServiceUnavailable
from xiaozhi_persona.providers.host import reply as host_reply
from xiaozhi_persona.providers.speech.choices import EmotionChoices
from xiaozhi_persona.providers.speech.pipeline import SpeechPipeline
from xiaozhi_persona.roles.casting import Casting
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.spine import Clip, PcmChunk

LONG = "这是很长很长很长很长很长的一句话。" * 4


async def test_500_replies_after_a_cut_one_are_heard_as_they_were_sent() -> None:
    replies = await spoken_replies()
    plain = cut_replies(replies, [])
    assert sum(ms >= 20 for ms in plain) > 15 and max(plain) > 60  # the material shows what this is about
    assert max(cut_replies(replies, [decoder_reset()])) < 20


@pytest.mark.parametrize("frame_ms", [20, 60])
def test_the_reset_is_a_frame_like_all_others(frame_ms: int) -> None:
    heard = OpusDecoder(RATE_HZ).decode(decoder_reset(frame_ms))
    assert len(heard) == RATE_HZ * frame_ms // 1000 and not np.any(heard)
    assert decoder_reset(frame_ms)[0] >> 3 >= 16  # CELT only (RFC 6716, section 3.1)


def test_no_stream_of_ours_is_one_that_the_reset_cannot_clear() -> None:
    t = np.arange(RATE_HZ * 2) / RATE_HZ
    for sound in (np.sin(t * 2000), sum(np.sin(t * hz * 6.28) / 4 for hz in (262, 330, 392, 5000))):
        encoder = OpusEncoder(RATE_HZ)
        frames = (sound * 9000).astype(np.int16)[: 1440 * 33].reshape(-1, 1440)
        assert all(encoder.encode(frame)[0] >> 3 < 16 for frame in frames)  # SILK or hybrid, even if it sings


class Voice:
    """A tone of 60 ms for each character. 断 breaks off there; a text ends in a pause unless it ends with 急."""

    async def synthesize(self, text: str, clip: Clip) -> AsyncGenerator[PcmChunk, None]:
        said, broken, _ = text.partition("断")
        tone = np.sin(np.arange(RATE_HZ * 60 * len(said) // 1000) * 2 * np.pi * 300 / RATE_HZ)
        yield PcmChunk((tone * 9000).astype(np.int16), RATE_HZ)
        if broken:
            raise ServiceUnavailable("合成坏了")
        if "急" not in text:
            yield PcmChunk(np.zeros(RATE_HZ * 60 // 1000, np.int16), RATE_HZ)


def replies_of(device: DeviceConnection) -> list[list[Received]]:
    """The packets of each reply, whole frames."""
    replies: list[list[Received]] = []
    for received in list(device.received):
        if isinstance(received.content, bytes):
            replies[-1].append(received)
        elif received.content == Tts("start"):
            replies.append([])
    return replies


def heard_wrong_ms(first: list[bytes], second: list[bytes]) -> float:
    """How long the second reply is wrong for a decoder that has heard the first."""
    kept, fresh = OpusDecoder(RATE_HZ), OpusDecoder(RATE_HZ)
    for packet in first:
        kept.decode(packet)
    heard = np.concatenate([kept.decode(packet) for packet in second])
    return longest_wrong_ms(heard, np.concatenate([fresh.decode(packet) for packet in second]))


async def _speaks(device: DeviceConnection) -> None:
    await device.until(lambda: any(len(reply) > 6 for reply in replies_of(device)[-1:]))


async def _abort(device: DeviceConnection) -> None:
    await _speaks(device)
    device.abort()
    await device.until(lambda: device.state == "listening")


async def _hear_out(device: DeviceConnection) -> None:
    await device.reply(10)


@pytest.mark.parametrize(
    ("reply", "ends", "where"),
    [
        (LONG, _abort, "before the next"),
        (LONG, _speaks, "before the next"),
        ("好的断了。", _hear_out, "at its end"),
        ("好的急。", _hear_out, "at its end"),
        ("好的。", _hear_out, "nowhere"),
    ],
    ids=["abort", "new question", "synthesis breaks off", "ends without a pause", "whole"],
)
async def test_between_two_replies_is_a_reset_unless_the_first_ended_in_silence(
    reply: str,
    ends: Callable[[DeviceConnection], Awaitable[None]],
    where: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent_at_s: list[float] = []
    starts: list[int] = []  # which packets are the first of a reply
    send_packet = Link.send_packet

    async def noted(link: Link, packet: bytes, timestamp_ms: int) -> None:
        if timestamp_ms == 0:
            starts.append(len(sent_at_s))
        sent_at_s.append(time.monotonic())
        await send_packet(link, packet, timestamp_ms)

    monkeypatch.setattr(Link, "send_packet", noted)
    parts = make_parts(FakeChatModel(reply), synthesizer=Voice())
    settings = make_settings(lead_packets=1)
    async with running(parts, settings) as rig, rig.device(version=2) as device:
        device.type_text("讲")
        await ends(device)
        device.send(Listen("detect", text="再讲"))
        await device.until(lambda: len(replies_of(device)) == 2)
        await device.until(lambda: len(replies_of(device)[1]) > 2)
        first, second = replies_of(device)
    assert first[0].content != decoder_reset()
    assert (second[0].content == decoder_reset()) == (where == "before the next")
    assert (first[-1].content == decoder_reset()) == (where == "at its end")
    resets = [received.content for received in first + second].count(decoder_reset())
    assert resets == (where != "nowhere") + (second[-1].content == decoder_reset() and len(second) > 1)
    timestamps = [struct.unpack_from(">I", received.frame, 8)[0] for received in second]
    assert timestamps == [60 * i for i in range(len(second))]
    begin = sent_at_s[starts[1] :]
    assert begin[2] - begin[0] > 0.1  # it is paced as sound: two frames, at most a tenth faster
    assert heard_wrong_ms([r.content for r in first], [r.content for r in second]) < 20


async def test_a_turn_without_sound_cuts_nothing_and_mends_nothing() -> None:
    waiting = asyncio.Event()
    chat = FakeChatModel("好的。")
    async with running(make_parts(chat, synthesizer=Voice())) as rig, rig.device() as device:
        for chunks, ends in [(["好的。"], _hear_out), ([waiting], None), ([LONG], _abort), ([waiting], None)]:
            chat.chunks = tuple(chunks)
            device.type_text("讲")
            if ends:
                await ends(device)
            else:
                await device.until(lambda: device.state == "speaking")
                device.abort()
                await device.until(lambda: device.state == "listening")
        chat.chunks = ("好的。",)
        device.type_text("讲")
        await device.reply(10)
        begins = [reply[0].content == decoder_reset() if reply else None for reply in replies_of(device)]
    assert begins == [False, None, False, None, True]


# In the host


def section(sovits: FakeSovits) -> dict[str, Any]:
    return {
        "type": "gpt_sovits_v2_stream",
        "url": f"{sovits.url}/tts",
        "ref_audio_path": "/refs/own.wav",
        "prompt_text": "我自己的声音。",
        "prompt_lang": "zh",
    }


class Output:
    """Takes a reply; `over` is set by the test, or by the first packet, or by what comes last."""

    def __init__(self, over_at: str = "") -> None:
        self.packets: list[bytes] = []
        self.over, self.over_at = False, over_at

    def is_over(self) -> bool:
        return self.over

    def packet(self, packet: bytes) -> None:
        self.packets.append(packet)
        self.over = self.over or self.over_at == "packet"

    def last(self) -> None:
        self.over = self.over_at == "last"

    def sentence(self, subtitle: str) -> None: ...

    def face(self, face: str) -> None: ...


@pytest.mark.parametrize("after_cut", [True, False])
@pytest.mark.parametrize(
    ("text", "over_at", "leaves_quiet"),
    [
        ("好。", "", True),
        ("好急。", "", True),
        ("好。", "packet", False),
        ("好。", "last", False),
        ("", "", None),
    ],
    ids=["whole", "ends without a pause", "cut", "cut while it plays out", "without sound"],
)
async def test_in_the_host_a_reply_knows_how_it_leaves_the_decoder(
    after_cut: bool, text: str, over_at: str, leaves_quiet: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_reply, "_STOP_MARGIN_S", 0.05)
    output = Output(over_at)
    choice = EmotionChoices(Casting(Settings()), Settings()).of("a device")
    reply = host_reply.Reply(
        asyncio.get_running_loop(),
        lambda: SpeechPipeline(Voice(), choice, timeout_s=5),
        output,
        after_cut=after_cut,
        speech_timeout_s=10,
    )
    reply.feed(text)
    reply.finish(ends_turn=True, may_be_silent=True)
    await asyncio.sleep(0)
    assert reply._task is not None
    await asyncio.wait_for(reply._task, 10)
    assert (output.packets[:1] == [decoder_reset()]) == (after_cut and bool(text))
    assert (output.packets[-1:] == [decoder_reset()]) == ("急" in text)
    assert reply.leaves_quiet == (not after_cut if leaves_quiet is None else leaves_quiet)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("with_abort", [True, False])
async def test_in_the_host_too(version: str, with_abort: bool, tmp_path: Path) -> None:
    llm = Llm(next=["第一个回答很长很长，要说好一会儿。" * 6], reply="第二个回答。")
    async with (
        FakeSovits(rtf=0.5) as sovits,
        host_with_doors(version, tmp_path, tts=section(sovits), llm=llm) as server,
        server.connect() as device,
    ):
        first = await device.ask("说个长的")
        await first.until(lambda: len(first.packets) > 8)
        if with_abort:
            await device.abort()
            await first.finished()
        second = await device.say("换一个")
    assert first.packets[0] != decoder_reset()
    if with_abort:
        assert second.packets[0] == decoder_reset()
    assert second.packets.count(decoder_reset()) == 1
    assert heard_wrong_ms(first.packets, second.packets) < 20


@pytest.mark.parametrize("version", VERSIONS)
async def test_in_the_host_each_file_is_a_stream_of_its_own(version: str, tmp_path: Path) -> None:
    plugin = """
from core.providers.tts.dto.dto import ContentType, SentenceType, TTSMessageDTO
from plugins_func.register import Action, ActionResponse, ToolType, register_function

SING = {"type": "function", "function": {"name": "sing", "description": "sings", "parameters": {
    "type": "object", "properties": {}, "required": []}}}


@register_function("sing", SING, ToolType.SYSTEM_CTL)
def sing(conn):
    for _ in range(2):
        conn.tts.tts_text_queue.put(TTSMessageDTO(
            conn.sentence_id, SentenceType.MIDDLE, ContentType.FILE, content_file="data/song.wav"))
    return ActionResponse(Action.RESPONSE, response="唱完了。")
"""
    config = {
        "selected_module": {"Intent": "function_call"},
        "Intent": {"function_call": {"type": "function_call", "functions": ["sing"]}},
    }

    def prepare(server: Path) -> None:
        tone = np.sin(np.arange(RATE_HZ * 6 // 10) / 9) * 9000
        write_wav(server / "data/song.wav", tone.astype(np.int16), RATE_HZ)

    async with (
        FakeSovits() as sovits,
        host_with_doors(
            version,
            tmp_path,
            tts=section(sovits),
            llm=Llm(next=[[ToolCall("sing", {})]], reply="好的。"),
            config=config,
            files={"plugins_func/functions/sing_plugin.py": plugin},
            prepare=prepare,
        ) as server,
        server.connect() as device,
    ):
        reply = await device.say("唱歌")
    resets = [i for i, packet in enumerate(reply.packets) if packet == decoder_reset()]
    assert resets == [0, 11, 22]  # before each file, and before what is said after them
    for start, end in ((1, 11), (12, 22)):
        assert heard_wrong_ms([decoder_reset()], reply.packets[start:end]) < 20
    assert reply.packets[1:11] == reply.packets[12:22]  # the encoder begins anew as well
