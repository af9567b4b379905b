"""run.py: when it installs, what, in which order, and what it says when it cannot."""

from __future__ import annotations

import ast
import configparser
import contextlib
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
        self.pip_works = True
        self.exit_code = 0
        self.said_by_pip = "ERROR: no such version\n"
        self.environments: list[dict[str, str]] = []

    PIPE = subprocess.PIPE
    list2cmdline = staticmethod(subprocess.list2cmdline)

    def run(self, command: list[str], **_: Any) -> SimpleNamespace:
        if command[-2:] == ["pip", "--version"]:
            return SimpleNamespace(returncode=int(not self.pip_works))
        self.commands.append(command)
        if "venv" in command:
            self.venv_python.parent.mkdir(parents=True, exist_ok=True)
            self.venv_python.touch()
        failed = bool(self.failing) and self.failing in " ".join(command)
        return SimpleNamespace(returncode=int(failed), stdout="no ensurepip\n" * failed, stderr="")

    def call(self, command: list[str], **_: Any) -> int:
        self.commands.append(command)
        return self.exit_code

    def Popen(  # noqa: N802
        self, command: list[str], env: dict[str, str], **_: Any
    ) -> contextlib.AbstractContextManager[SimpleNamespace]:
        """Stand for pip."""
        self.commands.append(command)
        self.environments.append(env)
        failed = bool(self.failing) and self.failing in " ".join(command)
        said = self.said_by_pip if failed else ""
        return contextlib.nullcontext(SimpleNamespace(stderr=[said], returncode=int(failed)))

    def execve(self, program: str, command: list[str], env: dict[str, str]) -> None:
        self.commands.append(command)
        self.environments.append(env)
        raise SystemExit(self.exit_code)

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
    monkeypatch.setattr(os, "execve", fake.execve)
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: "libopus.so.0")
    return fake


