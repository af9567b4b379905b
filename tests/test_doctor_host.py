"""`xiaozhi-persona doctor HOST`: each trouble of an installation in the host is found, with its next step."""

from __future__ import annotations

import ctypes.util
import json
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from fakes.host_tree import write_host
from fakes.role_packs import write_role
from fakes.sovits_server import FakeSovits
from memory_kit import memory, turn

from xiaozhi_persona import __version__
from xiaozhi_persona.checks import Check
from xiaozhi_persona.cli import main
from xiaozhi_persona.commands.doctor import host as doctor_host
from xiaozhi_persona.commands.doctor import host_asr as doctor_host_asr
from xiaozhi_persona.commands.doctor import host_python as doctor_host_python
from xiaozhi_persona.commands.doctor.host import check_host
from xiaozhi_persona.commands.doctor.host_python import check_python
from xiaozhi_persona.installer.door_files import door_text
from xiaozhi_persona.installer.host_contract import SEND_AUDIO
from xiaozhi_persona.installer.install import apply, plan_install
from xiaozhi_persona.installer.manifest import Tree
from xiaozhi_persona.providers.asr.onnx_models import TINY_MODEL
from xiaozhi_persona.providers.host.doors import DOORS
from xiaozhi_persona.providers.host.tool_names import TOOL_FILE, TOOL_NAMES

TEXT = "这是四秒钟的一句话，一共有十六个字。"
NO_LIBOPUS = [] if ctypes.util.find_library("opus") else ["小智的 libopus"]
"""What doctor rightly finds on a machine without a system libopus, where the host itself cannot start."""


class InstalledHost:
    """A made-up host in which everything is as install leaves it, for one test to spoil something."""

    def __init__(self, folder: Path) -> None:
        self.folder = write_host(folder, settings=None)
        tree = Tree(self.folder, self.folder / "data")
        apply(plan_install(tree, DOORS))
        self.write("agent-base-prompt.txt", "{{base_prompt}} {{emojiList}}\n<memory>\n</memory>")
        write_role(self.folder / "data/xiaozhi-persona/roles/mei", clips={"高兴/a": TEXT, "中性/b": TEXT})

    def write(self, path: str, text: str) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode("utf-8"))

    def configure(self, section: dict[str, Any], **root: Any) -> None:
        config = {
            "prompt_template": "data/xiaozhi-persona/prompt.txt",
            "Memory": {"persona_memory": {"type": "persona_memory"}},
            "Intent": {"function_call": {"functions": ["get_weather", *TOOL_NAMES.values()]}},
            "TTS": {"PersonaVoice": {"type": "gpt_sovits_v2_stream", "role": "mei", **section}},
        }
        selected = {"TTS": "PersonaVoice", "Memory": "persona_memory"} | root.pop("selected_module", {})
        config |= {"selected_module": selected}
        self.write("data/.config.yaml", yaml.safe_dump(config | root, allow_unicode=True))


@pytest.fixture
def host(tmp_path: Path) -> InstalledHost:
    return InstalledHost(tmp_path)


@pytest.fixture(autouse=True)
def _no_address_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TTS_SERVICE_URL_GPTSoVITS", raising=False)


@pytest.fixture(autouse=True)
def _ffmpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/ffmpeg" if name == "ffmpeg" else None)


@pytest.fixture
def _python_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fine(*_: Any) -> list[Check]:
        return []

    monkeypatch.setattr(doctor_host, "check_python", fine)


async def everything(checks: AsyncIterator[Check]) -> list[Check]:
    return [check async for check in checks]


async def troubles(host: InstalledHost) -> list[Check]:
    """What is found beside that the role names no weights, as most do not."""
    found = [check for check in await everything(check_host(host.folder, None)) if check.status != "ok"]
    return [check for check in found if not (check.status == "warning" and check.what.endswith("的权重"))]


async def only_trouble(host: InstalledHost) -> Check:
    """The one trouble, the servers left out: tests without one let them fail."""
    found = [c for c in await troubles(host) if "GPT-SoVITS" not in c.what and "一句" not in c.what]
    (trouble,) = found
    return trouble


