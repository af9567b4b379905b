"""The TTS doors in a host: tags, references, faces, interruptions, faults. Run in the real one with XIAOZHI_SERVER_DIR."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from fakes.sovits_server import FakeSovits, pitch_hz, pitch_of
from host_doors import host_with_doors
from hostkit import VERSIONS, Fail, Llm, ToolCall

every_version = pytest.mark.parametrize("version", VERSIONS)
newest = VERSIONS[-1]
WITHOUT_DIRECT_ANSWER = ("0.9.1", "0.9.3")
OURS = "data/xiaozhi-persona/config.yaml"


def v2(server: FakeSovits, **more: Any) -> dict[str, Any]:
    """The section that a user of the host's gpt_sovits_v2 has, with another type."""
    return {
        "type": "gpt_sovits_v2_stream",
        "url": f"{server.url}/tts",
        "text_lang": "auto",
        "ref_audio_path": "/refs/own.wav",
        "prompt_text": "我自己的声音。",
        "prompt_lang": "zh",
        "top_k": "5",
        "streaming_mode": False,
        "return_fragment": False,
        **more,
    }


@every_version
async def test_a_reply_is_streamed_with_its_feelings(version: str, tmp_path: Path) -> None:
    llm = Llm("【高兴】你回来啦！我等了好久。【悲伤】外面下雨了。", piece_chars=2)
    async with (
        FakeSovits() as sovits,
        host_with_doors(version, tmp_path, tts=v2(sovits, role="xiaoyu"), llm=llm) as server,
        server.connect() as device,
    ):
        reply = await device.say("我回来了")
    assert reply.stopped
    assert reply.sentences == ["你回来啦！", "我等了好久。", "外面下雨了。"]
    assert reply.faces[-2:] == ["happy", "sad"]
    references = [seen.body["ref_audio_path"] for seen in sovits.requests]
    assert "高兴" in references[0] and "高兴" in references[1] and "悲伤" in references[2]
    assert all("【" not in seen.text for seen in sovits.requests)
    assert len(reply.sound) > 24000
    assert sovits.requests[0].body["streaming_mode"] == 2
    assert "【】" in llm.requests[0].system and "小雨" in llm.requests[0].system


@every_version
@pytest.mark.parametrize("is_in_section", [True, False], ids=["section", "config.yaml"])
async def test_the_voice_of_any_engine_speaks_with_feelings(
    version: str, is_in_section: bool, tmp_path: Path
) -> None:
    llm = Llm("【高兴】你回来啦！【悲伤】外面下雨了。")
    section: dict[str, Any] = {"type": "persona_voice", "role": "xiaoyu", "output_dir": "tmp/"}
    async with FakeSovits() as sovits:
        chosen = {"engine": "gpt_sovits", "servers": sovits.url}  # one text, as the console sends a list
        ours = f"tts: {{engine: gpt_sovits}}\ngpt_sovits: {{servers: [{sovits.url}]}}\n"
        tts, files = (section | chosen, {}) if is_in_section else (section, {OURS: ours})
        async with (
            host_with_doors(version, tmp_path, tts=tts, llm=llm, files=files) as server,
            server.connect() as device,
        ):
            reply = await device.say("我回来了")
        references = [seen.body["ref_audio_path"] for seen in sovits.requests]
    assert reply.stopped and reply.sentences == ["你回来啦！", "外面下雨了。"]
    assert reply.faces[-2:] == ["happy", "sad"]
    assert "高兴" in references[0] and "悲伤" in references[1]
    assert "【】" in llm.requests[0].system and "小雨" in llm.requests[0].system


async def test_the_voice_of_an_engine_that_is_none_speaks_with_the_fallback(tmp_path: Path) -> None:
    section = {"type": "persona_voice", "engine": "nonsense"}
    async with (
        host_with_doors(newest, tmp_path, tts=section, llm=Llm("在。")) as server,
        server.connect() as device,
    ):
        reply = await device.say("在吗")
        assert "nonsense" in server.log()
    assert reply.stopped and reply.sentences == ["在。"] and len(reply.sound) > 2400


