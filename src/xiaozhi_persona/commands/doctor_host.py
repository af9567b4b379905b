"""The part of `doctor` that looks at an installation in xiaozhi-esp32-server, which need not run."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

from xiaozhi_persona.commands.checks import Check, Status, failed, grouped
from xiaozhi_persona.commands.doctor import check_roles
from xiaozhi_persona.commands.doctor_host_asr import check_ears
from xiaozhi_persona.commands.doctor_host_memory import check_choice, check_stored
from xiaozhi_persona.commands.doctor_host_python import check_python
from xiaozhi_persona.commands.voice_servers import written_addresses
from xiaozhi_persona.errors import PersonaError, SettingsError, own_command
from xiaozhi_persona.providers.host.doors import DOORS, Door, is_ours
from xiaozhi_persona.providers.host.merge import PROMPT_FILE, merged
from xiaozhi_persona.providers.host.sections import base_settings, door_settings
from xiaozhi_persona.providers.host.survey import Host, read_settings, survey
from xiaozhi_persona.providers.speech.casting import Casting
from xiaozhi_persona.providers.speech.pipeline import FRAME_MS, SpeechPipeline
from xiaozhi_persona.providers.tts.engine import open_synthesizer
from xiaozhi_persona.settings import Settings

_APIS = {"gpt_sovits_v1": "v1", "gpt_sovits_v2_stream": "v2"}
"""The API that a door speaks, by its type in the host's settings."""

_TYPES = {api: type for type, api in _APIS.items()}

_SENTENCE = "现在是{time}，我能说话了。"
"""Its time makes it new, so that it comes from no cache."""


async def check_host(path: Path, python: Path | None) -> AsyncIterator[Check]:
    """Check the host at `path`: its Python, the doors, what its settings choose, memory, recognizer, roles, voices.

    `python` is the host's interpreter, None to look for it.
    """
    try:
        host = await asyncio.to_thread(survey, path)
    except PersonaError as exc:
        yield failed("小智服务端", exc)
        return
    yield _server(host)
    again = f"运行 {own_command(f'install {path}')}"
    if not any((host.server / door.path).is_file() for door in DOORS):
        yield Check("error", "安装", "还没有装进它", again)
        return
    for check in await check_python(host.server, python):
        yield check
    yield _ffmpeg()
    for check in _doors(host.server, again):
        yield check
    try:
        base_settings(host.server)
    except PersonaError as exc:  # all that follows would only say so again
        yield failed("设置", exc)
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
        yield failed("设置", exc)
        return
    for check in (_template(config, host.server, again), *check_choice(config, again), *stored):
        yield check
    for check in await check_ears(config, host.server, python, again):
        yield check
    type = str(section.get("type", name))
    if type not in _APIS:
        yield Check("error", "设置", f"TTS 用的是 {name}（type: {type}），不是本程序的", again)
        return
    yield Check("ok", "设置", f"TTS 用 {name}（type: {type}）")
    if "language" in section:
        found = f"{name} 里有 language，小智会当作回答用的语言（{section['language']}）"
        yield Check("warning", "设置", found, "删去它；要说的语言写 text_lang 或 text_language。")
    async for check in _voices(section, type, name, host.server):
        yield check


def _server(host: Host) -> Check:
    commit = f"（{host.commit}）" if host.commit else ""
    found = f"{host.version}{commit}，{host.server}"
    if host.missing:
        step = "换一个测试过的版本（0.9.1 到 0.9.6），或更新本程序。"
        return Check("error", "小智服务端", f"{found}：{'；'.join(host.missing)}", step)
    return Check("ok", "小智服务端", found)


def _ffmpeg() -> Check:
    found = shutil.which("ffmpeg")
    if found is None:
        step = "安装它，如 sudo apt install ffmpeg 或 conda install ffmpeg -y"
        return Check("error", "ffmpeg", "PATH 里没有，小智服务端启动不了", step)
    return Check("ok", "ffmpeg", found)


def _doors(server_dir: Path, again: str) -> Iterator[Check]:
    """Yield what is found of the files that install puts there; those of which the same is found, together."""
    found: dict[Status, list[tuple[str, str, str]]] = {"ok": [], "error": []}
    for door in DOORS:
        status, *told = _door(door, server_dir, again)
        found[status].append((str(door.path), told[0], told[1]))
    for status, findings in found.items():
        for text, step in grouped(findings):
            yield Check(status, "文件", text, step)


def _door(door: Door, server_dir: Path, again: str) -> tuple[Status, str, str]:
    """Return the status of a file, what was found, and the next step."""
    try:
        content = (server_dir / door.path).read_bytes()
    except FileNotFoundError:
        return "error", "没有", again
    except OSError as exc:
        return "error", f"读不了（{exc.strerror}）", "检查它的权限。"
    if content == door.text().encode("utf-8"):
        return "ok", "是现在这个版本的", ""
    if is_ours(content):
        return "error", "是别的版本写的，或者改过", again
    return "error", "不是本程序的", f"{again} --replace，原来的会留着，uninstall 时放回去。"


