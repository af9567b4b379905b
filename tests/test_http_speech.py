"""/v1/audio/speech and /v1/models, over real HTTP."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import httpx
import numpy as np
import pytest
import pytest_asyncio
import soundfile
from fakes.bridge import Rig, running
from fakes.parts import FakeSynthesizer, make_parts

from xiaozhi_persona.audio.ogg_opus import HEAD
from xiaozhi_persona.bridge.http import api, asking

TEXT = "【高兴】今天真好！我们去公园吧。"


@pytest_asyncio.fixture
async def rig() -> AsyncIterator[Rig]:
    async with running(make_parts()) as rig:
        yield rig


def url(rig: Rig, path: str = "/v1/audio/speech") -> str:
    return f"http://127.0.0.1:{rig.bridge.http_port}{path}"


async def speak(rig: Rig, **fields: Any) -> httpx.Response:
    async with httpx.AsyncClient(timeout=30) as http:
        return await http.post(url(rig), json={"input": TEXT, "model": "tts-1", "voice": "alloy", **fields})


@pytest.mark.parametrize(
    ("form", "head"), [("wav", b"RIFF"), ("flac", b"fLaC"), ("opus", b"OggS"), ("mp3", b"")]
)
async def test_each_form_is_a_file_that_can_be_read(rig: Rig, form: str, head: bytes) -> None:
    answer = await speak(rig, response_format=form)
    assert answer.status_code == 200 and answer.content.startswith(head)
    assert answer.headers["Content-Type"].startswith("audio/") and "Content-Length" not in answer.headers
    data = answer.content
    if form == "opus":
        assert HEAD in data[:64]
    sound, rate_hz = soundfile.read(io.BytesIO(data))
    spoken_s = 0.06 * len("今天真好！我们去公园吧。")
    assert spoken_s - 0.1 < len(sound) / rate_hz < spoken_s + 0.4 and np.abs(sound).max() > 0.1


async def test_pcm_is_that_of_the_pipeline_and_tags_are_obeyed(rig: Rig) -> None:
    answer = await speak(rig, response_format="pcm")
    samples = np.frombuffer(answer.content, "<i2")
    assert len(samples) % (24 * 60) == 0 and len(samples) >= 24 * 60 * 12
    assert [clip.emotion for _, clip in rig.parts.synthesizer.asked][0] == "高兴"  # type: ignore[attr-defined]
    assert "【" not in "".join(text for text, _ in rig.parts.synthesizer.asked)  # type: ignore[attr-defined]


async def test_sound_comes_before_the_text_is_spoken_to_its_end() -> None:
    synthesizer = HeldAtSecond()
    async with running(make_parts(synthesizer=synthesizer)) as rig, httpx.AsyncClient() as http:
        fields = {"input": TEXT + "还有很长的一句话要说呢。", "response_format": "pcm"}
        async with http.stream("POST", url(rig), json=fields) as answer:
            pieces = answer.aiter_raw()
            assert await asyncio.wait_for(anext(pieces), 10)
            synthesizer.go_on.set()
            assert [piece async for piece in pieces]


class HeldAtSecond(FakeSynthesizer):
    """Says the first sentence at once, and others when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = asyncio.Event()

    async def synthesize(self, text: str, clip: Any) -> Any:
        if self.asked:
            self.asked.append((text, clip))
            self.running += 1
            try:
                await self.go_on.wait()
            finally:
                self.running -= 1
        async for chunk in super().synthesize(text, clip):
            yield chunk


async def test_of_a_client_that_has_gone_nothing_is_left_running() -> None:
    synthesizer = FakeSynthesizer()
    synthesizer.hold = asyncio.Event()  # before the first sound
    async with running(make_parts(synthesizer=synthesizer)) as rig:
        await leave(rig, synthesizer, b"")
    held = HeldAtSecond()  # amid the answer
    async with running(make_parts(synthesizer=held)) as rig:
        await leave(rig, held, b"HTTP/1.1 200")


async def leave(rig: Rig, synthesizer: FakeSynthesizer, until: bytes) -> None:
    """Ask for speech, and close the connection once the answer has begun with `until`."""
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.bridge.http_port)
    body = '{"input": "今天真好！我们一起去公园里面走走吧。还有很长的一句话。", "response_format": "pcm"}'.encode()
    head = f"POST /v1/audio/speech HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    if until:
        assert (await reader.read(4096)).startswith(until)
    await eventually(lambda: bool(synthesizer.running))
    writer.close()
    await eventually(lambda: not synthesizer.running and "speech-pipeline" not in running_tasks())


