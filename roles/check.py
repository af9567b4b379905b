"""Checks a role pack: can a GPT-SoVITS server use each reference clip, and will it sound right."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.roles.files import inside
from xiaozhi_persona.roles.languages import language_code
from xiaozhi_persona.roles.references import RoleClip
from xiaozhi_persona.roles.role import Role
from xiaozhi_persona.roles.scoring import Flaw, judge, text_flaws
from xiaozhi_persona.roles.sound import ClipSound, read_clip
from xiaozhi_persona.roles.unusable import compressed_problem, unusable
from xiaozhi_persona.text.emotions import built_in_names


@dataclass(frozen=True)
class Finding:
    """Something that is wrong (error), or that may not sound well (warning)."""

    level: Literal["error", "warning"]
    where: str
    """The clip as a path in the pack, or the key of role.yaml."""
    message: str
    """What is wrong and what to do."""


@dataclass(frozen=True)
class ClipReport:
    """One reference clip: what was measured and what was found."""

    clip: RoleClip
    where: str
    sound: ClipSound | None
    findings: list[Finding] = field(default_factory=list)
    points: int | None = None
    """How good it is, 0 to 100; None for a sound that is not here or cannot be read."""
    is_aux: bool = False
    """Whether it is an auxiliary reference of `clip`."""


def check_role(role: Role) -> list[Finding]:
    """Return everything that was found, in the order of the clips, then what concerns the whole role."""
    return [f for report in check_clips(role) for f in report.findings] + list(check_sheet(role))


def check_clips(role: Role) -> list[ClipReport]:
    """Return a report for each reference clip and, after them, for each auxiliary one."""
    reports = [_check(clip, role) for clip in role.clips]
    aux = {file: clip for clip in role.clips for file in clip.aux_files}
    for file, clip in aux.items():
        reports.append(_judged(clip, file, _where(role, file), is_aux=True))
    return reports


def check_sheet(role: Role) -> Iterator[Finding]:
    """Yield what concerns the whole role."""
    sheet = role.sheet
    for key in ("language", "reference_language"):
        if (value := getattr(sheet, key)) and language_code(value) is None:
            yield Finding(
                "error",
                key,
                tr("语言 {value!r} 不认识。可写：{languages}", value=value, languages=_languages()),
            )
    for name in dict.fromkeys(clip.name for clip in role.clips):
        if name and name not in sheet.emotions and built_in_names().get(name) is None:
            yield Finding(
                "warning",
                name,
                tr(
                    "感情 {name} 不是内置的，表情用 neutral。在 emotions 里写 {name}: {{face: 表情}}",
                    name=name,
                ),
            )
    yield from (Finding(*found) for found in unusable(role))
    yield from _weights(role)
    if not role.clips and (sheet.gpt_weights or sheet.sovits_weights):
        yield Finding("error", "refs", tr("有权重但没有参考音频。把 3 到 10 秒的 WAV 放进 refs/感情/"))
    default_like = role.references.get(None) or any(k and k.label == "中性" for k in role.references)
    if role.clips and not default_like:
        yield Finding(
            "warning", "refs", tr("没有中性或默认的参考音频，平常的话会用别的感情来说。可加 refs/中性/")
        )


def _check(clip: RoleClip, role: Role) -> ClipReport:
    where = _where(role, clip.file) if clip.file else clip.reference.path
    language = _language_finding(clip.reference.language, where)
    if clip.file:
        report = _judged(clip, clip.file, where)
    else:
        report = ClipReport(clip, where, None, _findings(_text_flaws(clip), where))
    report.findings.extend(language)
    return report


def _judged(clip: RoleClip, file: Path, where: str, is_aux: bool = False) -> ClipReport:
    """Report on a file of a clip: its reference, or an auxiliary one."""
    sound, findings = _read(file, where)
    if sound is None:
        findings += [] if is_aux else _findings(_text_flaws(clip), where)
        return ClipReport(clip, where, None, findings, is_aux=is_aux)
    reference = clip.reference
    judgement = judge(sound, reference.text, reference.language, timbre_only=is_aux)
    return ClipReport(
        clip, where, sound, findings + _findings(judgement.flaws, where), judgement.points, is_aux
    )


def _text_flaws(clip: RoleClip) -> Iterable[Flaw]:
    return text_flaws(clip.reference.text, clip.reference.language)


def _findings(flaws: Iterable[Flaw], where: str) -> list[Finding]:
    return [Finding(flaw.level, where, flaw.message) for flaw in flaws]


def _language_finding(language: str, where: str) -> list[Finding]:
    if not language or language_code(language):
        return []
    told = tr("语言 {language!r} 不认识。可写：{languages}", language=language, languages=_languages())
    return [Finding("error", where, told)]


def _read(file: Path, where: str) -> tuple[ClipSound | None, list[Finding]]:
    try:
        return read_clip(file), []
    except SettingsError as exc:
        if file.suffix.lower() == ".wav":
            return None, [Finding("error", where, str(exc))]
    if problem := compressed_problem(file):
        return None, [Finding("error", where, problem)]
    unchecked = tr("不是 WAV，没有检查。可转换：ffmpeg -i 原文件 -ac 1 新文件.wav")
    return None, [Finding("warning", where, unchecked)]


def _weights(role: Role) -> Iterator[Finding]:
    sheet = role.sheet
    if bool(sheet.gpt_weights) != bool(sheet.sovits_weights):
        missing = "sovits_weights" if sheet.gpt_weights else "gpt_weights"
        yield Finding("warning", missing, tr("只写了一半的权重，另一半用默认的。最好两个都写"))
    for key, suffix in (("gpt_weights", ".ckpt"), ("sovits_weights", ".pth")):
        text = getattr(sheet, key)
        if not text:
            continue
        if not text.lower().endswith(suffix):
            yield Finding(
                "warning",
                key,
                tr("{value} 不是 {suffix} 文件。核对 gpt 和 sovits 有没有写反", value=text, suffix=suffix),
            )
        path = inside(text)
        local = Path(text) if Path(text).is_absolute() and not sheet.server_dir else None
        if local is not None and local.parent.is_dir() and not local.exists():
            yield Finding("error", key, tr("没有这个文件：{value}。核对文件名", value=text))
        elif path and len(path.parts) == 1 and not (role.folder / path).is_file():
            told = tr("角色包里没有 {value}，会照原样交给服务器。放进来，或写服务器上的路径", value=text)
            yield Finding("warning", key, told)


def _where(role: Role, file: Path) -> str:
    return file.relative_to(role.folder).as_posix()


def _languages() -> str:
    return tr("zh、en、ja、ko、yue、auto、中英混合 等")
