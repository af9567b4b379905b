"""Speech from xtts-api-server: the query, the language of each sentence, its way to fail, the checks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fakes.role_packs import write_role
from fakes.sovits_client import say
from fakes.sovits_server import pitch_of
from fakes.speech_client import ANGRY, CALM, clip, xtts_at
from fakes.xtts_server import FakeXtts

from xiaozhi_persona.checks import Check
from xiaozhi_persona.errors import ServiceRejected, SettingsError
from xiaozhi_persona.providers.tts import xtts
from xiaozhi_persona.providers.tts.failures import CutOff
from xiaozhi_persona.providers.tts.languages import xtts_language
from xiaozhi_persona.providers.tts.xtts import stream_url
from xiaozhi_persona.roles.role import Role, load_pack
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.voice_settings import TtsSettings, XttsSettings

TEXT = "今天天气很好，我们去公园吧。"


async def test_the_query_is_that_of_the_api() -> None:
    async with FakeXtts() as server, xtts_at(server) as synthesizer:
        assert (await say(synthesizer, TEXT, clip(ANGRY, language="zh"))).pitch_hz == pitch_of(ANGRY)
        assert server.requests[0].body == {"text": TEXT, "speaker_wav": ANGRY, "language": "zh-cn"}


async def test_a_text_keeps_all_its_characters() -> None:
    text = 'a&b=c?d#e%20 +“引号”"双" 100%'
    async with FakeXtts() as server, xtts_at(server) as synthesizer:
        await say(synthesizer, text, clip(CALM))
        assert server.requests[0].text == text


async def test_the_longest_sentence_fits_into_an_address() -> None:
    async with FakeXtts() as server, xtts_at(server) as synthesizer:
        assert (await say(synthesizer, "很" * 80 + "。", clip(CALM))).error is None
        # The fake's limit of a line, and uvicorn's of 64 KB, are refusals like any other.
        assert (await say(synthesizer, "很" * 10_000, clip(CALM))).error is not None


@pytest.mark.parametrize(
    ("named", "text", "code"),
    [
        ("", "你好", "zh-cn"),
        ("", "Hello", "en"),
        ("", "こんにちは", "ja"),
        ("", "안녕하세요", "ko"),
        ("", "123", "zh-cn"),
        ("auto", "Hello", "en"),
        ("多语种混合", "こんにちは", "ja"),
        ("zh", "你好 OK", "zh-cn"),
        ("zh", "Good morning", "en"),
        ("中文", "Good morning", "zh-cn"),
        ("日英混合", "東京", "ja"),
        ("日语", "OK", "en"),
        ("all_ja", "OK", "ja"),
        ("粤语", "你好", "zh-cn"),
        ("English", "你好", "zh-cn"),
        ("zh-cn", "你好", "zh-cn"),
        ("de", "Guten Tag", "de"),
        (" FR ", "Bonjour", "fr"),
    ],
)
def test_the_language_is_the_roles_else_that_of_the_letters(named: str, text: str, code: str) -> None:
    assert xtts_language(named, text) == code


def test_a_language_that_it_does_not_speak_is_told() -> None:
    with pytest.raises(SettingsError, match="zh-cn"):
        xtts_language("埃及语", "x")


@pytest.mark.parametrize(
    "written", ["http://a:8020", "a:8020/", "http://a:8020/tts_stream", "http://a:8020/tts_to_audio/"]
)
def test_the_address_may_end_anywhere(written: str) -> None:
    assert str(stream_url(written)) == "http://a:8020/tts_stream"


async def test_without_any_voice_the_user_is_told_before_the_server_is_asked() -> None:
    async with FakeXtts() as server, xtts_at(server, voice="") as synthesizer:
        failure = (await say(synthesizer, TEXT, clip())).error
        assert isinstance(failure, SettingsError) and "xtts.voice" in str(failure)
        assert not server.requests


async def test_an_unknown_speaker_is_a_body_that_ends_without_sound() -> None:
    async with FakeXtts(speakers={"nova"}) as server, xtts_at(server) as synthesizer:
        failure = (await say(synthesizer, TEXT, clip(CALM))).error
        assert isinstance(failure, CutOff) and "speakers" in str(failure)
        assert (await say(synthesizer, TEXT, clip())).error is None


async def test_a_server_that_cannot_stream_says_so() -> None:
    async with FakeXtts(is_local=False) as server, xtts_at(server) as synthesizer:
        failure = (await say(synthesizer, TEXT, clip())).error
        assert isinstance(failure, ServiceRejected) and "local models" in str(failure)


# The checks.


async def checked(url: str, roles: list[Role], **changes: Any) -> list[Check]:
    section = XttsSettings(base_url=url).model_copy(update=changes)
    settings = Settings(tts=TtsSettings(engine="xtts"), xtts=section)
    return [check async for check in xtts.check(settings, roles)]


def role(folder: Path, **sheet: Any) -> Role:
    references = {
        "default": [{"server_path": CALM, "text": "平静的话。"}],
        "愤怒": [{"server_path": ANGRY, "text": "生气的话。"}],
    }
    sheet = {"name": "小雨", "references": references, **sheet}
    return load_pack(write_role(folder / "xiaoyu", json.dumps(sheet)))


async def test_every_recording_is_tried(tmp_path: Path) -> None:
    async with FakeXtts() as server:
        checks = await checked(server.url, [role(tmp_path)])
        assert {check.status for check in checks} == {"ok"}
        assert [seen.voice for seen in server.requests] == [CALM, ANGRY]
        assert "5" in checks[0].found


async def test_a_recording_that_is_not_there_is_named_with_its_feeling(tmp_path: Path) -> None:
    async with FakeXtts(speakers={CALM}) as server:
        checks = await checked(server.url, [role(tmp_path)])
        [wrong] = [check for check in checks if check.status == "error"]
        assert "愤怒" in wrong.found


async def test_what_is_wrong_with_the_server_is_told(tmp_path: Path) -> None:
    async with FakeXtts() as server:
        url = server.url
    [check] = await checked(url, [role(tmp_path)])
    assert check.status == "error" and "连不上" in check.found and check.step
    [check] = await checked("http://", [role(tmp_path)])
    assert check.status == "error" and "base_url" in check.found
    assert [check async for check in xtts.check(Settings(), [])] == []
