"""`xiaozhi-persona voices`: the servers and the voices, listed and tried."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import threading
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes.role_packs import write_role
from fakes.sovits_server import FakeSovits, pitch_hz, pitch_of

from xiaozhi_persona.bridge.parts import build_parts
from xiaozhi_persona.cli import main
from xiaozhi_persona.commands.serve import _voice_told
from xiaozhi_persona.settings import Settings

Run = Callable[..., tuple[int, str, str]]
TEXT = "这是四秒钟的一句话，一共有十六个字。"


@contextlib.contextmanager
def listening(*servers: FakeSovits) -> Iterator[list[str]]:
    """Run the servers in a thread, since a command has an event loop of its own; yield their addresses."""
    loop, ready = asyncio.new_event_loop(), threading.Event()

    async def serve() -> None:
        async with contextlib.AsyncExitStack() as stack:
            for server in servers:
                await stack.enter_async_context(server)
            ready.set()
            await over

    over: asyncio.Future[None] = loop.create_future()
    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), name="fake-sovits")
    thread.start()
    assert ready.wait(10)
    try:
        yield [server.url for server in servers]
    finally:
        loop.call_soon_threadsafe(over.set_result, None)
        thread.join(10)
        loop.close()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Call the command in a folder with the role mei; return exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("TTS_SERVICE_URL_GPTSoVITS", raising=False)
    write_role(tmp_path / "data" / "roles" / "mei", clips={"高兴/a": TEXT, "中性/b": TEXT})

    def call(servers: list[str], *arguments: str) -> tuple[int, str, str]:
        settings = {"role": "mei", "gpt_sovits": {"servers": servers, "connect_timeout_s": 0.5}}
        (tmp_path / "config.yaml").write_text(json.dumps(settings), encoding="utf-8")
        monkeypatch.setattr(sys, "argv", ["xiaozhi-persona", "voices", *arguments])
        with pytest.raises(SystemExit) as exited:
            main()
        out, err = capsys.readouterr()
        assert isinstance(exited.value.code, int)
        return exited.value.code, out, err

    return call


def lines(out: str) -> list[Any]:
    return [json.loads(line) for line in out.splitlines()]


@pytest.mark.parametrize("arguments", [["list"], []])
def test_servers_are_listed_with_their_api_and_roles_with_their_references(
    run: Run, arguments: list[str]
) -> None:
    servers = FakeSovits(), FakeSovits(api="v1"), FakeSovits(path="/"), FakeSovits(is_old=True)
    with listening(*servers) as urls:
        code, out, _ = run([*urls, "127.0.0.1:1", "ftp://x"], *arguments, "--json")
    found = lines(out)
    rows = [(line["api"], line["chunked_modes"], line["reachable"]) for line in found if "server" in line]
    assert code == 0
    assert rows == [
        ("v2", True, True),
        ("v1", False, True),
        ("pack", True, True),
        ("v2", False, True),
        (None, None, False),
        (None, None, False),
    ]
    assert found[4]["failure"] and "有效的地址" in found[5]["failure"]
    mei = next(line for line in found if line.get("role") == "mei")
    assert mei["references"] == {"中性": 1, "高兴": 1}
    assert not any(server.requests or server.loads for server in servers)


def test_the_list_is_a_table_for_people_and_says_where_addresses_go(run: Run) -> None:
    code, out, _ = run([])
    assert code == 0 and "gpt_sovits.servers" in out and "高兴 1" in out
    code, out, _ = run(["127.0.0.1:1"], "list")
    assert code == 0 and "连不上" in out


def test_each_server_speaks_one_sentence_with_the_clip_of_its_tag(run: Run, tmp_path: Path) -> None:
    with listening(FakeSovits(), FakeSovits(api="v1", rate_hz=48000)) as urls:
        arguments = ["test", "--text", "【高兴】今天真的很好呀！", "--out", "out/x.wav", "--json"]
        code, out, _ = run(urls, *arguments)
    first, second = lines(out)
    assert code == 0 and first["ok"] and first["emotion"] == "高兴"
    assert first["sample_rate_hz"] == 32000 and second["sample_rate_hz"] == 48000
    assert first["first_audio_ms"] > 0 and first["rtf"] > 0
    with wave.open(first["file"]) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    assert len(samples) / 32000 == pytest.approx(first["audio_s"], abs=0.01)
    assert pitch_hz(samples, 32000) == pitch_of(first["reference"])
    assert first["reference"].endswith("a.wav") and second["file"].endswith("x-2.wav")


def test_a_server_that_cannot_speak_is_told_and_ends_with_1(run: Run) -> None:
    with listening(FakeSovits(), FakeSovits(fault="refuse")) as urls:
        code, out, _ = run(urls, "test", "--json")
        found = lines(out)
        assert code == 1 and found[0]["ok"] and not found[1]["ok"]
        assert "broken" in found[1]["error"]
        code, out, _ = run(urls, "test")
        assert code == 1 and "broken" in out and "32000 Hz" in out


@pytest.mark.parametrize(
    "servers, arguments, told",
    [
        ([], ["test"], "gpt_sovits.servers"),
        (["127.0.0.1:1"], ["test", "--text", "【高兴】"], "--text"),
        (["127.0.0.1:1"], ["test", "--role", "nobody"], "mei"),
    ],
)
def test_wrong_use_is_told(run: Run, servers: list[str], arguments: list[str], told: str) -> None:
    code, _, err = run(servers, *arguments)
    assert code == 2 and told in err


@pytest.mark.parametrize(("up", "told"), [(False, True), (True, False)])
async def test_the_start_says_when_no_server_can_speak(up: bool, told: bool, tmp_path: Path) -> None:
    async with FakeSovits() as server:
        servers = ["http://127.0.0.1:9", *[server.url] * up]
        settings = Settings.model_validate(
            {"tts": {"engine": "gpt_sovits"}, "gpt_sovits": {"servers": servers}}
        )
        parts = await build_parts(settings.at(tmp_path))
        await parts.aclose()
    assert bool(parts.voice_trouble) == told
    if told:
        line = _voice_told(settings, parts.voice_trouble)
        assert "http://127.0.0.1:9" in line and "备用的声音" in line and "doctor" in line
