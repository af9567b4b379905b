"""The client against a scripted server: hello, turns in each mode, timelines, recordings, and what goes wrong."""

from __future__ import annotations

import asyncio
import socket
import uuid
from pathlib import Path

import numpy as np
import pytest
from fakes.xiaozhi_server import HELLO, FakeXiaozhi, Session, pitch_hz, tone

from xiaozhi_persona.audio.wav import read_wav, write_wav
from xiaozhi_persona.bridge.client.connection import DeviceConnection
from xiaozhi_persona.bridge.client.device import WAKE_WORD
from xiaozhi_persona.bridge.client.identity import kept_client_id, machine_id
from xiaozhi_persona.bridge.client.sound import PacketPlayer, WavSpeaker, is_speech
from xiaozhi_persona.bridge.client.talk import TalkOptions, talk
from xiaozhi_persona.bridge.client.timeline import Timeline
from xiaozhi_persona.bridge.messages import Hello, Stt, Tts
from xiaozhi_persona.errors import (
    ServiceBroken,
    ServiceTimeout,
    ServiceUnavailable,
    SettingsError,
)

SPEECH = tone(0.18)
SILENCE = np.zeros(4800, np.int16)
UTTERANCE = np.concatenate((SPEECH, SILENCE))


def ignore(_: Timeline) -> None:
    pass


@pytest.fixture
def wav(tmp_path) -> Path:
    path = tmp_path / "question.wav"
    write_wav(path, UTTERANCE, 16000)
    return path


# A turn, in each mode.


async def test_a_spoken_turn(wav, tmp_path):
    async def script(session: Session) -> None:
        await session.turn()
        await session.answer("你好", [("happy", "你好呀。"), ("sad", "再见。")])

    turns: list[Timeline] = []
    async with FakeXiaozhi(script) as server:
        returned = await talk(TalkOptions(server.url, wavs=(wav,), save=tmp_path / "reply.wav"), turns.append)
    (turn,) = turns
    assert returned == turns
    assert (turn.asked, turn.typed, turn.heard) == ("question.wav", False, "你好")
    assert [(s.emotion, s.text) for s in turn.sentences] == [("happy", "你好呀。"), ("sad", "再见。")]
    assert turn.stt_ms <= turn.tts_start_ms <= turn.sentences[0].at_ms <= turn.first_audio_ms
    assert turn.playback_end_ms - turn.first_audio_ms == pytest.approx(360, abs=1)
    assert turn.tts_stop_ms > turn.first_audio_ms
    assert (turn.gaps, turn.gaps_ms, turn.dropped) == (0, 0, 0)
    # The server waits for two frames of silence: a multiple of 60 ms counted from the end of the speech, not of the file.
    assert 100 < turn.stt_ms < 280
    reply = read_wav(tmp_path / "reply.wav", 24000)
    assert len(reply) == 0.36 * 24000
    assert pitch_hz(reply, 24000) == pytest.approx(500, abs=5)


async def test_the_server_hears_the_recording(wav):
    heard: list[np.ndarray] = []

    async def script(session: Session) -> None:
        await session.turn()
        heard.append(session.heard_last)
        await session.answer()

    async with FakeXiaozhi(script) as server:
        await talk(TalkOptions(server.url, wavs=(wav,)), ignore)
    assert pitch_hz(heard[0][: len(SPEECH)], 16000) == pytest.approx(500, abs=6)


async def test_frames_go_out_in_real_time():
    async with FakeXiaozhi() as server, DeviceConnection.open(server.url) as device:
        await device.say(tone(0.6))
        await device.reply()
        at = server.session.at[:10]
    assert at[-1] - at[0] == pytest.approx(9 * 0.06, abs=0.04)


