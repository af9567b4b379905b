"""The reference clips of a role pack: which files, whose text, and how the GPT-SoVITS machine finds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.roles.clip_files import AUX_FOLDERS, FoundClip, clips_of_pack, sound_files, text_of
from xiaozhi_persona.roles.clip_names import emotion_word, is_default
from xiaozhi_persona.roles.files import inside
from xiaozhi_persona.roles.languages import language_of
from xiaozhi_persona.roles.pack import ClipEntry, RoleSheet
from xiaozhi_persona.spine import Reference
from xiaozhi_persona.text.emotions import Emotion, EmotionNames


@dataclass(frozen=True)
class RoleClip:
    """One reference clip of a role."""

    name: str
    """The emotion as the pack names it, "" for the default reference."""
    emotion: Emotion | None
    file: Path | None
    """Where it lies here, None when only the GPT-SoVITS machine has it."""
    reference: Reference
    aux_files: tuple[Path, ...] = ()


def find_clips(folder: Path, sheet: RoleSheet, names: EmotionNames) -> tuple[RoleClip, ...]:
    """Return the clips that role.yaml lists, then those that lie in the pack as clip_files.py knows them, by name.

    Raises SettingsError for a listed file that is not there.
    """
    listed = [(name, entry) for name, entries in sheet.references.items() for entry in entries]
    claimed = {inside(file) for _, entry in listed for file in (entry.file, *entry.aux) if file}
    found = clips_of_pack(folder, names, (sheet.name,), takes_loose=not claimed)
    lying = {clip.file: clip for clip in found.clips}
    clips = [_listed(folder, sheet, names, name, entry, lying) for name, entry in listed]
    for file, clip in lying.items():
        if PurePosixPath(file.relative_to(folder).as_posix()) not in claimed:
            entry = ClipEntry(text=clip.text, language=clip.language)
            clips.append(_clip(folder, sheet, names, clip.emotion, entry, file))
    return tuple(clips)


def server_path(folder: Path, file: Path, server_dir: str) -> str:
    """Return how the GPT-SoVITS machine sees a file of a pack that lies at `server_dir` there, "" for here."""
    if not server_dir:
        return str(file.absolute())
    windows = "\\" in server_dir or (len(server_dir) > 1 and server_dir[1] == ":" and "/" not in server_dir)
    separator = "\\" if windows else "/"
    return separator.join([server_dir.rstrip("\\/"), *file.relative_to(folder).parts])


def _listed(
    folder: Path,
    sheet: RoleSheet,
    names: EmotionNames,
    key: str,
    entry: ClipEntry,
    lying: Mapping[Path, FoundClip],
) -> RoleClip:
    """Return a clip of role.yaml; what it does not say is taken from where the file lies."""
    name = key if names.get(key) or is_default(key) else emotion_word(key, names) or key
    name = "" if is_default(name) else name
    if bool(entry.file) == bool(entry.server_path):
        raise SettingsError(
            tr(
                "{value}：references.{value2} 的每一项要写 file 或 server_path，二选一。",
                value=folder / "role.yaml",
                value2=name or "default",
            )
        )
    if entry.server_path:
        return _clip(folder, sheet, names, name, entry, None)
    file = _existing(folder, entry.file)
    if not entry.text:
        found = lying.get(file) or FoundClip(file, "", text_of(file, names))
        entry = entry.model_copy(update={"text": found.text, "language": entry.language or found.language})
    return _clip(folder, sheet, names, name, entry, file)


def _clip(
    folder: Path, sheet: RoleSheet, names: EmotionNames, name: str, entry: ClipEntry, file: Path | None
) -> RoleClip:
    emotion = (names.get(name) or names.read(name) or Emotion(name, "neutral")) if name else None
    aux = [_existing(folder, text) for text in entry.aux]
    path = server_path(folder, file, sheet.server_dir) if file else entry.server_path
    aux = aux or (_aux_files(folder, file) if file else [])
    aux_paths = [server_path(folder, item, sheet.server_dir) for item in aux] + entry.server_aux
    language = entry.language or sheet.reference_language or language_of(entry.text)
    reference = Reference(path, entry.text, language, tuple(aux_paths))
    return RoleClip(name, emotion, file, reference, tuple(aux))


def _existing(folder: Path, text: str) -> Path:
    file = folder / (inside(text) or "")
    if not file.is_file():
        raise SettingsError(
            tr(
                "{value} 写的参考音频 {value2} 不在角色包里。放进去，或删去这一项。",
                value=folder / "role.yaml",
                value2=text,
            )
        )
    return file


def _aux_files(folder: Path, file: Path) -> list[Path]:
    """Return the auxiliary references of the clip's own folder, then those for the whole role."""
    parents = dict.fromkeys([file.parent, folder / "refs"])
    return [aux for parent in parents for name in AUX_FOLDERS for aux in sound_files(parent / name)]
