"""The part of `doctor HOST` that looks at the recognizer: its packages, device and model, and one sentence.

All of it is tried in the host's Python, which need not be ours: this file is run there, in a process of its own.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xiaozhi_persona.checks import Check, failed
from xiaozhi_persona.commands.doctor.host_memory import selected_section
from xiaozhi_persona.commands.doctor.host_python import find_python
from xiaozhi_persona.errors import PackageMissing, PersonaError, own_command
from xiaozhi_persona.language import tr
from xiaozhi_persona.providers.host.doors import DOORS
from xiaozhi_persona.providers.host.sections import asr_settings
from xiaozhi_persona.settings import AsrSettings, Settings
from xiaozhi_persona.spine import Clip, Samples

TIMEOUT_S = 120.0
"""How long the host's Python may take to load the model and recognize a sentence."""

_TYPE = next(door.type for door in DOORS if door.kind == "ASR")
_PACKAGES = {"funasr_onnx": ("funasr-onnx", "onnxruntime"), "funasr": ("funasr", "torch")}
_KEY = re.compile(r"\basr\.(?=[a-z])")
_TO_RUN = re.compile("[：。]运行|[:.] (?:run|Run) ")
_SENTENCE = "我叫小明。"
"""The embedded model knows it, too."""


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
    if section.get("type") != _TYPE:
        found = tr(
            "用的是 {name}（type: {get}），不是本程序的；要换，加上 --asr 再运行 install",
            name=name,
            get=section.get("type"),
        )
        return [Check("ok", tr("语音识别"), found)]
    checks = [Check("ok", tr("语音识别"), tr("用 {name}（type: {TYPE}）", name=name, TYPE=_TYPE))]
    try:
        asr = asr_settings(section, server_dir).asr
    except PersonaError as exc:
        return [*checks, failed(tr("设置 {name}", name=name), exc)]
    if asr.has_embedded_model:
        found = tr("自带的小模型，它只认识演示的句子")
        step = tr("{again} --asr 模型的文件夹（如 SenseVoiceSmall 的），或模型库里的名字", again=again)
        checks.append(Check("warning", tr("语音识别的模型"), found, step))
    where = python or find_python(server_dir)
    try:
        answer = await asyncio.to_thread(_ask, where, server_dir, section)
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as exc:
        reason = (
            tr("{TIMEOUT_S:g} 秒没有回答", TIMEOUT_S=TIMEOUT_S)
            if isinstance(exc, subprocess.TimeoutExpired)
            else tr("中途停了")
        )
        step = tr(
            "先改好 Python 那一项的毛病：{again} --python {where}；内存不够时换小一些的模型。",
            again=again,
            where=where,
        )
        return [
            *checks,
            Check(
                "error",
                tr("语音识别一句"),
                tr("在 {where} 里试不了（{reason}）", where=where, reason=reason),
                step,
            ),
        ]
    return [*checks, *_findings(answer, asr, name, f"{again} --python {where}", where)]


def _findings(answer: dict[str, Any], asr: AsrSettings, name: str, again: str, where: Path) -> list[Check]:
    packages = tr("，").join(
        f"{package} {version or tr('没有')}" for package, version in answer["versions"].items()
    )
    if answer.get("lacking"):
        step = (
            again
            if asr.engine == "funasr_onnx"
            else tr("运行 {where} -m pip install funasr torch torchaudio", where=where)
        )
        return [
            Check(
                "error",
                tr("语音识别的包"),
                tr("{packages}（{value}）", packages=packages, value=answer["lacking"]),
                step,
            )
        ]
    checks = [Check("ok", tr("语音识别的包"), packages)] if packages else []
    if "cuda" in answer:
        checks.append(_device(asr, answer["cuda"], name, where))
        if checks[-1].status == "error":
            return checks
    if answer.get("absent"):
        found = tr("没有文件夹 {value}，当作模型库里的名字，还没有下载", value=answer["absent"])
        step = tr("启动小智服务端就会下载；是文件夹的话，检查它的位置。")
        return [*checks, Check("warning", tr("语音识别的模型"), found, step)]
    if answer.get("error"):
        text = answer["error"].replace("asr.model", f"ASR.{name}.model_dir")
        text = _KEY.sub(f"ASR.{name}.", text)
        return [*checks, failed(tr("语音识别一句"), PersonaError(text))]
    memory = (
        tr("，整个进程最多占 {value:.0f} MB 内存", value=answer["peak_rss_mb"])
        if answer["peak_rss_mb"]
        else ""
    )
    found = tr("模型 {value:.1f} 秒读好{memory}", value=answer["loaded_in_s"], memory=memory)
    if "heard" not in answer:
        return [
            *checks,
            Check("ok", tr("语音识别一句"), tr("{found}；没有 eSpeak 可以念一句，没有试", found=found)),
        ]
    said = _SENTENCE.rstrip("。")
    found = tr(
        "认一句用 {value:.0f} 毫秒，{found}；eSpeak 念“{said}”",
        value=answer["recognized_in_s"] * 1000,
        found=found,
        said=said,
    )
    if answer["heard"]:
        return [
            *checks,
            Check("ok", tr("语音识别一句"), tr("{found}，听到“{value}”", found=found, value=answer["heard"])),
        ]
    step = tr("机器声不好认；用你自己的录音试：{command}", command=own_command(tr("transcribe 录音.wav")))
    return [*checks, Check("warning", tr("语音识别一句"), tr("{found}，没有听出字来", found=found), step)]


