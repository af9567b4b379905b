"""The device's own tools: commands of its user, volume, screen, status, camera; a bad command can do no harm."""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from test_client_mcp import Asked

from xiaozhi_persona.bridge.client import program
from xiaozhi_persona.bridge.client.program import run_program
from xiaozhi_persona.bridge.client.tools.board import Board
from xiaozhi_persona.bridge.client.tools.camera import ANSWER_BYTES, Camera
from xiaozhi_persona.bridge.client.tools.command import command_tool
from xiaozhi_persona.bridge.client.tools.volume import Volume
from xiaozhi_persona.errors import ServiceTimeout, ServiceUnavailable, SettingsError


def python(code: str) -> str:
    """A command line that runs Python code."""
    return shlex.join([sys.executable, "-c", code])


# A command of the user's own.


async def test_a_command_gets_its_arguments_in_the_environment_and_its_output_is_the_result():
    code = "import os; print(os.environ['TOOL_LEVEL'], os.environ['TOOL_ON'], os.environ['TOOL_NAME'])"
    tool = command_tool(f"self.lamp.set(level:integer, on:boolean, name) 调灯={python(code)}")
    assert (tool.name, tool.description) == ("self.lamp.set", "调灯")
    assert await Asked(tool).call(tool.name, level=5, on=True, name="$(id); 客厅") == "5 true $(id); 客厅"


async def test_a_command_that_prints_nothing_has_been_done():
    assert await Asked(command_tool("self.on=" + python("pass"))).call("self.on") == "true"


@pytest.mark.parametrize(
    "text",
    [
        "self.lamp",
        "=ls",
        "self.lamp=",
        "self.lamp='ls",
        "1lamp=ls",
        "灯=ls",
        "self.lamp(level:number)=ls",
        "self.lamp(a b)=ls",
    ],
)
def test_a_tool_that_cannot_be_read_is_told(text):
    with pytest.raises(SettingsError):
        command_tool(text)


async def test_commands_that_go_wrong_are_told_in_a_line():
    for command, said in [
        ("/no/such/program", "/no/such/program"),
        (python("import sys; sys.exit('没有插电')"), "没有插电"),
        (python("import sys; sys.exit(3)"), "3"),
        (python("print('x' * 100_000)"), "8000"),
        (python("import os; os.kill(os.getpid(), 9)"), "-9"),
    ]:
        answer = await Asked(command_tool(f"self.t={command}")).call("self.t")
        assert said in answer["message"]
        assert "\n" not in answer["message"]


async def test_an_argument_that_no_environment_can_hold_is_told():
    asked = Asked(command_tool("self.t(text)=" + python("pass")))
    assert "message" in await asked.call("self.t", text="a\0b")
    assert "message" in await asked.call("self.t", text="x" * 5_000_000)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_gone(pid: Path) -> bool:
    """Whether the process whose number a file holds has ended."""
    stat = Path(f"/proc/{pid.read_text()}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
async def test_a_command_that_hangs_is_killed_with_its_children(tmp_path):
    pid = tmp_path / "pid"
    child = (
        f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); print(flush=True); time.sleep(60)"
    )
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    with pytest.raises(ServiceTimeout):
        await run_program([sys.executable, "-c", code], timeout_s=1.5, max_bytes=100)
    await asyncio.to_thread(wait_until, lambda: is_gone(pid))


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
async def test_a_command_without_end_of_output_is_stopped_and_one_whose_call_is_cancelled_too(tmp_path):
    pid = tmp_path / "pid"
    code = f"import os; open({str(pid)!r}, 'w').write(str(os.getpid()))\nwhile True: print('x' * 1000)"
    began = time.monotonic()
    with pytest.raises(ServiceUnavailable):
        await run_program([sys.executable, "-c", code], timeout_s=30, max_bytes=100)
    assert time.monotonic() - began < 20
    await asyncio.to_thread(wait_until, lambda: is_gone(pid))
    pid.unlink()
    task = asyncio.create_task(
        run_program([sys.executable, "-c", code.replace("print", "(lambda x: 0)")], timeout_s=30, max_bytes=9)
    )
    await asyncio.to_thread(wait_until, lambda: pid.exists() and bool(pid.read_text()))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.to_thread(wait_until, lambda: is_gone(pid))


