"""The part of `doctor` that looks at an installation in xiaozhi-esp32-server, which need not run."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

from xiaozhi_persona.checks import Check, Status, failed, grouped
from xiaozhi_persona.commands.doctor.host_asr import check_ears
from xiaozhi_persona.commands.doctor.host_intent import check_intents
from xiaozhi_persona.commands.doctor.host_memory import check_choice, check_stored
from xiaozhi_persona.commands.doctor.host_python import check_python
from xiaozhi_persona.commands.doctor.roles import check_roles
from xiaozhi_persona.errors import PersonaError, SettingsError, own_command
from xiaozhi_persona.installer.door_files import door_text, is_ours
from xiaozhi_persona.installer.merge import PROMPT_FILE, merged
from xiaozhi_persona.installer.survey import Host, read_settings, survey
from xiaozhi_persona.language import tr
from xiaozhi_persona.providers.host.doors import DOORS, VOICES, Door
from xiaozhi_persona.providers.host.sections import base_settings, tts_settings
from xiaozhi_persona.providers.speech.choices import EmotionChoices
from xiaozhi_persona.providers.speech.pipeline import FRAME_MS, SpeechPipeline
from xiaozhi_persona.providers.tts.engine import open_synthesizer
from xiaozhi_persona.providers.tts.gpt_sovits.probe import look_at, written_addresses
from xiaozhi_persona.roles.casting import Casting
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.voice_settings import GptSovitsSettings

_SENTENCE = "现在是{time}，我能说话了。"
"""Its time makes it new, so that it comes from no cache."""


async def check_host(path: Path, python: Path | None) -> AsyncIterator[Check]:
    """Check the host at `path`: its Python, the doors, what its settings choose, memory, intents, recognizer, voices.

    `python` is the host's interpreter, None to look for it.
    """
    try:
        host = await asyncio.to_thread(survey, path)
    except PersonaError as exc:
        yield failed(tr("小智服务端"), exc)
        return
    yield _server(host)
    again = tr("运行 {command}", command=own_command(f"install {path}"))
    if not any((host.server / door.path).is_file() for door in DOORS):
        yield Check("error", tr("安装"), tr("还没有装进它"), again)
        return
    for check in await check_python(host.server, python):
        yield check
    yield _ffmpeg()
    for check in _doors(host.server, again):
        yield check
    try:
        base_settings(host.server)
    except PersonaError as exc:  # all that follows would only say so again
        yield failed(tr("设置"), exc)
        return
    stored = await asyncio.to_thread(lambda: [*check_stored(host.server)])
    if host.uses_console:
        for check in stored:
            yield check
        async for check in _with_console(host, again):
            yield check
        return
    try:
        config = await asyncio.to_thread(_read_config, host.server)
        name, section = _tts_section(config)
    except SettingsError as exc:
        yield failed(tr("设置"), exc)
        return
    for check in (_template(config, host.server, again), *check_choice(config, again), *stored):
        yield check
    for check in await check_intents(config, host.server, again):
        yield check
    for check in await check_ears(config, host.server, python, again):
        yield check
    type = str(section.get("type", name))
    if type not in VOICES:
        yield Check(
            "error",
            tr("设置"),
            tr("TTS 用的是 {name}（type: {type}），不是本程序的", name=name, type=type),
            again,
        )
        return
    yield Check("ok", tr("设置"), tr("TTS 用 {name}（type: {type}）", name=name, type=type))
    if "language" in section:
        found = tr(
            "{name} 里有 language，小智会当作回答用的语言（{value}）", name=name, value=section["language"]
        )
        yield Check("warning", tr("设置"), found, tr("删去它；要说的语言写 text_lang 或 text_language。"))
    async for check in _voices(section, type, name, host.server):
        yield check


def _server(host: Host) -> Check:
    commit = tr("（{commit}）", commit=host.commit) if host.commit else ""
    found = tr("{version}{commit}，{server}", version=host.version, commit=commit, server=host.server)
    if host.missing:
        step = tr("换一个测试过的版本（0.9.1 到 0.9.6），或更新本程序。")
        return Check(
            "error",
            tr("小智服务端"),
            tr("{found}：{missing}", found=found, missing="；".join(host.missing)),
            step,
        )
    return Check("ok", tr("小智服务端"), found)


def _ffmpeg() -> Check:
    found = shutil.which("ffmpeg")
    if found is None:
        step = tr("安装它，如 sudo apt install ffmpeg 或 conda install ffmpeg -y")
        return Check("error", "ffmpeg", tr("PATH 里没有，小智服务端启动不了"), step)
    return Check("ok", "ffmpeg", found)


def _doors(server_dir: Path, again: str) -> Iterator[Check]:
    """Yield what is found of the files that install puts there; those of which the same is found, together."""
    found: dict[Status, list[tuple[str, str, str]]] = {"ok": [], "error": []}
    for door in DOORS:
        status, *told = _door(door, server_dir, again)
        found[status].append((str(door.path), told[0], told[1]))
    for status, findings in found.items():
        for text, step in grouped(findings):
            yield Check(status, tr("文件"), text, step)


def _door(door: Door, server_dir: Path, again: str) -> tuple[Status, str, str]:
    """Return the status of a file, what was found, and the next step."""
    try:
        content = (server_dir / door.path).read_bytes()
    except FileNotFoundError:
        return "error", tr("没有"), tr("{again}，它补上上次装的版本还没有的文件，别的不变", again=again)
    except OSError as exc:
        return "error", tr("读不了（{strerror}）", strerror=exc.strerror), tr("检查它的权限。")
    if content == door_text(door).encode("utf-8"):
        return "ok", tr("是现在这个版本的"), ""
    if is_ours(content):
        return "error", tr("是别的版本写的，或者改过"), again
    return (
        "error",
        tr("不是本程序的"),
        tr("{again} --replace，原来的会留着，uninstall 时放回去。", again=again),
    )


async def _with_console(host: Host, again: str) -> AsyncIterator[Check]:
    """Check what can be seen where the settings stand in the console: our own folder, and its servers and roles."""
    yield Check(
        "warning",
        tr("设置"),
        tr("用的是智控台的，从这里看不到"),
        tr("{again}，它会列出要在网页上做的事", again=again),
    )
    if not (host.server / PROMPT_FILE).is_file():
        yield Check("error", tr("提示词模板"), tr("没有 {PROMPT_FILE}", PROMPT_FILE=PROMPT_FILE), again)
    settings = base_settings(host.server)
    if settings.gpt_sovits.servers:
        async for check in check_roles(settings, [settings.tts.engine]):
            yield check


def _read_config(server_dir: Path) -> dict[str, Any]:
    """Return the host's settings: config.yaml, and over it data/.config.yaml, as the host merges them."""
    files = [server_dir / name for name in ("config.yaml", "data/.config.yaml")]
    default, own = map(read_settings, files)
    if not own:
        raise SettingsError(
            tr("{value} 没有内容，小智服务端启动不了。请按它的文档写一份，再运行 install。", value=files[1])
        )
    return merged(default, own)