async def test_auto_closes_the_microphone_while_speaking_and_listens_anew(wav):
    async with FakeXiaozhi() as server, DeviceConnection.open(server.url) as device:
        await device.say(SPEECH)
        await device.until(lambda: device.state == "speaking")
        before = len(server.session.packets)
        await device.reply()
        await server.session.until(lambda: server.session.events.count("listen start") == 2)
        session = server.session
    assert session.events[:2] == ["hello", "listen start"]
    assert session.messages[1]["mode"] == "auto"
    assert session.messages[1]["session_id"] == "s-1"
    assert len(session.packets) <= before + 1  # one may have been under way
    assert session.events[-1] == "listen start"
    assert len(session.packets) >= 5  # silence follows the file until the server answers


async def test_manual_sends_listen_stop_behind_the_file(wav):
    async with FakeXiaozhi() as server:
        (turn,) = await talk(TalkOptions(server.url, wavs=(wav,), mode="manual"), ignore)
        session = server.session
    assert turn.heard == "你好"
    assert session.events == ["hello", "listen start", *["audio"] * 8, "listen stop"]
    assert session.messages[1]["mode"] == "manual"


async def test_realtime_keeps_the_microphone_open(wav):
    async with FakeXiaozhi() as server:
        async with DeviceConnection.open(server.url, mode="realtime") as device:
            await device.say(SPEECH)
            await device.until(lambda: device.state == "speaking")
            before = len(server.session.packets)
            await device.reply()
            assert len(server.session.packets) >= before + 2
            before = len(server.session.packets)
            await server.session.until(lambda: len(server.session.packets) > before)
        assert server.session.events.count("listen start") == 1


async def test_typed_text(wav):
    async with FakeXiaozhi() as server:
        (turn,) = await talk(TalkOptions(server.url, texts=("今天天气怎么样",)), ignore)
        session = server.session
    assert (turn.asked, turn.typed, turn.heard) == ("今天天气怎么样", True, "今天天气怎么样")
    assert 0 <= turn.stt_ms < 1000
    assert session.events[:3] == ["hello", "listen start", "listen detect"]
    assert session.packets == []


async def test_turns_share_the_connection_and_are_saved_in_order(wav, tmp_path):
    turns: list[str] = []
    save = tmp_path / "out" / "reply.wav"
    async with FakeXiaozhi() as server:
        options = TalkOptions(server.url, wavs=(wav, wav), texts=("一", "二"), save=save)
        await talk(options, lambda turn: turns.append(turn.asked))
        assert len(server.sessions) == 1
    assert turns == ["question.wav", "question.wav", "一", "二"]
    assert len(read_wav(save, 24000)) == 4 * 0.18 * 24000


@pytest.mark.parametrize("version", [1, 2, 3])
async def test_binary_versions(wav, version):
    async with FakeXiaozhi() as server:
        (turn,) = await talk(TalkOptions(server.url, wavs=(wav,), binary_version=version), ignore)
        assert server.session.version == version
        assert server.session.messages[0]["version"] == version
    assert turn.playback_end_ms - turn.first_audio_ms == pytest.approx(180, abs=1)


async def test_the_hello_and_the_headers_are_the_firmwares_but_for_a_feature_of_ours():
    async with FakeXiaozhi() as server:
        options = TalkOptions(server.url, texts=("你好",), device_id="aa:bb:cc:dd:ee:ff", token="secret")
        await talk(options, ignore)
        request, hello = server.session.websocket.request, server.session.messages[0]
    assert hello == {
        "type": "hello",
        "version": 1,
        "transport": "websocket",
        "features": {"mcp": True, "no_words": True},
        "audio_params": {"format": "opus", "sample_rate": 16000, "channels": 1, "frame_duration": 60},
    }
    headers = request.headers
    assert headers["Device-Id"] == "aa:bb:cc:dd:ee:ff"
    assert headers["Authorization"] == "Bearer secret"
    assert headers["Protocol-Version"] == "1"
    assert len(headers["Client-Id"]) == 36
    assert "Sec-WebSocket-Extensions" not in headers
    assert "User-Agent" not in headers


