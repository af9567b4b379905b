"""Mends the reference clips of a role: a copy of its pack with clips that a GPT-SoVITS server takes."""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import yaml

from xiaozhi_persona.audio.resample import resample
from xiaozhi_persona.audio.wav import write_wav
from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.roles.cutting import MAX_S, MIN_S
from xiaozhi_persona.roles.files import inside, new_folder, read_yaml
from xiaozhi_persona.roles.references import RoleClip
from xiaozhi_persona.roles.role import Role
from xiaozhi_persona.roles.scoring import MAX_SAMPLES_16K, MIN_SAMPLES_16K, syllables
from xiaozhi_persona.roles.sound import ClipSound, read_clip
from xiaozhi_persona.spine import Samples, SpeechRecognizer

MAX_RATE_HZ, MIN_RATE_HZ = 32000, 16000
"""GPT-SoVITS works at 32 kHz and less; higher rates gain nothing."""

_MARGIN_S = 0.15
_LEAST_SPEECH_S = 1.5
_LEVEL_DBFS, _QUIET_DBFS, _PEAK_DBFS = -20.0, -30.0, -1.0
_LINKED_BYTES = 8 << 20


@dataclass
class Mended:
    """What was done to one clip; `problem` tells what is left for its owner to do."""

    where: str
    done: list[str] = field(default_factory=list)
    problem: str = ""


async def fix_role(
    role: Role, roles_dir: Path, name: str, recognizer: SpeechRecognizer | None = None
) -> tuple[Path | None, list[Mended]]:
    """Write a mended copy of the role's pack as `roles_dir`/`name`; the originals stay as they are.

    Clips are cut to 3 to 10 s, made mono, 16 bit and 32 kHz at most, and loud enough. `recognizer` writes missing
    texts, and those of clips that lost a part of their speech. Returns the new folder, None where there was nothing to
    do, and what was done to each clip. Raises SettingsError when nothing can be written, ServiceError from the recognizer.
    """
    mended = []
    with contextlib.suppress(_NothingDone), new_folder(roles_dir, name) as folder:
        shutil.copytree(role.folder, folder, dirs_exist_ok=True, copy_function=_link_or_copy)
        for clip in role.clips:
            mended.append(await _fix_clip(clip, role, folder, recognizer))
        if not any(item.done for item in mended):
            raise _NothingDone
    if not any(item.done for item in mended):
        return None, mended
    if role.sheet.server_dir:
        told = tr(
            "server_dir 还是 {server_dir}：把新角色包复制到那里，或改 server_dir",
            server_dir=role.sheet.server_dir,
        )
        mended.append(Mended("role.yaml", problem=told))
    return roles_dir / name, mended


class _NothingDone(Exception):
    """Ends the making of a copy that would be the same as the original."""


async def _fix_clip(clip: RoleClip, role: Role, folder: Path, recognizer: SpeechRecognizer | None) -> Mended:
    if clip.file is None:
        return Mended(clip.reference.path, problem=tr("文件在 GPT-SoVITS 的机器上，这里改不了"))
    path = clip.file.relative_to(role.folder)
    result = Mended(path.as_posix())
    mended_path = path.with_suffix(".wav") if path.suffix.lower() != ".wav" else path
    try:
        original = read_clip(clip.file)
    except SettingsError as exc:
        result.problem = str(exc)
        return result
    sound, lost = _fitted(original, result)
    if sound is None:
        return result
    if mended_path != path and (folder / mended_path).exists():
        result.problem = tr("旁边已经有 {file}，没有转成 WAV。删去一个", file=mended_path.name)
        return result
    if mended_path != path:
        result.done.append(tr("转成 WAV"))
    samples, rate_hz = converted(sound, result.done)
    if result.done:
        (folder / path).unlink()
        write_wav(folder / mended_path, samples, rate_hz)
    text = clip.reference.text
    if mended_path != path:
        _set_text(folder, path, text, mended_path)
    if lost or not syllables(text):
        text = (await recognizer.transcribe(resample(samples, rate_hz, 16000))).text if recognizer else ""
        if text:
            result.done.append(tr("听写了文字"))
        else:
            left = (
                tr("原来的文字是“{value}”，留下说到的部分，", value=clip.reference.text)
                if clip.reference.text
                else ""
            )
            result.problem = tr(
                "要补文字：{left}写进同名的 .txt。在设置里配好 asr.model，roles fix 就能听写", left=left
            )
        if result.done:
            _set_text(folder, mended_path, text, mended_path)
    return result