def _tts_section(config: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    selected, sections = config.get("selected_module"), config.get("TTS")
    name = str(selected.get("TTS", "")) if isinstance(selected, Mapping) else ""
    section = sections.get(name) if isinstance(sections, Mapping) else None
    if not isinstance(section, Mapping):
        raise SettingsError(
            tr(
                "selected_module.TTS 是 {name!r}，但 TTS 下面没有这一段。"
                "改 data/.config.yaml，或再运行一次 install。",
                name=name,
            )
        )
    return name, section


def _template(config: Mapping[str, Any], server_dir: Path, again: str) -> Check:
    what, name = tr("提示词模板"), str(config.get("prompt_template") or "agent-base-prompt.txt")
    try:
        text = (server_dir / name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        return Check(
            "error",
            what,
            tr("读不了 {name}（{value}）", name=name, value=getattr(exc, "strerror", None) or exc),
            again,
        )
    if "</memory>" not in text.partition("<memory>")[2]:
        step = tr("在它的末尾加上一行 <memory> 和一行 </memory>。")
        return Check("error", what, tr("{name} 里没有 <memory>，记忆进不了对话", name=name), step)
    if "base_prompt" not in text:
        return Check(
            "error", what, tr("{name} 里没有 {{{{ base_prompt }}}}，角色进不了对话", name=name), again
        )
    if "【" not in text or "emojiList" in text:
        step = tr(
            "设 prompt_template: {PROMPT_FILE}，或在 {name} 里教它句首写【感情】。",
            PROMPT_FILE=PROMPT_FILE,
            name=name,
        )
        return Check("warning", what, tr("{name} 不教感情标签，还可能不许写", name=name), step)
    return Check("ok", what, name)


async def _voices(section: Mapping[str, Any], type: str, name: str, server_dir: Path) -> AsyncIterator[Check]:
    """Check the servers and roles of the section, then say one sentence as the door does."""
    door = VOICES[type]
    try:
        settings = tts_settings(section, server_dir, door)
        if door.api and not written_addresses(settings.gpt_sovits):
            step = tr(
                "在 data/.config.yaml 的 TTS.{name} 里写 url: http://192.168.1.9:9880/tts（你的 GPT-SoVITS）",
                name=name,
            )
            yield Check("error", tr("设置 {name}", name=name), tr("没有写 GPT-SoVITS 的地址"), step)
            return
        checked = settings
        if door.api:  # with the API found out by itself, a server of the other kind is told by its kind
            free = settings.gpt_sovits.model_copy(update={"api": "auto"})
            checked = settings.model_copy(update={"gpt_sovits": free})
        async for check in check_roles(checked, [settings.tts.engine]):
            yield check
        apis = await _apis_of(settings.gpt_sovits) if door.api else set[str]()
    except PersonaError as exc:
        yield failed(tr("设置 {name}", name=name), exc)
        return
    if apis and door.api not in apis:
        seen = "api_v2.py" if "v2" in apis else "api.py"
        fitting = next(other.type for other in VOICES.values() if other.api in apis)
        step = tr("在 data/.config.yaml 的 TTS.{name} 里写 type: {value}", name=name, value=fitting)
        yield Check(
            "error",
            tr("设置 {name}", name=name),
            tr("type 是 {type}，而服务器是 {seen}", type=type, seen=seen),
            step,
        )
    try:
        yield await _sentence(settings)
    except PersonaError as exc:
        yield failed(tr("从头到尾说一句"), exc)


async def _apis_of(sovits: GptSovitsSettings) -> set[str]:
    """Return which of the two APIs (v1, v2) the servers say that they speak."""
    urls = [place.url for place in written_addresses(sovits) if place.url]
    found = await asyncio.gather(*(look_at(url, sovits.connect_timeout_s) for url in urls))
    return {server.dialect.api for server in found if server.dialect}


async def _sentence(settings: Settings) -> Check:
    """Say one sentence as a door does, from text to Opus packets, with the chosen voice alone."""
    what = tr("从头到尾说一句")
    casting = Casting(settings)
    alone = settings.tts.model_copy(update={"fallback": "none"})
    synthesizer = open_synthesizer(settings.model_copy(update={"tts": alone}))
    began, first_s, packets, source = time.monotonic(), 0.0, 0, ""
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(synthesizer.aclose)
        choice = EmotionChoices(casting, settings).of()
        pipeline = SpeechPipeline(synthesizer, choice, timeout_s=settings.sentence_timeout_s)
        stack.push_async_callback(pipeline.aclose)
        pipeline.feed(f"【{casting.role().tags[0]}】{_SENTENCE.format(time=time.strftime('%H点%M分%S秒'))}")
        pipeline.finish()
        async for sentence in pipeline:
            async for _ in sentence.packets():
                first_s = first_s or time.monotonic() - began
                packets += 1
            source = sentence.source or source
    if not packets:
        heard = tr("设备会听到备用的声音") if settings.tts.fallback == "espeak" else tr("设备会没有声音")
        return Check(
            "error", what, tr("没有说出来，{heard}", heard=heard), tr("先改好上面的毛病，再运行一次。")
        )
    seconds = packets * FRAME_MS / 1000
    return Check(
        "ok",
        what,
        tr(
            "{first_s:.2f} 秒出第一包声音，一共 {seconds:.1f} 秒（{source}）",
            first_s=first_s,
            seconds=seconds,
            source=source,
        ),
    )
