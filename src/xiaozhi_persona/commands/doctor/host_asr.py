"""The part of `doctor HOST` that looks at the recognizer.

It is checked in the host's Python, which need not be ours: this file is run there, in a process of its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from xiaozhi_persona.checks import Check, failed
from xiaozhi_persona.commands.doctor.host_memory import selected_section
from xiaozhi_persona.commands.doctor.host_python import find_python
from xiaozhi_persona.commands.doctor.recognizer import check_recognizer
from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.installer.python import RECOGNIZER_PACKAGE
from xiaozhi_persona.language import tr
from xiaozhi_persona.providers.asr.checks import PACKAGES_CHECK
from xiaozhi_persona.providers.asr.engine import engine_of, open_recognizer
from xiaozhi_persona.providers.host.doors import RECOGNIZER
from xiaozhi_persona.providers.host.sections import asr_settings
from xiaozhi_persona.settings import Settings

TIMEOUT_S = 120.0
"""How long the host's Python may take to load the model and recognize a sentence."""

_KEY = re.compile(r"\basr\.(?=[a-z])")


async def check_ears(
    config: Mapping[str, Any], server_dir: Path, python: Path | None, again: str
) -> list[Check]:
    """Check which recognizer the host's settings choose; where it is ours, that it hears with the host's Python.

    `python` is the host's interpreter, None to look for it. Nothing is downloaded.
    """
    name, section = selected_section(config, "ASR")
    if not section:
        found = tr("selected_module.ASR 是 {name!r}，ASR 下面没有它，小智服务端启动不了", name=name)
        return [Check("error", tr("设置"), found, tr("改 data/.config.yaml。"))]
    if section.get("type") != RECOGNIZER.type:
        found = tr(
            "用的是 {name}（type: {get}），不是本程序的；要换，加上 --asr 再运行 install",
            name=name,
            get=section.get("type"),
        )
        return [Check("ok", tr("语音识别"), found)]
    checks = [Check("ok", tr("语音识别"), tr("用 {name}（type: {TYPE}）", name=name, TYPE=RECOGNIZER.type))]
    try:
        settings = asr_settings(section, server_dir)
        recognizer = open_recognizer(settings)
        await recognizer.aclose()
    except PersonaError as exc:
        return [*checks, failed(tr("设置 {name}", name=name), exc)]
    where = python or find_python(server_dir)
    again = f"{again} --python {where}"
    try:
        found_there = await asyncio.to_thread(_ask, where, server_dir, section)
    except (OSError, subprocess.SubprocessError, ValueError, TypeError, IndexError) as exc:
        reason = (
            tr("{TIMEOUT_S:g} 秒没有回答", TIMEOUT_S=TIMEOUT_S)
            if isinstance(exc, subprocess.TimeoutExpired)
            else tr("中途停了")
        )
        step = tr("先改好 Python 那一项的毛病：{again}；内存不够时换小一些的模型。", again=again)
        return [
            *checks,
            Check(
                "error",
                tr("语音识别一句"),
                tr("在 {where} 里试不了（{reason}）", where=where, reason=reason),
                step,
            ),
        ]
    return [
        *checks,
        *(_told_of_host(check, settings, name, again, recognizer.advice) for check in found_there),
    ]


def _told_of_host(check: Check, settings: Settings, name: str, again: str, advice: str) -> Check:
    """Put the host's places and the installer's commands into what was found with our own settings."""

    def placed(text: str) -> str:
        return _KEY.sub(f"ASR.{name}.", text.replace("asr.model", f"ASR.{name}.model_dir"))

    step = placed(check.step)
    if advice and check.step == advice:
        step = tr("{again} --asr 模型的文件夹（如 SenseVoiceSmall 的），或模型库里的名字", again=again)
    elif check.what == tr(PACKAGES_CHECK) and check.status == "error":
        # The installer holds the host's packages at their versions, which pip alone does not.
        step = again if RECOGNIZER_PACKAGE in engine_of(settings.asr.engine).PACKAGES else step
    return replace(check, found=placed(check.found), step=step)


def _ask(python: Path, server_dir: Path, section: Mapping[str, Any]) -> list[Check]:
    """Check the recognizer in the host's Python.

    Raises OSError, SubprocessError, ValueError, TypeError or IndexError when no answer comes.
    """
    done = subprocess.run(
        [str(python), "-m", __name__],
        input=json.dumps(section, default=str).encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=server_dir,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        timeout=TIMEOUT_S,
        check=True,
    )
    lines = done.stdout.decode("utf-8", errors="replace").splitlines()
    return [Check(**check) for check in json.loads(lines[-1])]


async def _try(section: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Check the recognizer of a section in this Python, in the host's folder."""
    return [asdict(check) async for check in check_recognizer(asr_settings(section, Path.cwd()))]


if __name__ == "__main__":
    print("\n" + json.dumps(asyncio.run(_try(json.load(sys.stdin)))))
