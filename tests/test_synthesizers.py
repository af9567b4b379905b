"""What every synthesizer must do, whichever engine it is."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses

import pytest
from fakes.sovits_client import ANGRY, CALM, clip, say
from synthesizer_rigs import KINDS, Kind, Trouble

from xiaozhi_persona.errors import (
    ServiceBroken,
    ServiceError,
    ServiceTimeout,
    ServiceUnavailable,
)
from xiaozhi_persona.providers.tts.engine import ENGINES, engine_of
from xiaozhi_persona.roles.role import load_role

LONG = "今天天气很好，我们一起去公园走走，看看花，喝喝茶，再说说昨天的事情吧。"
QUICK = {"first_audio_timeout_s": 0.4, "audio_timeout_s": 0.3, "connect_timeout_s": 0.5}
TROUBLES: dict[Trouble, tuple[type[ServiceError], ...]] = {
    "refused": (ServiceError,),
    "page": (ServiceError,),
    "nothing": (ServiceError,),
    "silence": (ServiceError,),
    "cut": (ServiceBroken,),
    "hang": (ServiceTimeout,),
    "hang_midway": (ServiceBroken, ServiceTimeout),
    "gone": (ServiceUnavailable,),
}

every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
every_server = pytest.mark.parametrize(
    "kind",
    [kind for kind in KINDS.values() if kind.make_server],
    ids=[name for name, kind in KINDS.items() if kind.make_server],
)


def test_every_engine_is_tried_here() -> None:
    assert {kind.engine for kind in KINDS.values()} == set(ENGINES)


@every_kind
async def test_it_says_what_it_is_and_loads_twice(kind: Kind) -> None:
    async with kind.open() as rig:
        await rig.synthesizer.load()
        await rig.synthesizer.load()
        assert rig.synthesizer.name and isinstance(rig.synthesizer.advice, str)
        if rig.server:
            assert rig.server.url in rig.synthesizer.name and not rig.synthesizer.advice
            assert not rig.server.requests


@every_kind
async def test_a_sentence_is_sound_at_one_rate(kind: Kind) -> None:
    async with kind.open() as rig:
        spoken = await say(rig.synthesizer)
    assert spoken.error is None and 0.5 < spoken.seconds < 30
    assert len({chunk.sample_rate_hz for chunk in spoken.chunks}) == 1
    assert 8000 <= spoken.chunks[0].sample_rate_hz <= 96000
    assert all(
        chunk.samples.dtype == "int16" and chunk.samples.ndim == 1 and chunk.source for chunk in spoken.chunks
    )
    assert abs(spoken.samples).max() > 500


@every_kind
async def test_a_pace_is_heard_where_the_voice_takes_one_and_is_kept_apart(kind: Kind) -> None:
    usual, slow = clip(CALM), dataclasses.replace(clip(CALM), speed=0.6)
    async with kind.open() as rig:
        spoken = [await say(rig.synthesizer, how=how) for how in (usual, slow, usual)]
        takes_pace = engine_of(kind.engine).takes_pace(rig.settings)
    assert [one.error for one in spoken] == [None] * 3
    first, second, third = spoken
    assert (second.seconds > 1.2 * first.seconds) is takes_pace
    assert third.seconds == pytest.approx(first.seconds, abs=0.01)
    if rig.server and takes_pace:
        assert len(rig.server.requests) == 2  # the third was known


@every_kind
async def test_two_emotions_sound_different(kind: Kind) -> None:
    calm, angry = clip(CALM, emotion="中性"), clip(ANGRY, emotion="愤怒")
    async with kind.open() as rig:
        first, second = await say(rig.synthesizer, how=calm), await say(rig.synthesizer, how=angry)
    assert first.error is None and second.error is None
    shorter = min(len(first.samples), len(second.samples))
    assert (first.samples[:shorter] != second.samples[:shorter]).any()


@every_kind
@pytest.mark.parametrize("text", ["", " \n\t", "。", "……！？", "😀"])
async def test_a_text_without_words_ends_soon_and_is_no_speech(kind: Kind, text: str) -> None:
    async with kind.open(**QUICK) as rig:
        spoken = await asyncio.wait_for(say(rig.synthesizer, text), 5)
    assert spoken.error is None or isinstance(spoken.error, ServiceError)
    assert spoken.seconds < 3


@every_kind
@pytest.mark.parametrize(
    "text", ["a\0b 你好", "你好\ud800呀", "<b>&amp;</b>你好", '"},{"x": "你好', "你" * 300]
)
async def test_any_text_ends_in_sound_or_an_error_of_ours(kind: Kind, text: str) -> None:
    async with kind.open() as rig:
        spoken = await asyncio.wait_for(say(rig.synthesizer, text), 20)
        assert spoken.error is None or isinstance(spoken.error, ServiceError)
        assert (await say(rig.synthesizer)).error is None  # and the next one is spoken


@every_kind
async def test_two_at_once_are_both_said(kind: Kind) -> None:
    async with kind.open() as rig:
        first, second = await asyncio.gather(say(rig.synthesizer, LONG), say(rig.synthesizer, "好。你好呀。"))
    assert first.error is None and second.error is None
    assert first.seconds > 2 * second.seconds > 0


@every_kind
async def test_ten_devices_at_once_each_get_their_sentence(kind: Kind) -> None:
    async with kind.open() as rig:
        spoken = await asyncio.gather(*(say(rig.synthesizer, f"第{n}台设备在说话。") for n in range(10)))
    assert [one.error for one in spoken] == [None] * 10


@every_kind
async def test_who_stops_listening_closes_it_and_the_next_one_is_said(kind: Kind) -> None:
    async with kind.open() as rig:
        for _ in range(5):
            async with contextlib.aclosing(rig.synthesizer.synthesize(LONG, clip())) as sound:
                await anext(sound)
        assert (await asyncio.wait_for(say(rig.synthesizer), 10)).error is None


@every_server
@pytest.mark.parametrize("stage", ["hang", "hang_midway"])
async def test_cancelling_ends_the_request_and_frees_the_way(kind: Kind, stage: Trouble) -> None:
    async with kind.open() as rig:
        await say(rig.synthesizer)
        rig.server.stalled.clear()
        rig.server.disconnected.clear()
        rig.server.fault = (kind.faults or {})[stage]
        speaking = asyncio.create_task(say(rig.synthesizer, LONG))
        await asyncio.wait_for(rig.server.stalled.wait(), 5)
        speaking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await speaking
        await asyncio.wait_for(rig.server.disconnected.wait(), 5)
        rig.server.fault = "none"
        assert (await asyncio.wait_for(say(rig.synthesizer), 10)).error is None


@every_server
@pytest.mark.parametrize("trouble", TROUBLES)
async def test_each_trouble_has_its_error_which_says_what_to_do(kind: Kind, trouble: Trouble) -> None:
    async with kind.open(trouble, **QUICK) as rig:
        spoken = await asyncio.wait_for(say(rig.synthesizer, LONG), 10)
    assert isinstance(spoken.error, TROUBLES[trouble]), spoken.error
    assert str(spoken.error)
    assert (spoken.seconds > 0) == (trouble in ("cut", "hang_midway"))


@every_server
async def test_a_server_that_is_not_there_is_told_when_loading(kind: Kind) -> None:
    async with kind.open("gone", **QUICK) as rig:
        with pytest.raises(ServiceUnavailable, match="127.0.0.1"):
            await rig.synthesizer.load()


@every_kind
async def test_the_cache_is_cleared_without_one_and_after_use(kind: Kind) -> None:
    async with kind.open() as rig:
        await rig.synthesizer.clear_cache()
        await say(rig.synthesizer)
        await rig.synthesizer.clear_cache()


@every_kind
async def test_it_is_closed_twice_and_says_so_afterwards(kind: Kind) -> None:
    async with kind.open() as rig:
        await say(rig.synthesizer)
        await rig.synthesizer.aclose()
        await rig.synthesizer.aclose()
        spoken = await asyncio.wait_for(say(rig.synthesizer, LONG), 5)
    assert spoken.error is None or isinstance(spoken.error, ServiceUnavailable)


@every_kind
async def test_its_checks_find_nothing_wrong_and_name_it(kind: Kind) -> None:
    async with kind.open() as rig:
        checks = [check async for check in engine_of(kind.engine).check(rig.settings, [load_role("xiaoyu")])]
    assert checks and not [check for check in checks if check.status == "error"]


@every_server
async def test_its_checks_tell_of_a_server_that_is_gone_with_the_next_step(kind: Kind) -> None:
    async with kind.open("gone", **QUICK) as rig:
        checks = [check async for check in engine_of(kind.engine).check(rig.settings, [load_role("xiaoyu")])]
    assert any(check.status == "error" and check.step for check in checks)


@every_server
async def test_its_servers_are_listed_and_can_be_opened_alone(kind: Kind) -> None:
    async with kind.open() as rig:
        engine = engine_of(kind.engine)
        (seen,) = await engine.look(rig.settings)
        assert seen.is_reached and seen.kind and rig.server.url in seen.server
        ((place, alone),) = engine.servers(rig.settings).items()
        assert rig.server.url in place
        synthesizer = engine.open_engine(alone)
        assert (await say(synthesizer)).error is None
        await synthesizer.aclose()


@every_kind
async def test_of_what_is_neither_chosen_nor_set_up_nothing_is_said(kind: Kind) -> None:
    async with kind.open() as rig:
        others = [name for name in ENGINES if name not in (kind.engine, "espeak")]
        if kind.engine == "espeak":
            return  # which tells of what would be better
        for name in others:
            assert not [check async for check in engine_of(name).check(rig.settings, [])]
            assert not await engine_of(name).look(rig.settings)
            assert not engine_of(name).servers(rig.settings)