def test_the_device_id_stays_the_same():
    assert machine_id() == machine_id()
    assert len(machine_id().split(":")) == 6


# What is heard.


async def test_a_gap_is_reported_and_recorded_as_silence():
    async def script(session: Session) -> None:
        await session.turn()
        await session.send("tts", state="start")
        await session.send_audio(tone(0.12, 24000))
        await asyncio.sleep(0.3)
        await session.send_audio(tone(0.12, 24000))
        await session.send("tts", state="stop")

    speaker = WavSpeaker()
    async with (
        FakeXiaozhi(script) as server,
        DeviceConnection.open(server.url, player=PacketPlayer(speaker)) as device,
    ):
        device.type_text("你好")
        turn = await device.reply()
    assert turn.gaps == 1
    assert turn.gaps_ms == pytest.approx(180, abs=60)
    gap = round(turn.gaps_ms * 24)
    recorded = speaker.recorded()
    assert len(recorded) == pytest.approx(0.24 * 24000 + gap, abs=2)
    assert not recorded[2880 : 2880 + gap].any()
    assert is_speech(recorded[2880 + gap :])


async def test_packets_are_lost_when_the_queue_is_full_or_the_device_does_not_speak():
    async def script(session: Session) -> None:
        await session.turn()
        await session.send_audio(tone(0.06, 24000))
        await session.send("tts", state="start")
        await session.send_audio(tone(0.46, 24000), frame_ms=10)
        await session.send("tts", state="stop")
        await session.send_audio(tone(0.12, 24000))

    async with FakeXiaozhi(script) as server, DeviceConnection.open(server.url) as device:
        device.type_text("你好")
        turn = await device.reply()
    assert 0 < turn.dropped_full <= 6
    assert turn.dropped_not_speaking == 3
    assert turn.playback_end_ms - turn.first_audio_ms == pytest.approx((46 - turn.dropped_full) * 10, abs=1)


async def test_the_reply_ends_when_the_queue_has_been_played():
    async def script(session: Session) -> None:
        await session.turn()
        await session.send("tts", state="start")
        await session.send_audio(tone(0.3, 24000))
        await session.send("tts", state="stop")

    async with FakeXiaozhi(script) as server, DeviceConnection.open(server.url) as device:
        device.type_text("你好")
        turn = await device.reply()
        assert device.state == "listening"
    assert turn.playback_end_ms > turn.tts_stop_ms
    assert turn.playback_end_ms - turn.first_audio_ms == pytest.approx(300, abs=1)


async def test_a_reply_without_sound():
    async def script(session: Session) -> None:
        await session.turn()
        await session.answer(sentences=[])

    async with FakeXiaozhi(script) as server:
        (turn,) = await talk(TalkOptions(server.url, texts=("你好",)), ignore)
    assert (turn.first_audio_ms, turn.playback_end_ms, turn.sentences) == (None, None, ())
    assert turn.tts_stop_ms is not None


async def test_a_command_that_needs_no_answer_ends_its_turn_at_once():
    async def script(session: Session) -> None:
        await session.turn()
        await session.send("tts", state="stop")  # of a turn before, say: nothing has been heard yet
        await session.send("stt", text="静音")
        await session.send("tts", state="stop")
        await session.turn()
        await session.answer()

    async with FakeXiaozhi(script) as server:
        quiet, spoken = await talk(TalkOptions(server.url, texts=("静音", "你好"), turn_timeout_s=9), ignore)
    assert (quiet.heard, quiet.first_audio_ms, quiet.gaps, quiet.sentences) == ("静音", None, 0, ())
    assert quiet.tts_stop_ms is not None and quiet.tts_stop_ms >= quiet.stt_ms
    assert [sentence.text for sentence in spoken.sentences] == ["你好呀。"]