def started(run: ModuleType, *arguments: str) -> int:
    """Return the exit code of run.py that becomes the program."""
    with pytest.raises(SystemExit) as ended:
        run.main([*arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


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
    "setup.cfg": lambda root: (root / "setup.cfg").open("a").write("\n# more\n"),
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
    assert started(run, "--once") == 0
    commands.commands.clear()
    assert started(run, "--once") == 0
    *_, command = commands.commands
    assert not commands.installed
    assert command == [str(run.PROGRAM), "serve", "--demo", "--once"]


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
    assert f".[{','.join([*run.EXTRAS, 'test'])}]" in commands.installed[1]
    commands.commands.clear()
    assert started(run) == 0
    assert not commands.installed


def test_a_venv_that_lost_its_python_is_made_anew(run: ModuleType, commands: FakeSubprocess) -> None:
    assert run.install(run.EXTRAS) is None
    run.PYTHON.unlink()
    commands.commands.clear()
    assert run.install(run.EXTRAS) is None
    assert "venv" in commands.commands[0] and "--clear" in commands.commands[0]
    assert commands.installed


# Where links cannot be symbolic.


@pytest.fixture
def hard_links(tmp_path: Path) -> None:
    """The links that setuptools makes in its strict mode."""
    tree = tmp_path / "build" / "__editable__.xiaozhi_persona-0.1.0-py3-none-any" / "xiaozhi_persona"
    for file, link in (
        ("src/xiaozhi_persona/__init__.py", "__init__.py"),
        ("memory/recent.py", "memory/recent.py"),
    ):
        (tree / link).parent.mkdir(parents=True, exist_ok=True)
        (tree / link).hardlink_to(tmp_path / file)


def replace(file: Path) -> None:
    """Do as git does: the new content is a new file."""
    (file.parent / "new").write_text("# new\n", encoding="utf-8")
    (file.parent / "new").replace(file)


@pytest.mark.parametrize("file", ["src/xiaozhi_persona/__init__.py", "memory/recent.py"])
def test_a_hard_link_to_a_file_that_was_replaced_is_stale(
    run: ModuleType, commands: FakeSubprocess, hard_links: None, tmp_path: Path, file: str
) -> None:
    assert run.install(run.EXTRAS) is None
    (tmp_path / file).write_text("# edited in place\n", encoding="utf-8")
    assert not run.has_stale_links()
    replace(tmp_path / file)
    assert run.has_stale_links()
    commands.commands.clear()
    assert run.install(run.EXTRAS) is None
    assert commands.installed


def test_a_symbolic_link_is_never_stale(run: ModuleType, hard_links: None, tmp_path: Path) -> None:
    link = next((tmp_path / "build").rglob("recent.py"))
    link.unlink()
    link.symlink_to(tmp_path / "memory" / "recent.py")
    replace(tmp_path / "memory" / "recent.py")
    assert not run.has_stale_links()


def test_links_of_another_version_and_files_that_are_not_packaged_do_not_count(
    run: ModuleType, hard_links: None, tmp_path: Path
) -> None:
    (tmp_path / "memory" / "notes.md").touch()
    tree = next((tmp_path / "build").iterdir())
    replace(tmp_path / "memory" / "recent.py")
    tree.rename(tree.with_name("__editable__.xiaozhi_persona-0.0.9-py3-none-any"))
    assert not run.has_stale_links()


# What it installs.


def test_the_steps_in_their_order(
    run: ModuleType, commands: FakeSubprocess, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.install(run.EXTRAS) is None
    assert commands.commands[0][1:3] == ["-m", "venv"]
    tools, project, light = commands.installed
    assert tools == ["setuptools>=70.1"]
    assert project == [
        "--no-build-isolation", "-e", ".[bridge,asr-lean,espeak]", "--config-settings", "editable_mode=strict",
    ]  # fmt: skip
    assert light == ["--no-deps", "funasr-onnx>=0.4.1", "librosa", "silero-vad>=6"]
    shown = capsys.readouterr()
    assert not shown.out, "what is run afterwards may write data there"
    venv, first, second, third, done = labels(shown.err)
    assert ".venv" in venv and "安装完成" in done
    assert first.startswith("[1/3]") and second.startswith("[2/3]") and third.startswith("[3/3]")


def test_without_a_libopus_a_wheel_brings_one_also_when_it_went_later(
    run: ModuleType, commands: FakeSubprocess, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run.install(run.EXTRAS) is None
    assert "av" not in commands.installed[1]
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: None)
    assert run.install(run.EXTRAS) is None
    assert "av" in commands.installed[4]


def test_the_packages_for_the_recognizer_are_those_of_the_whole_extra() -> None:
    config = configparser.ConfigParser(interpolation=None)
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    whole, lean = (
        set(config["options.extras_require"][name].strip().splitlines()) for name in ("asr", "asr-lean")
    )
    assert whole - lean == {'funasr-onnx>=0.4.1; python_version < "3.13"'}


# Where pip finds packages.


@pytest.mark.parametrize(
    ("given", "address", "rest"),
    [
        (["--mirror", "tuna"], "https://pypi.tuna.tsinghua.edu.cn/simple", []),
        (["--once", "--mirror=aliyun"], "https://mirrors.aliyun.com/pypi/simple/", ["--once"]),
        (["test", "--mirror", "http://10.0.0.2/simple", "-x"], "http://10.0.0.2/simple", ["test", "-x"]),
        (["talk", "--text", "--mirrors"], "", ["talk", "--text", "--mirrors"]),
    ],
)
def test_a_mirror_is_taken_out_of_the_arguments(
    run: ModuleType, given: list[str], address: str, rest: list[str]
) -> None:
    assert run.take_mirror(given) == (address, rest)


@pytest.mark.parametrize(
    "given", [["--mirror"], ["--mirror", "tsinghua"], ["--mirror="], ["--mirror", "--once"]]
)
def test_a_mirror_that_nobody_knows_is_refused(
    run: ModuleType, commands: FakeSubprocess, capsys: pytest.CaptureFixture[str], given: list[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        run.main(given)
    assert "tuna、aliyun" in capsys.readouterr().err
    assert not commands.commands


def test_a_mirror_is_remembered_where_pip_looks_also_when_the_venv_is_made_anew(
    run: ModuleType, commands: FakeSubprocess
) -> None:
    assert started(run, "--once", "--mirror", "tuna") == 0
    assert commands.commands[-1][-1] == "--once"
    assert "index-url = https://pypi.tuna" in run.PIP_SETTINGS.read_text(encoding="utf-8")
    assert run.PIP_SETTINGS.parent == run.VENV
    assert started(run, "--once", "--mirror", "aliyun") == 0  # nothing is to be installed
    run.PYTHON.unlink()
    assert run.install(run.EXTRAS) is None
    assert "aliyun" in run.PIP_SETTINGS.read_text(encoding="utf-8")


def test_the_users_own_index_wins_and_it_is_said(
    run: ModuleType,
    commands: FakeSubprocess,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://10.0.0.2/simple")
    assert started(run, "--mirror", "tuna") == 0
    assert "PIP_INDEX_URL" in capsys.readouterr().err
    assert commands.environments[0]["PIP_INDEX_URL"] == "http://10.0.0.2/simple"


def test_only_the_first_step_is_impatient_and_not_with_a_user_who_is_patient(
    run: ModuleType, commands: FakeSubprocess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_RETRIES", raising=False)
    monkeypatch.setenv("PIP_DEFAULT_TIMEOUT", "180")
    assert run.install(run.EXTRAS) is None
    first, second, _ = commands.environments
    assert (first["PIP_RETRIES"], first["PIP_DEFAULT_TIMEOUT"]) == ("1", "180")
    assert "PIP_RETRIES" not in second


# What it says when it cannot.


def test_an_old_python_is_told_which_is_needed(
    run: ModuleType, commands: FakeSubprocess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 18))
    monkeypatch.setattr(sys, "version", "3.9.18 (main)")
    with pytest.raises(SystemExit, match=r"3\.10.*3\.9\.18"):
        exec(compile((ROOT / "run.py").read_text(encoding="utf-8"), "run.py", "exec"), {})


def test_python_2_can_read_it() -> None:
    """As far as this Python can tell: what Python 2 has no syntax for is not in it."""
    text = (ROOT / "run.py").read_text(encoding="utf-8")
    assert "coding: utf-8" in text.splitlines()[1]
    assert text.index("sys.exit(") < text.index(
        "import pathlib" if "import pathlib" in text else "from pathlib"
    )
    for node in ast.walk(ast.parse(text, feature_version=(3, 6))):
        assert not isinstance(node, (ast.JoinedStr, ast.AnnAssign, ast.Nonlocal, ast.AsyncFunctionDef))
        if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            assert not any(isinstance(item, ast.Starred) for item in node.elts)
        if isinstance(node, ast.Call):
            assert not any(isinstance(item, ast.Starred) for item in node.args[:-1])
            assert not (isinstance(node.func, ast.Name) and node.func.id == "print")
        if isinstance(node, ast.FunctionDef):
            assert not node.args.kwonlyargs and not node.returns


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
    run: ModuleType, commands: FakeSubprocess, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.install(run.EXTRAS) is None
    run.STAMP.write_text("an older state", encoding="utf-8")
    commands.failing = "silero"
    problem = run.main(["serve"])
    assert "安装失败" in problem and "silero-vad" in problem
    assert "no such version" in capsys.readouterr().err
    assert str(run.PROGRAM) not in commands.commands[-1]
    commands.failing = ""
    commands.commands.clear()
    assert started(run, "serve") == 0
    assert len(commands.installed) == 3


@pytest.mark.parametrize(
    "said",
    [
        "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(...)': /simple/setuptools/\n",
        "ERROR: Could not find a version that satisfies the requirement setuptools>=70.1 (from versions: none)\n",
        "pip._vendor.urllib3.exceptions.ReadTimeoutError: HTTPSConnectionPool(host='x', port=443): Read timed out.\n",
    ],
)
def test_without_a_network_the_mirrors_are_named(
    run: ModuleType, commands: FakeSubprocess, said: str
) -> None:
    commands.failing, commands.said_by_pip = "setuptools", said
    problem = run.main([])
    assert "网络" in problem and "--mirror tuna" in problem and len(problem.splitlines()) == 2
    assert len(commands.installed) == 1


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
    for part in (f"{run.typed()} --once", f"{run.typed()} test", *COMMANDS, *COMMANDS.values()):
        assert part in shown
    assert not commands.commands


def test_help_into_a_closed_pipe_is_no_error() -> None:
    program = [sys.executable, str(ROOT / "run.py"), "--help"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stderr
        process.stdout.close()  # as `| head` does
        assert process.stderr.read() == b""
    assert process.returncode == 0


@pytest.mark.parametrize("encoding", ["cp1252", "gbk", "ascii"])
def test_help_in_a_file_is_utf_8_whatever_the_terminal_has(encoding: str) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run(
        [sys.executable, "run.py", "--help"], cwd=ROOT, env=environment, capture_output=True
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert "启动桥" in done.stdout.decode()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], ["serve", "--demo"]),
        (["--once"], ["serve", "--demo", "--once"]),
        (["--once", "--json"], ["serve", "--demo", "--once", "--json"]),
        (["--config", "my.yaml"], ["serve", "--demo", "--config", "my.yaml"]),
        (["talk", "--text", "你好"], ["talk", "--text", "你好"]),
    ],
)
def test_what_is_started(
    run: ModuleType, commands: FakeSubprocess, given: list[str], expected: list[str]
) -> None:
    commands.exit_code = 7
    assert started(run, *given) == 7
    assert commands.commands[-1] == [str(run.PROGRAM), *expected]
    environment = commands.environments[-1]
    assert environment["XIAOZHI_PERSONA_COMMAND"] == run.typed()
    assert environment["XIAOZHI_PERSONA_PROJECT"] == str(run.ROOT)


@pytest.mark.parametrize(
    ("python", "script", "windows", "launcher", "typed"),
    [
        ("python3", "run.py", False, None, "python3 run.py"),
        (
            "/opt/my python/bin/python3",
            "../p/run.py",
            False,
            None,
            "'/opt/my python/bin/python3' ../p/run.py",
        ),
        ("/root/.pyenv/versions/3.11/bin/python3", "run.py", False, sys.executable, "python3 run.py"),
        ("/opt/python3.12/bin/python3", "run.py", False, os.devnull, "/opt/python3.12/bin/python3 run.py"),
        ("python", r"..\p\run.py", True, r"C:\Windows\py.exe", r"python ..\p\run.py"),
        ("C:/Python312/python.exe", "run.py", True, r"C:\Windows\py.exe", "py run.py"),
        ("C:/Program Files/python.exe", "run.py", True, None, '"C:/Program Files/python.exe" run.py'),
    ],
)
def test_advice_takes_the_form_in_which_it_was_started(
    run: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    python: str,
    script: str,
    windows: bool,
    launcher: str | None,
    typed: str,
) -> None:
    monkeypatch.setattr(sys, "orig_argv", [python, script, "talk"])
    monkeypatch.setattr(sys, "argv", [script, "talk"])
    monkeypatch.setattr(run, "WINDOWS", windows)
    monkeypatch.setattr(shutil, "which", lambda name: launcher)
    assert run.typed() == typed


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
        ["pytest", "-rfEs", "-n", "4", "--dist", "loadfile", "-k", "vad"],
    ]
    commands.exit_code = 1
    assert run.main(["test"]) == "没有通过：ruff、ruff format、mypy、pytest"


@pytest.mark.parametrize("step", ["run", "Popen", "call"])
def test_ctrl_c_ends_it_without_a_traceback(
    run: ModuleType, commands: FakeSubprocess, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def interrupted(*_: Any, **__: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, step, interrupted)
    assert run.main(["test"]) == 130


CHILD = """
import signal, sys, time
def close(*_):
    time.sleep(0.5)
    sys.exit(7)
signal.signal(signal.SIGINT, close)
signal.signal(signal.SIGTERM, close)
print("ready", flush=True)
signal.pause()
"""


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_run_py_lets_what_it_started_close_what_is_open(
    run: ModuleType, tmp_path: Path, number: signal.Signals
) -> None:
    run.PROGRAM.parent.mkdir(parents=True)
    run.PROGRAM.write_text(f"#!{sys.executable}\n{CHILD}", encoding="utf-8")
    run.PROGRAM.chmod(0o755)
    program = f"import sys; sys.path.insert(0, {str(run.ROOT)!r}); import run; sys.exit(run.start([]))"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as parent:
        assert parent.stdout and parent.stdout.readline() == b"ready\n"
        parent.send_signal(number)
        assert parent.wait(10) == 7


def test_pip_does_not_go_on_when_it_is_interrupted(run: ModuleType, tmp_path: Path) -> None:
    class Interrupted:
        def __iter__(self) -> Any:
            raise KeyboardInterrupt

    ended: list[str] = []
    child = SimpleNamespace(stderr=Interrupted(), terminate=lambda: ended.append("terminated"))
    fake = SimpleNamespace(PIPE=None, Popen=lambda *_, **__: contextlib.nullcontext(child))
    run.subprocess = fake
    with pytest.raises(KeyboardInterrupt):
        run.pip(["av"], {})
    assert ended == ["terminated"]


# The user's own settings.


def test_the_first_start_of_the_bridge_writes_a_settings_file_and_no_other_one(
    run: ModuleType, commands: FakeSubprocess
) -> None:
    started(run, "speak", "你好")
    assert [command[1:] for command in commands.commands[-2:]] != [["init"], ["speak", "你好"]]
    started(run)
    assert [command[1:] for command in commands.commands[-2:]] == [["init"], ["serve", "--demo"]]
    run.OWN_SETTINGS.parent.mkdir(exist_ok=True)
    run.OWN_SETTINGS.touch()
    started(run)
    assert [command[1:] for command in commands.commands[-2:]] == [["serve", "--demo"]] * 2
