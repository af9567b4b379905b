"""What the synthesizers behind one HTTP address have in common: faults, deadlines, cancelling, a second try, the cache."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from fakes.sovits_client import say
from fakes.sovits_server import pitch_of, seconds_of
from fakes.speech_client import ANGRY, CALM, ENGINES, Opened, clip
from fakes.speech_server import FakeSpeechServer, Fault

from xiaozhi_persona.errors import (
    PersonaError,
    ServiceBroken,
    ServiceRejected,
    ServiceTimeout,
    ServiceUnavailable,
    SettingsError,
)
from xiaozhi_persona.language import in_language
from xiaozhi_persona.providers.tts import http_synthesizer
from xiaozhi_persona.providers.tts.failures import CutOff, Silent, Stalled, Unreachable
from xiaozhi_persona.providers.tts.fallback import FallbackSynthesizer
from xiaozhi_persona.providers.tts.http_synthesizer import HttpSynthesizer, server_url
from xiaozhi_persona.providers.tts.length import longest_s, predicted_s
from xiaozhi_persona.voice_settings import EspeakSettings

TEXT = "今天天气很好，我们去公园吧。"

Fake = Callable[..., FakeSpeechServer]
At = Callable[..., Opened]


@pytest.fixture(params=list(ENGINES))
def engine(request: pytest.FixtureRequest) -> tuple[Fake, At]:
    return ENGINES[request.param]


@pytest.fixture(autouse=True)
def _no_pause_before_a_second_try(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_synthesizer, "RETRY_PAUSE_S", 0.0)


@contextlib.asynccontextmanager
async def speaking(
    engine: tuple[Fake, At], *, fake: dict[str, Any] | None = None, **changes: Any
) -> AsyncIterator[tuple[FakeSpeechServer, HttpSynthesizer]]:
    make, at = engine
    async with make(**(fake or {})) as server, at(server, **changes) as synthesizer:
        yield server, synthesizer


def kept(folder: Path) -> list[Path]:
    return list(folder.rglob("*.wav"))


# What is heard.


@pytest.mark.parametrize("streams", [True, False])
async def test_a_sentence_is_spoken_with_the_named_voice(engine: tuple[Fake, At], streams: bool) -> None:
    async with speaking(engine, fake={"streams": streams}) as (server, synthesizer):
        spoken = await say(synthesizer, TEXT, clip(name="shimmer"))
        assert spoken.pitch_hz == pitch_of("shimmer")
        assert spoken.seconds == pytest.approx(seconds_of(TEXT), abs=0.05)
        assert server.requests[0].text == TEXT
        assert spoken.chunks[0].source == server.url.removeprefix("http://")


async def test_the_voice_of_the_settings_is_for_who_names_none(engine: tuple[Fake, At]) -> None:
    async with speaking(engine) as (_, synthesizer):
        assert (await say(synthesizer, TEXT, clip())).pitch_hz == pitch_of("nova")


async def test_a_cloning_server_gets_the_recording_of_each_feeling(engine: tuple[Fake, At]) -> None:
    async with speaking(engine, cloning=True) as (_, synthesizer):
        calm = await say(synthesizer, TEXT, clip(CALM, name="shimmer"))
        angry = await say(synthesizer, TEXT, clip(ANGRY))
        assert (calm.pitch_hz, angry.pitch_hz) == (pitch_of(CALM), pitch_of(ANGRY))


async def test_a_server_of_fixed_voices_gets_no_paths(engine: tuple[Fake, At]) -> None:
    async with speaking(engine, cloning=False) as (server, synthesizer):
        await say(synthesizer, TEXT, clip(CALM))
        assert "calm" not in str(server.requests[0].body)


async def test_sound_is_handed_on_as_it_comes(engine: tuple[Fake, At]) -> None:
    async with speaking(engine, fake={"fault": "hang_midway"}) as (server, synthesizer):
        sound = synthesizer.synthesize(TEXT, clip())
        first = await anext(sound)
        assert len(first.samples) / first.sample_rate_hz < seconds_of(TEXT) / 2
        await sound.aclose()


async def test_two_sentences_at_once_keep_their_voices(engine: tuple[Fake, At]) -> None:
    async with speaking(engine, fake={"rtf": 0.01}) as (_, synthesizer):
        one, two = await asyncio.gather(
            say(synthesizer, TEXT, clip(name="nova")), say(synthesizer, TEXT, clip(name="onyx"))
        )
        assert (one.pitch_hz, two.pitch_hz) == (pitch_of("nova"), pitch_of("onyx"))


async def test_a_text_without_words_is_not_asked_for(engine: tuple[Fake, At]) -> None:
    async with speaking(engine) as (server, synthesizer):
        for text in ("", "……！？", " \n"):
            assert isinstance((await say(synthesizer, text, clip())).error, ServiceRejected)
        assert not server.requests


async def test_a_stream_that_finds_no_end_is_cut(engine: tuple[Fake, At]) -> None:
    async with speaking(engine, fake={"fault": "endless"}) as (server, synthesizer):
        spoken = await say(synthesizer, TEXT, clip())
        assert spoken.error is None
        assert spoken.seconds == pytest.approx(longest_s(predicted_s(TEXT)), abs=0.01)
        await server.disconnected.wait()


async def test_of_whole_sentences_of_a_wrong_length_the_better_is_spoken_after_a_second_try(
    engine: tuple[Fake, At],
) -> None:
    async with speaking(engine, fake={"streams": False, "next_faults": ["short"]}) as (server, synthesizer):
        assert (await say(synthesizer, TEXT, clip())).seconds == pytest.approx(seconds_of(TEXT), abs=0.05)
        server.next_faults = ["short", "endless"]
        spoken = await say(synthesizer, TEXT, clip(name="onyx"))
        assert spoken.error is None and spoken.seconds <= longest_s(predicted_s(TEXT))
        assert len(server.requests) == 4


# Faults. Each is tried on a sentence; what may pass is asked for a second time.


@pytest.mark.parametrize(
    ("fault", "error", "requests"),
    [
        ("json", ServiceRejected, 1),
        ("json_as_sound", ServiceRejected, 1),
        ("html", ServiceRejected, 1),
        ("refuse", ServiceRejected, 1),
        ("wrong_rate", ServiceRejected, 1),
        ("cut_off_empty", CutOff, 2),
        ("empty", CutOff, 2),
        ("header_only", CutOff, 2),
        ("silence", ServiceUnavailable, 2),
        ("reset", Unreachable, 2),
        ("cut_off", ServiceBroken, 1),
        ("reset_midway", ServiceBroken, 1),
    ],
)
async def test_what_only_looks_like_speech_is_an_error(
    engine: tuple[Fake, At], fault: Fault, error: type[PersonaError], requests: int
) -> None:
    async with speaking(engine, fake={"fault": fault}) as (server, synthesizer):
        spoken = await say(synthesizer, TEXT, clip())
        assert isinstance(spoken.error, error), spoken.error
        assert bool(spoken.chunks) == (error is ServiceBroken)
        assert len(server.requests) == requests
        assert server.url.removeprefix("http://") in str(spoken.error) or fault == "wrong_rate"


@pytest.mark.parametrize("fault", ["cut_off_empty", "empty", "silence", "reset"])
async def test_a_failure_that_passes_is_not_heard(engine: tuple[Fake, At], fault: Fault) -> None:
    async with speaking(engine, fake={"next_faults": [fault]}) as (_, synthesizer):
        assert (await say(synthesizer, TEXT, clip())).pitch_hz == pitch_of("nova")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, ServiceRejected),
        (401, ServiceRejected),
        (404, ServiceRejected),
        (422, ServiceRejected),
        (429, ServiceUnavailable),
        (500, ServiceUnavailable),
        (503, ServiceUnavailable),
        (504, ServiceTimeout),
    ],
)
@pytest.mark.parametrize(
    "refusal",
    [
        {"error": {"message": "no such thing", "code": 7}},
        {"detail": "no such thing"},
        {"detail": {"error": "x", "message": "no such thing"}},
        {"detail": [{"loc": ["body", "voice"], "msg": "no such thing"}]},
        {"message": "no such thing"},
        {"error": "no such thing"},
        "<html><style>p {x}</style><body>no such thing</body></html>",
    ],
)
async def test_a_refusal_tells_what_the_server_said(
    engine: tuple[Fake, At], status: int, error: type[PersonaError], refusal: Any
) -> None:
    fake = {"fault": "refuse", "status": status, "refusal": refusal}
    async with speaking(engine, fake=fake) as (_, synthesizer):
        failure = (await say(synthesizer, TEXT, clip())).error
        assert isinstance(failure, error)
        assert "no such thing" in str(failure) and str(status) in str(failure) and "p {x}" not in str(failure)


async def test_an_answer_that_nobody_can_read_is_still_an_error(engine: tuple[Fake, At]) -> None:
    for refusal in (
        [],
        [[[1]]],
        None,
        {"detail": [1, {"loc": None}]},
        {"error": {"message": {}}},
        "[" * 20_000,
    ):
        async with speaking(engine, fake={"fault": "refuse", "refusal": refusal}) as (_, synthesizer):
            assert isinstance((await say(synthesizer, TEXT, clip())).error, ServiceRejected)


async def test_messages_are_in_english_too(engine: tuple[Fake, At]) -> None:
    for fault in ("cut_off", "cut_off_empty", "silence", "refuse", "reset"):
        async with speaking(engine, fake={"fault": fault}) as (_, synthesizer):
            with in_language("en"):
                told = str((await say(synthesizer, TEXT, clip())).error)
            assert told.isascii(), told


# Deadlines.


@pytest.mark.parametrize("streams", [True, False])
async def test_a_server_that_hangs_is_left_and_set_aside(engine: tuple[Fake, At], streams: bool) -> None:
    fake = {"fault": "hang", "streams": streams}
    async with speaking(engine, fake=fake, first_audio_timeout_s=0.2) as (server, synthesizer):
        assert isinstance((await say(synthesizer, TEXT, clip())).error, Silent)
        await server.disconnected.wait()
        again = await say(synthesizer, TEXT, clip())
        assert isinstance(again.error, ServiceUnavailable) and "30" in str(again.error)
        assert len(server.requests) == 1


async def test_it_is_asked_again_after_a_while(engine: tuple[Fake, At]) -> None:
    async with speaking(
        engine, fake={"next_faults": ["hang"]}, first_audio_timeout_s=0.2, retry_after_s=0.0
    ) as (_, synthesizer):
        assert isinstance((await say(synthesizer, TEXT, clip())).error, Silent)
        assert (await say(synthesizer, TEXT, clip())).pitch_hz == pitch_of("nova")


async def test_sound_that_stops_coming_is_not_waited_for(engine: tuple[Fake, At]) -> None:
    async with speaking(engine, fake={"fault": "hang_midway"}, audio_timeout_s=0.2) as (server, synthesizer):
        spoken = await say(synthesizer, TEXT, clip())
        assert isinstance(spoken.error, Stalled) and spoken.chunks
        await server.disconnected.wait()


async def test_a_trickle_is_no_sound(engine: tuple[Fake, At]) -> None:
    limits = {"first_audio_timeout_s": 0.3, "audio_timeout_s": 0.3}
    async with speaking(engine, fake={"fault": "trickle"}, **limits) as (server, synthesizer):
        assert isinstance((await say(synthesizer, TEXT, clip())).error, Silent | Stalled)
        await server.disconnected.wait()


async def test_the_listeners_time_is_not_the_servers(engine: tuple[Fake, At]) -> None:
    async with speaking(engine, audio_timeout_s=0.2) as (_, synthesizer):
        async with contextlib.aclosing(synthesizer.synthesize(TEXT, clip())) as sound:
            count = 0
            async for _chunk in sound:
                count += 1
                if count == 1:
                    await asyncio.sleep(0.3)
        assert count > 1


async def test_nobody_listens(engine: tuple[Fake, At]) -> None:
    make, at = engine
    async with make() as server:
        url = server.url
    async with at(url) as synthesizer:
        with pytest.raises(Unreachable):
            await synthesizer.load()
        failure = (await say(synthesizer, TEXT, clip())).error
        assert isinstance(failure, Unreachable) and url.removeprefix("http://") in str(failure)


async def test_a_server_that_was_started_anew_is_found(engine: tuple[Fake, At]) -> None:
    async with speaking(engine) as (server, synthesizer):
        await say(synthesizer, TEXT, clip())
        await server.stop()
        await server.start()
        assert (await say(synthesizer, TEXT, clip(name="onyx"))).pitch_hz == pitch_of("onyx")


# Cancelling.


@pytest.mark.parametrize("fault", ["hang", "hang_midway", "trickle"])
@pytest.mark.parametrize("streams", [True, False])
async def test_cancelling_closes_the_request(engine: tuple[Fake, At], fault: Fault, streams: bool) -> None:
    async with speaking(engine, fake={"fault": fault, "streams": streams}) as (server, synthesizer):
        task = asyncio.create_task(say(synthesizer, TEXT, clip()), name="sentence")
        await server.stalled.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(server.disconnected.wait(), 2)
        server.fault = "none"
        assert (await say(synthesizer, TEXT, clip())).pitch_hz == pitch_of("nova")


async def test_closing_the_iterator_midway_closes_the_request(engine: tuple[Fake, At]) -> None:
    async with speaking(engine, fake={"fault": "hang_midway"}) as (server, synthesizer):
        sound = synthesizer.synthesize(TEXT, clip())
        await anext(sound)
        await sound.aclose()
        await asyncio.wait_for(server.disconnected.wait(), 2)


async def test_cancelling_between_two_tries_makes_no_second_one(engine: tuple[Fake, At]) -> None:
    async with speaking(engine, fake={"fault": "empty"}) as (server, synthesizer):
        task = asyncio.create_task(say(synthesizer, TEXT, clip()), name="sentence")
        await server.arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(server.requests) == 1


# The fallback, and what is kept.


async def test_the_fallback_speaks_what_the_server_cannot(engine: tuple[Fake, At]) -> None:
    pytest.importorskip("espeakng_loader")
    from xiaozhi_persona.providers.tts.espeak import EspeakSynthesizer

    async with speaking(engine, fake={"fault": "silence"}) as (_, synthesizer):
        both = FallbackSynthesizer(synthesizer, EspeakSynthesizer(EspeakSettings()))
        spoken = await say(both, TEXT, clip())
        assert spoken.error is None and spoken.chunks[0].source == "eSpeak NG"


async def test_a_fixed_phrase_is_kept_on_disk_and_forgotten_when_told(
    engine: tuple[Fake, At], tmp_path: Path
) -> None:
    make, at = engine
    async with make() as server:
        for _ in range(2):
            async with at(server, tmp_path) as synthesizer:
                assert (await say(synthesizer, TEXT, clip(fixed=True))).pitch_hz == pitch_of("nova")
        assert len(server.requests) == 1
        async with at(server, tmp_path) as synthesizer:
            await synthesizer.clear_cache()
            assert not kept(tmp_path)
            await say(synthesizer, TEXT, clip(fixed=True))
        assert len(server.requests) == 2


async def test_every_voice_has_its_own_sound_kept(engine: tuple[Fake, At], tmp_path: Path) -> None:
    async with speaking(engine, folder=tmp_path, cloning=True) as (_, synthesizer):
        for how in (clip(fixed=True), clip(name="onyx", fixed=True), clip(CALM, fixed=True)) * 2:
            expected = how.reference.path if how.reference else how.voice.name or "nova"
            assert (await say(synthesizer, TEXT, how)).pitch_hz == pitch_of(expected)


@pytest.mark.parametrize("fault", ["cut_off", "endless"])
async def test_only_whole_sentences_are_kept(engine: tuple[Fake, At], tmp_path: Path, fault: Fault) -> None:
    async with speaking(engine, fake={"fault": fault}, folder=tmp_path) as (server, synthesizer):
        for _ in range(2):
            await say(synthesizer, TEXT, clip(fixed=True))
        assert len(server.requests) == 2 and not kept(tmp_path)


# Addresses.


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("127.0.0.1:8020", "http://127.0.0.1:8020/"),
        (" http://a:1/ ", "http://a:1/"),
        ("https://a/v1/?x=1#y", "https://a/v1"),
        ("http://[::1]:8020", "http://[::1]:8020/"),
    ],
)
def test_an_address_is_read_as_users_write_it(written: str, url: str) -> None:
    assert str(server_url(written, "xtts.base_url")) == url


@pytest.mark.parametrize(
    "written", ["", "http://", "ftp://a", "http://a b", "http://a:99999", "http://[", "http://a:x"]
)
def test_what_is_no_address_names_its_key(written: str) -> None:
    with pytest.raises(SettingsError, match="xtts.base_url"):
        server_url(written, "xtts.base_url")