@every_version
async def test_direct_answer_keeps_its_feelings_though_its_pieces_are_damaged(
    version: str, tmp_path: Path
) -> None:
    if version in WITHOUT_DIRECT_ANSWER:
        pytest.skip("direct_answer came with 0.9.4")
    answer = ToolCall("direct_answer", {"response": '[高兴]"你好呀"。[难过]再见朋友。'}, piece_chars=2)
    async with (
        FakeSovits() as sovits,
        host_with_doors(
            version,
            tmp_path,
            tts=v2(sovits, role="xiaoyu"),
            llm=Llm([answer]),
            config={
                "selected_module": {"Intent": "function_call"},
                "Intent": {"function_call": {"type": "function_call", "functions": []}},
            },
        ) as server,
        server.connect() as device,
    ):
        reply = await device.say("你好")
    assert reply.stopped
    assert [text.strip('"').rstrip("。").rstrip('"') for text in reply.sentences] == ["你好呀", "再见朋友"]
    references = [seen.body["ref_audio_path"] for seen in sovits.requests]
    assert "高兴" in references[0] and "悲伤" in references[1]


@every_version
async def test_the_section_of_the_host_works_without_a_role(version: str, tmp_path: Path) -> None:
    async with (
        FakeSovits() as sovits,
        host_with_doors(version, tmp_path, tts=v2(sovits), llm=Llm("你好。")) as server,
        server.connect() as device,
    ):
        reply = await device.say("在吗")
    body = sovits.requests[0].body
    assert (
        reply.stopped
        and body["ref_audio_path"] == "/refs/own.wav"
        and body["prompt_text"] == "我自己的声音。"
    )
    assert body["top_k"] == 5
    pitch = pitch_hz(reply.sound[6000:18000], reply.rate_hz)
    assert abs(pitch - pitch_of("/refs/own.wav")) < 12


@every_version
async def test_the_v1_section_works_unchanged(version: str, tmp_path: Path) -> None:
    section = {
        "type": "gpt_sovits_v1",
        "output_file": "tmp/",
        "text_language": "zh",
        "prompt_language": "zh",
        "refer_wav_path": "/refs/own.wav",
        "prompt_text": "我自己的声音。",
        "cut_punc": "，。",
        "top_k": 15,
        "top_p": 1.0,
        "temperature": 1.0,
        "speed": 1.0,
        "inp_refs": [],
    }
    async with (
        FakeSovits(api="v1") as sovits,
        host_with_doors(
            version, tmp_path, tts={**section, "url": sovits.url}, llm=Llm("[高兴]你好朋友。再见朋友。")
        ) as server,
        server.connect() as device,
    ):
        reply = await device.say("在吗")
    assert reply.stopped and reply.sentences == ["你好朋友。", "再见朋友。"]
    assert sovits.requests[0].body["refer_wav_path"] == "/refs/own.wav"


@every_version
async def test_an_interruption_closes_the_request_and_the_next_reply_is_whole(
    version: str, tmp_path: Path
) -> None:
    llm = Llm(next=["第一个回答很长很长，要说好一会儿。" * 6], reply="第二个回答。")
    async with (
        FakeSovits(rtf=0.5) as sovits,
        host_with_doors(version, tmp_path, tts=v2(sovits), llm=llm) as server,
        server.connect() as device,
    ):
        first = await device.ask("说个长的")
        await first.until(lambda: len(first.packets) > 8)
        await device.abort()
        await first.finished()
        second = await device.say("换一个")
    assert first.stopped and second.stopped
    assert second.sentences == ["第二个回答。"]
    assert len([seen for seen in sovits.requests if "第一个" in seen.text]) < 6


@every_version
async def test_a_new_question_ends_the_reply_without_an_abort(version: str, tmp_path: Path) -> None:
    llm = Llm(next=["第一个回答很长很长，要说好一会儿。" * 6], reply="第二个回答。")
    async with (
        FakeSovits(rtf=0.5) as sovits,
        host_with_doors(version, tmp_path, tts=v2(sovits), llm=llm) as server,
        server.connect() as device,
    ):
        first = await device.ask("说个长的")
        await first.until(lambda: len(first.packets) > 8)
        second = await device.say("换一个")
    assert second.stopped and second.sentences[-1:] == ["第二个回答。"]
    assert len([seen for seen in sovits.requests if "第一个" in seen.text]) < 6