async def eventually(has_come: Callable[[], bool]) -> None:
    with anyio.fail_after(10):
        while not has_come():  # noqa: ASYNC110
            await asyncio.sleep(0)


def running_tasks() -> set[str]:
    return {task.get_name() for task in asyncio.all_tasks()}


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"input": ""}, 400),
        ({"input": "字" * 4097}, 400),
        ({"input": 5}, 400),
        ({"input": "【高兴】"}, 400),
        ({"input": "……"}, 400),
        ({"response_format": "aac"}, 400),
        ({"response_format": "../x"}, 400),
        ({"speed": 9}, 400),
        ({"speed": "NaN"}, 400),
        ({"voice": "nobody"}, 404),
        ({"voice": "../../etc/passwd"}, 404),
        ({"voice": {"id": "nobody"}}, 404),
        ({"voice": {"name": "x"}}, 400),
        ({"voice": "x" * 300}, 400),
    ],
)
async def test_what_cannot_be_spoken_is_refused_with_the_next_step(
    rig: Rig, fields: dict[str, Any], status: int
) -> None:
    answer = await speak(rig, **fields)
    assert answer.status_code == status
    assert answer.json()["error"]["message"] and answer.json()["next_step"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 50_000, b'{"input": "\\ud800"}'])
async def test_what_is_no_json_object_is_refused(rig: Rig, body: bytes) -> None:
    async with httpx.AsyncClient() as http:
        answer = await http.post(url(rig), content=body)
    assert answer.status_code == 400 and answer.json()["next_step"]


async def test_a_voice_that_fails_is_an_error_and_not_an_empty_file() -> None:
    async with running(make_parts(synthesizer=FakeSynthesizer(fails_on="好"))) as rig:
        answer = await speak(rig, input="你好。")
        assert answer.status_code == 503 and answer.json()["next_step"]


async def test_roles_are_models_the_one_of_the_settings_first(rig: Rig) -> None:
    async with httpx.AsyncClient() as http:
        listed = (await http.get(url(rig, "/v1/models"))).json()
        ids = [model["id"] for model in listed["data"]]
        assert listed["object"] == "list" and ids[0] == "default" and len(ids) == len(set(ids)) > 1
        for one in ids:
            answer = await http.get(url(rig, f"/v1/models/{one}"))
            assert answer.status_code == 200 and answer.json()["id"] == one
        assert (await http.get(url(rig, "/v1/models/nobody"))).status_code == 404
    answer = await speak(rig, voice=ids[1], response_format="pcm")
    assert answer.status_code == 200


async def test_the_pace_is_what_is_asked_for_within_what_the_voice_can(rig: Rig) -> None:
    for speed, expected in ((1.0, 1.0), (1.25, 1.25), (4.0, 1.6), (0.25, 0.6)):
        await speak(rig, input="你好。", speed=speed, response_format="pcm")
        clip = rig.parts.synthesizer.asked[-1][1]  # type: ignore[attr-defined]
        assert clip.speed == pytest.approx(expected * rig.parts.casting.role().speed(None))


async def test_a_client_that_reads_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "WRITE_TIMEOUT_S", 0.05)
    synthesizer = FakeSynthesizer()
    async with running(make_parts(synthesizer=synthesizer)) as rig:
        _, writer = await asyncio.open_connection("127.0.0.1", rig.bridge.http_port, limit=1024)
        body = json.dumps({"input": "今天天气真的很好。" * 450, "response_format": "pcm"}).encode()
        head = f"POST /v1/audio/speech HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await eventually(lambda: len(synthesizer.asked) > 5)
        await eventually(lambda: "speech-pipeline" not in running_tasks())
        assert len(synthesizer.asked) < 450  # before all of it was made
        writer.close()


async def test_only_so_many_are_answered_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "MAX_AT_ONCE", 1)
    synthesizer = HeldAtSecond()
    async with running(make_parts(synthesizer=synthesizer)) as rig:
        first = asyncio.create_task(speak(rig, input=TEXT * 2, response_format="pcm"))
        await eventually(lambda: len(synthesizer.asked) > 1)
        assert (await speak(rig)).status_code == 503
        synthesizer.go_on.set()
        assert (await first).status_code == 200 and (await speak(rig)).status_code == 200
