"""The stand-in of the host behaves as the real one: with XIAOZHI_SERVER_DIR the same tests run there."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from fakes.xiaozhi_server import pitch_hz, tone
from hostkit import VERSIONS, Fail, Llm, ToolCall, host

# A provider of the plainest kind: 0.4 s of a tone for each text, and a list of what it was asked for.
PROVIDER = """
import asyncio
import io
import math
import os
import struct
import wave

from core.providers.tts.base import TTSProviderBase


class TTSProvider(TTSProviderBase):
    def __init__(self, config, delete_audio_file):
        super().__init__(config, delete_audio_file)
        self._config = config
        if config.get("raises"):
            raise RuntimeError("no voice")

    async def text_to_speak(self, text, output_file):
        with open("tmp/spoken.txt", "a", encoding="utf-8") as file:
            file.write(text + "\\n")
        await asyncio.sleep(self._config.get("takes_s", 0))
        if text in self._config.get("fails_for", []):
            raise RuntimeError("cannot say it")
        rate, out = 32000, io.BytesIO()
        with wave.open(out, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(rate)
            count = int(rate * self._config.get("lasts_s", 0.4))
            file.writeframes(b"".join(
                struct.pack("<h", int(9000 * math.sin(2 * math.pi * 500 * i / rate))) for i in range(count)
            ))
        if output_file is None:
            return out.getvalue()
        with open(output_file, "wb") as file:
            file.write(out.getvalue())
"""
FILES = {"core/providers/tts/plain.py": PROVIDER}

each_version = pytest.mark.parametrize("version", VERSIONS)
oldest_and_newest = pytest.mark.parametrize("version", sorted({VERSIONS[0], VERSIONS[-1]}))  # slow ones


def plain(version: str, folder: Path, reply: Any = "你好。", **more: Any) -> Any:
    """A host with the plain provider; keys of its section in `voice`."""
    voice = {"lasts_s": 0.12, **more.pop("voice", {})}
    llm = reply if isinstance(reply, Llm) else Llm(reply)
    files = {**FILES, **more.pop("files", {})}
    return host(version, folder, tts={"type": "plain", **voice}, files=files, llm=llm, **more)


def spoken(server: Any) -> list[str]:
    path = server.folder / "tmp/spoken.txt"
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


async def until(condition: Callable[[], Any]) -> None:
    """Look again and again: what the real host does in its process sends no events here."""
    for _ in range(200):
        if condition():
            return
        await asyncio.sleep(0.05)
    raise TimeoutError


def number(version: str) -> tuple[int, ...]:
    return (0, 9, 7) if version == "main" else tuple(map(int, version.split(".")))


@each_version
async def test_a_turn_runs_from_stt_to_stop_with_the_sound_between(version: str, tmp_path: Path) -> None:
    async with (
        plain(version, tmp_path, "🙂你好呀，今天不错。再见", voice={"lasts_s": 0.4}) as server,
        server.connect() as device,
    ):
        reply = await device.say("在吗？")
    assert reply.heard == "在吗？"
    events = reply.events
    if number(version) < (0, 9, 3):  # it begins the reply twice
        assert events.count("tts start") == 2
        events = list(dict.fromkeys(events[:4])) + events[4:]
    assert [e for e in events if e != "audio"] == [
        "stt 在吗？",
        "tts start",
        "llm happy",
        "tts sentence_start 你好呀",
        "tts sentence_start 今天不错",
        "tts sentence_start 再见",
        "tts stop",
    ]
    assert spoken(server) == ["你好呀", "今天不错", "再见"]
    assert len(reply.packets) == 3 * 7  # 400 ms in packets of 60 ms
    assert pitch_hz(reply.sound, reply.rate_hz) == pytest.approx(500, abs=5)
    assert server.llm.requests[0].question == "在吗？"
    assert server.llm.requests[0].functions is None


@oldest_and_newest
async def test_five_packets_come_at_once_the_rest_in_time_and_the_stop_after_them(
    version: str, tmp_path: Path
) -> None:
    async with plain(version, tmp_path, "好。", voice={"lasts_s": 1.2}) as server, server.connect() as device:
        reply = await device.say("说")
    at = reply.packets_at_s
    assert len(at) == 20
    assert at[4] - at[0] < 0.12
    assert at[19] - at[5] == pytest.approx(14 * 0.06, abs=0.12)
    assert reply.stopped_at_s is not None
    assert reply.stopped_at_s - at[19] == pytest.approx(0.42, abs=0.15)


@oldest_and_newest
async def test_a_subtitle_waits_in_line_with_the_sound(version: str, tmp_path: Path) -> None:
    async with (
        plain(version, tmp_path, "一，二。", voice={"lasts_s": 0.9}) as server,
        server.connect() as device,
    ):
        reply = await device.say("数")
    second = next(
        r.at_s for r in reply.received if isinstance(r.content, dict) and r.content.get("text") == "二"
    )
    assert second - reply.packets_at_s[0] == pytest.approx(10 * 0.06, abs=0.15)


@oldest_and_newest
async def test_a_segment_that_fails_is_tried_five_times_and_left_out(version: str, tmp_path: Path) -> None:
    voice = {"fails_for": ["坏"]}
    async with plain(version, tmp_path, "坏，好。", voice=voice) as server, server.connect() as device:
        reply = await device.say("说")
    assert reply.stopped
    assert spoken(server) == ["坏"] * 5 + ["好"]
    assert reply.sentences == ["好"]


@each_version
async def test_an_abort_stops_at_once_and_the_next_turn_is_its_own(version: str, tmp_path: Path) -> None:
    llm = Llm(next=["一直说，说个不停。" * 3, "好的。"])
    async with plain(version, tmp_path, llm, voice={"lasts_s": 2.0}) as server, server.connect() as device:
        first = await device.ask("讲")
        await first.until(lambda: len(first.packets) > 8)
        await device.abort()
        await first.finished(2)
        assert first.stopped
        second = await device.ask("停")
        await second.until(lambda: "好的" in second.sentences and second.events[-1] == "tts stop")
    if number(version) >= (0, 9, 3):  # before, what is left of the old turn comes in the midst of the new one
        assert second.sentences == ["好的"]
        assert second.events.count("tts stop") == 1


@each_version
async def test_a_device_that_hangs_up_in_the_middle_of_a_reply_leaves_the_host_well(
    version: str, tmp_path: Path
) -> None:
    async with plain(version, tmp_path, "一直说，说个不停。" * 3, voice={"lasts_s": 1.0}) as server:
        async with server.connect() as device:
            reply = await device.ask("讲")
            await reply.until(lambda: len(reply.packets) > 8)
        server.llm.reply = "在。"
        async with server.connect() as device:
            assert (await device.say("喂")).sentences == ["在"]


@each_version
async def test_a_model_that_fails_before_its_stream_leaves_the_device_waiting(
    version: str, tmp_path: Path
) -> None:
    async with plain(version, tmp_path, [Fail("before")]) as server, server.connect() as device:
        reply = await device.say("在吗", timeout_s=0.8)
        assert not reply.stopped
        assert reply.started_at_s is not None
        server.llm.reply = "在。"
        assert (await device.say("喂")).stopped


@each_version
async def test_a_model_that_fails_in_its_stream_is_excused_and_stops(version: str, tmp_path: Path) -> None:
    async with plain(version, tmp_path, ["你好，", Fail()]) as server, server.connect() as device:
        reply = await device.say("在吗", timeout_s=6 if number(version) >= (0, 9, 3) else 2)
    assert reply.sentences[0] == "你好"
    assert reply.stopped == (number(version) >= (0, 9, 3))
    if reply.stopped:
        assert len(reply.sentences) > 1


# A provider that only writes down what it is given, and ends the reply.
LISTENER = """
import json
import queue

from core.providers.tts.base import TTSProviderBase
from core.providers.tts.dto.dto import SentenceType


class TTSProvider(TTSProviderBase):
    def tts_text_priority_thread(self):
        while not self.conn.stop_event.is_set():
            try:
                message = self.tts_text_queue.get(timeout=0.1)
            except queue.Empty:
                continue
            self.current_sentence_id = message.sentence_id
            entry = [message.sentence_type.name, message.content_type.name, message.content_detail]
            with open("tmp/given.jsonl", "a", encoding="utf-8") as file:
                file.write(json.dumps([*entry, message.sentence_id == self.conn.sentence_id]) + "\\n")
            if message.sentence_type == SentenceType.LAST:
                self._process_before_stop_play_files()

    async def text_to_speak(self, text, output_file):
        return None
"""


def listening(version: str, folder: Path, llm: Llm, **more: Any) -> Any:
    files = {"core/providers/tts/listener.py": LISTENER}
    config = {"selected_module": {"Intent": "function_call"}}
    return host(version, folder, tts={"type": "listener"}, files=files, llm=llm, config=config, **more)


def given(server: Any) -> list[Any]:
    """The texts, and the names of what is none; all of the present turn."""
    lines = (server.folder / "tmp/given.jsonl").read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line) for line in lines]
    assert all(current for *_, current in entries)
    return [text if kind == "TEXT" else sentence for sentence, kind, text, _ in entries]


@each_version
async def test_pieces_of_the_model_reach_the_provider_as_they_are(version: str, tmp_path: Path) -> None:
    llm = Llm("**[高兴]** 你好\n呀。", piece_chars=2)
    async with listening(version, tmp_path, llm) as server, server.connect() as device:
        reply = await device.say("你好")
        assert reply.stopped
        server.llm.reply = ["嗯", Fail()]
        await device.say("还有呢", timeout_s=1 if number(version) < (0, 9, 3) else 10)
    pieces = ["FIRST", "**", "[高", "兴]", "**", " 你", "好\n", "呀。", "LAST"]
    failed = ["FIRST", "嗯"]
    if number(version) >= (0, 9, 3):
        failed += ["主人，小智现在有点忙，我们稍后再试吧。", "LAST"]
    assert given(server) == pieces + failed
    assert server.llm.requests[1].dialogue[-2]["content"] == "**[高兴]** 你好\n呀。"


@each_version
async def test_direct_answers_lose_what_looks_like_the_end_of_json(version: str, tmp_path: Path) -> None:
    said = '[高兴]"你好呀"。[难过]再见 朋友。'
    answers = [[ToolCall("direct_answer", {"response": said}, piece_chars=count)] for count in (2, 3, 4, 99)]
    async with listening(version, tmp_path, Llm(next=list(answers))) as server, server.connect() as device:
        replies = [await device.say("你好") for _ in answers]
        await device.say("还有呢")
    names = [f["function"]["name"] for f in server.llm.requests[0].functions or ()]
    if number(version) < (0, 9, 4):
        assert "direct_answer" not in names
        return
    assert "direct_answer" in names
    assert all(reply.stopped and reply.faces == [] for reply in replies)
    assert given(server)[:-5] == [
        *["FIRST", "[高", "兴", '"你好', "呀", "。[", "难过", "]再", "见 朋友。", "LAST"],
        *["FIRST", "[", "高兴", '"你', "好呀", "。[难", "过]再", "见 朋友。", "LAST"],
        *["FIRST", "[高兴", '"你好', '呀"。[', "难过]再", "见 朋友。", "LAST"],
        *["FIRST", '[高兴]"你好呀"。[难过]再', "见 朋友。", "LAST"],
    ]
    history = [message.get("content") for message in server.llm.requests[-1].dialogue]
    assert history.count(said) == 4


@each_version
async def test_tools_run_and_the_model_is_asked_again(version: str, tmp_path: Path) -> None:
    plugin = """
from plugins_func.register import Action, ActionResponse, ToolType, register_function

WHERE = {"type": "function", "function": {"name": "where_am_i", "description": "the place", "parameters": {
    "type": "object", "properties": {"exact": {"type": "boolean"}}, "required": []}}}


@register_function("where_am_i", WHERE, ToolType.SYSTEM_CTL)
def where_am_i(conn, exact=False):
    return ActionResponse(Action.REQLLM, f"{conn.device_id} {exact}", None)
"""
    config = {
        "selected_module": {"Intent": "function_call"},
        "Intent": {"function_call": {"type": "function_call", "functions": ["where_am_i"]}},
    }
    llm = Llm(next=[[ToolCall("where_am_i", {"exact": True})], "在家。"])
    files = {"plugins_func/functions/where_plugin.py": plugin}
    async with (
        plain(version, tmp_path, llm, config=config, files=files) as server,
        server.connect() as device,
    ):
        reply = await device.say("在哪")
    assert reply.sentences == ["在家"]
    assert reply.stopped
    first, second = server.llm.requests
    assert "where_am_i" in [f["function"]["name"] for f in first.functions or ()]
    assert [m["content"] for m in second.dialogue if m["role"] == "tool"][-1] == "aa:bb:cc:00:00:01 True"
    if number(version) >= (0, 9, 3):
        assert "stt % where_am_i" in reply.events


@each_version
async def test_files_are_played_in_their_place_and_replies_of_tools_spoken(
    version: str, tmp_path: Path
) -> None:
    plugin = """
from core.providers.tts.dto.dto import ContentType, SentenceType, TTSMessageDTO
from plugins_func.register import Action, ActionResponse, ToolType, register_function

SING = {"type": "function", "function": {"name": "sing", "description": "sings", "parameters": {
    "type": "object", "properties": {}, "required": []}}}


@register_function("sing", SING, ToolType.SYSTEM_CTL)
def sing(conn):
    conn.tts.tts_text_queue.put(TTSMessageDTO(
        conn.sentence_id, SentenceType.MIDDLE, ContentType.FILE, content_file="data/song.wav"))
    return ActionResponse(Action.RESPONSE, response="唱完了！好听吗？")
"""
    config = {
        "selected_module": {"Intent": "function_call"},
        "Intent": {"function_call": {"type": "function_call", "functions": ["sing"]}},
    }

    def prepare(server: Path) -> None:
        soundfile.write(server / "data/song.wav", tone(0.6, 16000, 1200), 16000)

    files = {"plugins_func/functions/sing_plugin.py": plugin}
    llm = Llm([ToolCall("sing", {})])
    running = plain(version, tmp_path, llm, config=config, files=files, prepare=prepare)
    async with running as server, server.connect() as device:
        reply = await device.say("唱歌")
    assert reply.sentences == ["唱完了", "好听吗？"]
    assert len(reply.packets) == 10 + 2 + 2
    assert pitch_hz(reply.sound[: reply.rate_hz // 2], reply.rate_hz) == pytest.approx(1200, abs=5)
    assert reply.events.index("audio") < reply.events.index("tts sentence_start 唱完了")


@each_version
async def test_the_answer_to_a_wake_word_is_made_once_and_played_the_next_time(
    version: str, tmp_path: Path
) -> None:
    async with plain(version, tmp_path, voice={"lasts_s": 0.5}) as server, server.connect() as device:
        first = await device.say("你好小智")
        assert first.stopped
        index = server.folder / "data/.wakeup_words.yaml"
        await until(
            lambda: spoken(server) and index.exists() and spoken(server)[0] in index.read_text("utf-8")
        )
        second = await device.say("你好小智")
    assert second.stopped
    assert second.sentences == [spoken(server)[0]]
    assert pitch_hz(second.sound, second.rate_hz) == pytest.approx(500, abs=5)
    assert server.llm.requests == []


MEMORY = """
import json
import threading

from ..base import MemoryProviderBase


def note(**what):
    with open("tmp/memory.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps({**what, "thread": threading.current_thread().name}) + "\\n")


class MemoryProvider(MemoryProviderBase):
    def __init__(self, config, summary_memory=None):
        super().__init__(config)

    def init_memory(self, role_id, llm, **kwargs):
        super().init_memory(role_id, llm, **kwargs)
        note(did="init", role=role_id, more=sorted(kwargs))

    async def query_memory(self, query):
        note(did="query", role=self.role_id, query=query)
        if query and "坏" in query:
            raise RuntimeError("no memory")
        return self.config["says"]

    async def save_memory(self, msgs, session_id=None):
        note(did="save", role=self.role_id, session=session_id, roles=[m.role for m in msgs])
"""


def remembering(version: str, folder: Path, says: str) -> Any:
    config = {
        "selected_module": {"Memory": "noting"},
        "Memory": {"noting": {"type": "noting", "says": says}},
    }
    return plain(version, folder, config=config, files={"core/providers/memory/noting/noting.py": MEMORY})


def noted(server: Any) -> list[dict[str, Any]]:
    path = server.folder / "tmp/memory.jsonl"
    return (
        [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    )


@each_version
async def test_all_connections_share_one_memory_and_the_last_to_connect_owns_it(
    version: str, tmp_path: Path
) -> None:
    async with remembering(version, tmp_path, "爱吃苹果") as server:
        async with server.connect("aa:aa:aa:aa:aa:aa") as one, server.connect("bb:bb:bb:bb:bb:bb"):
            assert (await one.say("我是谁")).stopped
            session = one.session_id
        await until(lambda: [entry["did"] for entry in noted(server)].count("save") == 2)
    assert "<memory>\n爱吃苹果\n</memory>" in server.llm.requests[0].system
    entries = noted(server)
    assert [e["role"] for e in entries if e["did"] == "query"] == ["bb:bb:bb:bb:bb:bb"]
    assert [e["more"] for e in entries if e["did"] == "init"] == [["save_to_file", "summary_memory"]] * 2
    mine = next(entry for entry in entries if entry.get("session") == session)
    assert mine["roles"] == ["system", "user", "assistant"]


@each_version
@pytest.mark.parametrize(("says", "asked"), [(r"C:\Users\d", "说"), ("苹果", "坏问题")])
async def test_a_backslash_or_an_exception_of_the_memory_leaves_the_device_waiting(
    version: str, tmp_path: Path, says: str, asked: str
) -> None:
    async with remembering(version, tmp_path, says) as server, server.connect() as device:
        reply = await device.say(asked, timeout_s=0.8)
    assert reply.started_at_s is not None
    assert not reply.stopped
    assert server.llm.requests == []


@pytest.mark.parametrize("version", VERSIONS[-1:])  # it takes 3 s: the host waits for a TTS
async def test_a_provider_whose_constructor_raises_leaves_a_connection_without_parts(
    version: str, tmp_path: Path
) -> None:
    async with plain(version, tmp_path, voice={"raises": True}) as server, server.connect() as device:
        reply = await device.ask("在吗")
        with contextlib.suppress(TimeoutError):
            await reply.until(lambda: reply.packets, 1.0)
    assert reply.packets == []
    assert not reply.stopped
    assert "no voice" in server.log()


@each_version
@pytest.mark.parametrize("mode", ["manual", "auto"])
async def test_speech_is_recognized_and_answered(version: str, tmp_path: Path, mode: str) -> None:
    async with plain(version, tmp_path, asr_text="今天天气怎么样？") as server, server.connect() as device:
        reply = await device.speak(tone(1.2), mode)
    assert reply.heard == "今天天气怎么样？"
    assert reply.sentences == ["你好"]
    assert reply.stopped


@each_version
async def test_two_devices_talk_at_the_same_time(version: str, tmp_path: Path) -> None:
    llm = Llm(lambda request: request.question + "。")
    async with (
        plain(version, tmp_path, llm) as server,
        server.connect("aa:aa:aa:aa:aa:aa") as one,
        server.connect("bb:bb:bb:bb:bb:bb") as two,
    ):
        replies = await asyncio.gather(one.say("甲"), two.say("乙"))
    assert [reply.sentences for reply in replies] == [["甲"], ["乙"]]
    assert all(reply.stopped and np.any(reply.sound) for reply in replies)


@oldest_and_newest
async def test_sound_written_to_files_is_sent_as_well(version: str, tmp_path: Path) -> None:
    config = {"delete_audio": False}
    async with plain(version, tmp_path, config=config) as server, server.connect() as device:
        reply = await device.say("在吗")
    assert reply.stopped
    assert len(reply.packets) == 2
    assert len(list((server.folder / "tmp").glob("tts-*.wav"))) == 1
