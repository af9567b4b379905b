"""run.py test --torch: what it installs, what it runs, and when it leaves it at that."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import subprocess
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]


class Commands:
    """Stands for the subprocess module: keeps the commands; pip finds torch or does not."""

    def __init__(self) -> None:
        self.commands: list[list[str]] = []
        self.has_torch = True
        self.exit_code = 0

    PIPE = subprocess.PIPE

    def run(self, command: list[str], **_: Any) -> SimpleNamespace:
        self.commands.append(command)
        failed = "--dry-run" in command and not self.has_torch
        return SimpleNamespace(returncode=int(failed), stdout="", stderr="")

    def Popen(  # noqa: N802
        self, command: list[str], **_: Any
    ) -> contextlib.AbstractContextManager[SimpleNamespace]:
        self.commands.append(command)
        return contextlib.nullcontext(SimpleNamespace(stderr=[], returncode=0))

    def call(self, command: list[str], **_: Any) -> int:
        self.commands.append(command)
        return self.exit_code

    def with_words(self, *words: str) -> list[list[str]]:
        return [command for command in self.commands if set(words) <= set(command)]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    for file in ("run.py", "setup.cfg", "pyproject.toml"):
        shutil.copy(ROOT / file, tmp_path / file)
    spec = importlib.util.spec_from_file_location("run_of_a_test", tmp_path / "run.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.PYTHON.parent.mkdir(parents=True)
    module.PYTHON.touch()
    return module


@pytest.fixture
def commands(run: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Commands:
    commands = Commands()
    monkeypatch.setattr(run, "subprocess", commands)
    return commands


def test_it_adds_funasr_and_torch_and_runs_their_tests(run: ModuleType, commands: Commands) -> None:
    commands.exit_code = 3
    assert run.main(["test", "--torch", "-x"]) == 3
    (project,) = [c for c in commands.with_words("-e") if ".[bridge,asr-lean,espeak,test,asr-torch]" in c]
    assert project[-2:] == ["-c", ".ci/torch-constraints.txt"]
    assert commands.commands[-1][1:] == ["-m", "pytest", "tests/test_asr_torch.py", "-x"]
    assert not commands.with_words("ruff")


def test_without_a_torch_for_this_python_it_says_so_and_is_well(
    run: ModuleType, commands: Commands, capsys: pytest.CaptureFixture[str]
) -> None:
    commands.has_torch = False
    assert run.main(["test", "--torch"]) == 0
    assert "跳过" in capsys.readouterr().err
    assert not commands.with_words("pytest") and not commands.with_words("onnxscript")


def test_the_usual_tests_stay_light(run: ModuleType, commands: Commands) -> None:
    run.main(["test"])
    assert not [command for command in commands.commands if "torch" in " ".join(command)]


def test_the_constraints_hold_the_torch_that_is_looked_for(run: ModuleType) -> None:
    lines = (ROOT / run.TORCH_CONSTRAINTS).read_text(encoding="utf-8").splitlines()
    assert run.TORCH in lines
    assert (ROOT / run.TORCH_TESTS).is_file()