async def _with_console(host: Host, again: str) -> AsyncIterator[Check]:
    """Check what can be seen where the settings stand in the console: our own folder, and its servers and roles."""
    yield Check("warning", "设置", "用的是智控台的，从这里看不到", f"{again}，它会列出要在网页上做的事")
    if not (host.server / PROMPT_FILE).is_file():
        yield Check("error", "提示词模板", f"没有 {PROMPT_FILE}", again)
    settings = base_settings(host.server)
    if settings.gpt_sovits.servers:
        async for check in check_roles(settings, set()):
            yield check


def _read_config(server_dir: Path) -> dict[str, Any]:
    """Return the host's settings: config.yaml, and over it data/.config.yaml, as the host merges them."""
    files = [server_dir / name for name in ("config.yaml", "data/.config.yaml")]
    default, own = map(read_settings, files)
    if not own:
        raise SettingsError(f"{files[1]} 没有内容，小智服务端启动不了。请按它的文档写一份，再运行 install。")
    return merged(default, own)


def _tts_section(config: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    selected, sections = config.get("selected_module"), config.get("TTS")
    name = str(selected.get("TTS", "")) if isinstance(selected, Mapping) else ""
    section = sections.get(name) if isinstance(sections, Mapping) else None
    if not isinstance(section, Mapping):
        raise SettingsError(
            f"selected_module.TTS 是 {name!r}，但 TTS 下面没有这一段。改 data/.config.yaml，或再运行一次 install。"
        )
    return name, section


def _template(config: Mapping[str, Any], server_dir: Path, again: str) -> Check:
    what, name = "提示词模板", str(config.get("prompt_template") or "agent-base-prompt.txt")
    try:
        text = (server_dir / name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        return Check("error", what, f"读不了 {name}（{getattr(exc, 'strerror', None) or exc}）", again)
    if "</memory>" not in text.partition("<memory>")[2]:
        step = "在它的末尾加上一行 <memory> 和一行 </memory>。"
        return Check("error", what, f"{name} 里没有 <memory>，记忆进不了对话", step)
    if "base_prompt" not in text:
        return Check("error", what, f"{name} 里没有 {{{{ base_prompt }}}}，角色进不了对话", again)
    if "【" not in text or "emojiList" in text:
        step = f"设 prompt_template: {PROMPT_FILE}，或在 {name} 里教它句首写【感情】。"
        return Check("warning", what, f"{name} 不教感情标签，还可能不许写", step)
    return Check("ok", what, name)


async def _voices(section: Mapping[str, Any], type: str, name: str, server_dir: Path) -> AsyncIterator[Check]:
    """Check the servers and roles of the section, then say one sentence as the door does."""
    apis: set[str] = set()
    try:
        settings = door_settings(section, server_dir, _APIS[type])
        if not written_addresses(settings.gpt_sovits):
            step = (
                f"在 data/.config.yaml 的 TTS.{name} 里写 url: http://192.168.1.9:9880/tts（你的 GPT-SoVITS）"
            )
            yield Check("error", f"设置 {name}", "没有写 GPT-SoVITS 的地址", step)
            return
        # With the API found out by itself, a server of the other kind is told by its kind.
        free = settings.gpt_sovits.model_copy(update={"api": "auto"})
        async for check in check_roles(settings.model_copy(update={"gpt_sovits": free}), apis):
            yield check
    except PersonaError as exc:
        yield failed(f"设置 {name}", exc)
        return
    if apis and _APIS[type] not in apis:
        seen = "api_v2.py" if "v2" in apis else "api.py"
        step = f"在 data/.config.yaml 的 TTS.{name} 里写 type: {_TYPES[min(apis)]}"
        yield Check("error", f"设置 {name}", f"type 是 {type}，而服务器是 {seen}", step)
    try:
        yield await _sentence(settings)
    except PersonaError as exc:
        yield failed("从头到尾说一句", exc)


async def _sentence(settings: Settings) -> Check:
    """Say one sentence as a door does, from text to Opus packets, with the chosen voice alone."""
    what = "从头到尾说一句"
    casting = Casting(settings)
    alone = settings.tts.model_copy(update={"fallback": "none"})
    synthesizer, sovits = open_synthesizer(settings.model_copy(update={"tts": alone}))
    began, first_s, packets, source = time.monotonic(), 0.0, 0, ""
    async with contextlib.AsyncExitStack() as stack:
        if sovits:
            stack.push_async_callback(sovits.aclose)
        choice = casting.emotion_choice()
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
        heard = "设备会听到备用的声音" if settings.tts.fallback == "espeak" else "设备会没有声音"
        return Check("error", what, f"没有说出来，{heard}", "先改好上面的毛病，再运行一次。")
    seconds = packets * FRAME_MS / 1000
    return Check("ok", what, f"{first_s:.2f} 秒出第一包声音，一共 {seconds:.1f} 秒（{source}）")
