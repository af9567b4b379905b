"""Speech behind OpenAI's API and coqui-tts's own: how a sentence is asked for, each format, the checks."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from fakes.openai_speech_server import FakeOpenAiSpeech
from fakes.role_packs import write_role
from fakes.sovits_client import say
from fakes.sovits_server import pitch_hz, pitch_of, seconds_of
from fakes.speech_client import ANGRY, CALM, clip, coqui_at, openai_speech_at

from xiaozhi_persona.checks import Check
from xiaozhi_persona.errors import ServiceRejected, ServiceUnavailable, SettingsError
from xiaozhi_persona.providers.tts import http_synthesizer, openai_speech
from xiaozhi_persona.providers.tts.openai_speech import coqui_url, speech_url
from xiaozhi_persona.roles.role import Role, load_pack
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.voice_settings import OpenAiSpeechSettings, TtsSettings

TEXT = "今天天气很好，我们去公园吧。"

# How a sentence is asked for.


async def test_the_request_is_that_of_the_api() -> None:
    extra = {"lang_code": "z", "input": "not this"}
    async with FakeOpenAiSpeech() as server, openai_speech_at(server, extra_body=extra) as synthesizer:
        await say(synthesizer, TEXT, clip(speed=1.25))
        assert server.requests[0].path == "/v1/audio/speech"
        assert server.requests[0].body == {
            "model": "tts-1",
            "input": TEXT,
            "voice": "nova",
            "response_format": "wav",
            "speed": 1.25,
            "lang_code": "z",
        }


async def test_an_empty_model_is_left_out() -> None:
    async with FakeOpenAiSpeech() as server, openai_speech_at(server, model="", voice="") as synthesizer:
        await say(synthesizer, TEXT, clip())
        assert set(server.requests[0].body) == {"input", "response_format", "speed"}


async def test_the_key_is_shown_to_the_server_and_to_nobody_else() -> None:
    async with FakeOpenAiSpeech(api_key="sk-right") as server:
        async with openai_speech_at(server, api_key=" sk-right ") as synthesizer:
            assert (await say(synthesizer, TEXT, clip())).error is None
        async with openai_speech_at(server, api_key="sk-wrong") as synthesizer:
            failure = (await say(synthesizer, TEXT, clip())).error
            assert isinstance(failure, ServiceRejected)
            assert "***" in str(failure) and "sk-wrong" not in str(failure)


@pytest.mark.parametrize("key", ["密钥", "sk-a\nb"])
def test_a_key_that_cannot_be_one_is_told_at_once(key: str) -> None:
    section = OpenAiSpeechSettings(base_url="http://127.0.0.1:1", api_key=key)
    with pytest.raises(SettingsError, match="api_key"):
        openai_speech.open_engine(Settings(openai_speech=section))


def test_a_proxy_that_cannot_be_used_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "nonsense://x")
    section = OpenAiSpeechSettings(base_url="http://api.example.com")
    with pytest.raises(SettingsError, match="ALL_PROXY"):
        openai_speech.open_engine(Settings(openai_speech=section))
    section = OpenAiSpeechSettings(base_url="http://192.168.1.9:8880")  # in the house no proxy is used
    assert openai_speech.open_engine(Settings(openai_speech=section))


def test_parameters_that_are_no_json_are_told_at_once() -> None:
    section = OpenAiSpeechSettings(base_url="http://127.0.0.1:1", extra_body={"x": {1, 2}})
    with pytest.raises(SettingsError, match="extra_body"):
        openai_speech.open_engine(Settings(openai_speech=section))


@pytest.mark.parametrize(
    ("written", "speech", "coqui"),
    [
        ("http://a:8880", "http://a:8880/v1/audio/speech", "http://a:8880/api/tts"),
        ("http://a:8880/", "http://a:8880/v1/audio/speech", "http://a:8880/api/tts"),
        ("a:8880/v1", "http://a:8880/v1/audio/speech", "http://a:8880/api/tts"),
        ("http://a/v1/audio/speech", "http://a/v1/audio/speech", "http://a/api/tts"),
        ("https://a/deep/v1/", "https://a/deep/v1/audio/speech", "https://a/deep/api/tts"),
        ("https://a/openai", "https://a/openai/audio/speech", "https://a/openai/api/tts"),
    ],
)
def test_the_address_may_end_anywhere(written: str, speech: str, coqui: str) -> None:
    assert (str(speech_url(written)), str(coqui_url(written))) == (speech, coqui)


def test_without_an_address_the_key_is_named() -> None:
    with pytest.raises(SettingsError, match="openai_speech.base_url"):
        openai_speech.open_engine(Settings())


# Each format, cut anywhere.


@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize("media", ["wav", "pcm", "opus", "mp3"])
async def test_each_format_is_heard(media: str, streams: bool) -> None:
    async with (
        FakeOpenAiSpeech(streams=streams) as server,
        openai_speech_at(server, response_format=media) as synthesizer,
    ):
        spoken = await say(synthesizer, TEXT, clip())
        assert spoken.pitch_hz == pitch_of("nova")
        assert spoken.seconds == pytest.approx(seconds_of(TEXT), abs=0.12)  # MP3 adds silence


@pytest.mark.parametrize("media", ["wav", "pcm", "opus"])
async def test_the_beginning_is_heard_before_the_end_is_made(media: str) -> None:
    async with (
        FakeOpenAiSpeech(fault="hang_midway", piece_s=0.3) as server,
        openai_speech_at(server, response_format=media) as synthesizer,
    ):
        sound = synthesizer.synthesize("今天天气很好，我们去公园吧。" * 3, clip())
        assert len((await asyncio.wait_for(anext(sound), 2)).samples)
        await sound.aclose()


async def test_mp3_is_heard_as_it_comes_where_pyav_is() -> None:
    pytest.importorskip("av")
    async with (
        FakeOpenAiSpeech(fault="hang_midway") as server,
        openai_speech_at(server, response_format="mp3") as synthesizer,
    ):
        sound = synthesizer.synthesize("今天天气很好，我们去公园吧。" * 3, clip())
        assert len((await asyncio.wait_for(anext(sound), 2)).samples)
        await sound.aclose()


async def test_mp3_is_heard_without_pyav(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    async with FakeOpenAiSpeech() as server, openai_speech_at(server, response_format="mp3") as synthesizer:
        assert (await say(synthesizer, TEXT, clip())).pitch_hz == pitch_of("nova")


async def test_the_bytes_tell_what_came_not_what_was_asked_for() -> None:
    for media in ("wav", "opus", "mp3"):
        extra = {"response_format": media}
        async with (
            FakeOpenAiSpeech() as server,
            openai_speech_at(server, response_format="pcm", extra_body=extra) as synthesizer,
        ):
            assert (await say(synthesizer, TEXT, clip())).pitch_hz == pitch_of("nova")


async def test_the_rate_of_samples_is_that_of_the_content_type_else_that_of_the_settings() -> None:
    async with FakeOpenAiSpeech(rate_hz=22050, stated_rate=True) as server:
        async with openai_speech_at(server, response_format="pcm") as synthesizer:
            spoken = await say(synthesizer, TEXT, clip())
            assert spoken.chunks[0].sample_rate_hz == 22050 and spoken.pitch_hz == pitch_of("nova")
        server.stated_rate = False
        async with openai_speech_at(server, response_format="pcm", pcm_rate_hz=22050) as synthesizer:
            assert (await say(synthesizer, TEXT, clip())).pitch_hz == pitch_of("nova")
        async with openai_speech_at(server, response_format="pcm") as synthesizer:
            spoken = await say(synthesizer, TEXT, clip())
            assert pitch_hz(spoken.samples, 24000) != pitch_of("nova")


async def test_a_format_among_the_other_parameters_counts() -> None:
    extra = {"response_format": "pcm"}
    async with FakeOpenAiSpeech() as server, openai_speech_at(server, extra_body=extra) as synthesizer:
        assert (await say(synthesizer, TEXT, clip())).pitch_hz == pitch_of("nova")


@pytest.mark.parametrize("fault", ["json", "json_as_sound", "html"])
async def test_an_error_is_not_played_as_samples(fault: Any) -> None:
    async with (
        FakeOpenAiSpeech(fault=fault) as server,
        openai_speech_at(server, response_format="pcm") as synthesizer,
    ):
        spoken = await say(synthesizer, TEXT, clip())
        assert isinstance(spoken.error, ServiceRejected) and not spoken.chunks


async def test_sound_that_nobody_decodes_says_what_to_do() -> None:
    async with (
        FakeOpenAiSpeech() as server,
        openai_speech_at(server, extra_body={"response_format": "aac"}) as synthesizer,
    ):
        failure = (await say(synthesizer, TEXT, clip())).error
        assert isinstance(failure, ServiceRejected) and "WAV" in str(failure)


# coqui-tts.


async def test_coqui_is_told_the_recording_and_the_language_of_each_sentence() -> None:
    async with FakeOpenAiSpeech(coqui=True) as server, coqui_at(server, cloning=True) as synthesizer:
        assert (await say(synthesizer, TEXT, clip(ANGRY, language="中英混合"))).pitch_hz == pitch_of(ANGRY)
        await say(synthesizer, "The weather is fine.", clip(CALM))
        asked = [(seen.path, seen.voice, seen.language) for seen in server.requests]
        assert asked == [("/api/tts", ANGRY, "zh-cn"), ("/api/tts", CALM, "en")]
        # The speaker given at its start must not take the recording's place.
        assert server.requests[0].body["speaker_id"] == ""


async def test_coqui_under_its_openai_address_takes_the_path_as_voice() -> None:
    async with (
        FakeOpenAiSpeech(coqui=True, voices={CALM}) as server,
        openai_speech_at(server, cloning=True) as synthesizer,
    ):
        assert (await say(synthesizer, TEXT, clip(CALM))).pitch_hz == pitch_of(CALM)
        failure = (await say(synthesizer, TEXT, clip(ANGRY))).error
        assert isinstance(failure, ServiceUnavailable) and "500" in str(failure)


async def test_coqui_says_what_it_could_not_do() -> None:
    async with (
        FakeOpenAiSpeech(coqui=True, voices={CALM}) as server,
        coqui_at(server, cloning=True) as synthesizer,
    ):
        failure = (await say(synthesizer, TEXT, clip(ANGRY))).error
        assert isinstance(failure, ServiceUnavailable) and ANGRY in str(failure)


# The checks.


async def checked(server: FakeOpenAiSpeech | str, roles: list[Role], **changes: Any) -> list[Check]:
    url = server if isinstance(server, str) else server.url
    section = OpenAiSpeechSettings(base_url=url, voice="nova").model_copy(update=changes)
    settings = Settings(tts=TtsSettings(engine="openai_speech"), openai_speech=section)
    return [check async for check in openai_speech.check(settings, roles)]


def role(folder: Path, **sheet: Any) -> Role:
    return load_pack(write_role(folder / "xiaoyu", json.dumps({"name": "小雨", **sheet})))


async def test_all_is_well(tmp_path: Path) -> None:
    async with FakeOpenAiSpeech() as server:
        checks = await checked(server, [role(tmp_path, voice="nova", voices={"高兴": "shimmer"})])
        assert {check.status for check in checks} == {"ok"}
        assert "tts-1" in checks[0].found and "出声" in checks[1].found
        assert [seen.voice for seen in server.requests] == ["nova", "shimmer"]


async def test_an_unknown_voice_is_named_with_its_feeling(tmp_path: Path) -> None:
    async with FakeOpenAiSpeech(voices={"nova"}) as server:
        checks = await checked(server, [role(tmp_path, voice="nova", voices={"高兴": "shimer"})])
        wrong = [check for check in checks if check.status == "error"]
        assert len(wrong) == 1 and "高兴" in wrong[0].found and "shimer" in wrong[0].found


async def test_nothing_is_said_of_an_engine_that_nobody_uses() -> None:
    assert [check async for check in openai_speech.check(Settings(), [])] == []


async def test_an_address_that_is_not_used_is_told_and_not_spoken_at(tmp_path: Path) -> None:
    async with FakeOpenAiSpeech() as server:
        section = OpenAiSpeechSettings(base_url=server.url)
        checks = [
            check async for check in openai_speech.check(Settings(openai_speech=section), [role(tmp_path)])
        ]
        assert [check.status for check in checks] == ["warning"] and "tts.engine" in checks[0].step
        assert not server.requests


async def test_a_server_that_is_busy_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_synthesizer, "LOOK_TIMEOUT_S", 0.1)
    async with FakeOpenAiSpeech(fault="hang") as server:
        [check] = await checked(server, [], connect_timeout_s=0.1)
        assert check.status == "warning" and "没有回答" in check.found and check.step


async def test_what_is_wrong_with_the_server_is_told(tmp_path: Path) -> None:
    async with FakeOpenAiSpeech(api_key="sk-1") as server:
        url = server.url
        [check] = await checked(server, [role(tmp_path)])
        assert check.status == "error" and "401" in check.found
    [check] = await checked(url, [role(tmp_path)])
    assert check.status == "error" and "连不上" in check.found and check.step
    [check] = await checked("", [role(tmp_path)])
    assert check.status == "error" and "base_url" in check.found


async def test_coqui_under_its_openai_address_speaks_one_language(tmp_path: Path) -> None:
    async with FakeOpenAiSpeech(coqui=True) as server:
        checks = await checked(server, [role(tmp_path, language="zh")])
        assert any("--language_idx zh-cn" in check.step for check in checks)
        for language in ("en", "世界语"):
            checks = await checked(server, [role(tmp_path, language=language)])
            assert not any("--language_idx" in check.step for check in checks)
        checks = await checked(server, [role(tmp_path, language="zh")], api="coqui")
        assert not any("--language_idx" in check.step for check in checks)
