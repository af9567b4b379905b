"""What every recognizer must do, whichever engine it is."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
import pytest_asyncio
from fakes.parts import silence, speech
from recognizer_rigs import KINDS, PATIENCE_S, RECORDINGS, Ears

from xiaozhi_persona.checks import Check
from xiaozhi_persona.errors import (
    PackageMissing,
    PersonaError,
    ServiceError,
    ServiceTimeout,
    ServiceUnavailable,
)
from xiaozhi_persona.providers.asr.engine import ENGINES, engine_of
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.spine import Samples, Transcript

(ONE_TEXT, ONE), (OTHER_TEXT, OTHER) = list(RECORDINGS.items())[:2]
BY_PACKAGES = [name for name in KINDS if engine_of(name.split()[0]).PACKAGES]
BY_MODEL = [name for name in KINDS if engine_of(name.split()[0]).NAMED_BY == "model"]
STAGES = ("loading", "waiting", "recognizing")


@pytest_asyncio.fixture(params=KINDS)
async def ears(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Ears]:
    async with KINDS[request.param](tmp_path, monkeypatch) as ears:
        yield ears


def of_engines(names: list[str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("ears", names, indirect=True)


def begin(coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    return asyncio.create_task(coroutine, name="of the test")


async def at_stage(
    ears: Ears, stage: str, **asr: Any
) -> tuple[Any, asyncio.Task[Any], list[asyncio.Task[Any]]]:
    """Return a recognizer, an utterance that has come to that stage and stays there, and those before it."""
    recognizer = ears.opened(workers=1, **asr)
    if stage == "loading":
        ears.hold_loading()
        waiting = begin(recognizer.transcribe(ONE))
        await ears.loading()
        return recognizer, waiting, []
    await recognizer.load()
    ears.hold()
    first = begin(recognizer.transcribe(ONE))
    await ears.working()
    if stage == "recognizing":
        return recognizer, first, []
    waiting = begin(recognizer.transcribe(OTHER))
    await asyncio.sleep(0)
    return recognizer, waiting, [first]


async def everything(settings: Settings) -> list[Check]:
    with anyio.fail_after(PATIENCE_S):
        return [check async for check in engine_of(settings.asr.engine).check(settings)]


def test_every_engine_is_tried_here() -> None:
    assert {name.split()[0] for name in KINDS} == set(ENGINES)


# What it is.


async def test_it_has_a_name_and_the_embedded_one_says_what_replaces_it(ears: Ears) -> None:
    recognizer = ears.opened()
    assert recognizer.name
    assert "asr." in recognizer.advice if ears.is_embedded else recognizer.advice == ""


async def test_opening_loads_nothing_and_it_can_be_closed_at_once(ears: Ears) -> None:
    recognizer = ears.opened()
    assert not recognizer.is_closed
    for _ in range(2):
        await recognizer.aclose()
    assert recognizer.is_closed and not ears.loads


@pytest.mark.parametrize("at_once", [False, True])
async def test_loading_twice_loads_once(ears: Ears, at_once: bool) -> None:
    recognizer = ears.opened()
    if at_once:
        await asyncio.gather(*(recognizer.load() for _ in range(3)))
    for _ in range(3):
        await recognizer.load()
    assert (await recognizer.transcribe(ONE)).text == ONE_TEXT
    assert ears.loads == 1 and len(ears.asked) == 1


# What it hears.


async def test_a_sentence_is_heard_the_same_each_time(ears: Ears) -> None:
    recognizer = ears.opened()
    as_the_host_gives_it = np.frombuffer(ONE.tobytes(), "<i2")
    for sound in (ONE, ONE, as_the_host_gives_it):
        heard = await recognizer.transcribe(sound)
        assert heard.text == ONE_TEXT and "<" not in heard.text
    assert (await recognizer.transcribe(OTHER)).text == OTHER_TEXT


@pytest.mark.parametrize(
    "sound",
    [
        np.zeros(0, np.int16),
        np.ones(1, np.int16),
        speech(0.0999),
        silence(0.5),
        silence(60.0),
        silence(1.0) + np.int16(9000),
        np.full(16000, -32768, np.int16),
    ],
    ids=["nothing", "one sample", "99.9 ms", "silence", "60 s of silence", "an offset", "all the lowest"],
)
async def test_where_there_is_no_sound_nobody_is_asked(ears: Ears, sound: Samples) -> None:
    assert await ears.opened().transcribe(sound) == Transcript("")
    assert not ears.asked and not ears.loads


@pytest.mark.parametrize(
    "sound",
    [
        speech(0.1),
        speech(0.2),
        np.concatenate((silence(0.5), np.array([32767, -32768], np.int16), silence(0.5))),
        np.clip(speech(1.0).astype(np.int32) * 99, -32768, 32767).astype(np.int16),
        np.random.default_rng(1).normal(0, 3000, 32000).astype(np.int16),
        np.random.default_rng(2).integers(-32768, 32767, 32000).astype(np.int16),
    ],
    ids=["0.1 s", "0.2 s", "a click", "clipped", "noise", "loud noise"],
)
async def test_sound_without_words_is_no_text_and_no_error(ears: Ears, sound: Samples) -> None:
    assert (await ears.opened().transcribe(sound)).text == ""
    assert len(ears.asked) == 1


@pytest.mark.parametrize("seconds", [60.0, 100.0])
async def test_of_a_long_recording_all_is_recognized(ears: Ears, seconds: float) -> None:
    sound = speech(seconds)
    assert (await ears.opened().transcribe(sound)).text == ""
    added = sum(ears.asked) - len(sound)
    assert 0 <= added <= 2 * 960  # a server is sent frames of silence between utterances


# Several.


@pytest.mark.parametrize("workers", [1, 2, 4])
async def test_several_at_once_are_each_answered_with_their_own_text(ears: Ears, workers: int) -> None:
    recognizer = ears.opened(workers=workers)
    heard = await asyncio.gather(*(recognizer.transcribe(sound) for sound in (ONE, OTHER) * 4))
    assert [transcript.text for transcript in heard] == [ONE_TEXT, OTHER_TEXT] * 4


@pytest.mark.parametrize("workers", [1, 3])
async def test_as_many_are_recognized_at_once_as_there_are_workers(ears: Ears, workers: int) -> None:
    recognizer = ears.opened(workers=workers)
    await recognizer.load()
    ears.hold()
    waiting = [begin(recognizer.transcribe(ONE)) for _ in range(workers + 4)]
    await ears.working(workers)
    ears.go_on()
    assert {transcript.text for transcript in await asyncio.gather(*waiting)} == {ONE_TEXT}
    assert ears.at_once == workers


async def test_a_queue_that_is_too_long_is_told_at_once_and_nothing_piles_up(ears: Ears) -> None:
    recognizer = ears.opened(workers=1, queue_utterances=3)
    await recognizer.load()
    ears.hold()
    waiting = [begin(recognizer.transcribe(ONE)) for _ in range(4)]
    await ears.working()
    for _ in range(20):
        with pytest.raises(ServiceUnavailable, match=r"太忙.*3 句在.*asr\.workers"):
            await recognizer.transcribe(OTHER)
    ears.go_on()
    assert [(await one).text for one in waiting] == [ONE_TEXT] * 4
    assert (await recognizer.transcribe(OTHER)).text == OTHER_TEXT


# Cancelling, and the deadline.


@pytest.mark.parametrize("stage", STAGES)
async def test_who_is_cancelled_leaves_nothing_running(ears: Ears, stage: str) -> None:
    recognizer, cancelled, others = await at_stage(ears, stage)
    cancelled.cancel()
    with anyio.fail_after(1.0):
        await asyncio.wait({cancelled})
    assert cancelled.cancelled()
    ears.go_on()
    assert [(await other).text for other in others] == [ONE_TEXT] * len(others)
    assert (await recognizer.transcribe(OTHER)).text == OTHER_TEXT
    assert len(ears.asked) == (1 if stage == "loading" else 2)  # who only waited has not reached the model


@pytest.mark.parametrize("stage", STAGES)
async def test_who_is_cancelled_leaves_its_place_to_others(ears: Ears, stage: str) -> None:
    recognizer, cancelled, others = await at_stage(ears, stage, queue_utterances=2)
    for _ in range(5):
        cancelled.cancel()
        await asyncio.wait({cancelled})
        cancelled = begin(recognizer.transcribe(OTHER))
        await asyncio.sleep(0)
    ears.go_on()
    assert (await cancelled).text == OTHER_TEXT
    assert [(await other).text for other in others] == [ONE_TEXT] * len(others)


async def test_nobody_waits_for_the_rest_of_a_long_recording_that_was_given_up(ears: Ears) -> None:
    recognizer = ears.opened(workers=1)
    await recognizer.load()
    ears.hold()
    cancelled = begin(recognizer.transcribe(speech(100.0)))
    await ears.working()
    cancelled.cancel()
    await asyncio.wait({cancelled})
    ears.go_on()
    assert (await recognizer.transcribe(OTHER)).text == OTHER_TEXT
    assert len(ears.asked) == 2  # a model is handed a long recording in pieces, and one was begun


@pytest.mark.parametrize("stage", STAGES)
async def test_what_takes_too_long_is_given_up_and_the_next_is_heard(ears: Ears, stage: str) -> None:
    recognizer, late, others = await at_stage(ears, stage, timeout_s=0.5)
    for given_up in (*others, late):
        with pytest.raises(
            ServiceTimeout, match=r"0\.5 秒" + ("" if stage == "loading" else r".*asr\.timeout_s")
        ):
            await given_up
    ears.go_on()
    await recognizer.load()
    assert (await recognizer.transcribe(OTHER)).text == OTHER_TEXT


# What goes wrong.


@pytest.mark.parametrize(
    ("ears", "fault"),
    [(name, fault) for name, ears in KINDS.items() for fault in getattr(ears, "func", ears).faults],
    indirect=["ears"],
)
async def test_an_utterance_that_fails_is_told_and_the_next_is_heard(ears: Ears, fault: str) -> None:
    recognizer = ears.opened()
    await recognizer.load()
    ears.fail(fault)
    for _ in range(2):
        with pytest.raises(ServiceError, match=ears.faults[fault]):
            await recognizer.transcribe(ONE)
    ears.fail("")
    assert (await recognizer.transcribe(OTHER)).text == OTHER_TEXT


async def test_what_cannot_be_loaded_is_told_and_who_speaks_hears_of_a_service_only(ears: Ears) -> None:
    settings, says = ears.unusable
    recognizer = ears.opened(**settings)
    with pytest.raises(PersonaError, match=says):
        await recognizer.load()
    for _ in range(2):
        with pytest.raises(ServiceError, match=says):
            await recognizer.transcribe(ONE)


@of_engines(BY_PACKAGES)
async def test_without_its_packages_the_command_that_installs_them_is_said(
    ears: Ears, monkeypatch: pytest.MonkeyPatch
) -> None:
    recognizer = ears.opened()
    for package in engine_of(ears.engine).PACKAGES:
        monkeypatch.setitem(sys.modules, package.replace("-", "_"), None)
    with pytest.raises(PackageMissing, match="-m pip install .*funasr"):
        await recognizer.load()
    with pytest.raises(ServiceUnavailable, match="-m pip install .*funasr"):
        await recognizer.transcribe(ONE)
    (check,) = await everything(ears.settings())
    assert check.status == "error" and check.what == "语音识别的包" and "-m pip install" in check.step
    assert all(package in check.found for package in engine_of(ears.engine).PACKAGES)


# Closing.


@pytest.mark.parametrize("stage", STAGES)
async def test_closing_answers_everybody_and_leaves_nothing_running(ears: Ears, stage: str) -> None:
    recognizer, waiting, others = await at_stage(ears, stage)
    closing = [begin(recognizer.aclose()) for _ in range(2)]
    await asyncio.sleep(0)
    assert recognizer.is_closed
    ears.go_on()
    with anyio.fail_after(PATIENCE_S):
        await asyncio.gather(*closing)
        answers = await asyncio.gather(*others, waiting, return_exceptions=True)
    for answer in answers:
        is_text = isinstance(answer, Transcript) and answer.text == ONE_TEXT
        assert is_text or (isinstance(answer, ServiceUnavailable) and "已经关闭" in str(answer))
    if stage != "recognizing":
        assert isinstance(answers[-1], ServiceUnavailable)


@pytest.mark.parametrize("was_loaded", [False, True])
async def test_after_it_was_closed_it_says_so(ears: Ears, was_loaded: bool) -> None:
    recognizer = ears.opened()
    if was_loaded:
        await recognizer.load()
    for _ in range(2):
        await recognizer.aclose()
    for attempt in (recognizer.load(), recognizer.transcribe(ONE)):
        with pytest.raises(ServiceUnavailable, match="已经关闭"):
            await attempt
    assert ears.loads == was_loaded and not ears.asked


# What doctor is told.


async def test_one_that_is_well_is_found_well_up_to_a_sentence(ears: Ears) -> None:
    checks = await everything(ears.settings())
    assert checks[-1].what == "语音识别一句" and "秒读好" in checks[-1].found
    assert not [check for check in checks if check.status == "error"]
    assert all(check.step for check in checks if check.status != "ok")


async def test_one_that_cannot_be_used_is_found_out_with_the_next_step(ears: Ears) -> None:
    *others, check = await everything(ears.settings(**ears.unusable[0]))
    assert check.status == "error" and check.found and "asr." in check.step
    assert {other.status for other in others} <= {"ok"}


@of_engines(BY_MODEL)
async def test_doctor_downloads_nothing(ears: Ears) -> None:
    check = (await everything(ears.settings(model="iic/SenseVoiceSmall-onnx")))[-1]
    assert check.status == "warning" and "还没有下载" in check.found and check.step
    assert not ears.loads


@of_engines(BY_MODEL)
async def test_a_device_that_is_not_there_is_found_out_before_the_model_is_read(ears: Ears) -> None:
    check = (await everything(ears.settings(device="cuda:7")))[-1]
    assert check.status == "error" and check.what == "语音识别的设备" and "cuda:7" in check.found
    assert "asr.device 改成 cpu" in check.step and not ears.loads
