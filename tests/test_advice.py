"""Commands in messages: in the form in which the reader started the program, and such as a shell takes."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_lines import complaint

from xiaozhi_persona.cli import COMMANDS, main
from xiaozhi_persona.errors import STARTED_AS, own_command, pip_install

ROOT = Path(__file__).resolve().parents[1]

NOT_SAID_BY_THIS_PROCESS = {
    "src/xiaozhi_persona/installer/door_files.py": "stands in the host's files, and is said by them",
    "src/xiaozhi_persona/installer/docker.py": "runs in the image, which has no run.py; or in a checkout that is not there",
    "src/xiaozhi_persona/installer/install.py": "a comment in a file that stays",
    "bridge/client/mcp.py": "a name in the protocol",
}


def texts(tree: ast.AST) -> Iterator[ast.Constant]:
    """Yield the strings of a file that are no docstrings."""
    statements = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in statements:
            yield node


def test_no_message_spells_the_command_by_hand() -> None:
    spelled: dict[str, list[str]] = {}
    for folder in ("src", "memory", "roles", "providers", "bridge"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in texts(ast.parse(path.read_text(encoding="utf-8"))):
                if re.search(rf"xiaozhi-persona ({'|'.join(COMMANDS)})\b|run\.py|\.venv/", node.value):
                    spelled.setdefault(path.relative_to(ROOT).as_posix(), []).append(node.value)
    assert {name: said for name, said in spelled.items() if name not in NOT_SAID_BY_THIS_PROCESS} == {}
    assert set(NOT_SAID_BY_THIS_PROCESS) <= set(spelled), "an exception that nothing needs"


def advised(tree: ast.AST) -> Iterator[str]:
    """Yield the commands of a file that are given to own_command(), "x" in the place of each value."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "own_command" and node.args:
            given = node.args[0]
            if isinstance(given, ast.Call):  # tr("doctor {folder}", folder=…)
                given = given.args[0]
            parts = given.values if isinstance(given, ast.JoinedStr) else [given]
            line = "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in parts)
            yield re.sub(r"\{.*?\}", "x", line)


def test_every_command_in_a_message_can_be_typed() -> None:
    lines = set()
    for folder in ("src", "memory", "roles", "providers", "bridge"):
        for path in (ROOT / folder).rglob("*.py"):
            lines |= set(advised(ast.parse(path.read_text(encoding="utf-8"))))
    assert "roles fix x" in lines
    assert {line: said for line in lines if (said := complaint(line))} == {}


def test_a_command_has_the_form_of_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(STARTED_AS, raising=False)
    assert own_command("doctor") == "xiaozhi-persona doctor"
    monkeypatch.setenv(STARTED_AS, "py run.py")
    assert own_command("roles check mimi") == "py run.py roles check mimi"
    assert own_command() == "py run.py"


@pytest.mark.parametrize("arguments", [["nonsense"], ["talk", "--nonsense"]])
def test_wrong_use_names_the_help_in_the_form_of_the_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    monkeypatch.setenv(STARTED_AS, "python3 run.py")
    monkeypatch.setattr(sys, "argv", ["xiaozhi-persona", *arguments])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "看看 python3 run.py " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("platform", "python", "command"),
    [
        ("linux", "/opt/my python/bin/python", "'/opt/my python/bin/python' -m pip install 'funasr[knf]'"),
        ("win32", r"C:\my pythons\python.exe", r'"C:\my pythons\python.exe" -m pip install funasr[knf]'),
    ],
)
def test_pip_is_quoted_as_the_shell_of_the_system_wants_it(
    monkeypatch: pytest.MonkeyPatch, platform: str, python: str, command: str
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(sys, "executable", python)
    assert pip_install("funasr[knf]") == command


# Where the program stands.


def test_the_settings_are_those_of_the_project_and_files_those_of_the_caller(tmp_path: Path) -> None:
    """As run.py starts it from another folder, in which there are other programs' files of the same names."""
    project, caller = tmp_path / "project", tmp_path / "caller"
    project.mkdir()
    caller.mkdir()
    (project / "config.yaml").write_text("paths: {data: d}\n", encoding="utf-8")
    (caller / "config.yaml").write_text("selected_module: {}\n", encoding="utf-8")
    turn = {"id": "1", "at": "2026-11-20T10:00:00+08:00", "who": "user", "text": "我叫小明"}
    (caller / "turns.jsonl").write_text(json.dumps(turn), encoding="utf-8")
    program = "from xiaozhi_persona.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "memory", "import", "turns.jsonl", "--owner", "a"],
        cwd=caller,
        env={**os.environ, "XIAOZHI_PERSONA_PROJECT": str(project)},
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    assert (project / "d" / "memory").is_dir()
    assert {file.name for file in caller.iterdir()} == {"config.yaml", "turns.jsonl"}
