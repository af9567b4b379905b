"""Our package into another Python, a made-up one: what pip is asked, and what is told when it does not go."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from xiaozhi_persona.errors import PackageMissing, SettingsError
from xiaozhi_persona.installer.python import install_package, package_source

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the made-up Python is a script")

THERE = {"pip": "23.2.1", "numpy": "1.26.4", "torch": "2.2.2+cpu", "xiaozhi_persona": "0.0.1", "odd": "x @ y"}

_SCRIPT = """\
#!{python}
import json, pathlib, sys
folder = pathlib.Path(__file__).parent
state = json.loads((folder / "state.json").read_text())
if sys.argv[1] == "-c":
    print(json.dumps([state["version"], str(folder), state["there"]]))
else:
    constraints = pathlib.Path(sys.argv[sys.argv.index("-c") + 1]).read_text().split()
    (folder / "asked.json").write_text(json.dumps([sys.argv[1:], constraints]))
    print("no such version", file=sys.stderr)
    state["there"][state["brings"]] = "1.0"
    (folder / "state.json").write_text(json.dumps(state))
    sys.exit(state["fails"])
"""


def make_python(
    folder: Path, *, version: Any = (3, 10), there: Any = THERE, fails: int = 0, brings: str = "soxr"
) -> Path:
    state = {"version": version, "there": there, "fails": fails, "brings": brings}
    (folder / "state.json").write_text(json.dumps(state))
    python = folder / "python"
    python.write_text(_SCRIPT.format(python=sys.executable))
    python.chmod(0o755)
    return python


def test_every_package_of_the_host_is_held_at_its_version(tmp_path: Path) -> None:
    told = install_package(make_python(tmp_path))
    arguments, constraints = json.loads((tmp_path / "asked.json").read_text())
    assert arguments[:3] == ["-m", "pip", "install"] and arguments[-1] == f"{package_source()}[espeak]"
    assert constraints == ["numpy==1.26.4", "pip==23.2.1", "torch==2.2.2+cpu"]
    assert "新装了 soxr" in told


@pytest.mark.parametrize(
    ("version", "brings", "told"),
    [((3, 10), "funasr_onnx", ""), ((3, 13), "soxr", "--no-deps"), ((3, 10), "soxr", "funasr-onnx>=0.4.1")],
)
def test_the_recognizer_is_installed_or_what_to_do_is_told(
    tmp_path: Path, version: Any, brings: str, told: str
) -> None:
    line = install_package(make_python(tmp_path, version=version, brings=brings), asr=True)
    arguments, _ = json.loads((tmp_path / "asked.json").read_text())
    assert arguments[-1] == f"{package_source()}[asr,espeak]"
    assert (told in line) if told else ("听不见" not in line)
    assert "听不见" not in install_package(make_python(tmp_path, version=version))


def test_the_source_is_the_folder_that_we_run_from() -> None:
    assert (Path(package_source()) / "setup.cfg").is_file()


def test_our_own_python_needs_nothing() -> None:
    assert "不用再装" in install_package(Path(sys.executable))


def test_a_failure_of_pip_is_told_with_its_last_lines(tmp_path: Path) -> None:
    with pytest.raises(PackageMissing, match="no such version"):
        install_package(make_python(tmp_path, fails=1))


def test_a_python_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"3\.9"):
        install_package(make_python(tmp_path, version=(3, 9)))
    with pytest.raises(SettingsError, match="ensurepip"):
        install_package(make_python(tmp_path, there={}))
    for path in (tmp_path / "gone", tmp_path, Path("/bin/true")):
        with pytest.raises(SettingsError, match="请给出运行小智服务端的那个 Python"):
            install_package(path)
