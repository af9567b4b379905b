"""Checks a role pack: can a GPT-SoVITS server use each reference clip, and will it sound right."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.roles.files import inside
from xiaozhi_persona.roles.languages import language_code
from xiaozhi_persona.roles.references import RoleClip
from xiaozhi_persona.roles.role import Role
from xiaozhi_persona.roles.sound import ClipSound, read_clip
from xiaozhi_persona.roles.unusable import compressed_problem, unusable
from xiaozhi_persona.text.emotions import built_in_names

MIN_SAMPLES_16K, MAX_SAMPLES_16K = 48000, 160000
"""What api_v2 takes: 3 to 10 s at 16 kHz (GPT-SoVITS, TTS_infer_pack/TTS.py, _set_prompt_semantic)."""

_SYLLABLE = re.compile(r"[\u3041-\u3096\u30a1-\u30fa\u3400-\u9fff\uac00-\ud7a3\U00020000-\U0003ffff]")
_DIGIT = re.compile(r"\d")
_LATIN_WORD = re.compile(r"[^\W\d_\u3040-\ud7a3]+")
_MIN_RATE_HZ = 16000
_QUIET_DBFS, _LOUD_DBFS = -36.0, -6.0
_MAX_SILENCE_S = 0.5
_UNITS_PER_SECOND = (1.5, 9.5)  # syllables; slow speech to the fastest that can be understood


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
        where = _where(role, file)
        sound, findings = _read(file, where, main=False)
        findings += _sound_findings(sound, where, False)
        reports.append(ClipReport(clip, where, sound, findings, is_aux=True))
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
    if clip.file is None:
        where = clip.reference.path
        return ClipReport(clip, where, None, list(_text_findings(clip, None, where)))
    where = _where(role, clip.file)
    sound, findings = _read(clip.file, where)
    findings += _sound_findings(sound, where, True)
    findings += _text_findings(clip, sound, where)
    return ClipReport(clip, where, sound, findings)


def _read(file: Path, where: str, main: bool = True) -> tuple[ClipSound | None, list[Finding]]:
    if file.suffix.lower() != ".wav":
        if problem := compressed_problem(file, main):
            return None, [Finding("error", where, problem)]
        return None, [
            Finding("warning", where, tr("不是 WAV，没有检查。可转换：ffmpeg -i 原文件 -ac 1 新文件.wav"))
        ]
    try:
        return read_clip(file), []
    except SettingsError as exc:
        return None, [Finding("error", where, str(exc))]


def _sound_findings(sound: ClipSound | None, where: str, main: bool) -> Iterator[Finding]:
    """Yield what is wrong with the sound; the length counts for main references only."""
    if sound is None:
        return
    begin, end = sound.speech_s
    if begin == end:
        yield Finding("error", where, tr("没有声音。请换一段录音。"))
        return
    if main and sound.samples_at_16k < MIN_SAMPLES_16K:
        yield Finding(
            "error",
            where,
            tr("只有 {seconds:.3f} 秒，api_v2 要 3 到 10 秒。换一段，或 roles fix", seconds=sound.seconds),
        )
    if main and sound.samples_at_16k > MAX_SAMPLES_16K:
        yield Finding(
            "error",
            where,
            tr("有 {seconds:.3f} 秒，api_v2 要 3 到 10 秒。运行 roles fix 可剪短", seconds=sound.seconds),
        )
    if sound.sample_rate_hz < _MIN_RATE_HZ:
        yield Finding(
            "warning",
            where,
            tr(
                "采样率 {sample_rate_hz} Hz 太低，声音会发闷。最好 32000 以上",
                sample_rate_hz=sound.sample_rate_hz,
            ),
        )
    if sound.level_dbfs < _QUIET_DBFS:
        yield Finding(
            "warning",
            where,
            tr("太轻（{level_dbfs:.0f} dB）。运行 roles fix 可调大", level_dbfs=sound.level_dbfs),
        )
    if sound.level_dbfs > _LOUD_DBFS:
        yield Finding(
            "warning",
            where,
            tr("太响（{level_dbfs:.0f} dB）。换一段，或重新导出", level_dbfs=sound.level_dbfs),
        )
    if sound.clipped_runs:
        yield Finding(
            "warning",
            where,
            tr("有 {clipped_runs} 处削顶失真。换一段，或重新导出", clipped_runs=sound.clipped_runs),
        )
    for side, seconds in ((tr("开头"), begin), (tr("结尾"), sound.seconds - end)):
        if seconds > _MAX_SILENCE_S:
            yield Finding(
                "warning",
                where,
                tr("{side}有 {seconds:.1f} 秒没有声音。运行 roles fix 可剪去", side=side, seconds=seconds),
            )


def _text_findings(clip: RoleClip, sound: ClipSound | None, where: str) -> Iterator[Finding]:
    text, language = clip.reference.text, clip.reference.language
    if language and language_code(language) is None:
        yield Finding(
            "error",
            where,
            tr("语言 {language!r} 不认识。可写：{languages}", language=language, languages=_languages()),
        )
    units = syllables(text)
    if not units:
        yield Finding(
            "error", where, tr("没有文字，api.py 和 v3、v4 的模型都要有。写进同名的 .txt，或运行 roles fix")
        )
    elif sound is not None and sound.speech_s[1] > sound.speech_s[0]:
        per_second = units / (sound.speech_s[1] - sound.speech_s[0])
        least, most = _UNITS_PER_SECOND
        if not least <= per_second <= most:
            much = tr("多") if per_second > most else tr("少")
            yield Finding(
                "warning",
                where,
                tr(
                    "文字太{much}，每秒 {per_second:.1f} 个字。核对文字是否就是录音里说的",
                    much=much,
                    per_second=per_second,
                ),
            )


def syllables(text: str) -> float:
    """Return about how many syllables it takes to say a text."""
    letters = _SYLLABLE.findall(text)
    return len(letters) + len(_DIGIT.findall(text)) + 1.5 * len(_LATIN_WORD.findall(text))


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