@every_version
async def test_a_model_that_cannot_be_asked_leaves_no_device_speaking(version: str, tmp_path: Path) -> None:
    async with (
        FakeSovits() as sovits,
        host_with_doors(
            version, tmp_path, tts=v2(sovits), llm=Llm(next=[[Fail("before")]], reply="我好了。")
        ) as server,
        server.connect() as device,
    ):
        failed = await device.say("在吗")
        well = await device.say("现在呢")
    assert failed.stopped and "连不上" in "".join(failed.sentences)
    assert well.stopped and well.sentences == ["我好了。"]


@pytest.mark.parametrize(
    "fault", ["refuse", "json", "cut_off_empty", "empty", "hang", "reset", "garbled", "engine"]
)
async def test_a_faulty_server_never_leaves_the_device_speaking(fault: Any, tmp_path: Path) -> None:
    settings = "gpt_sovits: {first_audio_timeout_s: 1.0, audio_timeout_s: 1.0}\n"
    async with (
        FakeSovits(fault=fault) as sovits,
        host_with_doors(
            newest,
            tmp_path,
            tts=v2(sovits),
            llm=Llm("你好。"),
            files={"data/xiaozhi-persona/config.yaml": settings},
        ) as server,
        server.connect() as device,
    ):
        reply = await device.say("在吗")
        sovits.resume.set()
    assert reply.stopped and reply.sentences == ["你好。"]
    assert len(reply.packets) > 0, "the fallback voice speaks"


@every_version
async def test_a_dead_server_is_one_log_line_and_the_fallback_voice(version: str, tmp_path: Path) -> None:
    section = {"type": "gpt_sovits_v2_stream", "url": "http://127.0.0.1:9/tts", "ref_audio_path": "a.wav"}
    async with host_with_doors(version, tmp_path, tts=section, llm=Llm("你好。")) as server:
        async with server.connect() as device:
            reply = await device.say("在吗")
        log = server.log()
    assert reply.stopped and reply.sentences == ["你好。"] and len(reply.sound) > 6000
    assert log.count("127.0.0.1:9") <= 3


async def test_settings_that_cannot_be_used_are_told_and_the_fallback_voice_speaks(tmp_path: Path) -> None:
    section = {"type": "gpt_sovits_v2_stream", "url": "no address at all", "role": "nobody", "top_k": "many"}
    async with host_with_doors(newest, tmp_path, tts=section, llm=Llm("你好。")) as server:
        async with server.connect() as device:
            reply = await device.say("在吗")
        log = server.log()
    assert reply.stopped and len(reply.sound) > 6000
    assert "没有角色 'nobody'" in log


@pytest.mark.parametrize("written", ["{'aa: [", "just words"])
async def test_roles_that_cannot_be_read_are_told_and_the_device_speaks(written: str, tmp_path: Path) -> None:
    section = {"type": "gpt_sovits_v2_stream", "url": "http://127.0.0.1:9", "role_of_device": written}
    async with host_with_doors(newest, tmp_path, tts=section, llm=Llm("你好。")) as server:
        async with server.connect() as device:
            reply = await device.say("在吗")
        log = server.log()
    assert reply.stopped and len(reply.sound) > 6000 and "role_of_device" in log


async def test_two_devices_speak_with_two_roles_at_once(tmp_path: Path) -> None:
    second = "bb:bb:cc:00:00:02"
    async with (
        FakeSovits(rtf=0.1) as sovits,
        host_with_doors(
            newest,
            tmp_path,
            tts=v2(sovits, role_of_device={second: "xiaoyu"}),
            llm=Llm("【高兴】你好朋友。今天真好。"),
        ) as server,
        server.connect() as one,
        server.connect(second) as two,
    ):
        replies = await asyncio.gather(one.say("在吗"), two.say("在吗"))
    assert all(reply.stopped and reply.sentences == ["你好朋友。", "今天真好。"] for reply in replies)
    of_role = [seen for seen in sovits.requests if "高兴" in seen.body["ref_audio_path"]]
    own = [seen for seen in sovits.requests if seen.body["ref_audio_path"] == "/refs/own.wav"]
    assert len(of_role) == len(own) == 2 and sovits.overlaps == 0