async def test_frames_that_follow_no_protocol_do_no_harm():
    async def script(session: Session) -> None:
        await session.websocket.send("no JSON")
        await session.websocket.send(b"\x00")
        await session.send("weather", text="?")
        await session.turn()
        await session.send("tts", state="start")
        await session.websocket.send(session.frame(b"\xff\xff\xff"))
        await session.send("tts", state="stop")
        await session.turn()
        await session.answer()

    async with (
        FakeXiaozhi(script) as server,
        DeviceConnection.open(server.url, version=3, player=PacketPlayer(WavSpeaker())) as device,
    ):
        device.type_text("你好")
        await device.reply()
        device.type_text("你好")
        turn = await device.reply()
        assert [entry.frame for entry in device.received if entry.content is None] == ["no JSON", b"\x00"]
    assert turn.heard == "你好"


# Hello.


async def test_a_late_hello_is_waited_for():
    async with FakeXiaozhi(hello_delay_s=0.3) as server:
        (turn,) = await talk(TalkOptions(server.url, texts=("你好",)), ignore)
    assert turn.heard == "你好"


async def test_a_hello_without_audio_params_means_24_khz(tmp_path):
    save = tmp_path / "reply.wav"
    hello = {"type": "hello", "transport": "websocket"}
    async with FakeXiaozhi(hello=hello) as server:
        await talk(TalkOptions(server.url, texts=("你好",), save=save), ignore)
        assert server.session.messages[1]["session_id"] == ""
    assert len(read_wav(save, 24000)) == 0.18 * 24000


async def test_the_recording_has_the_servers_rate():
    async def script(session: Session) -> None:
        await session.turn()
        await session.send("tts", state="start")
        await session.send_audio(tone(0.18, 16000), rate_hz=16000)
        await session.send("tts", state="stop")

    hello = {**HELLO, "audio_params": {"sample_rate": 16000, "frame_duration": 60}}
    speaker = WavSpeaker()
    async with (
        FakeXiaozhi(script, hello=hello) as server,
        DeviceConnection.open(server.url, player=PacketPlayer(speaker)) as device,
    ):
        device.type_text("你好")
        await device.reply()
    assert speaker.sample_rate_hz == 16000
    assert pitch_hz(speaker.recorded(), 16000) == pytest.approx(500, abs=6)


async def test_a_rate_that_opus_does_not_know_is_not_followed():
    hello = {**HELLO, "audio_params": {"sample_rate": 22050, "frame_duration": 60}}
    speaker = WavSpeaker()
    async with (
        FakeXiaozhi(hello=hello) as server,
        DeviceConnection.open(server.url, player=PacketPlayer(speaker)) as device,
    ):
        device.type_text("你好")
        await device.reply()
    assert speaker.sample_rate_hz == 24000
    assert is_speech(speaker.recorded())


@pytest.mark.parametrize("transport", [{}, {"transport": "udp"}])
async def test_a_hello_with_another_transport_is_refused(transport):
    async with FakeXiaozhi(hello={"type": "hello", **transport}) as server:
        with pytest.raises(ServiceTimeout, match="transport"):
            async with DeviceConnection.open(server.url, hello_timeout_s=0.2):
                pass


async def test_no_hello():
    async with FakeXiaozhi(hello=None) as server:
        with pytest.raises(ServiceTimeout, match="hello"):
            async with DeviceConnection.open(server.url, hello_timeout_s=0.2):
                pass


async def test_a_server_that_closes_instead_of_saying_hello():
    async def refuse(session: Session) -> None:
        await session.websocket.close(1008, "not bound")

    async with FakeXiaozhi(refuse, hello={"type": "goodbye"}) as server:
        with pytest.raises(ServiceUnavailable, match="1008 not bound"):
            async with DeviceConnection.open(server.url):
                pass


# What goes wrong.


async def test_nobody_listens():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"ws://127.0.0.1:{free.getsockname()[1]}/"
        with pytest.raises(ServiceUnavailable, match="serve"):
            await talk(TalkOptions(url, texts=("你好",)), ignore)


