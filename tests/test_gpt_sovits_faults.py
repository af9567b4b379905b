"""Every way in which the servers fail, most of which look like success at first."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from typing import Any, get_args

import pytest
from fakes.sovits_client import ANGRY, CALM, TEXT, clip, say, synthesizer_at
from fakes.sovits_server import FakeSovits, Fault, pitch_of

from xiaozhi_persona.errors import (
    ServiceBroken,
    ServiceError,
    ServiceRejected,
    ServiceTimeout,
    ServiceUnavailable,
)
from xiaozhi_persona.providers.tts.failures import CutOff, Silent, Stalled, Unreachable
from xiaozhi_persona.providers.tts.gpt_sovits import synthesizer as synthesizer_module
from xiaozhi_persona.providers.tts.gpt_sovits.failures import failure_of
from xiaozhi_persona.spine import Clip

FAULTS: list[Fault] = [fault for fault in get_args(Fault) if fault != "trickle"]
FAST: dict[str, Any] = {"first_audio_timeout_s": 0.4, "audio_timeout_s": 0.3}

SERVERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "v2 whole": ({}, {"streaming_mode": 0}),
    "v2 sentences": ({}, {"streaming_mode": 1}),
    "v2 chunks": ({}, {"streaming_mode": 2}),
    "v2 fast chunks": ({}, {"streaming_mode": 3}),
    "v2 old release": ({"is_old": True}, {}),
    "v2 Ogg": ({}, {"parameters": {"media_type": "ogg"}}),
    "v2 raw": ({}, {"parameters": {"media_type": "raw"}}),
    "v1 closed": ({"api": "v1"}, {}),
    "v1 streaming": ({"api": "v1", "streams": True, "media": "ogg"}, {}),
}
every_server = pytest.mark.parametrize("kind", SERVERS)

# Each fault: the error, and whether it is tried once more.
BEFORE_SOUND: dict[Fault, tuple[type[ServiceError], bool]] = {
    "json": (ServiceRejected, False),
    "html": (ServiceRejected, False),
    "cut_off_empty": (ServiceError, True),
    "empty": (CutOff, True),
    "header_only": (ServiceUnavailable, True),
    "engine": (ServiceUnavailable, True),
    "engine_old": (ServiceUnavailable, True),
    "reset": (Unreachable, True),
    "hang": (ServiceTimeout, False),
}


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthesizer_module, "RETRY_PAUSE_S", 0.01)


@every_server
@pytest.mark.parametrize("fault", BEFORE_SOUND)
async def test_a_failure_before_the_first_sound_is_an_error_and_no_sound(kind: str, fault: Fault) -> None:
    of_server, changes = SERVERS[kind]
    error_type, is_retried = BEFORE_SOUND[fault]
    async with FakeSovits(**of_server) as server, synthesizer_at(server, **FAST, **changes) as synthesizer:
        await say(synthesizer, "先说一句。")
        server.requests.clear()
        server.fault = fault
        spoken = await say(synthesizer)
        assert isinstance(spoken.error, error_type) and not spoken.chunks
        tells_at_once = fault == "cut_off_empty" and "whole" in kind
        if is_retried and not tells_at_once:
            assert len(server.requests) == 2
            is_v2_cut_off = isinstance(spoken.error, ServiceRejected)
            assert is_v2_cut_off == (fault == "cut_off_empty" and kind.startswith("v2"))


PASSING = [
    (kind, fault)
    for kind in SERVERS
    for fault, (_, is_retried) in BEFORE_SOUND.items()
    # Asked as a whole, the server says at once what is wrong.
    if is_retried and (kind, fault) != ("v2 whole", "cut_off_empty")
]


@pytest.mark.parametrize(("kind", "fault"), PASSING)
async def test_a_passing_failure_is_not_heard(kind: str, fault: Fault) -> None:
    of_server, changes = SERVERS[kind]
    async with FakeSovits(**of_server) as server, synthesizer_at(server, **changes) as synthesizer:
        server.next_faults = [fault]
        assert (await say(synthesizer)).pitch_hz == pitch_of(CALM)
        assert len(server.requests) == 2


@every_server
@pytest.mark.parametrize("fault", ["cut_off", "reset_midway", "hang_midway"])
async def test_a_failure_after_the_first_sound_is_told_and_not_tried_again(kind: str, fault: Fault) -> None:
    of_server, changes = SERVERS[kind]
    async with FakeSovits(**of_server) as server, synthesizer_at(server, **FAST, **changes) as synthesizer:
        await say(synthesizer, "先说一句。")
        server.requests.clear()
        server.fault = fault
        spoken = await say(synthesizer)
        if kind in ("v2 whole", "v1 closed"):  # held back until it is complete: nothing was heard
            assert not spoken.chunks
            if fault == "hang_midway" and kind == "v1 closed":
                assert isinstance(spoken.error, Silent)  # complete, but the body does not end
        else:
            assert isinstance(spoken.error, Stalled if fault == "hang_midway" else ServiceBroken)
            assert spoken.chunks and len(server.requests) == 1


@pytest.mark.parametrize("kind", ["v2 Ogg", "v1 streaming"])
async def test_sound_that_is_garbled_midway_is_not_said_twice(kind: str) -> None:
    of_server, changes = SERVERS[kind]
    server = FakeSovits(**of_server, fault="garbled")
    async with server, synthesizer_at(server, **changes) as synthesizer:
        spoken = await say(synthesizer)
        assert isinstance(spoken.error, ServiceBroken) and spoken.chunks
        assert len(server.requests) == 1


async def test_a_listener_that_takes_its_time_is_no_fault_of_the_server() -> None:
    async with FakeSovits(rtf=0.01) as server, synthesizer_at(server, audio_timeout_s=0.05) as synthesizer:
        async for _ in synthesizer.synthesize(TEXT, clip()):
            await asyncio.sleep(0.06)


@pytest.mark.parametrize("kind", ["v2 chunks", "v2 whole", "v1 closed", "v1 streaming"])
async def test_a_trickle_is_not_waited_for(kind: str) -> None:
    of_server, changes = SERVERS[kind]
    server = FakeSovits(**of_server, fault="trickle")
    async with server, synthesizer_at(server, **FAST, **changes) as synthesizer:
        started = time.monotonic()
        assert (await say(synthesizer)).error
        assert time.monotonic() - started < 1.0


class TestReasons:
    async def test_a_stream_that_ends_without_sound_is_asked_why(self) -> None:
        async with FakeSovits(missing={CALM}) as server, synthesizer_at(server) as synthesizer:
            error = (await say(synthesizer)).error
            assert isinstance(error, ServiceRejected) and f"{CALM} not exists" in str(error)
            assert [request.body["streaming_mode"] for request in server.requests] == [2, False]

    @pytest.mark.parametrize(
        ("status", "refusal", "error_type", "said"),
        [
            (
                400,
                {"message": "text_lang: fr is not supported in version v2"},
                ServiceRejected,
                "fr is not supported",
            ),
            (
                400,
                {"message": "tts failed", "Exception": "参考音频在3~10秒范围外"},
                ServiceRejected,
                "3~10秒范围外",
            ),
            (
                400,
                {"message": "tts failed", "Exception": "CUDA out of memory"},
                ServiceUnavailable,
                "CUDA out",
            ),
            (400, {"code": 400, "message": "未指定参考音频且接口无预设"}, ServiceRejected, "接口无预设"),
            (
                422,
                {"detail": [{"loc": ["body", "top_k"], "msg": "no integer"}]},
                ServiceRejected,
                "body.top_k no",
            ),
            (500, "Internal Server Error", ServiceUnavailable, "Internal Server Error"),
            (502, "<html>Bad Gateway</html>", ServiceUnavailable, "Bad Gateway"),
            (504, "", ServiceTimeout, "504"),
            (404, {"detail": "Not Found"}, ServiceRejected, "gpt_sovits.servers"),
            (401, "", ServiceRejected, "代理"),
            (200, {"message": "tts failed", "Exception": "x"}, ServiceRejected, "tts failed x"),
        ],
    )
    async def test_a_refusal_has_the_servers_reason(
        self, status: int, refusal: Any, error_type: type[ServiceError], said: str
    ) -> None:
        async with (
            FakeSovits(fault="refuse", status=status, refusal=refusal) as server,
            synthesizer_at(server) as synthesizer,
        ):
            error = (await say(synthesizer)).error
            assert type(error) is error_type and said in str(error)
            assert len(server.requests) == (2 if issubclass(error_type, ServiceUnavailable) else 1)

    @pytest.mark.parametrize("text_lang", ["中文", "zh", "auto"])
    async def test_languages_are_those_of_the_api(self, text_lang: str) -> None:
        for api in ("v1", "v2"):
            async with (
                FakeSovits(api=api) as server,  # type: ignore[arg-type]
                synthesizer_at(server, parameters={"text_lang": text_lang}) as synthesizer,
            ):
                assert (await say(synthesizer)).error is None

    async def test_v1_without_a_reference(self) -> None:
        async with FakeSovits(api="v1") as server, synthesizer_at(server) as synthesizer:
            assert isinstance((await say(synthesizer, how=Clip())).error, ServiceRejected)
            server.default_reference = ANGRY
            assert (await say(synthesizer, how=Clip())).pitch_hz == pitch_of(ANGRY)

    async def test_aac_is_refused_with_the_next_step(self) -> None:
        async with FakeSovits(api="v1", media="aac") as server, synthesizer_at(server) as synthesizer:
            error = (await say(synthesizer)).error
            assert isinstance(error, ServiceRejected) and "-mt wav" in str(error)

    def test_a_long_page_is_cut(self) -> None:
        assert len(str(failure_of(500, b"<p>" + b"x" * 60000, "a:1"))) < 500


class TestLength:
    @pytest.mark.parametrize("kind", ["v2 whole", "v1 closed"])
    @pytest.mark.parametrize("fault", ["short", "endless"])
    async def test_a_whole_sentence_of_the_wrong_length_is_made_again(self, kind: str, fault: Fault) -> None:
        of_server, changes = SERVERS[kind]
        changes = {**changes, "parameters": {"seed": 7}}
        async with FakeSovits(**of_server) as server, synthesizer_at(server, **changes) as synthesizer:
            server.next_faults = [fault]
            assert (await say(synthesizer)).seconds == pytest.approx(3.4, abs=0.01)
            if kind == "v2 whole":
                assert [request.body["seed"] for request in server.requests] == [7, 8]
            assert len(server.requests) == 2

    @pytest.mark.parametrize("kind", ["v2 whole", "v1 closed"])
    @pytest.mark.parametrize("second", ["short", "endless", "engine", "reset", "hang"])
    async def test_of_two_bad_ones_the_better_is_spoken(self, kind: str, second: Fault) -> None:
        of_server, changes = SERVERS[kind]
        async with (
            FakeSovits(**of_server) as server,
            synthesizer_at(server, **FAST, **changes) as synthesizer,
        ):
            await say(synthesizer, "先说一句。")
            server.next_faults = ["endless", second]
            spoken = await say(synthesizer)
            assert spoken.error is None
            assert spoken.seconds == pytest.approx(0.88 if second == "short" else 3 * 3.14, abs=0.3)

    @pytest.mark.parametrize("kind", ["v2 sentences", "v2 chunks", "v2 old release", "v1 streaming"])
    async def test_a_stream_is_stopped_at_three_times_its_length(self, kind: str) -> None:
        of_server, changes = SERVERS[kind]
        server = FakeSovits(**of_server, fault="endless", rtf=0.001)
        async with server, synthesizer_at(server, **changes) as synthesizer:
            spoken = await say(synthesizer)
            assert spoken.error is None
            assert spoken.seconds == pytest.approx(3 * 3.14, abs=0.01)
            await asyncio.wait_for(server.disconnected.wait(), 1)


class TestServerAsAWhole:
    async def test_dead(self) -> None:
        async with FakeSovits() as server:
            url = server.url
        async with synthesizer_at(url) as synthesizer:
            error = (await say(synthesizer)).error
            assert isinstance(error, ServiceUnavailable) and "连不上" in str(error)

    async def test_an_address_that_does_not_answer(self) -> None:
        listening = await asyncio.start_server(lambda reader, writer: asyncio.sleep(0), "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        async with synthesizer_at(f"http://127.0.0.1:{port}", api="v2", **FAST) as synthesizer:
            started = time.monotonic()
            assert isinstance((await say(synthesizer)).error, ServiceTimeout)
            assert time.monotonic() - started < 0.6
        listening.close()
        await listening.wait_closed()

    async def test_hung_is_set_aside_then_tried_again(self) -> None:
        async with FakeSovits(fault="hang") as server, synthesizer_at(server, **FAST) as synthesizer:
            assert isinstance((await say(synthesizer)).error, ServiceTimeout)
            asked = len(server.requests)
            assert isinstance((await say(synthesizer)).error, ServiceUnavailable)
            assert len(server.requests) == asked
            server.fault = "none"
            synthesizer._pool.servers[0].aside_until = 0.0  # the time has passed
            assert (await say(synthesizer)).error is None

    async def test_back_with_another_api(self) -> None:
        async with FakeSovits() as server, synthesizer_at(server, retry_after_s=0.0) as synthesizer:
            assert (await say(synthesizer, "这是第一句话。")).error is None
            await server.stop()
            assert isinstance((await say(synthesizer, "这是第二句话。")).error, Unreachable)
            server.api = "v1"
            await server.start()
            assert (await say(synthesizer, "这是第三句话。")).error is None
            assert server.requests[-1].path == "/" and len(server.requests) == 2

    async def test_hung_midway_is_set_aside_and_the_next_server_speaks(self) -> None:
        async with (
            FakeSovits(fault="hang_midway") as one,
            FakeSovits() as two,
            synthesizer_at(one, two, **FAST) as synthesizer,
        ):
            assert isinstance((await say(synthesizer, "这是第一句话。")).error, Stalled)
            assert (await say(synthesizer, "这是第二句话。")).error is None
            assert (len(one.requests), len(two.requests)) == (1, 1)

    async def test_waiting_for_others_is_no_fault_of_the_server(self) -> None:
        async with FakeSovits(rtf=0.2) as server, synthesizer_at(server, **FAST) as synthesizer:
            long = "这一句话很长很长，要说上好久好久才能说完。"
            speaking = asyncio.create_task(say(synthesizer, long))
            await server.arrived.wait()
            second = await say(synthesizer, "轮不到的一句话。")
            assert (await speaking).error is None
            assert type(second.error) is ServiceTimeout and "没有轮到" in str(second.error)
            assert synthesizer._pool.servers[0].last_failure is None

    async def test_one_bad_sentence_does_not_set_a_server_aside(self) -> None:
        async with FakeSovits() as server, synthesizer_at(server) as synthesizer:
            server.next_faults = ["engine", "engine"]
            assert (await say(synthesizer, "这是第一句话。")).error
            assert (await say(synthesizer, "这是第二句话。")).error is None


@pytest.mark.parametrize("stage", ["probe", "weights", "lock", "header", "midway", "retry"])
async def test_cancelling_at_any_stage_leaves_nothing_behind(
    stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with FakeSovits() as server, synthesizer_at(server) as synthesizer:
        how, others = clip(), []
        if stage == "probe":
            server.fault = "hang"
        elif stage == "weights":
            server.load_s, how = 5.0, clip(gpt="a.ckpt", sovits="a.pth")
        elif stage == "lock":
            server.next_faults = ["hang"]
            others = [asyncio.create_task(say(synthesizer, "别人的话占着它。"))]
            await server.stalled.wait()
        elif stage == "retry":
            monkeypatch.setattr(synthesizer_module, "RETRY_PAUSE_S", 5.0)
            server.next_faults = ["empty"]
        else:
            await say(synthesizer, "先说一句。")
            server.stalled.clear()
            server.next_faults = ["hang" if stage == "header" else "hang_midway"]
        speaking = asyncio.create_task(say(synthesizer, TEXT, how))
        reached = server.arrived if stage in ("weights", "retry") else server.stalled
        await reached.wait()
        await asyncio.sleep(0.02)
        for task in (speaking, *others):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        assert [one.load for one in synthesizer._pool.servers] == [0]
        assert not synthesizer._pool.servers[0]._lock.locked()


async def test_five_hundred_sentences_with_random_faults() -> None:
    """Two roles on two servers: every sentence ends, in the right voice where it was spoken, and nothing is left."""
    dice = random.Random(20240821)
    quick = {"first_audio_timeout_s": 0.1, "audio_timeout_s": 0.05, "retry_after_s": 0.01}
    async with (
        FakeSovits() as one,
        FakeSovits(api="v1", streams=True, media="ogg") as two,
        synthesizer_at(one, two, **quick) as synthesizer,
    ):
        voices = {"甲": clip(CALM), "乙": clip(ANGRY)}

        async def device(name: str) -> int:
            failed = 0
            for number in range(250):
                fault: Fault = dice.choice(
                    ["none"] * 12 + [fault for fault in get_args(Fault) if fault != "trickle"]
                )
                dice.choice([one, two]).next_faults = [fault]
                sound = synthesizer.synthesize(f"{name}的第{number}句话。", voices[name])
                spoken = say_part(sound) if dice.random() < 0.1 else None
                if spoken:
                    await spoken
                    continue
                heard = await say(synthesizer, f"{name}的第{number}句话。", voices[name])
                await sound.aclose()
                if heard.error:
                    failed += 1
                    assert isinstance(heard.error, ServiceError)
                elif heard.seconds > 0.3:
                    assert heard.pitch_hz == pitch_of(voices[name].reference.path)  # type: ignore[union-attr]
            return failed

        async def say_part(sound: Any) -> None:
            with contextlib.suppress(ServiceError):
                await anext(sound)
            await sound.aclose()

        failed = await asyncio.wait_for(asyncio.gather(device("甲"), device("乙")), 60)
        assert sum(failed) < 400
        assert [server.load for server in synthesizer._pool.servers] == [0, 0]
        assert not any(server._lock.locked() for server in synthesizer._pool.servers)
