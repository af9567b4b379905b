"""run.py: when it installs, what, in which order, and what it says when it cannot."""

from __future__ import annotations

import ast
import ctypes.util
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from xiaozhi_persona.cli import COMMANDS

ROOT = Path(__file__).resolve().parents[1]


class FakeSubprocess:
    """Stands for the subprocess module: keeps the commands, makes a .venv/ when asked, ends as it is told."""

    def __init__(self, run: ModuleType) -> None:
        self.venv_python: Path = run.PYTHON
        self.commands: list[list[str]] = []
        self.failing = ""
        self.python_version = "3 11"
        self.pip_works = True
        self.exit_code = 0

    def run(self, command: list[str], **_: Any) -> SimpleNamespace:
        if command[-2:] == ["pip", "--version"]:
            return SimpleNamespace(returncode=int(not self.pip_works))
        self.commands.append(command)
        if "venv" in command:
            self.venv_python.parent.mkdir(parents=True, exist_ok=True)
            self.venv_python.touch()
        failed = bool(self.failing) and self.failing in " ".join(command)
        return SimpleNamespace(returncode=int(failed), stdout="no ensurepip\n" * failed, stderr="")

    def check_output(self, command: list[str], **_: Any) -> str:
        return self.python_version + "\n"

    def call(self, command: list[str], **_: Any) -> int:
        self.commands.append(command)
        return self.exit_code

    def Popen(self, command: list[str], **_: Any) -> SimpleNamespace:  # noqa: N802
        self.commands.append(command)
        return SimpleNamespace(wait=lambda: self.exit_code)

    @property
    def installed(self) -> list[list[str]]:
        """What pip was asked for, without its options that are always there."""
        return [c[c.index("--disable-pip-version-check") + 1 :] for c in self.commands if "install" in c]


@pytest.fixture
def run(tmp_path: Path) -> ModuleType:
    """run.py of a project folder that has a few files."""
    for file in ("run.py", "setup.cfg", "pyproject.toml"):
        shutil.copy(ROOT / file, tmp_path / file)
    for file in ("src/xiaozhi_persona/__init__.py", "memory/recent.py", "roles/packs/default/role.yaml"):
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).write_text("# text\n", encoding="utf-8")
    spec = importlib.util.spec_from_file_location("run_of_a_test", tmp_path / "run.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def commands(run: ModuleType, monkeypatch: pytest.MonkeyPatch) -> FakeSubprocess:
    fake = FakeSubprocess(run)
    monkeypatch.setattr(run, "subprocess", fake)
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: "libopus.so.0")
    return fake


def labels(text: str) -> list[str]:
    return [line.removeprefix("· ") for line in text.splitlines()]


# When it installs.


def test_the_fingerprint_stays_while_nothing_changes(run: ModuleType, tmp_path: Path) -> None:
    before = run.fingerprint()
    (tmp_path / "memory" / "recent.py").write_text("# other text\n", encoding="utf-8")
    for file in (
        "memory/__pycache__/recent.pyc",
        "src/xiaozhi_persona.egg-info/PKG-INFO",
        "data/a.txt",
        "x.md",
    ):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    assert run.fingerprint() == before


