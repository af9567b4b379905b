"""The role folders of CABM's GPT-SoVITS: role/<name>/config.json with refAudio/<emotion>/, file names as texts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.roles.files import inside, is_absolute
from xiaozhi_persona.roles.importers.draft import Draft, DraftClip, text
from xiaozhi_persona.roles.references import sound_files, text_of_name
from xiaozhi_persona.text.emotions import built_in_names
from xiaozhi_persona.text_files import read_text

_KNOWN = {"ref_audio", "ref_text", "ref_lang", "gpt", "sovits", "BERTmodel", "multiREF"}

# A value ends on one line and a key begins on the next, with no comma between; a comma with nothing after it.
_COMMA_MISSING = re.compile(r'(["\d\]}el])([ \t]*\r?\n\s*)(?="(?:[^"\\\n]|\\.)*"\s*:)')
_COMMA_TOO_MANY = re.compile(r",(\s*[}\]])")
_LONE_BACKSLASH = re.compile(r'\\(?!["\\/]|u[0-9a-fA-F]{4})')


def is_cabm(data: Any) -> bool:
    """Whether a JSON file is a role's config.json."""
    return isinstance(data, dict) and "ref_audio" in data


def read_json(file: Path) -> tuple[Any, list[str]]:
    """Read JSON; where it is none, mend what its guides get wrong. Returns the data and what was mended.

    Raises SettingsError when that does not help.
    """
    source = read_text(file)
    try:
        return json.loads(source), []
    except ValueError as exc:
        error = exc
    mended, done = source, []
    for pattern, put, told in (
        (_LONE_BACKSLASH, r"\\\\", tr("路径里的 \\ 写成了 \\\\")),
        (_COMMA_MISSING, r"\1,\2", tr("补上了两项之间缺的逗号")),
        (_COMMA_TOO_MANY, r"\1", tr("去掉了最后多余的逗号")),
    ):
        mended, count = pattern.subn(put, mended)
        done += [told] if count else []
    try:
        return json.loads(mended), done
    except ValueError:
        line = getattr(error, "lineno", "?")
        raise SettingsError(
            tr(
                "{file} 第 {line} 行不是有效的 JSON（{error}）。检查引号和逗号。",
                file=file,
                line=line,
                error=error,
            )
        ) from error


def read_cabm(file: Path) -> Draft:
    """Read a role's config.json and the clips around it. Raises SettingsError."""
    data, mended = read_json(file)
    if not isinstance(data, dict):
        raise SettingsError(
            tr("{file} 的最外层应是 {{...}}，得到的是 {name}。", file=file, name=type(data).__name__)
        )
    folder = file.parent.absolute()
    draft = Draft(folder, name=folder.name)
    for note in mended:
        draft.tell(file.name, "warning", note=note)
    draft.take(file.parent.name or file.name, "name", draft.name, tr("文件夹的名字"))
    language = text(data.get("ref_lang"))
    draft.take("ref_lang", "reference_language", language)
    for key, target in (("gpt", "gpt_weights"), ("sovits", "sovits_weights"), ("BERTmodel", "classifier")):
        _take_path(draft, key, target, text(data.get(key)).rstrip("/\\"))
    if path := text(data.get("ref_audio")):
        draft.clips.append(DraftClip("", path, text(data.get("ref_text")) or text_of_name(Path(path).stem)))
    if multi := text(data.get("multiREF")):
        _read_emotions(draft, multi)
    draft.ignore_rest(data, _KNOWN)
    return draft


def _take_path(draft: Draft, key: str, target: str, path: str) -> None:
    """Take the path of a model: beside config.json it becomes absolute, for it is not copied."""
    if not path:
        return
    here = draft.base / path.replace("\\", "/")
    if target == "classifier" and here.is_dir() and not (here / "config.json").is_file():
        draft.tell(key, "warning", note=tr("{path} 里没有 config.json，不是感情分类模型，没有用", path=path))
    elif not is_absolute(path) and here.exists():
        draft.take(key, target, str(here), tr("没有复制；GPT-SoVITS 在别的机器时改成它那里的路径"), "changed")
    elif target == "classifier":
        draft.tell(key, "warning", note=tr("没有找到 {path}，不用感情分类模型", path=path))
    else:
        draft.take(key, target, path, tr("这里没有这个文件，路径照原样交给 GPT-SoVITS 的机器"), "warning")


def _read_emotions(draft: Draft, multi: str) -> None:
    """Take refAudio/<emotion>/*.wav, or refAudio/<character>/<emotion>/*.wav."""
    path = inside(multi)
    root = draft.base / (path or "")
    if path is None or not root.is_dir():
        draft.tell("multiREF", "warning", note=tr("没有文件夹 {multi}，只有默认的参考音频", multi=multi))
        return
    before = len(draft.clips)
    for folder in _folders(root, draft):
        inner = _folders(folder, draft) if not sound_files(folder) else []
        for emotion in inner or [folder]:
            for file in sound_files(emotion):
                if _leads_out(file, draft):
                    continue
                said = _text_of(file)
                if not said:
                    draft.tell(str(file), "warning", note=tr("文件名不像文字，roles fix 可听写"))
                draft.clips.append(DraftClip(emotion.name, str(file), said))
    if len(draft.clips) == before:
        draft.tell("multiREF", "warning", note=tr("{multi} 里没有 感情/文字.wav", multi=multi))


def _folders(folder: Path, draft: Draft) -> list[Path]:
    """Return the folders in a folder, without links that lead out of the role's folder."""
    inner = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    return [path for path in inner if not _leads_out(path, draft)]


def _leads_out(path: Path, draft: Draft) -> bool:
    out = not path.resolve().is_relative_to(draft.base.resolve())
    if out:
        draft.tell(str(path), "warning", note=tr("是指向角色文件夹以外的链接，没有用"))
    return out


def _text_of(file: Path) -> str:
    """Return the text that a clip is named after, "" for a number or the name of an emotion."""
    label = built_in_names().get(file.stem.strip("0123456789_- ()（）"))
    return "" if label else text_of_name(file.stem, least_letters=2)
