"""The part of `doctor` that looks at an installation in xiaozhi-esp32-server, which need not run."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xiaozhi_persona.commands.checks import Check, failed
from xiaozhi_persona.commands.doctor import check_roles
from xiaozhi_persona.commands.doctor_host_asr import check_ears
from xiaozhi_persona.commands.doctor_host_memory import check_choice, check_stored
from xiaozhi_persona.commands.doctor_host_python import check_python
from xiaozhi_persona.commands.voice_servers import written_addresses
from xiaozhi_persona.errors import PersonaError, SettingsError
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


async def check_host(path: Path, python: Path | None) -> list[Check]:
    """Check the host at `path`: its Python, the doors, what its settings choose, memory, recognizer, roles, voices.

    `python` is the host's interpreter, None to look for it.
    """
    try:
        host = await asyncio.to_thread(survey, path)
    except PersonaError as exc:
        return [failed("小智服务端", exc)]
    again = f"运行 xiaozhi-persona install {path}"
    if not any((host.server / door.path).is_file() for door in DOORS):
        return [_server(host), Check("error", "安装", "还没有装进它", again)]
    checks = [
        _server(host),
        *await check_python(host.server, python),
        _ffmpeg(),
        *(_door(door, host.server, again) for door in DOORS),
    ]
    try:
        base_settings(host.server)
    except PersonaError as exc:  # all that follows would only say so again
        return [*checks, failed("设置", exc)]
    stored = await asyncio.to_thread(lambda: [*check_stored(host.server)])
    if host.uses_console:
        return checks + stored + await _with_console(host, again)
    try:
        config = await asyncio.to_thread(_read_config, host.server)
        name, section = _tts_section(config)
    except SettingsError as exc:
        return [*checks, failed("设置", exc)]
    checks += [_template(config, host.server, again), *check_choice(config, again), *stored]
    checks += await check_ears(config, host.server, python, again)
    type = str(section.get("type", name))
    if type not in _APIS:
        found = f"TTS 用的是 {name}（type: {type}），不是本程序的"
        return [*checks, Check("error", "设置", found, again)]
    checks.append(Check("ok", "设置", f"TTS 用 {name}（type: {type}）"))
    if "language" in section:
        found = f"{name} 里有 language，小智会当作回答用的语言（{section['language']}）"
        checks.append(Check("warning", "设置", found, "删去它；要说的语言写 text_lang 或 text_language。"))
    return checks + await _voices(section, type, name, host.server)


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


def _door(door: Door, server_dir: Path, again: str) -> Check:
    what, file = f"文件 {door.path}", server_dir / door.path
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return Check("error", what, "没有", again)
    except OSError as exc:
        return Check("error", what, f"读不了（{exc.strerror}）", "检查它的权限。")
    if content == door.text().encode("utf-8"):
        return Check("ok", what, "是现在这个版本的")
    if is_ours(content):
        return Check("error", what, "是别的版本写的，或者改过", again)
    return Check("error", what, "不是本程序的", f"{again} --replace，原来的会留着，uninstall 时放回去。")


async def _with_console(host: Host, again: str) -> list[Check]:
    """Check what can be seen where the settings stand in the console: our own folder, and its servers and roles."""
    step = f"{again}，它会列出要在网页上做的事"
    checks = [Check("warning", "设置", "用的是智控台的，从这里看不到", step)]
    if not (host.server / PROMPT_FILE).is_file():
        checks.append(Check("error", "提示词模板", f"没有 {PROMPT_FILE}", again))
    settings = base_settings(host.server)
    return checks + (await check_roles(settings))[0] if settings.gpt_sovits.servers else checks


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


async def _voices(section: Mapping[str, Any], type: str, name: str, server_dir: Path) -> list[Check]:
    """Check the servers and roles of the section, then say one sentence as the door does."""
    try:
        settings = door_settings(section, server_dir, _APIS[type])
        if not written_addresses(settings.gpt_sovits):
            step = (
                f"在 data/.config.yaml 的 TTS.{name} 里写 url: http://192.168.1.9:9880/tts（你的 GPT-SoVITS）"
            )
            return [Check("error", f"设置 {name}", "没有写 GPT-SoVITS 的地址", step)]
        # With the API found out by itself, a server of the other kind is told by its kind.
        free = settings.gpt_sovits.model_copy(update={"api": "auto"})
        checks, apis = await check_roles(settings.model_copy(update={"gpt_sovits": free}))
    except PersonaError as exc:
        return [failed(f"设置 {name}", exc)]
    if apis and _APIS[type] not in apis:
        seen = "api_v2.py" if "v2" in apis else "api.py"
        step = f"在 data/.config.yaml 的 TTS.{name} 里写 type: {_TYPES[min(apis)]}"
        checks.append(Check("error", f"设置 {name}", f"type 是 {type}，而服务器是 {seen}", step))
    try:
        return [*checks, await _sentence(settings)]
    except PersonaError as exc:
        return [*checks, failed("从头到尾说一句", exc)]


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
