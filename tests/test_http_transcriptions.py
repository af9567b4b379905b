"""/v1/audio/transcriptions, over real HTTP: recordings of every kind, with times, and those that do harm."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import numpy as np
import pytest
import pytest_asyncio
import soundfile
from fakes.bridge import Rig, running
from fakes.parts import FakeRecognizer, make_parts, silence, speech

from xiaozhi_persona.bridge.http import transcriptions
from xiaozhi_persona.errors import ServiceTimeout, ServiceUnavailable
from xiaozhi_persona.spine import Samples

TWO = np.concatenate([silence(0.5), speech(1.0), silence(1.0), speech(0.5), silence(0.1)])


@pytest_asyncio.fixture
async def rig() -> AsyncIterator[Rig]:
    async with running(make_parts(recognizer=FakeRecognizer("你好 <小智>"))) as rig:
        yield rig


def recording(
    samples: Samples = TWO, kind: str = "WAV", rate_hz: int = 16000, channels: int = 1, **more: Any
) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.stack([samples] * channels, axis=1), rate_hz, format=kind, **more)
    return file.getvalue()


async def transcribe(rig: Rig, data: bytes = b"", **fields: str) -> httpx.Response:
    async with httpx.AsyncClient(timeout=60) as http:
        return await http.post(
            f"http://127.0.0.1:{rig.bridge.http_port}/v1/audio/transcriptions",
            files={"file": ("speech.wav", data or recording())},
            data={"model": "whisper-1", **fields},
        )


@pytest.mark.parametrize(
    "data",
    [
        recording(),
        recording(kind="FLAC"),
        recording(kind="OGG"),
        recording(np.repeat(TWO, 3), "MP3", 48000),
        recording(rate_hz=16000, channels=2),
    ],
    ids=["wav", "flac", "ogg", "mp3", "stereo"],
)
async def test_recordings_of_every_kind_are_heard_at_16_khz(rig: Rig, data: bytes) -> None:
    answer = await transcribe(rig, data)
    assert answer.json() == {"text": "你好 <小智>"}
    (heard,) = rig.parts.recognizer.heard  # type: ignore[attr-defined]
    assert abs(len(heard) - len(TWO)) < 3200 and np.abs(heard).max() > 5000


async def test_each_form_of_the_answer(rig: Rig) -> None:
    assert (await transcribe(rig, response_format="text")).text == "你好 <小智>\n"
    srt = (await transcribe(rig, response_format="srt")).text
    cues = re.findall(r"(\d)\n00:00:(\d\d),(\d{3}) --> 00:00:(\d\d),(\d{3})\n你好 <小智>\n\n", srt)
    assert [cue[0] for cue in cues] == ["1", "2"]
    times = [(int(a) + int(b) / 1000, int(c) + int(d) / 1000) for _, a, b, c, d in cues]
    assert (
        0 < times[0][0] <= 0.5
        and 1.5 <= times[0][1] < 2
        and 2 < times[1][0] <= 2.5
        and 3 <= times[1][1] < 3.2
    )
    vtt = (await transcribe(rig, response_format="vtt")).text
    assert vtt.startswith("WEBVTT\n\n00:00:00.") and vtt.count("你好 &lt;小智&gt;\n\n") == 2
    told = (await transcribe(rig, response_format="verbose_json")).json()
    assert told["duration"] == pytest.approx(3.1) and told["task"] == "transcribe"
    assert [round(one["start"], 3) for one in told["segments"]] == [time[0] for time in times]


async def test_silence_has_no_words_and_no_cues(rig: Rig) -> None:
    assert (await transcribe(rig, recording(silence(2)), response_format="srt")).text == ""
    told = (await transcribe(rig, recording(silence(2)), response_format="verbose_json")).json()
    assert told["segments"] == [] and told["text"] == ""


@pytest.mark.parametrize(
    ("data", "fields"),
    [
        (b"x", {}),
        (b"\0" * 100_000, {}),
        (recording()[:30], {}),
        (recording(rate_hz=100), {}),
        (recording(channels=9), {}),
        (recording(), {"response_format": "diarized_json"}),
        (recording(), {"timestamp_granularities[]": "word", "response_format": "verbose_json"}),
    ],
    ids=["letter", "zeros", "head", "slow", "channels", "form", "words"],
)
async def test_what_cannot_be_heard_is_refused_without_a_path_in_it(
    rig: Rig, data: bytes, fields: dict[str, str]
) -> None:
    answer = await transcribe(rig, data, **fields)
    assert answer.status_code == 400 and answer.json()["next_step"]
    assert "/tmp" not in answer.text and "recording" not in answer.text
    assert rig.parts.recognizer.heard == []  # type: ignore[attr-defined]


async def test_a_small_file_with_much_silence_is_refused(rig: Rig) -> None:
    data = recording(silence(21 * 60), "FLAC")
    assert len(data) < 100_000
    answer = await transcribe(rig, data)
    assert answer.status_code == 413 and "20" in answer.json()["error"]["message"]


@pytest.mark.parametrize("body", [b"", b"{}", b"--x\r\n\r\n--x--", b"x" * 70_000])
async def test_what_is_no_form_with_a_recording_is_refused(rig: Rig, body: bytes) -> None:
    for content_type in (
        "multipart/form-data; boundary=x",
        "multipart/form-data",
        "application/json",
        "x" * 900,
    ):
        async with httpx.AsyncClient() as http:
            answer = await http.post(
                f"http://127.0.0.1:{rig.bridge.http_port}/v1/audio/transcriptions",
                content=body,
                headers={"Content-Type": content_type},
            )
        assert answer.status_code == 400 and answer.json()["next_step"]


async def test_a_file_beyond_what_is_taken_is_refused(rig: Rig) -> None:
    answer = await transcribe(rig, b"x" * (26 * 1024 * 1024))
    assert answer.status_code == 413 and answer.json()["next_step"]


async def test_a_recognizer_that_fails_is_an_error_with_the_next_step() -> None:
    for error, status in ((ServiceUnavailable("坏了"), 503), (ServiceTimeout("太慢"), 504)):
        async with running(make_parts(recognizer=FakeRecognizer(error=error))) as rig:
            for form in ("json", "srt"):
                answer = await transcribe(rig, response_format=form)
                assert answer.status_code == status and answer.json()["error"]["message"] == str(error)


async def test_of_a_client_that_has_gone_nothing_is_heard_any_more() -> None:
    recognizer = Held()
    async with running(make_parts(recognizer=recognizer)) as rig:
        for form in ("json", "srt"):
            recognizer.ended.clear()
            recognizer.asked.clear()
            asking = asyncio.create_task(transcribe(rig, response_format=form))
            await asyncio.wait_for(recognizer.asked.wait(), 10)
            asking.cancel()
            await asyncio.wait_for(recognizer.ended.wait(), 10)


class Held(FakeRecognizer):
    """Hears for ever, and tells when it was cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self.hold, self.ended = asyncio.Event(), asyncio.Event()

    async def transcribe(self, pcm16k: Samples) -> Any:
        try:
            return await super().transcribe(pcm16k)
        finally:
            self.ended.set()


async def test_only_so_many_are_heard_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcriptions, "MAX_AT_ONCE", 1)
    recognizer = FakeRecognizer()
    recognizer.hold = asyncio.Event()
    async with running(make_parts(recognizer=recognizer)) as rig:
        first = asyncio.create_task(transcribe(rig))
        await asyncio.wait_for(recognizer.asked.wait(), 10)
        assert (await transcribe(rig)).status_code == 503
        recognizer.hold.set()
        assert (await first).status_code == 200 and (await transcribe(rig)).status_code == 200


def test_the_clock_has_hours() -> None:
    assert transcriptions._clock(3725.0406, ",") == "01:02:05,041"