async def test_wrong_path():
    async with FakeXiaozhi() as server:
        with pytest.raises(ServiceUnavailable, match="/xiaozhi/v1/"):
            await talk(TalkOptions(server.url.replace("/xiaozhi/v1/", "/nowhere"), texts=("你好",)), ignore)


async def test_wrong_token():
    async with FakeXiaozhi(token="secret") as server:
        with pytest.raises(ServiceUnavailable, match="--token"):
            await talk(TalkOptions(server.url, texts=("你好",), token="guess"), ignore)
        await talk(TalkOptions(server.url, texts=("你好",), token="secret"), ignore)


async def test_no_websocket_server():
    async def web_page(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(web_page, "127.0.0.1", 0)
    async with server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        with pytest.raises(ServiceUnavailable, match="不是 WebSocket 服务"):
            await talk(TalkOptions(url, texts=("你好",)), ignore)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/", "127.0.0.1:8000", "", "ws://127.0.0.1:99999/", "ws://"]
)
async def test_what_is_no_websocket_address(url):
    with pytest.raises(SettingsError, match="ws://"):
        await talk(TalkOptions(url, texts=("你好",)), ignore)


@pytest.mark.parametrize("spoken", [True, False])
async def test_no_answer(wav, spoken):
    async def silent(session: Session) -> None:
        await session.turn()

    async with FakeXiaozhi(silent) as server:
        asked = TalkOptions(
            server.url, wavs=(wav,) * spoken, texts=("你好",) * (not spoken), turn_timeout_s=0.3
        )
        with pytest.raises(
            ServiceTimeout, match="没有从录音里识别出文字.*asr.model" if spoken else "没有回答。.*日志"
        ):
            await talk(asked, ignore)


async def test_an_answer_without_end():
    async def endless(session: Session) -> None:
        await session.turn()
        await session.send("tts", state="start")

    async with FakeXiaozhi(endless) as server:
        with pytest.raises(ServiceTimeout, match="tts stop"):
            await talk(TalkOptions(server.url, texts=("你好",), turn_timeout_s=0.3), ignore)


async def test_a_connection_lost_before_the_answer(wav):
    async def leave(session: Session) -> None:
        await session.until(lambda: len(session.packets) == 2)
        session.websocket.transport.abort()

    async with FakeXiaozhi(leave) as server:
        with pytest.raises(ServiceUnavailable, match="没有回答就断开.*1006"):
            await talk(TalkOptions(server.url, wavs=(wav,)), ignore)


async def test_a_connection_lost_during_the_answer_saves_what_was_played(tmp_path):
    async def leave(session: Session) -> None:
        await session.turn()
        await session.send("tts", state="start")
        await session.send_audio(tone(0.18, 24000))
        await session.websocket.close(1011)

    save = tmp_path / "reply.wav"
    async with FakeXiaozhi(leave) as server:
        with pytest.raises(ServiceBroken, match="1011"):
            await talk(TalkOptions(server.url, texts=("你好",), save=save), ignore)
    assert len(read_wav(save, 24000)) == 0.18 * 24000


async def test_a_connection_lost_behind_the_answer_is_no_error():
    async def leave(session: Session) -> None:
        await session.turn()
        await session.send("tts", state="start")
        await session.send_audio(tone(0.18, 24000))
        await session.send("tts", state="stop")
        await session.websocket.close()

    async with FakeXiaozhi(leave) as server, DeviceConnection.open(server.url) as device:
        device.type_text("你好")
        turn = await device.reply()
        await device.until(lambda: device.closed)
        with pytest.raises(ServiceUnavailable):
            await device.say(SPEECH)
    assert turn.playback_end_ms - turn.first_audio_ms == pytest.approx(180, abs=1)