async def test_a_good_installation_speaks_and_has_no_trouble(host: InstalledHost) -> None:
    async with FakeSovits(path="/tts") as server:
        host.configure({"url": server.url + "/tts"})
        checks = await everything(check_host(host.folder, Path(sys.executable)))
        spoken = len(server.requests)
    assert [check.what for check in checks if check.status == "error"] == NO_LIBOPUS
    last = checks[-1]
    assert last.what == "从头到尾说一句" and "秒出第一包声音" in last.found and spoken >= 3
    assert server.url.removeprefix("http://") in last.found  # its voice, not the fallback's


@pytest.mark.usefixtures("_python_is_fine")
async def test_a_good_v1_installation_has_no_trouble(host: InstalledHost) -> None:
    async with FakeSovits(api="v1") as server:
        host.configure({"url": server.url, "type": "gpt_sovits_v1"})
        assert await troubles(host) == []


@pytest.mark.usefixtures("_python_is_fine")
@pytest.mark.parametrize(
    "api, written, right",
    [("v1", "gpt_sovits_v2_stream", "gpt_sovits_v1"), ("v2", "gpt_sovits_v1", "gpt_sovits_v2_stream")],
)
async def test_the_type_for_the_other_api_is_told(
    host: InstalledHost, api: Any, written: str, right: str
) -> None:
    async with FakeSovits(api=api) as server:
        host.configure({"url": server.url, "type": written})
        found = await troubles(host)
    assert any(c.status == "error" and f"type: {right}" in c.step and "PersonaVoice" in c.step for c in found)


@pytest.mark.usefixtures("_python_is_fine")
async def test_the_engine_that_the_section_names_is_checked(host: InstalledHost) -> None:
    async with FakeSovits() as server:
        chosen = {"type": "persona_voice", "engine": "gpt_sovits"}
        host.configure({**chosen, "servers": [server.url]})
        assert await troubles(host) == [] and len(server.requests) >= 3
        host.configure({**chosen, "servers": []})
        assert any("地址" in check.found and check.status == "error" for check in await troubles(host))
    host.configure({"type": "persona_voice", "engine": "nonsense"})
    trouble = await only_trouble(host)
    assert "PersonaVoice" in trouble.what and "nonsense" in trouble.found


@pytest.mark.usefixtures("_python_is_fine")
async def test_a_dead_server_is_told_and_so_is_who_speaks_then(host: InstalledHost) -> None:
    host.configure({"url": "http://127.0.0.1:1/tts"})
    server, spoken = await troubles(host)
    assert "端口 1 没有程序" in server.found and spoken.status == "error" and "备用的声音" in spoken.found


@pytest.mark.usefixtures("_python_is_fine")
async def test_no_address_at_all_is_told(host: InstalledHost) -> None:
    host.configure({})
    trouble = await only_trouble(host)
    assert "地址" in trouble.found and "TTS.PersonaVoice" in trouble.step and "url:" in trouble.step


@pytest.mark.usefixtures("_python_is_fine")
@pytest.mark.parametrize(
    "spoil, what, step",
    [
        (lambda host: (host.folder / DOORS[0].path).unlink(), "没有", "install"),
        (lambda host: host.write(str(DOORS[0].path), "class TTSProvider: ..."), "不是本程序的", "--replace"),
        (
            lambda host: host.write(str(DOORS[1].path), door_text(DOORS[1]).replace(__version__, "0.0.1")),
            "别的版本",
            "install",
        ),
    ],
)
async def test_a_door_that_is_not_as_installed_is_told(
    host: InstalledHost, spoil: Any, what: str, step: str
) -> None:
    host.configure({"url": "http://127.0.0.1:1"})
    spoil(host)
    trouble = await only_trouble(host)
    assert trouble.status == "error" and what in trouble.found and step in trouble.step
    assert "gpt_sovits_v" in trouble.found