def _device(asr: AsrSettings, has_cuda: bool, name: str, where: Path) -> Check:
    what, library = tr("语音识别的设备"), "torch" if asr.engine == "funasr" else "onnxruntime"
    if asr.device.startswith("cuda") and not has_cuda:
        found = tr(
            "device 是 {device}，但这个 Python 的 {library} 用不了 NVIDIA 显卡",
            device=asr.device,
            library=library,
        )
        more = tr("带 CUDA 的 torch") if library == "torch" else "onnxruntime-gpu"
        step = tr(
            "检查驱动，在 {where} 里装{more}，或在 data/.config.yaml 的 ASR.{name} 里写 device: cpu",
            where=where,
            more=more,
            name=name,
        )
        return Check("error", what, found, step)
    card = tr("能用显卡") if has_cuda else tr("用不了 NVIDIA 显卡")
    return Check(
        "ok", what, tr("device: {device}（{library} {card}）", device=asr.device, library=library, card=card)
    )


def _ask(python: Path, server_dir: Path, section: Mapping[str, Any]) -> dict[str, Any]:
    """Try the recognizer in the host's Python. Raises OSError, SubprocessError or ValueError when no answer comes."""
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
    answer = json.loads(done.stdout.decode("utf-8", errors="replace").splitlines()[-1])
    if not isinstance(answer, dict) or "versions" not in answer:
        raise ValueError(answer)
    return answer


async def _try(section: Mapping[str, Any]) -> dict[str, Any]:
    """Try the recognizer of a section in this Python, in the host's folder; return what was seen."""
    settings = asr_settings(section, Path.cwd())
    packages = _PACKAGES.get(settings.asr.engine, ())
    answer: dict[str, Any] = {"versions": {package: _version(package) for package in packages}}
    try:
        if packages:
            answer["cuda"] = _has_cuda(settings.asr.engine)
            if settings.asr.device.startswith("cuda") and not answer["cuda"]:
                return answer
            absent = _absent(settings)
            if absent:
                return answer | {"absent": absent}
        return answer | await _hear(settings)
    except (PackageMissing, ImportError, OSError) as exc:  # OSError: libraries of torch that do not fit
        return answer | {"lacking": _TO_RUN.split(str(exc))[0]}
    except PersonaError as exc:
        return answer | {"error": str(exc)}


async def _hear(settings: Settings) -> dict[str, Any]:
    """Load the model, recognize one sentence; return the times and the memory. Raises PersonaError."""
    from xiaozhi_persona.commands.transcribe_bench import peak_rss_mb
    from xiaozhi_persona.providers.asr.engine import open_recognizer

    answer: dict[str, Any] = {}
    recognizer = open_recognizer(settings)
    try:
        began = time.monotonic()
        await recognizer.load()
        answer["loaded_in_s"] = time.monotonic() - began
        sound = await _spoken(settings)
        if sound is not None:
            began = time.monotonic()
            answer["heard"] = (await recognizer.transcribe(sound)).text
            answer["recognized_in_s"] = time.monotonic() - began
    finally:
        await recognizer.aclose()
    return answer | {"peak_rss_mb": peak_rss_mb()}


async def _spoken(settings: Settings) -> Samples | None:
    """Return the sentence in the embedded voice at 16 kHz; None without eSpeak."""
    from xiaozhi_persona.audio.resample import resample
    from xiaozhi_persona.providers.tts.espeak import EspeakSynthesizer

    try:
        async for chunk in EspeakSynthesizer(settings.espeak).synthesize(_SENTENCE, Clip()):
            return resample(chunk.samples, chunk.sample_rate_hz, 16000)
    except PersonaError:
        pass
    return None


def _has_cuda(engine: str) -> bool:
    if engine == "funasr":
        import torch

        return bool(torch.cuda.is_available())
    import onnxruntime

    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def _absent(settings: Settings) -> str:
    """Return the first model that would be downloaded, "" when none would."""
    from xiaozhi_persona.providers.asr.model_hub import is_to_be_downloaded

    asr, base = settings.asr, settings.path(".")
    names = [asr.model]
    if asr.engine == "funasr":
        from xiaozhi_persona.providers.asr.torch_models import DEFAULT_MODEL, full_name

        names = [asr.model or DEFAULT_MODEL, asr.vad_model, asr.punc_model]
        names = [full_name(name, asr.hub, base) for name in names if name]
    downloads = settings.data_dir / "models"
    return next((name for name in names if is_to_be_downloaded(name, asr, base, downloads)), "")


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


if __name__ == "__main__":
    print("\n" + json.dumps(asyncio.run(_try(json.load(sys.stdin)))))