CHANGES: dict[str, Callable[[Path], object]] = {
    "setup.cfg": lambda root: (root / "setup.cfg").write_text("[metadata]\n", encoding="utf-8"),
    "run.py": lambda root: (root / "run.py").write_text("", encoding="utf-8"),
    "a new file": lambda root: (root / "memory" / "lore.py").touch(),
    "a new data file": lambda root: (root / "roles" / "packs" / "default" / "lore.yaml").touch(),
    "a file that went": lambda root: (root / "memory" / "recent.py").unlink(),
    "a file that was renamed": lambda root: (root / "memory" / "recent.py").rename(
        root / "memory" / "last.py"
    ),
    "a new folder": lambda root: (root / "bridge").mkdir() or (root / "bridge" / "a.py").touch(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_fingerprint_changes_with_what_the_installation_depends_on(
    run: ModuleType, tmp_path: Path, change: str
) -> None:
    before = run.fingerprint()
    CHANGES[change](tmp_path)
    assert run.fingerprint() != before


def test_a_second_start_installs_nothing(run: ModuleType, commands: FakeSubprocess) -> None:
    assert run.main(["--once"]) == 0
    commands.commands.clear()
    assert run.main(["--once"]) == 0
    (command,) = commands.commands
    assert command[1:] == ["-m", "xiaozhi_persona", "serve", "--demo", "--once"]


def test_it_installs_again_when_the_files_have_changed_and_when_they_change_back(
    run: ModuleType, commands: FakeSubprocess, tmp_path: Path
) -> None:
    for change in (lambda: None, CHANGES["a new file"], lambda root: (root / "memory" / "lore.py").unlink()):
        commands.commands.clear()
        change(*[tmp_path] * change.__code__.co_argcount)
        assert run.install(run.EXTRAS) is None
        assert commands.installed


def test_the_extras_of_the_tests_hold_for_the_rest_too(run: ModuleType, commands: FakeSubprocess) -> None:
    assert run.install(run.EXTRAS) is None
    commands.commands.clear()
    assert run.main(["test"]) == 0
    assert commands.installed[0][1] == f".[{','.join([*run.EXTRAS, 'test'])}]"
    commands.commands.clear()
    assert run.main([]) == 0
    assert not commands.installed


def test_a_venv_that_lost_its_python_is_made_anew(run: ModuleType, commands: FakeSubprocess) -> None:
    assert run.install(run.EXTRAS) is None
    run.PYTHON.unlink()
    commands.commands.clear()
    assert run.install(run.EXTRAS) is None
    assert "venv" in commands.commands[0] and "--clear" in commands.commands[0]
    assert commands.installed


# What it installs.


def test_the_steps_in_their_order(
    run: ModuleType, commands: FakeSubprocess, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.install(run.EXTRAS) is None
    assert commands.commands[0][1:3] == ["-m", "venv"]
    project, silero = commands.installed
    assert project == ["-e", ".[bridge,asr,espeak]", "--config-settings", "editable_mode=strict"]
    assert silero[0] == "--no-deps" and silero[1].startswith("silero-vad")
    venv, first, second, done = labels(capsys.readouterr().out)
    assert ".venv" in venv and first.startswith("[1/2]") and second.startswith("[2/2]") and "安装完成" in done


def test_without_a_libopus_a_wheel_brings_one(
    run: ModuleType, commands: FakeSubprocess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: None)
    assert run.install(run.EXTRAS) is None
    assert len(commands.installed) == 3 and commands.installed[-1] == ["av"]


@pytest.mark.parametrize("version", ["3 13", "3 14"])
def test_from_python_3_13_on_funasr_comes_without_its_pins(
    run: ModuleType, commands: FakeSubprocess, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    commands.python_version = version
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: None)
    assert run.install(run.EXTRAS) is None
    project, silero, imported, funasr, opus = commands.installed
    assert funasr[0] == "--no-deps" and any(what.startswith("funasr-onnx") for what in funasr)
    assert "onnxruntime" in imported and "--no-deps" not in imported
    assert not any("funasr" in what or "numpy<" in what for what in imported)
    assert opus == ["av"]


def test_funasr_is_in_the_extra_up_to_python_3_12() -> None:
    assert 'funasr-onnx>=0.4.1; python_version < "3.13"' in (ROOT / "setup.cfg").read_text(encoding="utf-8")


# What it says when it cannot.


def test_an_old_python_is_told_which_is_needed(
    run: ModuleType, commands: FakeSubprocess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "sys", SimpleNamespace(version_info=(3, 9, 18), version="3.9.18 (main)"))
    problem = run.main([])
    assert "3.10" in problem and "3.9.18" in problem
    assert not commands.commands


def test_an_old_python_can_read_it() -> None:
    ast.parse((ROOT / "run.py").read_text(encoding="utf-8"), feature_version=(3, 6))


def test_without_venv_the_one_line_to_type_is_said(run: ModuleType, commands: FakeSubprocess) -> None:
    commands.failing = "venv"
    problem = run.main([])
    assert "sudo apt install python3." in problem and "-venv" in problem and "no ensurepip" in problem
    assert len(commands.commands) == 1


def test_a_venv_that_was_left_half_made_is_made_anew(run: ModuleType, commands: FakeSubprocess) -> None:
    commands.failing, commands.pip_works = "venv", False
    run.main([])
    assert run.PYTHON.exists()  # as Debian leaves it when there is no ensurepip
    commands.failing = ""
    assert run.install(run.EXTRAS) is None
    assert "--clear" in commands.commands[1]


def test_a_failed_step_is_shown_and_done_again_at_the_next_start(
    run: ModuleType, commands: FakeSubprocess
) -> None:
    assert run.install(run.EXTRAS) is None
    run.STAMP.write_text("an older state", encoding="utf-8")
    commands.failing = "silero"
    problem = run.main(["serve"])
    assert "安装失败" in problem and "silero-vad" in problem
    assert not any("xiaozhi_persona" in command for command in commands.commands)
    commands.failing = ""
    commands.commands.clear()
    assert run.main(["serve"]) == 0
    assert len(commands.installed) == 2


# What it starts.


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_shows_its_own_use_and_every_command_and_installs_nothing(
    commands: FakeSubprocess,
    run: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    flag: str,
) -> None:
    monkeypatch.setattr(run, "ROOT", ROOT)
    assert run.main([flag]) == 0
    shown = capsys.readouterr().out
    for part in ("python3 run.py --once", "python3 run.py test", *COMMANDS, *COMMANDS.values()):
        assert part in shown
    assert not commands.commands


@pytest.mark.parametrize(
    ("given", "started"),
    [
        ([], ["serve", "--demo"]),
        (["--once"], ["serve", "--demo", "--once"]),
        (["--once", "--json"], ["serve", "--demo", "--once", "--json"]),
        (["--config", "my.yaml"], ["serve", "--demo", "--config", "my.yaml"]),
        (["talk", "--text", "你好"], ["talk", "--text", "你好"]),
    ],
)
def test_what_is_started(
    run: ModuleType, commands: FakeSubprocess, given: list[str], started: list[str]
) -> None:
    commands.exit_code = 7
    assert run.main(given) == 7
    assert commands.commands[-1] == [str(run.PYTHON), "-m", "xiaozhi_persona", *started]


def test_the_tests_are_all_run_and_what_failed_is_named(
    run: ModuleType, commands: FakeSubprocess, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run.main(["test", "-k", "vad"]) == 0
    checks = [
        command[2:] for command in commands.commands if "install" not in command and "venv" not in command
    ]
    assert checks == [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy", "-p", "xiaozhi_persona"],
        ["pytest", "-n", "4", "--dist", "loadfile", "-k", "vad"],
    ]
    commands.exit_code = 1
    assert run.main(["test"]) == "没有通过：ruff、ruff format、mypy、pytest"


def test_ctrl_c_while_it_installs_ends_it_without_a_traceback(
    run: ModuleType, commands: FakeSubprocess, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "run", interrupted)
    assert run.main([]) == 130


CHILD = """
import signal, sys, time
def close(*_):
    time.sleep(0.5)  # longer than subprocess.call would let it live
    sys.exit(7)
signal.signal(signal.SIGINT, close)
signal.signal(signal.SIGTERM, close)
print("ready", flush=True)
signal.pause()
"""


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize("how", ["Ctrl+C", "SIGTERM"])
def test_what_was_started_closes_what_is_open(run: ModuleType, how: str) -> None:
    program = f"import sys; sys.path.insert(0, {str(run.ROOT)!r}); import run; sys.exit(run.start([sys.executable, '-c', {CHILD!r}]))"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, start_new_session=True
    ) as parent:
        assert parent.stdout and parent.stdout.readline() == b"ready\n"
        if how == "Ctrl+C":
            os.killpg(parent.pid, signal.SIGINT)  # a terminal sends it to both
        else:
            parent.terminate()
        assert parent.wait(10) == 7