@pytest.mark.usefixtures("_python_is_fine")
@pytest.mark.parametrize(
    "text, status, found",
    [
        (None, "error", "读不了"),
        ("{{ base_prompt }}【高兴】", "error", "<memory>"),
        ("【高兴】<memory></memory>", "error", "base_prompt"),
        ("{{base_prompt}} {{emojiList}}\n<memory>\n</memory>", "warning", "标签"),
    ],
)
async def test_a_template_that_loses_something_is_told(
    host: InstalledHost, text: str | None, status: str, found: str
) -> None:
    host.configure({"url": "http://127.0.0.1:1"}, prompt_template="data/mine.txt")
    if text is not None:
        host.write("data/mine.txt", text)
    trouble = await only_trouble(host)
    assert (trouble.status, trouble.what) == (status, "提示词模板") and found in trouble.found


@pytest.mark.usefixtures("_python_is_fine")
async def test_the_hosts_own_template_is_told(host: InstalledHost) -> None:
    host.configure({"url": "http://127.0.0.1:1"}, prompt_template=None)
    trouble = await only_trouble(host)
    assert trouble.what == "提示词模板" and "prompt_template: data/xiaozhi-persona/prompt.txt" in trouble.step


@pytest.mark.usefixtures("_python_is_fine")
async def test_another_voice_that_is_chosen_is_told(host: InstalledHost) -> None:
    host.configure({"url": "http://127.0.0.1:1"}, selected_module={"TTS": "EdgeTTS"})
    trouble = await only_trouble(host)
    assert trouble.status == "error" and "EdgeTTS" in trouble.found and "install" in trouble.step


@pytest.mark.usefixtures("_python_is_fine")
async def test_a_choice_without_its_section_is_told(host: InstalledHost) -> None:
    host.configure({}, selected_module={"TTS": "Gone"})
    assert "Gone" in (await only_trouble(host)).found


@pytest.mark.usefixtures("_python_is_fine")
@pytest.mark.parametrize("text", ["", "# nothing\n", "a: [\n", "- list\n"])
async def test_settings_with_which_the_host_does_not_start_are_told(host: InstalledHost, text: str) -> None:
    host.write("data/.config.yaml", text)
    found = await troubles(host)
    assert len(found) == 1 and found[0].status == "error" and ".config.yaml" in found[0].found


@pytest.mark.usefixtures("_python_is_fine")
async def test_the_key_that_becomes_the_reply_language_is_told(host: InstalledHost) -> None:
    host.configure({"url": "http://127.0.0.1:1", "language": "zh"})
    trouble = await only_trouble(host)
    assert trouble.status == "warning" and "language" in trouble.found


@pytest.mark.usefixtures("_python_is_fine")
async def test_a_role_that_is_not_there_is_told(host: InstalledHost) -> None:
    host.configure({"url": "http://127.0.0.1:1", "role": "nobody"})
    assert any("nobody" in check.found and "default" in check.step for check in await troubles(host))


@pytest.mark.usefixtures("_python_is_fine")
async def test_settings_that_cannot_be_used_are_told(host: InstalledHost) -> None:
    host.configure({"url": "http://127.0.0.1:1", "role_of_device": "mei"})
    assert "role_of_device" in (await only_trouble(host)).found


@pytest.mark.usefixtures("_python_is_fine")
async def test_our_own_file_that_cannot_be_used_is_told_once(host: InstalledHost) -> None:
    file = host.folder / "data" / "xiaozhi-persona" / "config.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("asr: {workers: 0}\n", encoding="utf-8")
    (trouble,) = [check for check in await troubles(host) if check.status == "error"]
    assert "asr.workers 的值 0" in trouble.found


async def test_a_host_without_any_of_our_files_is_one_line(host: InstalledHost) -> None:
    for door in DOORS:
        (host.folder / door.path).unlink()
    (trouble,) = await troubles(host)
    assert "还没有装" in trouble.found and f"install {host.folder}" in trouble.step