def _fitted(sound: ClipSound, result: Mended) -> tuple[ClipSound | None, bool]:
    """Return the sound with 3 to 10 s, and whether speech was cut off; None for too little speech."""
    begin, end = sound.speech_s
    if end - begin < _LEAST_SPEECH_S:
        result.problem = tr("说话只有 {value:.1f} 秒，补不出 3 秒。请换一段录音", value=end - begin)
        return None, False
    first, last = max(0.0, begin - _MARGIN_S), min(sound.seconds, end + _MARGIN_S)
    if last - first < MIN_S:  # keep as much of the silence around as is needed
        first = max(0.0, last - MIN_S)
        last = min(sound.seconds, first + MIN_S)
    lost = False
    if last - first > MAX_S and _samples_16k(sound, first, last) > MAX_SAMPLES_16K:
        pauses = [at for at in sound.pauses_s() if first + MIN_S <= at <= first + MAX_S]
        last, lost = (pauses[-1] if pauses else first + MAX_S), True
        result.done.append(
            tr("从 {seconds:.1f} 秒剪到 {value:.1f} 秒", seconds=sound.seconds, value=last - first)
        )
    elif first > 0.5 or sound.seconds - last > 0.5 or sound.samples_at_16k > MAX_SAMPLES_16K:
        result.done.append(tr("剪去两头没有声音的部分"))
    else:
        first, last = 0.0, sound.seconds
    sound = sound.cut(first, last)
    if sound.samples_at_16k < MIN_SAMPLES_16K:
        missing = round(MIN_S * sound.sample_rate_hz) - len(sound.samples)
        sound = replace(sound, samples=np.pad(sound.samples, (0, missing)))
        result.done.append(tr("在结尾补静音到 {seconds:.1f} 秒", seconds=sound.seconds))
    return sound, lost


def converted(sound: ClipSound, done: list[str]) -> tuple[Samples, int]:
    """Return 16-bit samples, loud enough, at a rate that GPT-SoVITS works with; what that took is added to `done`."""
    gain_db = min(_LEVEL_DBFS - sound.level_dbfs, _PEAK_DBFS - sound.peak_dbfs)
    if sound.level_dbfs < _QUIET_DBFS and gain_db > 1:
        sound = replace(sound, samples=sound.samples * np.float32(10 ** (gain_db / 20)))
        done.append(tr("调大 {gain_db:.0f} dB", gain_db=gain_db))
    if (sound.channels, sound.bits) != (1, 16):
        done.append(tr("改成单声道 16 位"))
    samples = np.clip(np.round(sound.samples * 32768), -32768, 32767).astype(np.int16)
    rate_hz = min(max(sound.sample_rate_hz, MIN_RATE_HZ), MAX_RATE_HZ)
    if rate_hz != sound.sample_rate_hz:
        done.append(
            tr("采样率 {sample_rate_hz} 改为 {rate_hz}", sample_rate_hz=sound.sample_rate_hz, rate_hz=rate_hz)
        )
    return resample(samples, sound.sample_rate_hz, rate_hz), rate_hz


def _set_text(folder: Path, path: Path, text: str, mended: Path) -> None:
    """Write the text beside the clip, or where role.yaml has it, which names the `mended` file from then on."""
    sheet = read_yaml(folder / "role.yaml")
    entries = [entry for entries in (sheet.get("references") or {}).values() for entry in entries or ()]
    listed = [entry for entry in entries if inside(entry.get("file") or "") == inside(path.as_posix())]
    for entry in listed:
        entry |= {"file": mended.as_posix(), "text": text}
    for aux in (entry.get("aux") or [] for entry in entries):
        aux[:] = [mended.as_posix() if inside(file) == inside(path.as_posix()) else file for file in aux]
    if listed:
        dumped = yaml.safe_dump(sheet, allow_unicode=True, sort_keys=False)
        (folder / "role.yaml").write_text(dumped, encoding="utf-8")
    else:
        (folder / mended).with_suffix(".txt").write_text(text + "\n", encoding="utf-8")


def _samples_16k(sound: ClipSound, first: float, last: float) -> int:
    return sound.cut(first, last).samples_at_16k


def _link_or_copy(source: str, target: str) -> str:
    """Copy a file; a model is linked instead where that is possible."""
    if os.path.getsize(source) > _LINKED_BYTES:
        with contextlib.suppress(OSError):
            os.link(os.path.realpath(source), target)
            return target
    return shutil.copyfile(source, target)
