"""The reference clips of a role pack: which files, whose text, and how the GPT-SoVITS machine finds them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.roles.files import inside
from xiaozhi_persona.roles.pack import ClipEntry, RoleSheet
from xiaozhi_persona.spine import Reference
from xiaozhi_persona.text.emotions import Emotion, EmotionNames
from xiaozhi_persona.text_files import read_text

SOUND_SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".m4a")
"""What GPT-SoVITS reads through ffmpeg; only WAV can be checked and mended here."""

AUX_FOLDERS = ("aux_refs", "aux")
"""Folders of auxiliary references. Windows has no folder named aux, so ours are named aux_refs."""

DEFAULT_NAMES = ("default", "默认", "其他")
"""Names in the place of an emotion that stand for the voice's own neutral way."""

_SPEECH_TAG = re.compile(r"^\s*(【[^】]*】|\[[^\]]*\]|\([^)]*\)|（[^）]*）)\s*")
_KANA = re.compile(r"[\u3041-\u3096\u30a1-\u30fa]")
_HANGUL = re.compile(r"[\uac00-\ud7a3]")
_HAN = re.compile(r"[\u3400-\u9fff]")
_LATIN = re.compile("[A-Za-z]")
_LATIN_WORD = re.compile("[A-Za-z']{2,}")
_LETTERS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]")


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
    """Return the clips that role.yaml lists, then those in refs/<emotion>/, by name.

    Raises SettingsError for a listed file that is not there.
    """
    listed = [(name, entry) for name, entries in sheet.references.items() for entry in entries]
    claimed = {inside(entry.file) for _, entry in listed if entry.file}
    found = [
        (name, ClipEntry(file=path.as_posix())) for name, path in _in_folders(folder) if path not in claimed
    ]
    return tuple(_clip(folder, sheet, names, name, entry) for name, entry in listed + found)


def server_path(folder: Path, file: Path, server_dir: str) -> str:
    """Return how the GPT-SoVITS machine sees a file of a pack that lies at `server_dir` there, "" for here."""
    if not server_dir:
        return str(file.absolute())
    windows = "\\" in server_dir or (len(server_dir) > 1 and server_dir[1] == ":" and "/" not in server_dir)
    separator = "\\" if windows else "/"
    return separator.join([server_dir.rstrip("\\/"), *file.relative_to(folder).parts])


def language_of(text: str) -> str:
    """Return the language code that the letters of a text speak for, "" without letters."""
    if _KANA.search(text):
        return "ja"
    if _HANGUL.search(text):
        return "ko"
    if _HAN.search(text):
        return "zh"
    return "en" if _LATIN.search(text) else ""


def text_of_name(stem: str, least_letters: int = 4) -> str:
    """Return the text that a file is named after, "" for a name that is none, such as 001 or happy_2.

    A name in Chinese, Japanese or Korean needs `least_letters` letters, another one three words.
    """
    text = _SPEECH_TAG.sub("", stem).strip()
    words = _LATIN_WORD.findall(text) if " " in text else []
    return text if len(_LETTERS.findall(text)) >= least_letters or len(words) >= 3 else ""


def default_or(name: str) -> str:
    """Return the name of an emotion as it is kept: "" for the names of the default reference."""
    return "" if name.strip().casefold() in DEFAULT_NAMES else name


def _clip(folder: Path, sheet: RoleSheet, names: EmotionNames, name: str, entry: ClipEntry) -> RoleClip:
    name = default_or(name)
    emotion = (names.get(name) or Emotion(name, "neutral")) if name else None
    if bool(entry.file) == bool(entry.server_path):
        raise SettingsError(
            tr(
                "{value}：references.{value2} 的每一项要写 file 或 server_path，二选一。",
                value=folder / "role.yaml",
                value2=name or "default",
            )
        )
    aux = [_existing(folder, text) for text in entry.aux]
    if entry.server_path:
        file, path, text = None, entry.server_path, entry.text
    else:
        file = _existing(folder, entry.file)
        path = server_path(folder, file, sheet.server_dir)
        text = entry.text or _text_beside(file)
        aux = aux or _aux_files(folder, file)
    aux_paths = [server_path(folder, item, sheet.server_dir) for item in aux] + entry.server_aux
    language = entry.language or sheet.reference_language or language_of(text)
    return RoleClip(name, emotion, file, Reference(path, text, language, tuple(aux_paths)), tuple(aux))


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


def _in_folders(folder: Path) -> Iterator[tuple[str, PurePosixPath]]:
    """Yield (emotion, path in the pack) of the sound files directly in refs/ and in refs/<emotion>/."""
    refs = folder / "refs"
    yield from (("default", PurePosixPath("refs") / file.name) for file in sound_files(refs))
    for inner in sorted(refs.iterdir()) if refs.is_dir() else ():
        if inner.is_dir() and inner.name not in AUX_FOLDERS and not inner.name.startswith("."):
            yield from ((inner.name, PurePosixPath("refs", inner.name, f.name)) for f in sound_files(inner))


def sound_files(folder: Path) -> list[Path]:
    """Return the sound files directly in a folder, by name; none when there is no such folder."""
    if not folder.is_dir():
        return []
    return sorted(
        file
        for file in folder.iterdir()
        if file.suffix.lower() in SOUND_SUFFIXES and not file.name.startswith(".") and file.is_file()
    )


def _aux_files(folder: Path, file: Path) -> list[Path]:
    """Return the auxiliary references of the clip's own folder, then those for the whole role."""
    parents = dict.fromkeys([file.parent, folder / "refs"])
    return [aux for parent in parents for name in AUX_FOLDERS for aux in sound_files(parent / name)]


def _text_beside(file: Path) -> str:
    for suffix in (".txt", ".lab"):
        if (beside := file.with_suffix(suffix)).is_file():
            return " ".join(read_text(beside).split())
    return text_of_name(file.stem)