async def test_a_program_that_writes_much_to_both_outputs_does_not_stand_still():
    code = "import sys; sys.stderr.write('e' * 500_000); print('ok')"
    assert await run_program([sys.executable, "-c", code], timeout_s=20, max_bytes=10) == b"ok\n"


# The computer itself.


class Gain:
    gain = 1.0


def no_mixer(volume: Volume, monkeypatch: pytest.MonkeyPatch) -> Volume:
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setitem(sys.modules, "pulsectl", None)
    return volume


def written(root: Path, **files: str) -> None:
    for name, text in files.items():
        file = root / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


async def test_without_a_mixer_the_volume_is_the_cards_own_gain(monkeypatch):
    card = Gain()
    asked = Asked(*Board(no_mixer(Volume(card), monkeypatch), Path("/nowhere")).tools())
    assert await asked.call("self.audio_speaker.set_volume", volume=50) == "true"
    assert card.gain == 0.125
    status = json.loads(await asked.call("self.get_device_status"))
    assert status == {"audio_speaker": {"volume": 50}, "screen": {}}
    for percent in range(101):
        await asked.call("self.audio_speaker.set_volume", volume=percent)
        assert json.loads(await asked.call("self.get_device_status"))["audio_speaker"]["volume"] == percent
    assert "message" in await asked.call("self.audio_speaker.set_volume", volume=101)
    assert "self.screen.set_brightness" not in asked.server._tools


async def test_the_status_of_a_raspberry_pi_with_a_screen(monkeypatch, tmp_path):
    written(
        tmp_path,
        sys__class__backlight__10__brightness="51\n",
        sys__class__backlight__10__max_brightness="255\n",
        sys__class__thermal__thermal_zone0__temp="48312\n",
        sys__class__power_supply__bat__type="Battery\n",
        sys__class__power_supply__bat__capacity="80\n",
        sys__class__power_supply__bat__status="Charging\n",
        sys__class__net__wlan0__wireless__x="",
        proc__net__route="Iface\tDestination\nwlan0\t00000000\t0102A8C0\n",
        proc__net__wireless="Inter-|\n face |\n wlan0: 0000   54.  -63.  -256 0 0\n",
    )
    asked = Asked(*Board(no_mixer(Volume(Gain()), monkeypatch), tmp_path).tools())
    assert json.loads(await asked.call("self.get_device_status")) == {
        "audio_speaker": {"volume": 100},
        "screen": {"brightness": 20},
        "battery": {"level": 80, "charging": True},
        "network": {"type": "wifi", "signal": "medium"},
        "chip": {"temperature": 48.3},
    }
    assert await asked.call("self.screen.set_brightness", brightness=100) == "true"
    assert (tmp_path / "sys/class/backlight/10/brightness").read_text() == "255"
    (tmp_path / "sys/class/backlight/10/max_brightness").unlink()
    assert "video" in (await asked.call("self.screen.set_brightness", brightness=1))["message"]


