"""Installing this package into the Python that runs the host, without changing any package that is there."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
from pathlib import Path

import xiaozhi_persona
from xiaozhi_persona.errors import PackageMissing, SettingsError
from xiaozhi_persona.language import tr

_NAME = "xiaozhi-persona"
RECOGNIZER_PACKAGE = "funasr-onnx"
"""The recognizer's package that is installed with `asr`."""
_TIMEOUT_S = 1800
_VERSION = re.compile(r"[\w.!+-]+")

_LIST = """\
import importlib.metadata, json, sys
names = {d.metadata["Name"]: d.version for d in importlib.metadata.distributions() if d.metadata["Name"]}
print(json.dumps([list(sys.version_info[:2]), sys.prefix, names]))
"""


def install_package(python: Path, *, asr: bool = False) -> str:
    """Install this package, with the fallback voice and (`asr`) the recognizer, for `python`; return what was done.

    Every package that is there is held at its version: where that leaves no solution pip refuses, and so do we. Raises
    SettingsError for a Python that cannot be used, PackageMissing when pip fails.
    """
    version, prefix, there = _look_at(python)
    if Path(prefix).resolve() == Path(sys.prefix).resolve():
        lacking = _engine_by_hand(python, version) if asr and not _has(there, RECOGNIZER_PACKAGE) else ""
        return tr("{python} 就是正在运行本程序的 Python，不用再装{lacking}", python=python, lacking=lacking)
    if version < (3, 10):
        raise SettingsError(
            tr(
                "{python} 是 Python {value}.{value2}，要 3.10 或更新的。请给出运行小智服务端的那个 Python。",
                python=python,
                value=version[0],
                value2=version[1],
            )
        )
    if "pip" not in there:
        raise SettingsError(tr("{python} 没有 pip。请先运行：{python} -m ensurepip", python=python))
    held = "\n".join(
        f"{name}=={known}"
        for name, known in sorted(there.items())
        if name.lower().replace("_", "-") != _NAME and _VERSION.fullmatch(known)
    )
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "host.txt"
        constraints.write_text(held + "\n", encoding="utf-8")
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        done = _run([*command, "-c", str(constraints), f"{package_source()}[{extras(asr)}]"])
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-8:])
        raise PackageMissing(
            tr(
                "pip 没有把 xiaozhi-persona 装进 {python}，多半是网络问题，或和已有的包冲突；小智服务端没有改动。"
                "\n{tail}\n请照上面的提示处理，再运行一次。",
                python=python,
                tail=tail,
            )
        )
    now = _look_at(python)[2]
    added = sorted(set(now) - set(there))
    lacking = _engine_by_hand(python, version) if asr and not _has(now, RECOGNIZER_PACKAGE) else ""
    return (
        tr("已装进 {python}", python=python)
        + (tr("，新装了 {added}", added=tr("、").join(added)) if added else "")
        + lacking
    )


def extras(asr: bool) -> str:
    """Return the extras of this package that a host needs, with or without the recognizer."""
    return "asr,espeak" if asr else "espeak"


def package_source() -> str:
    """Return what pip is to install: the folder that this package was installed from, else its name and version."""
    places = [Path(xiaozhi_persona.__file__).resolve().parents[2]]
    try:
        origin = importlib.metadata.distribution(_NAME).read_text("direct_url.json")
        url = urllib.parse.urlsplit(json.loads(origin or "{}").get("url", ""))
        if url.scheme == "file":
            places.insert(0, Path(urllib.request.url2pathname(url.path)))
    except importlib.metadata.PackageNotFoundError:
        pass
    for place in places:
        if (place / "setup.cfg").is_file() and (place / "src" / "xiaozhi_persona").is_dir():
            return str(place)
    return f"{_NAME}=={xiaozhi_persona.__version__}"


def _has(there: dict[str, str], name: str) -> bool:
    return name in {known.lower().replace("_", "-") for known in there}


def _engine_by_hand(python: Path, version: tuple[int, int]) -> str:
    pip = f"{python} -m pip install"
    if version < (3, 13):
        return tr(
            "；它里面没有 {ENGINE}，还听不见说话，请运行：{pip} '{ENGINE}>=0.4.1'",
            ENGINE=RECOGNIZER_PACKAGE,
            pip=pip,
        )
    return tr(
        "；{ENGINE} 写死了 numpy 的版本，在 Python 3.13 上 pip 装不上它，还听不见说话。"
        "请运行：{pip} \"{package_source}[asr-lean]\"，再运行：{pip} --no-deps '{ENGINE}>=0.4.1' librosa",
        ENGINE=RECOGNIZER_PACKAGE,
        pip=pip,
        package_source=package_source(),
    )


def _look_at(python: Path) -> tuple[tuple[int, int], str, dict[str, str]]:
    """Return the version of a Python, its folder and its packages."""
    done = _run([str(python), "-c", _LIST])
    try:
        version, prefix, there = json.loads(done.stdout)
        return (version[0], version[1]), prefix, there
    except (ValueError, TypeError) as exc:
        raise SettingsError(
            tr(
                "{python} 不是能用的 Python（{value}）。请给出运行小智服务端的那个 Python。",
                python=python,
                value=done.stderr.strip()[-200:],
            )
        ) from exc


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            capture_output=True,
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
            encoding="utf-8",
            errors="backslashreplace",
            timeout=_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise SettingsError(
            tr("运行不了 {value}（{exc}）。请给出运行小智服务端的那个 Python。", value=command[0], exc=exc)
        ) from exc
