"""What an importer gathers, and the account of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.roles.clip_files import FoundClips
from xiaozhi_persona.roles.clip_names import emotion_word, is_default, without_tag
from xiaozhi_persona.roles.files import is_absolute
from xiaozhi_persona.roles.importers.foreign_files import text
from xiaozhi_persona.roles.languages import language_code
from xiaozhi_persona.roles.voice_parameters import nearest, read_parameters
from xiaozhi_persona.text.emotions import built_in_names
from xiaozhi_persona.written_paths import path_as_meant

Kind = Literal["taken", "changed", "ignored", "warning", "error"]

_LONGEST_NAME = 255  # bytes, on every file system
_MOST_CLIPS = 40
"""Of one feeling: more are a data set for training."""


@dataclass(frozen=True)
class Change:
    """One line of the account. Values of keys that were not taken are never shown: they may be secrets."""

    source: str
    """The key or file it came from."""
    kind: Kind
    target: str = ""
    """The key or file of the role pack, "" when nothing was written."""
    note: str = ""


@dataclass(frozen=True)
class DraftClip:
    """A reference clip to be. A path that is not found here stays as it is, for the GPT-SoVITS machine."""

    emotion: str
    """The tag, "" for the default reference."""
    path: str
    text: str = ""
    language: str = ""


@dataclass
class Draft:
    """A role on its way in."""

    base: Path
    """The folder where relative paths start."""
    name: str = ""
    sheet: dict[str, Any] = field(default_factory=dict)
    clips: list[DraftClip] = field(default_factory=list)
    aux: list[str] = field(default_factory=list)
    """Auxiliary references of all clips."""
    lore: list[dict[str, Any]] = field(default_factory=list)
    """Entries of the lore book: keys and text."""
    changes: list[Change] = field(default_factory=list)

    def take(self, source: str, target: str, value: Any, note: str = "", kind: Kind = "taken") -> None:
        """Put a value under a key of role.yaml (`a.b` for a key inside), and account for it; blank means not set."""
        if value is None or value == "" or value == [] or value == {}:
            return
        inner, sheet = target.split("."), self.sheet
        for key in inner[:-1]:
            sheet = sheet.setdefault(key, {})
        sheet[inner[-1]] = value
        self.tell(source, kind, target, note)

    def take_language(self, source: str, target: str, value: Any) -> None:
        """Take the name of a language as its code."""
        language = text(value)
        code = language_code({"audo": "auto"}.get(language, language)) if language else None
        if code is None:
            if language:
                self.tell(source, "error", note=tr("不认识语言 {language!r}，没有用", language=language))
        elif code == language.casefold():
            self.take(source, target, code)
        else:
            self.take(
                source, target, code, tr("{language} 改为 {code}", language=language, code=code), "changed"
            )

    def take_path(self, source: str, target: str, value: Any) -> None:
        """Take the path of a model file: beside the pack it becomes absolute, for it is not copied."""
        path = self.path(source, value)
        if not path:
            return
        here = self.base / path.replace("\\", "/")
        if not is_absolute(path) and here.is_file():
            note = tr("没有复制；GPT-SoVITS 在别的机器时改成它那里的路径")
            self.take(source, target, str(here.absolute()), note, "changed")
        elif not Path(path).is_file():
            note = tr("这里没有这个文件，路径照原样交给 GPT-SoVITS 的机器")
            self.take(source, target, path, note, "warning")
        else:
            self.take(source, target, path)

    def path(self, source: str, value: Any) -> str:
        """Return a path as it was meant, "" for none and for one that cannot be, which is told."""
        try:
            path = path_as_meant(text(value))
        except ValueError as exc:
            self.tell(source, "error", note=tr("路径不行，应为：{exc}", exc=exc))
            return ""
        if any(
            len(part.encode("utf-8", "replace")) > _LONGEST_NAME
            for part in path.replace("\\", "/").split("/")
        ):
            self.tell(source, "error", note=tr("不是路径，太长了"))
            return ""
        return path

    def add_clip(self, source: str, emotion: str, path: Any, said: Any = "", language: Any = "") -> None:
        """Add a reference; `emotion` as the other program writes it, its text perhaps with a tag before it."""
        names = built_in_names()
        found, emotion = self.path(source, path), text(emotion)
        if not found:
            return
        tag, words = without_tag(text(said), names)
        word = emotion if names.get(emotion) or is_default(emotion) else emotion_word(emotion, names)
        code = language_code(text(language)) or ""
        if text(language) and not code:
            told = tr("不认识语言 {language!r}，没有用", language=text(language))
            self.tell(source, "error", note=told)
        name = word or emotion or tag
        self.clips.append(DraftClip("" if is_default(name) else name, found, words, code))

    def add_found(self, found: FoundClips) -> None:
        """Add the references of a folder, a bounded number for each feeling, and tell what was left."""
        counts: dict[str, int] = {}
        for clip in found.clips:
            counts[clip.emotion] = counts.get(clip.emotion, 0) + 1
            if counts[clip.emotion] <= _MOST_CLIPS:
                self.clips.append(DraftClip(clip.emotion, str(clip.file), clip.text, clip.language))
        for emotion, count in counts.items():
            if count > _MOST_CLIPS:
                told = tr(
                    "有 {count} 段，只取了前 {most} 段；挑几段好的放进 refs/", count=count, most=_MOST_CLIPS
                )
                self.tell(emotion or tr("默认"), "warning", note=told)
        for link in found.links_out:
            self.tell(self.told_as(link), "warning", note=tr("是指向角色文件夹以外的链接，没有用"))
        for problem in found.problems:
            self.tell(tr("文字"), "warning", note=str(problem))

    def told_as(self, file: Path | str) -> str:
        """Return how a file is told of: within the pack by its place there."""
        path = Path(file)
        return path.relative_to(self.base).as_posix() if path.is_relative_to(self.base) else str(file)

    def tell(self, source: str, kind: Kind, target: str = "", note: str = "") -> None:
        """Account for something."""
        self.changes.append(Change(text(source), kind, target, note))

    def ignore_rest(self, data: Mapping[str, Any], known: set[str], prefix: str = "", note: str = "") -> None:
        """Account for the keys that nothing was made of."""
        for key, value in data.items():
            if key not in known and value not in (None, "", [], {}):
                self.tell(f"{prefix}{key}", "ignored", note=note or tr("不认识，没有用"))


PARAMETERS = frozenset(
    ["top_k", "top_p", "temperature", "repetition_penalty", "seed", "sample_steps", "if_sr", "super_sampling"]
    + ["text_split_method", "cut_punc", "batch_threshold", "split_bucket", "parallel_infer", "speed_factor"]
    + ["speed", "fragment_interval", "overlap_length", "min_chunk_length"]
)
"""Parameters of the two APIs that a role may set."""

_DECIDED_HERE = ("media_type", "streaming_mode", "return_fragment")


def take_parameters(draft: Draft, data: Mapping[str, Any], prefix: str) -> set[str]:
    """Take the synthesis parameters of one mapping; return the keys that were dealt with."""
    used = set()
    for key, value in data.items():
        name = key if key in PARAMETERS or key == "batch_size" else nearest(key)
        same = name.replace("_", "") == key.casefold().replace("_", "")
        if not same or (name not in PARAMETERS and name not in ("batch_size", *_DECIDED_HERE)):
            continue
        used.add(key)
        if name in _DECIDED_HERE:
            draft.tell(prefix + key, "ignored", note=tr("由 gpt_sovits 的设置决定"))
        elif name != "batch_size":
            _take_parameter(draft, prefix + key, key, name, value)
        elif text(value) not in ("", "1"):
            told = tr("{value} 改为 1：流式时大于 1 会丢句子", value=text(value)[:20])
            draft.take(prefix + key, "parameters.batch_size", 1, told, "changed")
    return used


def _take_parameter(draft: Draft, source: str, key: str, name: str, value: Any) -> None:
    if not isinstance(value, str | int | float) and value is not None:
        draft.tell(source, "error", note=tr("应是一个值，没有用"))
        return
    value = value[:200] if isinstance(value, str) else value
    try:
        read = next(iter(read_parameters({name: value}, "parameters").values()), None)
    except SettingsError as exc:
        draft.tell(source, "error", note=tr("没有用：{exc}", exc=exc))
        return
    is_same = key == name and (not isinstance(value, str) or _same(value, read))
    note = "" if is_same else tr("{value} 写作 {name}: {read}", value=value, name=name, read=read)
    draft.take(source, f"parameters.{name}", read, note, "taken" if is_same else "changed")


def _same(written: str, read: Any) -> bool:
    """Whether a value is what was written, as a number or a switch written as text is."""
    try:
        return float(written) == float(read)
    except (TypeError, ValueError):
        return written.strip().casefold() == str(read).casefold()


def reference_of(value: Any) -> tuple[str, str, str]:
    """Return path, text and language of a reference in the forms that programs keep it in; "" for what is not there.

    `[path, text]`, `{path: ..., text: ...}` with each program's own names, or the path alone.
    """
    if isinstance(value, dict):
        plain = {str(key).casefold().replace("_", ""): inner for key, inner in value.items()}

        def first(*keys: str) -> str:
            return next((found for key in keys if (found := text(plain.get(key)))), "")

        path = first(
            "refwavpath",
            "refaudiopath",
            "referwavpath",
            "refaudio",
            "path",
            "file",
            "wav",
            "audio",
            "wavpath",
            "audiopath",
        )
        said = first("prompttext", "reftext", "text", "prompt", "content")
        return path, said, first("promptlanguage", "promptlang", "reflang", "language", "lang")
    items = [text(item) for item in value] if isinstance(value, list) else [text(value)]
    items = [*items, "", "", ""]
    return items[0], items[1], items[2] if language_code(items[2]) else ""
