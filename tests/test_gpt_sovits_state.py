"""What a server holds is known only from our own calls: what may have been lost is set again, what was left is not spoken with."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from fakes.sovits_client import clip, say, synthesizer_at
from fakes.sovits_server import FakeSovits

from xiaozhi_persona.errors import ServiceRejected
from xiaozhi_persona.providers.tts.gpt_sovits.held_note import HeldNote
from xiaozhi_persona.providers.tts.gpt_sovits.utterance import Weights
from xiaozhi_persona.providers.tts.gpt_sovits.watch import ServerWatch

A: dict[str, Any] = {"gpt": "a.ckpt", "sovits": "a.pth"}
B: dict[str, Any] = {"gpt": "b.ckpt", "sovits": "b.pth"}


async def restart(server: FakeSovits) -> None:
    await server.stop()
    await server.start()
    for _ in range(20):  # the end of the watched connection is read in the loop's next rounds
        await asyncio.sleep(0)


@pytest.mark.parametrize("api", ["v1", "v2"])
async def test_a_restart_between_two_sentences_is_noticed(api: Any) -> None:
    async with FakeSovits(api=api) as server, synthesizer_at(server) as synthesizer:
        await say(synthesizer, "这是第一句话。", clip(**A))
        await restart(server)
        assert (await say(synthesizer, "这是第二句话。", clip(**A))).error is None
        assert (server.requests[-1].gpt, server.requests[-1].sovits) == ("a.ckpt", "a.pth")
        await say(synthesizer, "这是第三句话。", clip(**A))
        assert server.loads == ["a.ckpt", "a.pth"] * 2


@pytest.mark.parametrize("api", ["v1", "v2"])
async def test_the_default_weights_are_set_again_too(api: Any) -> None:
    default = {"gpt_weights": "d.ckpt", "sovits_weights": "d.pth"}
    async with FakeSovits(api=api) as server, synthesizer_at(server, **default) as synthesizer:
        await say(synthesizer, "这是第一句话。")
        await restart(server)
        await say(synthesizer, "这是第二句话。")
        assert server.requests[-1].gpt == "d.ckpt"


async def test_a_server_that_was_not_restarted_loads_once() -> None:
    async with FakeSovits() as server, synthesizer_at(server) as synthesizer:
        for number in range(4):
            await say(synthesizer, f"这是第{number}句话。", clip(**A))
        assert server.loads == ["a.ckpt", "a.pth"]


async def test_after_a_restart_a_server_is_not_chosen_for_weights_that_it_lost() -> None:
    async with FakeSovits() as one, FakeSovits() as two, synthesizer_at(one, two) as synthesizer:
        await asyncio.gather(
            say(synthesizer, "这是第一句话。", clip(**A)), say(synthesizer, "这是第二句话。", clip(**A))
        )
        await restart(one)
        assert (await say(synthesizer, "这是第三句话。", clip(**A))).error is None
        assert len(one.loads) == 2 and two.requests[-1].gpt == "a.ckpt"


async def test_what_outlives_a_restart_is_not_spoken_with_by_a_role_without_weights() -> None:
    async with FakeSovits(keeps_weights=True) as server, synthesizer_at(server) as synthesizer:
        await say(synthesizer, "这是第一句话。", clip(**A))
        await restart(server)
        error = (await say(synthesizer, "这是第二句话。")).error
        assert isinstance(error, ServiceRejected) and "gpt_sovits.gpt_weights" in str(error)
        assert (await say(synthesizer, "这是第三句话。", clip(**A))).error is None


async def test_api_py_forgets_and_a_role_without_weights_speaks_with_its_own() -> None:
    async with FakeSovits(api="v1") as server, synthesizer_at(server) as synthesizer:
        await say(synthesizer, "这是第一句话。", clip(**A))
        await restart(server)
        assert (await say(synthesizer, "这是第二句话。")).error is None
        assert server.requests[-1].gpt == "base"


async def test_what_another_program_of_ours_set_is_noticed() -> None:
    async with FakeSovits() as server, synthesizer_at(server) as bridge, synthesizer_at(server) as doctor:
        await say(bridge, "这是第一句话。", clip(**A))
        await say(doctor, "这是第二句话。", clip(**B))
        assert (await say(bridge, "这是第三句话。", clip(**A))).error is None
        assert server.requests[-1].gpt == "a.ckpt"
        await say(doctor, "这是第四句话。", clip(**B))
        assert server.requests[-1].gpt == "b.ckpt"


@pytest.mark.parametrize(("api", "is_refused"), [("v2", True), ("v1", False)])
async def test_a_role_without_weights_does_not_take_over_what_another_program_of_ours_set(
    api: Any, is_refused: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        FakeSovits(api=api) as server,
        synthesizer_at(server) as bridge,
        synthesizer_at(server) as doctor,
    ):
        assert (await say(bridge, "这是第一句话。")).error is None
        await say(doctor, "这是第二句话。", clip(**B))
        with caplog.at_level(logging.WARNING):
            error = (await say(bridge, "这是第三句话。")).error
        assert isinstance(error, ServiceRejected) is is_refused
        assert is_refused or "b.ckpt" in caplog.text


@pytest.mark.parametrize(("api", "warned"), [("v2", 1), ("v1", 0)])
async def test_a_role_without_weights_is_warned_of_once(
    api: Any, warned: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with FakeSovits(api=api) as server, synthesizer_at(server) as synthesizer:
        with caplog.at_level(logging.WARNING):
            for number in range(3):
                await say(synthesizer, f"这是第{number}句话。")
    assert sum("gpt_sovits.gpt_weights" in record.getMessage() for record in caplog.records) == warned


# The parts.


async def test_a_watch_of_what_is_not_there_says_nothing() -> None:
    watch = ServerWatch("http://127.0.0.1:9")
    await watch.begin(0.5)
    assert not watch.has_ended
    await watch.aclose()


async def test_a_watch_sees_the_end_and_the_next_process() -> None:
    async with FakeSovits() as server:
        watch = ServerWatch(server.url)
        await watch.begin(1)
        assert not watch.has_ended
        await restart(server)
        assert watch.has_ended
        await watch.begin(1)
        assert not watch.has_ended
        await watch.aclose()


@pytest.mark.parametrize("content", ["", "{}", "[1]", "{", '{"gpt": 1}', "x" * 20000])
def test_a_note_that_is_damaged_says_nothing(content: str) -> None:
    note = HeldNote("127.0.0.1:1")
    note.write(Weights("a", "b"))
    assert HeldNote("127.0.0.1:1").read() == Weights("a", "b") and not note.is_by_another()
    note._file.write_text(content, encoding="utf-8")
    assert note.read() is None and note.is_by_another() and not note.is_by_another()


def test_a_note_that_cannot_be_written_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, "/proc/nowhere")
    note = HeldNote("a:1")
    note.write(Weights("a", "b"))
    assert note.read() is None and not note.is_by_another()
