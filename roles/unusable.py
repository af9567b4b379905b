"""What a pack holds that nothing can be made of: recordings that are no references, and settings that servers refuse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.roles.clip_files import all_sounds
from xiaozhi_persona.roles.role import Role
from xiaozhi_persona.roles.voice_parameters import read_parameters

_SIGNATURES = {
    ".flac": (b"fLaC",),
    ".ogg": (b"OggS",),
    ".opus": (b"OggS",),
    ".mp3": (b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b"\xff\xfa", b"\xff\xe3"),
    ".aac": (b"\xff\xf1", b"\xff\xf9", b"ID3"),
}
"""How files begin. Those of .m4a hold `ftyp` at 4."""

Told = tuple[Literal["error", "warning"], str, str]
"""Level, place and message."""


def unusable(role: Role) -> Iterator[Told]:
    """Yield what is wrong with a role's parameters, one by one, and which of its recordings nothing uses."""
    for key, value in role.sheet.parameters.items():
        try:
            read_parameters({key: value}, "parameters")
        except SettingsError as exc:
            yield "error", f"parameters.{key}", str(exc)
    used = {file for clip in role.clips for file in (clip.file, *clip.aux_files) if file}
    unused = [file for file in all_sounds(role.folder) if file not in used]
    if not unused:
        return
    names = tr("、").join(file.relative_to(role.folder).as_posix() for file in unused[:3])
    count = len(unused)
    if role.clips:
        told = tr("有 {count} 个音频没有用到：{names}。要用就放进 refs/感情/", count=count, names=names)
        yield "warning", "refs", told
    else:
        told = tr(
            "有 {count} 个音频，一个都没有用到：{names}。放进 refs/感情/，或把文件名改成 感情_说的话.wav",
            count=count,
            names=names,
        )
        yield "error", "refs", told


def compressed_problem(file: Path) -> str:
    """Return why a server cannot use a recording that is no WAV and cannot be read here, "" for one that it may read."""
    try:
        with file.open("rb") as data:
            start = data.read(16)
    except OSError as exc:
        return tr("读不了 {file}（{strerror}）。请检查路径和权限。", file=file, strerror=exc.strerror)
    known = _SIGNATURES.get(file.suffix.lower(), ())
    if not (start[4:8] == b"ftyp" if file.suffix.lower() == ".m4a" else start.startswith(known)):
        return tr("内容不是 {suffix} 的声音，服务器读不了。请换一段，或重新导出", suffix=file.suffix)
    if file.suffix.lower() in (".m4a", ".aac"):
        return ""  # libsndfile does not read them
    return tr("读不出声音，可能坏了。可转换：ffmpeg -i 原文件 -ac 1 新文件.wav")