async def test_words_are_respelled_for_the_voice_and_not_for_the_eye(tmp_path: Path) -> None:
    if newest in ("0.9.1", "0.9.3"):
        pytest.skip("correct_words came with 0.9.4")
    async with (
        FakeSovits() as sovits,
        host_with_doors(
            newest, tmp_path, tts=v2(sovits, correct_words=["行长|航掌"]), llm=Llm("行长来了。")
        ) as server,
        server.connect() as device,
    ):
        reply = await device.say("谁来了")
    assert reply.sentences == ["行长来了。"]
    assert sovits.requests[0].text == "航掌来了。"


async def test_sound_is_kept_where_the_host_keeps_it(tmp_path: Path) -> None:
    async with (
        FakeSovits() as sovits,
        host_with_doors(
            newest, tmp_path, tts=v2(sovits), llm=Llm("你好朋友。再见朋友。"), config={"delete_audio": False}
        ) as server,
    ):
        async with server.connect() as device:
            await device.say("在吗")
        kept = list((server.folder / "tmp").glob("tts-*.wav"))
    assert len(kept) == 2 and all(file.stat().st_size > 10_000 for file in kept)


@every_version
@pytest.mark.parametrize("begin", ["", "先说一句。"])
async def test_a_model_that_never_leaves_its_thoughts_ends_in_stop_and_is_not_asked_on(
    version: str, begin: str, tmp_path: Path
) -> None:
    hurried = {OURS: "llm: {speech_timeout_s: 1.0}\n"}
    thoughts = ["<think>", *(piece for _ in range(1000) for piece in (0.02, "嗯"))]
    llm = Llm("下一个。", next=[[begin, *thoughts] if begin else thoughts])
    async with (
        FakeSovits() as sovits,
        host_with_doors(version, tmp_path, tts=v2(sovits), llm=llm, files=hurried) as server,
        server.connect() as device,
    ):
        reply = await device.say("在吗", timeout_s=15)
        assert reply.stopped
        assert "".join(reply.sentences) == (begin or "抱歉，我现在连不上大脑，请稍后再试。")
        for _ in range(100):
            if llm.broken_off:
                break
            await asyncio.sleep(0.05)
        assert llm.broken_off == 1
        reply = await device.say("还在吗")
    assert reply.sentences == ["下一个。"] and reply.stopped


@pytest.mark.parametrize(
    ("text", "said"),
    [("😊", "抱歉，我现在连不上大脑，请稍后再试。"), ("在。", "在。抱歉，我现在说不出话来。")],
    ids=["no word", "no voice"],
)
async def test_a_reply_that_cannot_be_said_is_apologized_for(text: str, said: str, tmp_path: Path) -> None:
    mute = {OURS: "tts: {fallback: none}\n"}
    section = {"type": "gpt_sovits_v2_stream", "url": "http://127.0.0.1:9/tts"}
    async with (
        host_with_doors(newest, tmp_path, tts=section, llm=Llm(text), files=mute) as server,
        server.connect() as device,
    ):
        reply = await device.say("在吗")
    assert reply.stopped and "".join(reply.sentences) == said


@pytest.mark.skipif(newest in WITHOUT_DIRECT_ANSWER, reason="direct_answer came with 0.9.4")
async def test_a_tool_that_is_called_without_a_word_needs_no_apology(tmp_path: Path) -> None:
    llm = Llm([" ", ToolCall("direct_answer", {"response": ""})])
    intent = {"function_call": {"type": "function_call", "functions": []}}
    async with (
        FakeSovits() as sovits,
        host_with_doors(
            newest,
            tmp_path,
            tts=v2(sovits),
            llm=llm,
            config={"selected_module": {"Intent": "function_call"}, "Intent": intent},
        ) as server,
        server.connect() as device,
    ):
        reply = await device.say("关灯")
    assert reply.stopped and not reply.sentences