@pytest.mark.usefixtures("_python_is_fine")
async def test_with_the_console_it_says_that_the_settings_are_there(host: InstalledHost) -> None:
    host.write("data/.config.yaml", "manager-api: {url: 'http://127.0.0.1:8002/xiaozhi'}\n")
    trouble = await only_trouble(host)
    assert trouble.status == "warning" and "智控台" in trouble.found
    (host.folder / "data/xiaozhi-persona/prompt.txt").unlink()
    assert [check.status for check in await troubles(host)] == ["warning", "error"]


@pytest.mark.usefixtures("_python_is_fine")
async def test_a_missing_ffmpeg_is_told(host: InstalledHost, monkeypatch: pytest.MonkeyPatch) -> None:
    host.configure({"url": "http://127.0.0.1:1"})
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert (await only_trouble(host)).what == "ffmpeg"


@pytest.mark.usefixtures("_python_is_fine")
async def test_a_host_whose_bases_changed_is_told(host: InstalledHost) -> None:
    host.configure({"url": "http://127.0.0.1:1"})
    host.write(SEND_AUDIO[0], "")
    assert SEND_AUDIO[1] in (await only_trouble(host)).found


@pytest.mark.parametrize("content", [None, 'SERVER_VERSION = "0.8.9"\n'])
async def test_no_host_or_one_too_old_ends_the_checks(host: InstalledHost, content: str | None) -> None:
    if content is None:
        (host.folder / "config/logger.py").unlink()
    else:
        host.write("config/logger.py", content)
    (trouble,) = await everything(check_host(host.folder, None))
    assert trouble.status == "error" and trouble.what == "小智服务端" and trouble.step


@pytest.mark.usefixtures("_python_is_fine")
@pytest.mark.parametrize(
    "root, status, what, found",
    [
        ({"selected_module": {"Memory": "nomem"}}, "warning", "记忆", "nomem"),
        ({"selected_module": {"Memory": "gone"}}, "error", "设置", "gone"),
        ({"Memory": {"persona_memory": {"role": "mei"}}}, "error", "设置", "没有 type"),
        ({"selected_module": {"Intent": "mine"}, "Intent": {"mine": {}}}, "error", "设置", "mine"),
        ({"Intent": {"function_call": {"functions": ["get_weather"]}}}, "warning", "记忆的工具", "里没有"),
        (
            {"Intent": {"function_call": {"functions": [*TOOL_NAMES.values()][1:]}}},
            "warning",
            "记忆的工具",
            f"少了 {TOOL_NAMES['recall']}",
        ),
    ],
)
async def test_a_memory_or_tools_that_are_not_chosen_are_told(
    host: InstalledHost, root: dict[str, Any], status: str, what: str, found: str
) -> None:
    host.configure({"url": "http://127.0.0.1:1"}, **root)
    trouble = await only_trouble(host)
    assert (trouble.status, trouble.what) == (status, what) and found in trouble.found
    assert "install" in trouble.step


@pytest.mark.usefixtures("_python_is_fine")
@pytest.mark.parametrize(
    "root",
    [
        {"selected_module": {"Intent": "nointent"}},
        {"Intent": {"function_call": {"functions": [TOOL_FILE]}}},
    ],
)
async def test_other_ways_to_use_the_memory_are_no_trouble(host: InstalledHost, root: dict[str, Any]) -> None:
    host.configure({"url": "http://127.0.0.1:1"}, **root)
    assert [check for check in await troubles(host) if "记忆" in check.what] == []


@pytest.mark.usefixtures("_python_is_fine")
async def test_the_memories_are_listed_with_their_owners(host: InstalledHost) -> None:
    host.configure({"url": "http://127.0.0.1:1"})
    ours = host.folder / "data/xiaozhi-persona"
    for owner in ("小明", "aa:1", "bb:2"):
        with memory(ours / "memory", owner) as store:
            store.append([turn("我喜欢苹果")])
    host.write("data/xiaozhi-persona/config.yaml", "paths: {data: .}\nmemory: {owners: {'aa:1': 小明}}\n")
    checks = await everything(check_host(host.folder, None))
    (listed,) = (check for check in checks if check.what == "已有的记忆")
    assert "小明（设备 aa:1） 1 条" in listed.found and "bb:2 1 条" in listed.found
    (trouble,) = (check for check in checks if check.status == "warning" and "记忆" in check.what)
    assert "aa:1" in trouble.what and "小明" in trouble.found and "memory.owners" in trouble.step


