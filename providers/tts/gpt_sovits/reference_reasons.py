"""Why a GPT-SoVITS server could not speak with a reference clip: its words, and what is known of the clip here."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re

import httpx

from xiaozhi_persona.checks import failed
from xiaozhi_persona.errors import ServiceError, SettingsError, own_command
from xiaozhi_persona.language import tr
from xiaozhi_persona.providers.tts.failures import CutOff
from xiaozhi_persona.providers.tts.gpt_sovits.utterance import Utterance
from xiaozhi_persona.roles.references import RoleClip
from xiaozhi_persona.roles.role import Role
from xiaozhi_persona.roles.scoring import MAX_SAMPLES_16K, MIN_SAMPLES_16K
from xiaozhi_persona.roles.sound import read_clip

_WINDOWS = re.compile(r"[A-Za-z]:|\\\\")


def reason_of(
    problem: ServiceError, clip: RoleClip | None, utterance: Utterance, role: Role, url: str, api: str
) -> tuple[str, str]:
    """Return why a server cannot use a reference, and the next step: what we know here explains its words."""
    text = str(problem)
    if utterance.ref_audio_path and not utterance.prompt_text and (api == "v1" or "prompt_text" in text):
        step = tr("把它说的话写进同名的 .txt，或运行 {command}", command=own_command(f"roles fix {role.id}"))
        return tr("没有文字，api.py 和 v3、v4 的模型都要有"), step
    is_missing = " not exists" in text
    is_seen = _is_here(httpx.URL(url).host) and os.path.isfile(utterance.ref_audio_path)
    if is_missing or (api == "v1" and isinstance(problem, CutOff) and not is_seen):
        found = tr("服务器上没有这个文件") if is_missing else tr("没有给出声音，多半是服务器上没有这个文件")
        return found, _path_step(utterance.ref_audio_path, clip, role, url)
    if is_seen and api == "v1" and isinstance(problem, CutOff):
        step = tr(
            "多半不是能读的音频：转换成 WAV，或看它窗口里的报错；再运行 {command}",
            command=own_command(f"roles check {role.id}"),
        )
        return tr("文件在，但没有给出声音"), step
    check = failed("", problem)
    return check.found, check.step


def length_reason(clip: RoleClip | None, role: Role, api: str) -> tuple[str, str] | None:
    """Return why a clip that is here is too short or too long for a server, and the next step; None when it fits."""
    seconds = _seconds_outside(clip) if api == "v2" else 0.0  # api.py takes any length
    if not seconds:
        return None
    found = tr("{seconds:.2f} 秒，api_v2.py 只收 3 到 10 秒", seconds=seconds)
    return found, tr("运行 {command}", command=own_command(f"roles fix {role.id}"))


def clip_name(clip: RoleClip, role: Role) -> str:
    """Return a clip as a path in its pack, or as the server's."""
    return clip.file.relative_to(role.folder).as_posix() if clip.file else clip.reference.path


def _path_step(path: str, clip: RoleClip | None, role: Role, url: str) -> str:
    is_windows = bool(_WINDOWS.match(path))
    is_relative = not is_windows and not path.startswith("/")
    if _is_here(httpx.URL(url).host) and is_windows != (os.name == "nt") and not is_relative:
        system, here = ("Windows", tr("Linux 或 macOS")) if is_windows else ("Linux", "Windows")
        return tr(
            "{path} 是 {system} 的路径，而服务器就在这台 {here} 机器上：删去 gpt_sovits.server_dirs.{id}（或 role.yaml 的 server_dir）。",
            path=path,
            system=system,
            here=here,
            id=role.id,
        )
    if clip and clip.file and not role.sheet.server_dir:
        return tr(
            "{path} 是这台机器上的路径。运行 {command}，照它说的解压到服务器。",
            path=path,
            command=own_command(f"voices send {role.id}"),
        )
    if clip and clip.file:
        return tr(
            "问的是 {path}：再运行 {command}，核对解压的地方。",
            path=path,
            command=own_command(f"voices send {role.id}"),
        )
    if is_relative:
        return tr("{path} 是相对路径，从服务器的文件夹算起；改成完整的路径。", path=path)
    return tr("核对 {path}，它要是 GPT-SoVITS 那台机器上的路径。", path=path)


def _seconds_outside(clip: RoleClip | None) -> float:
    """Return the length of a clip that is here and not of 3 to 10 s, else 0."""
    try:
        sound = read_clip(clip.file) if clip and clip.file and clip.file.suffix.lower() == ".wav" else None
    except SettingsError:
        return 0.0
    if sound is None or MIN_SAMPLES_16K <= sound.samples_at_16k <= MAX_SAMPLES_16K:
        return 0.0
    return sound.seconds


def _is_here(host: str) -> bool:
    """Whether a host name or address is this machine's own."""
    if host == "localhost":
        return True
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(host).is_loopback:
            return True
    with contextlib.suppress(ImportError):
        from xiaozhi_persona.lan import lan_addresses

        return host in {address.ip for address in lan_addresses()}
    return False