async def test_what_cannot_be_said_is_found_before_connecting(tmp_path):
    silent = tmp_path / "silent.wav"
    write_wav(silent, SILENCE, 16000)
    nowhere = "ws://127.0.0.1:1/"
    for options in (
        TalkOptions(nowhere),
        TalkOptions(nowhere, texts=(" ",)),
        TalkOptions(nowhere, wavs=(tmp_path / "missing.wav",)),
        TalkOptions(nowhere, wavs=(silent,)),
    ):
        with pytest.raises(SettingsError):
            await talk(options, ignore)


async def test_a_recording_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    async with FakeXiaozhi() as server:
        with pytest.raises(SettingsError, match="写不了"):
            await talk(TalkOptions(server.url, texts=("你好",), save=tmp_path / "file" / "out.wav"), ignore)


async def test_cancelling_leaves_nothing_running(wav):
    async def silent(session: Session) -> None:
        await session.turn()

    async with FakeXiaozhi(silent) as server:
        before = asyncio.all_tasks()
        talking = asyncio.create_task(talk(TalkOptions(server.url, wavs=(wav,)), ignore))
        session = await server.connected()
        await session.until(lambda: len(session.packets) > 2)
        talking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await talking
        await server.until_closed()
        ours = {task for task in asyncio.all_tasks() - before if task.get_name().startswith("device")}
        assert ours == set()


# Interruptions, MCP, raw access.


async def test_an_aborted_reply_ends_with_tts_stop():
    async def script(session: Session) -> None:
        await session.turn()
        await session.send("tts", state="start")
        await session.send_audio(tone(0.12, 24000))
        await session.until(lambda: session.events[-1] == "abort")
        await session.send("tts", state="stop")

    async with FakeXiaozhi(script) as server, DeviceConnection.open(server.url) as device:
        device.type_text("你好")
        await device.until(lambda: bool(device.model.playback.packets))
        device.abort()
        turn = await device.reply()
        assert "reason" not in server.session.messages[-2]
    assert turn.tts_stop_ms is not None


async def test_the_wake_word_does_not_wait_for_tts_stop():
    async def script(session: Session) -> None:
        await session.turn()
        await session.send("tts", state="start")
        await session.until(lambda: session.events.count("listen start") == 2)
        await session.send("tts", state="stop")
        await session.turn()
        await session.answer("第二句")

    async with FakeXiaozhi(script) as server, DeviceConnection.open(server.url) as device:
        device.type_text("你好")
        await device.until(lambda: device.state == "speaking")
        device.abort(WAKE_WORD)
        assert device.state == "listening"
        device.type_text("第二句")
        assert (await device.reply()).heard == "第二句"
        assert [m for m in server.session.messages if m["type"] == "abort"][0]["reason"] == WAKE_WORD


async def test_speaking_into_a_reply_in_realtime_is_a_turn_of_its_own():
    async def script(session: Session) -> None:
        await session.turn()
        await session.send("tts", state="start")
        await session.send("tts", state="sentence_start", text="旧的回答")
        await session.turn()
        await session.send("tts", state="sentence_start", text="还是旧的")
        await session.send("tts", state="stop")
        await session.answer("打断", [("cool", "新的回答")])

    async with FakeXiaozhi(script) as server, DeviceConnection.open(server.url, mode="realtime") as device:
        await device.say(SPEECH)
        await device.until(lambda: device.state == "speaking")
        await device.say(SPEECH)
        turn = await device.reply()
    assert turn.heard == "打断"
    assert [sentence.text for sentence in turn.sentences] == ["新的回答"]
    assert turn.tts_start_ms > 0


async def test_the_device_does_not_listen_while_it_speaks():
    async def script(session: Session) -> None:
        await session.turn()
        await session.send("tts", state="start")

    async with FakeXiaozhi(script) as server, DeviceConnection.open(server.url) as device:
        device.type_text("你好")
        await device.until(lambda: device.state == "speaking")
        with pytest.raises(RuntimeError):
            await device.say(SPEECH)
        with pytest.raises(RuntimeError):
            device.type_text("你好")


