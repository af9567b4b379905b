"""What `doctor` looks at in a recognizer: its packages, its device, its model, and one sentence."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace

from xiaozhi_persona.checks import Check, failed
from xiaozhi_persona.errors import PackageMissing, PersonaError, SettingsError, own_command
from xiaozhi_persona.language import later, tr
from xiaozhi_persona.providers.asr.model_hub import is_to_be_downloaded
from xiaozhi_persona.providers.asr.recognizer import Recognizer
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.spine import Clip, Samples

PACKAGES_CHECK = later("语音识别的包")

_SENTENCE = "我叫小明。"
"""The embedded model knows it, too."""


async def check_model(
    settings: Settings,
    open_engine: Callable[[Settings, tuple[str, ...]], Recognizer],
    packages: Sequence[str],
    has_card: Callable[[], bool],
    models: Callable[[], Sequence[str]],
) -> AsyncIterator[Check]:
    """Check a model of this process, up to the first thing that is wrong; nothing is downloaded.

    `has_card` imports the packages and says whether they can use an NVIDIA card; it raises PackageMissing, and
    SettingsError for a device that is not there. `models` returns the folders and hub names that the settings ask for.
    """
    versions = tr("，").join(f"{package} {_version(package) or tr('没有')}" for package in packages)
    of_device, asr = tr("语音识别的设备"), settings.asr
    try:
        is_usable = await asyncio.to_thread(has_card)
    except PackageMissing as exc:
        lacking = failed(tr(PACKAGES_CHECK), exc)
        reason = lacking.found.rstrip(tr("。"))
        yield replace(lacking, found=tr("{packages}（{value}）", packages=versions, value=reason))
        return
    except SettingsError as exc:
        yield Check("ok", tr(PACKAGES_CHECK), versions)
        yield failed(of_device, exc)
        return
    yield Check("ok", tr(PACKAGES_CHECK), versions)
    card = tr("能用显卡") if is_usable else tr("用不了 NVIDIA 显卡")
    found = tr("device: {device}（{library} {card}）", device=asr.device, library=packages[-1], card=card)
    yield Check("ok", of_device, found)
    base, downloads = settings.path("."), settings.data_dir / "models"
    for name in await asyncio.to_thread(models):
        if is_to_be_downloaded(name, asr, base, downloads):
            found = tr("没有文件夹 {value}，当作模型库里的名字，还没有下载", value=name)
            step = tr("第一次用时会下载它；是文件夹的话，检查它的位置。")
            yield Check("warning", tr("语音识别的模型"), found, step)
            return
    async for check in check_hearing(settings, open_engine):
        yield check


async def check_hearing(
    settings: Settings, open_engine: Callable[[Settings, tuple[str, ...]], Recognizer]
) -> AsyncIterator[Check]:
    """Load a recognizer, and let it recognize one sentence of the embedded voice."""
    what, heard = tr("语音识别一句"), None
    try:
        recognizer = open_engine(settings, ())
        try:
            began = time.monotonic()
            await recognizer.load()
            loaded_s = time.monotonic() - began
            sound = await _spoken(settings)
            began = time.monotonic()
            if sound is not None:
                heard = (await recognizer.transcribe(sound)).text
            recognized_s = time.monotonic() - began
        finally:
            await recognizer.aclose()
    except PersonaError as exc:
        yield failed(what, exc)
        return
    peak_mb = peak_rss_mb()
    memory = tr("，整个进程最多占 {value:.0f} MB 内存", value=peak_mb) if peak_mb else ""
    found = tr("模型 {value:.1f} 秒读好{memory}", value=loaded_s, memory=memory)
    if heard is None:
        yield Check("ok", what, tr("{found}；没有 eSpeak 可以念一句，没有试", found=found))
        return
    found = tr(
        "认一句用 {value:.0f} 毫秒，{found}；eSpeak 念“{said}”",
        value=recognized_s * 1000,
        found=found,
        said=_SENTENCE.rstrip("。"),
    )
    if heard:
        yield Check("ok", what, tr("{found}，听到“{value}”", found=found, value=heard))
        return
    step = tr("机器声不好认；用你自己的录音试：{command}", command=own_command(tr("transcribe 录音.wav")))
    yield Check("warning", what, tr("{found}，没有听出字来", found=found), step)


def peak_rss_mb() -> float | None:
    """Return the most memory that this process has had, None where the system does not tell."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1 << 20 if sys.platform == "darwin" else 1 << 10), 1)


async def _spoken(settings: Settings) -> Samples | None:
    """Return the sentence in the embedded voice at 16 kHz; None without eSpeak."""
    from xiaozhi_persona.audio.resample import resample
    from xiaozhi_persona.providers.tts.espeak import EspeakSynthesizer

    sentence = EspeakSynthesizer(settings.espeak).synthesize(_SENTENCE, Clip())
    with contextlib.suppress(PersonaError):
        async with contextlib.aclosing(sentence) as sound:
            async for chunk in sound:
                return resample(chunk.samples, chunk.sample_rate_hz, 16000)
    return None


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