@pytest.mark.usefixtures("_python_is_fine")
async def test_a_damaged_memory_is_told(host: InstalledHost) -> None:
    host.configure({"url": "http://127.0.0.1:1"})
    with memory(host.folder / "data/xiaozhi-persona/memory", "aa:1") as store:
        store.append([turn("我喜欢苹果")])
        file = store.file
    file.write_bytes(b"not a database" * 1000)
    trouble = await only_trouble(host)
    assert trouble.status == "error" and file.parent.name in trouble.what and "重启" in trouble.step


@pytest.mark.usefixtures("_python_is_fine")
async def test_the_import_of_the_hosts_old_memory_is_offered_until_it_is_done(
    host: InstalledHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.configure({"url": "http://127.0.0.1:1"})
    host.write("data/.memory.yaml", "'aa:bb:01': 用户叫小明。\n'aa:bb:02': 用户喜欢苹果。\n'aa:bb:03': ''\n")
    offered = [check for check in await troubles(host) if "原来的记忆" in check.what]
    assert [check.what for check in offered] == ["原来的记忆 aa:bb:01", "原来的记忆 aa:bb:02"]
    command = offered[0].step.split("运行 xiaozhi-persona ")[1].split()
    monkeypatch.setattr(sys, "argv", ["x", *command])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0
    offered = [check for check in await troubles(host) if "原来的记忆" in check.what]
    assert [check.what for check in offered] == ["原来的记忆 aa:bb:02"]


EARS = {"selected_module": {"ASR": "Ears"}}
OURS = {"type": "persona_funasr", "output_dir": "tmp/"}


async def heard(host: InstalledHost, python: Path | None = None, **section: Any) -> list[Check]:
    """What is said of the recognizer with this section."""
    host.configure({"url": "http://127.0.0.1:1"}, **EARS, ASR={"Ears": OURS | section})
    checks = await everything(check_host(host.folder, python))
    return [check for check in checks if "语音识别" in check.what or check.what == "设置 Ears"]


@pytest.mark.usefixtures("_python_is_fine")
async def test_a_sentence_is_recognized_and_the_small_model_told(host: InstalledHost) -> None:
    checks = await heard(host)
    (trouble,) = (check for check in checks if check.status != "ok")
    assert trouble.status == "warning" and "小模型" in trouble.found and "--asr" in trouble.step
    last = checks[-1]
    assert last.what == "语音识别一句" and "听到“我叫小明”" in last.found
    assert "毫秒" in last.found and (sys.platform == "win32" or "MB" in last.found)
    assert any("funasr-onnx" in check.found and "onnxruntime" in check.found for check in checks)


@pytest.mark.usefixtures("_python_is_fine")
async def test_a_model_of_the_hosts_own_folder_is_used(host: InstalledHost) -> None:
    shutil.copytree(TINY_MODEL, host.folder / "models/mine")
    checks = await heard(host, model_dir="models/mine")
    assert {check.status for check in checks} <= {"ok", "warning"} and "秒读好" in checks[-1].found
    assert not any("小模型" in check.found for check in checks)


@pytest.mark.usefixtures("_python_is_fine")
@pytest.mark.parametrize(
    "section, status, found, step",
    [
        ({"model_dir": "nowhere"}, "error", "nowhere", "ASR.Ears.model_dir"),
        ({"model_dir": "models/SenseVoiceSmall"}, "warning", "还没有下载", "第一次用时会下载"),
        ({"model_dir": "data"}, "error", "不是 funasr_onnx 能用的文件夹", "ASR.Ears.model_dir"),
        ({"device": "gpu"}, "error", "device", "config.yaml"),
        ({"device": "cuda:0"}, "error", "cuda:0", "ASR.Ears.device 改成 cpu"),
        ({"engine": "funasr_server"}, "error", "server_url", ""),
        ({"engine": "funasr_server", "server_url": "ws://127.0.0.1:1"}, "error", "127.0.0.1:1", ""),
    ],
)
async def test_a_recognizer_that_will_not_hear_is_told(
    host: InstalledHost, section: dict[str, Any], status: str, found: str, step: str
) -> None:
    troubles = [check for check in await heard(host, **section) if check.status != "ok"]
    trouble = next(check for check in troubles if "小模型" not in check.found)
    assert trouble.status == status and found in trouble.found + trouble.step
    assert step in trouble.step and trouble.step


@pytest.mark.usefixtures("_python_is_fine")
async def test_another_recognizer_is_no_trouble_but_one_without_its_section(host: InstalledHost) -> None:
    host.configure({"url": "http://127.0.0.1:1"})
    (check,) = (
        check for check in await everything(check_host(host.folder, None)) if check.what == "语音识别"
    )
    assert check.status == "ok" and "fun_local" in check.found and "--asr" in check.found
    host.configure({"url": "http://127.0.0.1:1"}, selected_module={"ASR": "Gone"})
    assert "Gone" in (await only_trouble(host)).found


@pytest.mark.usefixtures("_python_is_fine")
@pytest.mark.skipif(sys.platform == "win32", reason="a script cannot stand for python.exe there")
@pytest.mark.parametrize(
    "engine, step", [("funasr_onnx", "--python {python}"), ("funasr", "pip install 'funasr[knf]' torch")]
)
async def test_the_packages_that_the_hosts_python_lacks_are_told(
    host: InstalledHost, engine: str, step: str
) -> None:
    lines = ["import importlib, runpy, sys", "sys.modules.update(onnxruntime=None, torch=None)"]
    python = python_that(
        host.folder, *lines, "runpy.run_module(sys.argv[2], run_name='__main__', alter_sys=True)"
    )
    trouble = next(check for check in await heard(host, python, engine=engine) if check.status == "error")
    assert trouble.what == "语音识别的包" and step.format(python=python) in trouble.step


@pytest.mark.usefixtures("_python_is_fine")
@pytest.mark.skipif(sys.platform == "win32", reason="a script cannot stand for python.exe there")
@pytest.mark.parametrize("line", ["print('no json')", "raise SystemExit(3)", "import time; time.sleep(60)"])
async def test_a_recognizer_that_ends_its_process_or_hangs_is_told(
    host: InstalledHost, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor_host_asr, "TIMEOUT_S", 1.0)
    trouble = (await heard(host, python_that(host.folder, line)))[-1]
    assert trouble.status == "error" and "--python" in trouble.step


def python_that(folder: Path, *lines: str) -> Path:
    """A program that stands for a Python, with ours running `lines` in it."""
    file = folder / "python"
    file.write_text(f"#!{sys.executable}\n" + "\n".join(lines) + "\n", encoding="utf-8")
    file.chmod(0o755)
    return file


def python_with(folder: Path, **answer: Any) -> Path:
    """A Python that answers as our own would, but for `answer`."""
    versions = {"xiaozhi-persona": __version__, "numpy": "1.26.4", "httpx": "0.28.1", "websockets": "14.2"}
    versions |= {"soxr": "0.5.0", "opuslib-next": "1.1.5", "cnlunar": "0.2.0"}
    whole = {"python": [3, 10, 14], "versions": versions, "problems": {}} | answer
    return python_that(folder, "import json", f"print(json.dumps({whole!r}))")


needs_scripts = pytest.mark.skipif(
    sys.platform == "win32", reason="a script cannot stand for python.exe there"
)


async def test_a_python_of_another_kind_is_only_a_warning(tmp_path: Path) -> None:
    """Ours has all that is needed, but it is not the one that runs the host."""
    checks = await check_python(tmp_path, Path(sys.executable))
    assert [c.what for c in checks if c.status != "ok"] == ["小智的 Python", *NO_LIBOPUS]
    assert any(__version__ in c.found for c in checks)


async def test_the_environment_of_the_host_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    is_windows = sys.platform == "win32"
    inner = Path("Scripts/python.exe") if is_windows else Path("bin/python")
    server, conda = tmp_path / "main" / "xiaozhi-server", tmp_path / "conda"
    server.mkdir(parents=True)
    monkeypatch.delenv("CONDA_PREFIX", raising=False)
    assert doctor_host_python.find_python(server) == Path(sys.executable)
    for python in (conda / ("python.exe" if is_windows else inner), tmp_path / ".venv" / inner):
        python.parent.mkdir(parents=True)
        python.touch()
        monkeypatch.setenv("CONDA_PREFIX", str(conda))
        assert doctor_host_python.find_python(server) == python


@needs_scripts
@pytest.mark.parametrize(
    "answer, what, found",
    [
        ({"python": [3, 9, 2]}, "小智的 Python", "3.9.2"),
        ({"problems": {"xiaozhi_persona": "ModuleNotFoundError: no"}}, "小智 Python 里的包", "没有"),
        (
            {"problems": {"xiaozhi_persona.providers.host.voices": "No module named 'soxr'"}},
            "小智 Python 里的包",
            "soxr",
        ),
        (
            {"versions": {"xiaozhi-persona": "0.0.1", "opuslib-next": "1", "cnlunar": "0.2.0"}},
            "小智 Python 里的包",
            "0.0.1",
        ),
        (
            {"versions": {"xiaozhi-persona": __version__, "opuslib-next": "1"}},
            "小智的 Python",
            "多半不是它用的",
        ),
        ({"problems": {"opuslib_next": "Exception: Could not find Opus library"}}, "小智的 libopus", "Opus"),
        ({"problems": {"espeakng_loader": "ModuleNotFoundError"}}, "备用的声音", "espeakng-loader"),
    ],
)
async def test_what_the_hosts_python_lacks_is_told(
    tmp_path: Path, answer: Any, what: str, found: str
) -> None:
    checks = await check_python(tmp_path, python_with(tmp_path, **answer))
    (trouble,) = (check for check in checks if check.status != "ok")
    assert trouble.what == what and found in trouble.found and trouble.step


@needs_scripts
@pytest.mark.parametrize(
    "line", ["print('no json')", "raise SystemExit(3)", "import time; time.sleep(60)", "print('[]')"]
)
async def test_a_python_that_does_not_answer_is_told(
    tmp_path: Path, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor_host_python, "TIMEOUT_S", 1.0)
    (trouble,) = await check_python(tmp_path, python_that(tmp_path, line))
    assert trouble.status == "error" and "--python" in trouble.step


async def test_a_python_that_is_not_there_is_told(tmp_path: Path) -> None:
    (trouble,) = await check_python(tmp_path, tmp_path / "no" / "python")
    assert trouble.status == "error" and "--python" in trouble.step


def test_the_command_prints_lines_of_json_and_ends_with_1(
    host: InstalledHost, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    host.configure({"url": "http://127.0.0.1:1"})
    monkeypatch.setattr(sys, "argv", ["x", "doctor", str(host.folder), "--json", "--python", sys.executable])
    with pytest.raises(SystemExit) as end:
        main()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (
        end.value.code == 1
        and lines[-1]["errors"] == 2 + len(NO_LIBOPUS)
        and lines[0]["what"] == "小智服务端"
    )


@pytest.mark.parametrize("more", [["--config", "x.yaml"], []])
def test_options_that_do_not_go_together_are_wrong_use(
    host: InstalledHost, monkeypatch: pytest.MonkeyPatch, more: list[str]
) -> None:
    arguments = [str(host.folder), *more] if more else ["--python", "python3"]
    monkeypatch.setattr(sys, "argv", ["x", "doctor", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
