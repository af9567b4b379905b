"""The host's Python as `doctor HOST` sees it: asked in a process of its own, since it need not be ours."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import xiaozhi_persona
from xiaozhi_persona.checks import Check
from xiaozhi_persona.installer.python import package_source
from xiaozhi_persona.language import tr

TIMEOUT_S = 60.0
"""How long the host's Python may take to start and to import our package."""

OLDEST_PYTHON = (3, 10)

_OF_THE_HOST = "cnlunar"
"""A package of the host's that hardly any other Python has."""

_SHOWN = ("numpy", "httpx", "websockets", "soxr", "opuslib-next")

# Runs in the host's Python, which may be any version: prints one line of JSON.
_QUESTION = """
import json, sys
answer = {"python": list(sys.version_info[:3]), "versions": {}, "problems": {}}
try:
    from importlib import metadata
except ImportError:
    metadata = None
for name in sys.argv[1:]:
    try:
        answer["versions"][name] = metadata.version(name)
    except Exception:
        answer["versions"][name] = None
for module in ("xiaozhi_persona", "xiaozhi_persona.providers.host.voices", "opuslib_next", "espeakng_loader"):
    try:
        __import__(module)
    except BaseException as exc:
        answer["problems"][module] = type(exc).__name__ + ": " + str(exc)
print(json.dumps(answer))
"""


async def check_python(server_dir: Path, python: Path | None) -> list[Check]:
    """Check the Python that the host runs with: its version, our package in it, libopus, the fallback voice."""
    where = python or find_python(server_dir)
    what = tr("小智的 Python")
    try:
        answer = await asyncio.to_thread(_ask, where, server_dir)
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as exc:
        reason = _reason(exc)
        return [
            Check(
                "error",
                what,
                tr("{where} 运行不了（{reason}）", where=where, reason=reason),
                tr("用 --python 给出小智用的那个 Python。"),
            )
        ]
    version = tuple(answer["python"])
    shown = tr("{listed}（{where}）", listed=".".join(map(str, version)), where=where)
    if version < OLDEST_PYTHON:
        step = tr("小智和本程序都要 3.10 以上；用 --python 给出小智用的那个。")
        return [Check("error", what, shown, step)]
    if not answer["versions"].get(_OF_THE_HOST):
        found = tr("{shown} 里没有小智要的包，多半不是它用的那个", shown=shown)
        checks = [Check("warning", what, found, tr("用 --python 给出小智用的那个 Python。"))]
    else:
        checks = [Check("ok", what, shown)]
    return checks + _packages(answer, where)


def find_python(server_dir: Path) -> Path:
    """Return the Python of a virtual environment in the host's folder or above it, up to the repository; else that of
    the active conda environment, else ours."""
    inner = Path("Scripts", "python.exe") if os.name == "nt" else Path("bin", "python")
    for folder in (server_dir, *server_dir.parents[:2]):
        for name in ("venv", ".venv", "env"):
            if (folder / name / inner).is_file():
                return folder / name / inner
    conda = Path(os.environ.get("CONDA_PREFIX", "")) / ("python.exe" if os.name == "nt" else inner)
    return conda if os.environ.get("CONDA_PREFIX") and conda.is_file() else Path(sys.executable)


def _packages(answer: dict[str, Any], where: Path) -> list[Check]:
    versions, problems = answer["versions"], answer["problems"]
    what, install = (
        tr("小智 Python 里的包"),
        tr("运行 {where} -m pip install {package_source}", where=where, package_source=package_source()),
    )
    own = versions.get("xiaozhi-persona")
    checks = []
    if "xiaozhi_persona" in problems:
        checks.append(Check("error", what, tr("没有 xiaozhi-persona"), install))
    elif "xiaozhi_persona.providers.host.voices" in problems:
        found = tr(
            "xiaozhi-persona 导入不了（{value}）", value=problems["xiaozhi_persona.providers.host.voices"]
        )
        checks.append(Check("error", what, found, install))
    elif own != xiaozhi_persona.__version__:
        found = tr(
            "xiaozhi-persona {own}，而现在运行的是 {version}", own=own, version=xiaozhi_persona.__version__
        )
        checks.append(Check("error", what, found, install))
    else:
        names = tr("，").join(f"{name} {versions.get(name) or tr('没有')}" for name in _SHOWN)
        checks.append(Check("ok", what, tr("xiaozhi-persona {own}，{names}", own=own, names=names)))
    opus = problems.get("opuslib_next")
    if opus:
        step = tr("安装 libopus，如 sudo apt install libopus0 或 conda install libopus -y")
        missing = (
            tr("没有 opuslib_next")
            if versions.get("opuslib-next") is None
            else tr("没有 libopus（{opus}）", opus=opus)
        )
        checks.append(
            Check("error", tr("小智的 libopus"), missing, step if versions.get("opuslib-next") else install)
        )
    else:
        checks.append(Check("ok", tr("小智的 libopus"), tr("找得到")))
    if "espeakng_loader" in problems:
        found = tr("没有 espeakng-loader，GPT-SoVITS 不答时就没有声音")
        checks.append(
            Check(
                "warning",
                tr("备用的声音"),
                found,
                tr("运行 {where} -m pip install espeakng-loader", where=where),
            )
        )
    return checks


def _ask(python: Path, server_dir: Path) -> dict[str, Any]:
    """Run the question in the host's Python; raises OSError, SubprocessError or ValueError when no answer comes."""
    done = subprocess.run(
        [str(python), "-c", _QUESTION, "xiaozhi-persona", _OF_THE_HOST, *_SHOWN],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=server_dir,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        timeout=TIMEOUT_S,
        check=True,
    )
    answer = json.loads(done.stdout.decode("utf-8", errors="replace").splitlines()[-1])
    if not isinstance(answer, dict) or not {"python", "versions", "problems"} <= set(answer):
        raise ValueError(answer)
    return answer


def _reason(exc: Exception) -> str:
    if isinstance(exc, subprocess.TimeoutExpired):
        return tr("{TIMEOUT_S:g} 秒没有回答", TIMEOUT_S=TIMEOUT_S)
    if isinstance(exc, subprocess.CalledProcessError):
        return tr("退出码 {returncode}", returncode=exc.returncode)
    if isinstance(exc, OSError):
        return exc.strerror or str(exc)
    return tr("它的回答读不懂")