async def test_mcp_requests_are_answered():
    requests = [
        {"id": 1, "method": "initialize", "params": {"capabilities": {}}},
        {"method": "notifications/initialized"},
        {"id": "two", "method": "tools/list"},
        {"id": 2, "method": "tools/list", "params": {"cursor": ""}},
        {"id": 3, "method": "tools/call", "params": {"name": "self.reboot"}},
        {"id": 4, "method": "resources/list"},
    ]

    async def script(session: Session) -> None:
        for request in requests:
            await session.send("mcp", payload={"jsonrpc": "2.0", **request})
        await session.until(lambda: session.events.count("mcp") == 4)

    async with FakeXiaozhi(script) as server, DeviceConnection.open(server.url):
        session = await server.connected()
        await session.until(lambda: session.events.count("mcp") == 4)
        answers = [m["payload"] for m in session.messages if m["type"] == "mcp"]
    assert [answer["id"] for answer in answers] == [1, 2, 3, 4]
    assert answers[0]["result"]["protocolVersion"] == "2024-11-05"
    assert answers[0]["result"]["capabilities"] == {"tools": {}}
    assert answers[1]["result"] == {"tools": []}
    assert "self.reboot" in answers[2]["error"]["message"]
    assert "resources/list" in answers[3]["error"]["message"]


async def test_any_frame_can_be_sent_and_everything_received_is_kept():
    async with FakeXiaozhi() as server, DeviceConnection.open(server.url) as device:
        device.send_frame('{"type":"iot","states":[]}')
        device.type_text("你好")
        await device.reply()
        assert server.session.messages[1] == {"type": "iot", "states": []}
        contents = [entry.content for entry in device.received]
        times = [entry.at for entry in device.received]
    assert isinstance(contents[0], Hello)
    assert contents[1:3] == [Stt("你好"), Tts("start")]
    assert contents[-1] == Tts("stop")
    assert sum(isinstance(content, bytes) for content in contents) == 3
    assert times == sorted(times)


async def test_hanging_up_as_the_firmware_does_sends_no_close_frame():
    async with FakeXiaozhi() as server, DeviceConnection.open(server.url) as device:
        await device.hang_up()
        assert device.closed
        assert device.state == "idle"
        await server.until_closed()
        assert server.closings == [1006]


async def test_leaving_the_block_sends_a_close_frame():
    async with FakeXiaozhi() as server:
        async with DeviceConnection.open(server.url):
            pass
        await server.until_closed()
        assert server.closings == [1000]


async def test_waiting_in_vain():
    async with FakeXiaozhi() as server, DeviceConnection.open(server.url) as device:
        with pytest.raises(ServiceTimeout):
            await device.until(lambda: False, timeout_s=0.05)
        await device.hang_up()
        with pytest.raises(ServiceUnavailable):
            await device.until(lambda: False, timeout_s=5)


# For people and for machines.


async def test_a_timeline_as_json():
    async def script(session: Session) -> None:
        await session.turn()
        await session.answer("[bold]你好", [("happy", "你好[red]呀。")])

    async with FakeXiaozhi(script) as server:
        (turn,) = await talk(TalkOptions(server.url, texts=("你好",)), ignore)
    fields = turn.to_json()
    assert fields["heard"] == "[bold]你好"
    assert fields["sentences"][0]["emotion"] == "happy"
    assert (fields["gaps"], fields["gaps_ms"], fields["dropped"]) == (0, 0, 0)
    assert fields["playback_end_ms"] == round(fields["playback_end_ms"], 1)
    assert turn.sound() == "没有断音；没有丢包"


def test_the_client_id_of_this_machine_is_drawn_once_and_kept(tmp_path: Path) -> None:
    first = kept_client_id(tmp_path / "data")
    assert uuid.UUID(first).version == 4 and kept_client_id(tmp_path / "data") == first
    assert (tmp_path / "data" / "client-id").stat().st_mode & 0o777 == 0o600
    assert kept_client_id(tmp_path / "other") != first
