"""Recordings in the folders that people have: which are references, for which feeling, and what is said in them.

One reader for packs, imports and checks. Known layouts: a folder for each feeling, at any depth (CABM's
refAudio/<name>/<feeling>/), files that begin with the feeling (SillyTavern's reference_audios/<language>/emotions/
happy_你好.wav), and loose files. The folder's name decides; where the files of one folder name several feelings, theirs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.roles.clip_names import emotion_word, is_default, read_name, sentence
from xiaozhi_persona.roles.clip_texts import SOUND_SUFFIXES, ClipTexts, Written, in_folder
from xiaozhi_persona.roles.languages import language_code
from xiaozhi_persona.text.emotions import EmotionNames

AUX_FOLDERS = ("aux_refs", "aux")
"""Folders of auxiliary references. Windows has no folder named aux, so ours are named aux_refs."""

MAX_FILES, MAX_FOLDERS, MAX_DEPTH = 5000, 2000, 6
"""How many recordings of one folder are looked at, in how many folders, and how deep."""

_REFERENCE_FOLDERS = frozenset(
    "refs ref refaudio refaudios referenceaudio referenceaudios references reference refwav refwavs refvoice promptaudio "
    "goodref 参考音频 参考 參考音頻 参考语音 情感参考 情绪参考 多情感 参考音频集".split()
)
_CONTAINERS = _REFERENCE_FOLDERS | frozenset(
    "main 主要 原声 emotions emotion emo audio audios wav wavs voice voices sound sounds clips clip samples speech prompt "
    "prompts tts gptsovits 音频 语音 声音 情感 情绪 感情 表情 录音 样本 素材 干声 音声 ボイス".split()
)
_NOT_REFERENCES = frozenset(
    "auxrefs aux lore bert cache output outputs tmp temp logs macosx avatar images backup bak old unused trash 备份 旧 旧的 "
    "不用 弃用 废弃 回收站".split()
)


_OF_A_ROLE = (".list", ".lab", ".ckpt", ".pth")
"""Files that lie beside what they belong to."""


@dataclass(frozen=True)
class FoundClip:
    """A recording that is a reference."""

    file: Path
    emotion: str
    """The feeling as its folder or file names it, "" for the default reference."""
    text: str = ""
    language: str = ""


@dataclass
class FoundClips:
    """The recordings below a folder."""

    clips: list[FoundClip] = field(default_factory=list)
    links_out: list[Path] = field(default_factory=list)
    """Links to places outside the folder, which were not followed."""
    problems: list[SettingsError] = field(default_factory=list)
    """Texts that could not be read."""


def clips_of_pack(
    folder: Path,
    names: EmotionNames,
    known: tuple[str, ...] = (),
    is_foreign: bool = False,
    takes_loose: bool = True,
) -> FoundClips:
    """Return the references of a pack: those in refs/ and its like.

    Where there are none, and `takes_loose`, those that lie loose or in a feeling's folder. `known` are names that are
    no feeling: the role's. In a foreign pack links that lead out are not followed, and texts that cannot be read are
    told. Raises SettingsError for such a text in a pack of our own.
    """
    read = _Reader(folder, names, frozenset(map(_plain, (*known, folder.name))), is_foreign)
    for root in _folders(folder, read):
        if _plain(root.name) in _REFERENCE_FOLDERS:
            read.below(root, takes_unknown=True)
    if takes_loose and not read.found.clips:
        read.seen.clear()
        read.below(folder, takes_unknown=False)
    return read.found


def clips_below(folder: Path, names: EmotionNames, known: tuple[str, ...], base: Path) -> FoundClips:
    """Return every recording below a folder of a foreign pack, that lies at `base`, as a reference."""
    read = _Reader(base, names, frozenset(map(_plain, (*known, folder.name))), is_foreign=True)
    read.below(folder, takes_unknown=True)
    return read.found


def text_of(file: Path, names: EmotionNames) -> str:
    """Return what is said in one recording. Raises SettingsError for a text that cannot be read."""
    written = ClipTexts(file.parent, names).of(file)
    return written.text if written and written.text else read_name(file.stem, names)[1]


def sound_files(folder: Path) -> list[Path]:
    """Return the sound files directly in a folder, by name; none when there is no such folder."""
    return [file for file in in_folder(folder) if file.suffix.lower() in SOUND_SUFFIXES and file.is_file()]


def all_sounds(folder: Path) -> list[Path]:
    """Return the sound files in a folder and below it, without auxiliary references."""
    read = _Reader(folder, EmotionNames({}), frozenset(), is_foreign=False)
    return [file for _, files in read.walk(folder) for file in files]


def unwrapped(folder: Path, names: EmotionNames) -> Path:
    """Return the folder of a role that another one only wraps, as archives unpack to `流萤语音包/流萤/`; else the same."""
    for _ in range(MAX_DEPTH):
        entries = in_folder(folder)
        inner = [path for path in entries if path.is_dir() and _plain(path.name) not in _NOT_REFERENCES]
        is_role = any(path.suffix.lower() in (*SOUND_SUFFIXES, *_OF_A_ROLE) for path in entries)
        if is_role or len(inner) != 1 or inner[0].is_symlink():
            break
        name = inner[0].name
        is_part = _plain(name) in _CONTAINERS or is_default(name) or language_code(name)
        if is_part or emotion_word(name, names):
            break
        folder = inner[0]
    return folder


@dataclass
class _Reader:
    base: Path
    names: EmotionNames
    known: frozenset[str]
    is_foreign: bool
    found: FoundClips = field(default_factory=FoundClips)
    seen: set[Path] = field(default_factory=set)
    """The real folders that were looked at: links may lead in circles."""

    def below(self, root: Path, takes_unknown: bool) -> None:
        """Add what lies below a folder; `takes_unknown`: a folder named after no feeling we know is one of the role's."""
        texts = ClipTexts(root, self.names)
        folders = [(folder, files, self._told(files)) for folder, files in self.walk(root)]
        holders = {
            above
            for folder, _, told in folders
            if any(word for word, _ in told.values()) or self._of_folders(folder, root)[0]
            for above in (folder, *folder.parents)
        }
        for folder, files, told in folders:
            feeling, own, language = self._of_folders(folder, root)
            is_own = own is not None and own not in holders
            if is_own and not takes_unknown:
                continue
            kinds = {self.names.get(word) for word, _ in told.values() if word and not is_default(word)}
            for file in files:
                word, text = told[file]
                if feeling and not word:  # in the folder of a feeling a short name is what is said too
                    text = text or sentence(file.stem, least_letters=2)
                written = self._written(texts, file) or Written("")
                emotion = word if word and (len(kinds) > 1 or not feeling) else feeling
                emotion = emotion or written.emotion or (own.name if own and is_own else "")
                said = written.text or ("" if _plain(text) in self.known | {_plain(folder.name)} else text)
                emotion = "" if is_default(emotion) else emotion
                self.found.clips.append(FoundClip(file, emotion, said, written.language or language))
        self.found.problems += texts.unread

    def walk(self, folder: Path, depth: int = 0) -> Iterator[tuple[Path, list[Path]]]:
        """Yield each folder with its recordings, by name."""
        if (real := folder.resolve()) in self.seen or len(self.seen) >= MAX_FOLDERS:
            return
        self.seen.add(real)
        files = [file for file in sound_files(folder) if not self.leads_out(file)]
        if files:
            yield folder, files[:MAX_FILES]
        for inner in _folders(folder, self) if depth < MAX_DEPTH else ():
            yield from self.walk(inner, depth + 1)

    def leads_out(self, path: Path) -> bool:
        """Whether a path of a foreign pack is a link out of it, which is told."""
        if not self.is_foreign or path.resolve().is_relative_to(self.base.resolve()):
            return False
        self.found.links_out.append(path)
        return True

    def _told(self, files: list[Path]) -> dict[Path, tuple[str, str]]:
        return {file: read_name(file.stem, self.names) for file in files}

    def _written(self, texts: ClipTexts, file: Path) -> Written | None:
        try:
            return texts.of(file)
        except SettingsError as exc:
            if not self.is_foreign:
                raise
            self.found.problems.append(exc)
            return None

    def _of_folders(self, folder: Path, root: Path) -> tuple[str, Path | None, str]:
        """Return the feeling that the folders name, else the one that may be the role's own; and the language."""
        feeling, own, language = "", None, ""
        for inner in reversed([folder, *folder.parents]):
            if root not in inner.parents:
                continue
            if _plain(inner.name) in self.known:
                continue
            if code := language_code(inner.name):
                language = code
            elif word := emotion_word(inner.name, self.names):
                feeling, own = word, None
            elif _plain(inner.name) not in _CONTAINERS and any(map(str.isalpha, inner.name)):
                own = None if feeling else inner
        return feeling, own, language


def _folders(folder: Path, read: _Reader) -> list[Path]:
    """Return the folders in a folder that may hold references."""
    inner = [path for path in in_folder(folder) if path.is_dir() and _plain(path.name) not in _NOT_REFERENCES]
    return [path for path in inner if not read.leads_out(path)]


def _plain(name: str) -> str:
    return "".join(name.casefold().replace("_", "").replace("-", "").split())