@pytest.fixture
def amixer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Puts a program named amixer into the path that keeps its arguments and prints as the real one does."""

    def put(controls: str) -> Path:
        log = tmp_path / "asked"
        body = (
            f"#!{sys.executable}\nimport sys\nopen({str(log)!r}, 'a').write(' '.join(sys.argv[1:]) + '\\n')\n"
            f"if 'scontrols' in sys.argv: print({controls!r})\n"
            "else: print('  Front Left: Playback 40 [63%] [-12.00dB] [on]')\n"
        )
        program_file = tmp_path / "amixer"
        program_file.write_text(body)
        program_file.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.setitem(sys.modules, "pulsectl", None)
        return log

    return put


async def test_the_mixer_of_alsa_is_set_where_there_is_no_sound_server(amixer, tmp_path):
    log = amixer("Simple mixer control 'Mic',0\nSimple mixer control 'PCM',0")
    cards = tmp_path / "cards"
    cards.write_text(" 0 [Headphones     ]: bcm2835\n                      bcm2835 Headphones\n")
    with cards.open("a") as file:
        file.write(" 2 [Device         ]: USB-Audio - USB PnP Sound Device\n            at usb-1.2\n")
    card = Gain()
    card.gain = 0.5
    volume = Volume(card, "usb pnp", cards)
    await volume.set(70)
    assert await volume.get() == 63
    assert card.gain == 1.0
    assert log.read_text().splitlines()[1] == "-M -c 2 sset PCM 70% unmute"
    log.unlink()
    await Volume(card, "a card that is not there", cards).set(50)
    assert not log.exists() and card.gain == 0.125
    await Volume(card, "pipewire", cards).set(50)
    assert log.read_text().splitlines()[1] == "-M sset PCM 50% unmute"


async def test_a_card_without_a_volume_control_falls_back_to_the_gain(amixer):
    amixer("Simple mixer control 'Mic',0")
    card = Gain()
    await Volume(card).set(10)
    assert card.gain == pytest.approx(0.001)


async def test_an_amixer_that_hangs_does_not_hold_the_volume_for_long(monkeypatch, tmp_path):
    monkeypatch.setattr(program.asyncio, "create_subprocess_exec", _no_such_process)
    monkeypatch.setitem(sys.modules, "pulsectl", None)
    card = Gain()
    await Volume(card).set(100)
    assert card.gain == 1.0


async def _no_such_process(*words: str, **options: Any) -> Any:
    raise OSError(12, "Cannot allocate memory")


# The camera.

JPEG = b"\xff\xd8\xff\xe0" + b"picture" * 1000


class Vision:
    """What looks at pictures: keeps what came, answers as told."""

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}
        self.headers: dict[str, str] = {}
        self.answer = web.json_response
        self.status = 200
        self.text = '{"success": true, "response": "一只猫"}'
        self.url = ""

    async def look(self, request: web.Request) -> web.Response:
        self.headers = dict(request.headers)
        form = await request.post()
        for name, value in form.items():
            self.fields[name] = value if isinstance(value, str) else (value.filename, value.file.read())
        return web.Response(status=self.status, text=self.text)


@pytest.fixture
async def vision() -> AsyncIterator[Vision]:
    vision = Vision()
    app = web.Application(client_max_size=16 * 1024 * 1024)
    app.router.add_post("/vision", vision.look)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    vision.url = f"http://127.0.0.1:{runner.addresses[0][1]}/vision"
    yield vision
    await runner.cleanup()


def camera(code: str = f"import sys; sys.stdout.buffer.write({JPEG!r})") -> Asked:
    return Asked(Camera([sys.executable, "-c", code], "aa:bb:cc:dd:ee:ff", "client-1").tool())


def offer(asked: Asked, **vision: Any) -> None:
    asked.ask(1, "initialize", capabilities={"vision": vision})


async def photo(asked: Asked) -> Any:
    return await asked.call("self.camera.take_photo", question="这是什么？")


async def test_a_picture_is_sent_to_the_server_as_the_firmware_sends_it(vision):
    asked = camera()
    offer(asked, url=vision.url, token="t-1")
    assert json.loads(await photo(asked))["response"] == "一只猫"
    assert vision.fields == {"question": "这是什么？", "file": ("camera.jpg", JPEG)}
    assert vision.headers["Device-Id"] == "aa:bb:cc:dd:ee:ff"
    assert vision.headers["Client-Id"] == "client-1"
    assert vision.headers["Authorization"] == "Bearer t-1"


async def test_a_server_without_vision_gets_no_picture(tmp_path):
    taken = tmp_path / "taken"
    asked = camera(f"open({str(taken)!r}, 'w')")
    for capabilities in ({}, {"vision": "yes"}, {"vision": {"url": 7}}, {"vision": {"url": ""}}, []):
        asked.ask(1, "initialize", capabilities=capabilities)
        assert "vision" in (await photo(asked))["message"]
    assert not taken.exists()


async def test_what_goes_wrong_with_a_picture_is_told(vision):
    asked = camera("print('no picture')")
    offer(asked, url=vision.url)
    assert "JPEG" in (await photo(asked))["message"]
    asked = camera()
    offer(asked, url=vision.url, token=7)
    vision.status = 401
    assert "401" in (await photo(asked))["message"]
    assert "Authorization" not in vision.headers
    vision.status, vision.text = 200, "x" * (ANSWER_BYTES + 1)
    assert vision.url in (await photo(asked))["message"]
    for url in ("http://127.0.0.1:1/", "no address", "http://[::1"):
        offer(asked, url=url)
        assert url in (await photo(asked))["message"]
