"""The words that lie beside recordings: a text file each, or a list for many, as GPT-SoVITS and others write them.

A list has a line for each recording: `path|speaker|LANG|text` (GPT-SoVITS's .list), fewer fields, or the file's name and
its text between a tab, a colon or a comma. Every encoding of text_files.py is read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.roles.clip_names import without_tag
from xiaozhi_persona.roles.languages import language_code
from xiaozhi_persona.text.emotions import EmotionNames
from xiaozhi_persona.text_files import read_text

SOUND_SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".m4a", ".aac", ".opus")
"""What GPT-SoVITS reads through ffmpeg. What is no WAV is checked and mended here where open_recording() reads it."""

_BESIDE = (".txt", ".lab", ".normalized.txt", ".text")
_LISTS = (".list", ".txt", ".csv", ".tsv", ".lst")
_MAX_TEXT_BYTES, _MAX_LIST_BYTES, _MAX_LISTS = 64 << 10, 8 << 20, 20
_LONGEST_LINE = 4000
_BARE_NAME = re.compile(r"[\w.\-]{1,80}")
_NAMED = re.compile(
    rf"\s*[\"']?([^|\t\"']{{1,200}}?(?:{'|'.join(map(re.escape, SOUND_SUFFIXES))}))[\"']?\s*(?:[,，:：=]|\s)\s*(.+)",
    re.IGNORECASE,
)
_QUOTES = ("“”", '""', "''", "「」", "『』", "‘’")


@dataclass(frozen=True)
class Written:
    """What is written about a recording; "" for what is not told."""

    text: str
    language: str = ""
    emotion: str = ""


class ClipTexts:
    """The texts beside the recordings below one folder."""

    def __init__(self, root: Path, names: EmotionNames) -> None:
        """`names` tell the feeling that a text begins with, as in `【高兴】太好啦`."""
        self._root = root
        self._names = names
        self._listings: dict[Path, dict[str, Path]] = {}
        self._lists: dict[Path, dict[str, Written]] = {}
        self.unread: list[SettingsError] = []
        """Lists that could not be read."""

    def of(self, file: Path) -> Written | None:
        """Return what is written about a recording: in a text of its own, else in a list in its folder or above.

        Raises SettingsError for a text of its own that cannot be read.
        """
        listing = self._listing(file.parent)
        for name in (file.stem, file.name):
            for suffix in _BESIDE:
                beside = listing.get((name + suffix).casefold())
                if beside and beside.stat().st_size <= _MAX_TEXT_BYTES:
                    return self._cleaned(read_text(beside), file)
        for folder in self._folders_up(file.parent):
            entries = self._entries(folder)
            found = entries.get(file.name.casefold()) or entries.get(file.stem.casefold())
            if found:
                return found
        return None

    def _folders_up(self, folder: Path) -> list[Path]:
        inside = [folder, *folder.parents]
        return inside[: inside.index(self._root) + 1] if self._root in inside else [folder]

    def _listing(self, folder: Path) -> dict[str, Path]:
        if folder not in self._listings:
            texts = (".txt", ".lab", ".text", *_LISTS)
            self._listings[folder] = {
                file.name.casefold(): file
                for file in in_folder(folder)
                if file.suffix.casefold() in texts and file.is_file()
            }
        return self._listings[folder]

    def _entries(self, folder: Path) -> dict[str, Written]:
        if folder not in self._lists:
            found: dict[str, Written] = {}
            lists = [file for file in self._listing(folder).values() if file.suffix.casefold() in _LISTS]
            for file in sorted(lists, key=lambda file: file.suffix.casefold() != ".list")[:_MAX_LISTS]:
                if file.stat().st_size <= _MAX_LIST_BYTES:
                    self._read_list(file, found)
            self._lists[folder] = found
        return self._lists[folder]

    def _read_list(self, file: Path, found: dict[str, Written]) -> None:
        try:
            lines = read_text(file).splitlines()
        except SettingsError as exc:
            self.unread.append(exc)
            return
        for line in lines:
            if entry := _entry(line):
                name, text, language = entry
                emotion, said = without_tag(_plain(text), self._names)
                found.setdefault(name.casefold(), Written(said, language, emotion))

    def _cleaned(self, text: str, file: Path) -> Written:
        """Return the words of a recording's own text, which may be a line of a list."""
        language = ""
        entries = [entry for line in text.splitlines() if (entry := _entry(line))]
        own = [
            entry for entry in entries if entry[0].casefold() in (file.name.casefold(), file.stem.casefold())
        ]
        is_line = len(entries) == 1 and len(text.strip().splitlines()) == 1
        if own or (is_line and (text.count("|") > 1 or entries[0][0].casefold().endswith(SOUND_SUFFIXES))):
            _, text, language = (own or entries)[0]
        emotion, said = without_tag(_plain(text), self._names)
        return Written(said, language, emotion)


def in_folder(folder: Path) -> list[Path]:
    """Return what lies in a folder, by name, without what is hidden; nothing of a folder that cannot be read."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError:
        return []


def _entry(line: str) -> tuple[str, str, str] | None:
    """Return the file's name, the text and the language of a line of a list, None for another line."""
    line = line.strip().lstrip("\ufeff")
    if len(line) > _LONGEST_LINE:
        return None
    for separator in ("|", "\t"):
        fields = [field.strip() for field in line.split(separator, 3)]
        if len(fields) < 2 or not fields[0] or len(fields[0]) > 400:
            continue
        name = PureWindowsPath(fields[0].strip("\"'")).name
        is_sound = name.casefold().endswith(SOUND_SUFFIXES)
        if not is_sound and (" " in name or len(fields) < 2 or not _BARE_NAME.fullmatch(name)):
            continue
        codes = [code for field in fields[1:-1] if (code := language_code(field))]
        return name, fields[-1].rstrip("| "), codes[-1] if codes else ""
    if match := _NAMED.fullmatch(line):
        return PureWindowsPath(match[1].strip()).name, match[2], ""
    return None


def _plain(text: str) -> str:
    line = " ".join(text.split())
    quoted = next(
        (pair for pair in _QUOTES if len(line) > 2 and line[0] == pair[0] and line[-1] == pair[1]), None
    )
    return line[1:-1].strip() if quoted else line
