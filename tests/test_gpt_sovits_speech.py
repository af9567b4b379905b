"""What a working server says: both APIs, every mode, references, weights, several servers, several devices."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

import numpy as np
import pytest
from fakes.sovits_client import ANGRY, CALM, TEXT, clip, say, synthesizer_at
from fakes.sovits_server import FakeSovits, pitch_of

from xiaozhi_persona.errors import ServiceRejected, ServiceTimeout, ServiceUnavailable, SettingsError
from xiaozhi_persona.providers.tts.gpt_sovits import GptSovitsSynthesizer
from xiaozhi_persona.providers.tts.gpt_sovits.dialect import Dialect
from xiaozhi_persona.spine import Clip, Voice
from xiaozhi_persona.voice_settings import GptSovitsSettings

_V2 = Dialect("v2", "/tts")
SPOKEN_S = 12 * 0.2 + 2 * 0.2 + 2 * 0.3  # 12 characters, 2 marks, and a pause after each clause


@pytest.mark.parametrize("media", ["wav", "raw", "ogg"])
@pytest.mark.parametrize("mode", [0, 1, 2, 3])
async def test_v2_in_every_mode_and_media_type(mode: int, media: str) -> None:
    async with (
        FakeSovits(piece_bytes=1777) as server,
        synthesizer_at(server, streaming_mode=mode, parameters={"media_type": media}) as synthesizer,
    ):
        spoken = await say(synthesizer)
        assert spoken.pitch_hz == pitch_of(CALM)
        assert spoken.seconds == pytest.approx(SPOKEN_S, abs=0.02)
        assert (len(spoken.chunks) == 1) == (mode == 0)
        assert server.requests[0].body["streaming_mode"] == mode


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("media", ["wav", "ogg"])
async def test_v1_closed_and_streaming(media: str, streams: bool) -> None:
    server = FakeSovits(api="v1", media=media, streams=streams, piece_bytes=1777)
    async with server, synthesizer_at(server) as synthesizer:
        spoken = await say(synthesizer)
        assert spoken.pitch_hz == pitch_of(CALM)
        assert spoken.seconds == pytest.approx(SPOKEN_S, abs=0.02)
        assert server.requests[0].body["text_language"] == "多语种混合"


@pytest.mark.parametrize("rate_hz", [24000, 32000, 48000])
@pytest.mark.parametrize("mode", [0, 2])
async def test_the_rate_is_that_of_the_sound(rate_hz: int, mode: int) -> None:
    async with (
        FakeSovits(rate_hz=rate_hz) as server,
        synthesizer_at(server, streaming_mode=mode) as synthesizer,
    ):
        spoken = await say(synthesizer)
        assert {chunk.sample_rate_hz for chunk in spoken.chunks} == {rate_hz}
        assert spoken.pitch_hz == pitch_of(CALM)


@pytest.mark.parametrize("api", ["auto", "v1", "v2"])
@pytest.mark.parametrize("describes_itself", [True, False])
@pytest.mark.parametrize("server_api", ["v1", "v2", "pack"])
async def test_the_api_is_found_out(server_api: str, describes_itself: bool, api: str) -> None:
    server = FakeSovits(
        api="v1" if server_api == "v1" else "v2",
        path="/" if server_api == "pack" else "",
        describes_itself=describes_itself,
    )
    async with server, synthesizer_at(server, api=api) as synthesizer:
        spoken = await say(synthesizer)
        if api != "auto" and (api == "v1") != (server_api == "v1"):
            assert isinstance(spoken.error, ServiceRejected)
            if describes_itself:
                assert "gpt_sovits.api" in str(spoken.error) and not server.requests
            return
        assert spoken.pitch_hz == pitch_of(CALM)
        await say(synthesizer, "再说一句别的。")
        assert (server.probes, server.requests[-1].path) == (1, "/tts" if server_api == "v2" else "/")
        assert len(server.requests) <= 3


@pytest.mark.parametrize("describes_itself", [True, False])
async def test_an_old_release_gets_true_and_that_is_remembered(describes_itself: bool) -> None:
    server = FakeSovits(is_old=True, describes_itself=describes_itself)
    async with server, synthesizer_at(server) as synthesizer:
        for text in ("第一句话在这里。", "第二句话在那里。"):
            assert (await say(synthesizer, text)).pitch_hz == pitch_of(CALM)
        modes = [request.body["streaming_mode"] for request in server.requests]
        assert modes == ([True, True] if describes_itself else [2, True, True])


async def test_first_sound_comes_before_the_last() -> None:
    async with FakeSovits(rtf=0.1) as server, synthesizer_at(server) as synthesizer:
        started = time.monotonic()
        sound = synthesizer.synthesize(TEXT, clip())
        await anext(sound)
        first_s = time.monotonic() - started
        _ = [chunk async for chunk in sound]
        assert first_s < 0.6 * (time.monotonic() - started)


async def test_connections_are_kept() -> None:
    async with FakeSovits() as server, synthesizer_at(server) as synthesizer:
        for text in ("第一句话在这里。", "第二句话在那里。", "第三句话在哪里。"):
            await say(synthesizer, text)
        assert len({request.connection for request in server.requests}) == 1


async def test_speed_multiplies() -> None:
    async with FakeSovits() as server, synthesizer_at(server, parameters={"speed": 1.25}) as synthesizer:
        spoken = await say(synthesizer, how=clip(speed=1.6))
        assert server.requests[0].body["speed_factor"] == 2.0
        assert spoken.seconds == pytest.approx(2.8 / 2 + 0.6, abs=0.01)


@pytest.mark.parametrize("api", ["v1", "v2"])
async def test_two_devices_on_one_server_never_hear_each_other(api: Any) -> None:
    async with FakeSovits(api=api, rtf=0.02) as server, synthesizer_at(server) as synthesizer:
        references = [CALM, ANGRY] * 4
        texts = [f"这是第{number}句话，请听好。" for number in range(8)]
        pairs = zip(texts, references, strict=True)
        spoken = await asyncio.gather(*(say(synthesizer, text, clip(path)) for text, path in pairs))
        assert [one.pitch_hz for one in spoken] == [pitch_of(path) for path in references]
        assert server.overlaps == 0


@pytest.mark.parametrize("mode", [0, 1, 2, 3])
@pytest.mark.parametrize("after_first_sound", [False, True])
async def test_the_next_sentence_waits_until_an_abandoned_step_has_ended(
    mode: int, after_first_sound: bool
) -> None:
    async with FakeSovits(rtf=0.05) as server, synthesizer_at(server, streaming_mode=mode) as synthesizer:
        await say(synthesizer, "先说一句长长的话，好知道这台服务器有多快。")
        server.arrived.clear()
        sound = synthesizer.synthesize(TEXT, clip())
        first = asyncio.create_task(anext(sound))
        await (first if after_first_sound else server.arrived.wait())
        first.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await first
        await sound.aclose()
        spoken = await say(synthesizer, "后面的这一句，是别人的声音。", clip(ANGRY))
        assert spoken.pitch_hz == pitch_of(ANGRY)
        assert server.overlaps == 0


@pytest.mark.parametrize("after_first_sound", [False, True])
async def test_closing_closes_the_request_at_once(after_first_sound: bool) -> None:
    async with FakeSovits(
        fault="hang_midway" if after_first_sound else "hang", describes_itself=False
    ) as server:
        took_ms = []
        for _ in range(20):
            async with synthesizer_at(server, api="v2") as synthesizer:
                synthesizer._pool.servers[0]._dialects = [_V2]
                server.disconnected.clear()
                server.stalled.clear()
                sound = synthesizer.synthesize(TEXT, clip())
                first = asyncio.create_task(anext(sound))
                await server.stalled.wait()
                if after_first_sound:
                    await first
                started = time.perf_counter()
                first.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await first
                await sound.aclose()
                await asyncio.wait_for(server.disconnected.wait(), 1)
                took_ms.append((time.perf_counter() - started) * 1000)
        assert np.percentile(took_ms, 95) <= 50


class TestWeights:
    A: dict[str, Any] = {"gpt": "a.ckpt", "sovits": "a.pth"}
    DEFAULT: dict[str, Any] = {"gpt_weights": "d.ckpt", "sovits_weights": "d.pth"}

    @pytest.mark.parametrize("api", ["v1", "v2"])
    async def test_each_role_speaks_with_its_own(self, api: Any) -> None:
        async with FakeSovits(api=api) as server, synthesizer_at(server, **self.DEFAULT) as synthesizer:
            for how in (clip(**self.A), clip(**self.A), clip()):
                assert (await say(synthesizer, f"这是第{len(server.requests)}句话。", how)).error is None
            held = [(request.gpt, request.sovits) for request in server.requests]
            assert held == [("a.ckpt", "a.pth"), ("a.ckpt", "a.pth"), ("d.ckpt", "d.pth")]
            assert server.loads == ["a.ckpt", "a.pth", "d.ckpt", "d.pth"]

    @pytest.mark.parametrize("missing", ["b.ckpt", "b.pth"])
    @pytest.mark.parametrize("api", ["v1", "v2"])
    async def test_both_or_neither(self, api: Any, missing: str) -> None:
        async with FakeSovits(api=api, missing={missing}) as server, synthesizer_at(server) as synthesizer:
            await say(synthesizer, "这是第一句话。", clip(**self.A))
            wrong = clip(gpt="b.ckpt", sovits="b.pth")
            error = (await say(synthesizer, "这是第二句话。", wrong)).error
            assert isinstance(error, ServiceRejected) and "换不了权重" in str(error)
            loads = len(server.loads)
            assert (await say(synthesizer, "这是第三句话。", wrong)).error  # not loaded again and again
            assert len(server.loads) == loads
            assert (await say(synthesizer, "这是第四句话。", clip(**self.A))).error is None
            assert (server.requests[-1].gpt, server.requests[-1].sovits) == ("a.ckpt", "a.pth")
            assert len(server.requests) == 2 and len(server.loads) == loads

    async def test_a_role_without_never_keeps_those_of_the_last(self) -> None:
        async with FakeSovits() as server, synthesizer_at(server) as synthesizer:
            assert (await say(synthesizer, "这是第一句话。")).error is None
            await say(synthesizer, "这是第二句话。", clip(**self.A))
            error = (await say(synthesizer, "这是第三句话。")).error
            assert isinstance(error, ServiceRejected) and "gpt_sovits.gpt_weights" in str(error)
            assert len(server.requests) == 2

    async def test_after_half_a_change_a_role_without_weights_does_not_speak_with_the_others_half(
        self,
    ) -> None:
        async with FakeSovits(missing={"b.pth"}) as server, synthesizer_at(server) as synthesizer:
            assert (await say(synthesizer, "这是第一句话。", clip(gpt="b.ckpt", sovits="b.pth"))).error
            assert isinstance((await say(synthesizer, "这是第二句话。")).error, ServiceRejected)
            assert all(seen.gpt != "b.ckpt" for seen in server.requests)

    async def test_v1_wants_both(self) -> None:
        async with FakeSovits(api="v1") as server, synthesizer_at(server) as synthesizer:
            error = (await say(synthesizer, how=clip(gpt="a.ckpt"))).error
            assert isinstance(error, ServiceRejected) and not server.loads

    async def test_a_restarted_server_gets_them_again(self) -> None:
        async with FakeSovits() as server, synthesizer_at(server, retry_after_s=0.0) as synthesizer:
            await say(synthesizer, "这是第一句话。", clip(**self.A))
            await server.stop()
            assert (await say(synthesizer, "这是第二句话。", clip(**self.A))).error
            await server.start()
            assert (await say(synthesizer, "这是第三句话。", clip(**self.A))).error is None
            assert server.requests[-1].gpt == "a.ckpt"
            assert server.loads == ["a.ckpt", "a.pth"] * 2

    async def test_loading_goes_on_when_the_sentence_has_given_up(self) -> None:
        async with (
            FakeSovits(load_s=0.15) as server,
            synthesizer_at(server, first_audio_timeout_s=0.2) as synthesizer,
        ):
            error = (await say(synthesizer, "这是第一句话。", clip(**self.A))).error
            assert isinstance(error, ServiceTimeout) and "换权重" in str(error)
            assert (await say(synthesizer, "这是第二句话。", clip(**self.A))).error is None
            assert server.loads == ["a.ckpt", "a.pth"]

    async def test_closing_while_loading_leaves_nothing(self) -> None:
        async with FakeSovits(load_s=5.0) as server, synthesizer_at(server) as synthesizer:
            speaking = asyncio.create_task(say(synthesizer, how=clip(**self.A)))
            await server.arrived.wait()
            speaking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await speaking


class TestPool:
    async def test_the_least_busy_server_is_asked(self) -> None:
        async with (
            FakeSovits(rtf=0.05) as one,
            FakeSovits(rtf=0.05) as two,
            synthesizer_at(one, two) as synthesizer,
        ):
            await asyncio.gather(*(say(synthesizer, f"这是第{number}句话。") for number in range(4)))
            assert (len(one.requests), len(two.requests)) == (2, 2)

    async def test_a_role_goes_where_its_weights_are(self) -> None:
        async with FakeSovits() as one, FakeSovits() as two, synthesizer_at(one, two) as synthesizer:
            a, b = clip(gpt="a.ckpt", sovits="a.pth"), clip(ANGRY, gpt="b.ckpt", sovits="b.pth")
            await asyncio.gather(say(synthesizer, how=a), say(synthesizer, how=b))
            for number, how in enumerate((b, a, a, b)):
                assert (await say(synthesizer, f"这是第{number}句话。", how)).error is None
            assert sorted(one.loads + two.loads) == ["a.ckpt", "a.pth", "b.ckpt", "b.pth"]

    async def test_another_server_takes_over_at_once_and_the_dead_one_is_left_alone(self) -> None:
        async with FakeSovits() as one, FakeSovits() as two, synthesizer_at(one, two) as synthesizer:
            await one.stop()
            assert (await say(synthesizer, "这是第一句话。")).pitch_hz == pitch_of(CALM)
            assert (await say(synthesizer, "这是第二句话。")).error is None
            assert [server.last_failure is None for server in synthesizer._pool.servers] == [False, True]
            await one.start()
            await say(synthesizer, "这是第三句话。")
            assert (len(one.requests), len(two.requests)) == (0, 3)
            synthesizer._pool.servers[0].aside_until = 0.0  # the time has passed
            await say(synthesizer, "这是第四句话。")
            assert len(one.requests) == 1

    async def test_all_set_aside_fail_at_once(self) -> None:
        async with FakeSovits() as server, synthesizer_at(server) as synthesizer:
            await server.stop()
            assert (await say(synthesizer)).error
            await server.start()
            error = (await say(synthesizer)).error
            assert isinstance(error, ServiceUnavailable) and "秒后再试" in str(error)
            assert not server.requests


async def test_parameters_of_the_role_override() -> None:
    async with FakeSovits() as server, synthesizer_at(server, parameters={"top_k": 5}) as synthesizer:
        how = Clip(
            voice=Voice(language="中文", parameters={"ref_audio": ANGRY, "ref_text": "怒", "top_k": 9})
        )
        assert (await say(synthesizer, how=how)).pitch_hz == pitch_of(ANGRY)
        body = server.requests[0].body
        assert (body["top_k"], body["text_lang"], body["prompt_text"]) == (9, "all_zh", "怒。")


def test_wrong_settings_are_told_when_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="gpt_sovits.parameters"):
        GptSovitsSynthesizer(GptSovitsSettings(servers=["http://a"], parameters={"nonsense": 1}))
    monkeypatch.delenv("TTS_SERVICE_URL_GPTSoVITS", raising=False)
    with pytest.raises(SettingsError, match="gpt_sovits.servers"):
        GptSovitsSynthesizer(GptSovitsSettings())
