"""The role folders of CABM's GPT-SoVITS: role/<name>/config.json with refAudio/<emotion>/, file names as texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from xiaozhi_persona.language import tr
from xiaozhi_persona.roles.clip_files import FoundClips, clips_below, clips_of_pack, text_of
from xiaozhi_persona.roles.files import inside, is_absolute
from xiaozhi_persona.roles.importers.draft import Draft
from xiaozhi_persona.roles.importers.foreign_files import text
from xiaozhi_persona.text.emotions import built_in_names

_KNOWN = {"ref_audio", "ref_text", "ref_lang", "gpt", "sovits", "BERTmodel", "multiREF"}


def is_cabm(data: Any) -> bool:
    """Whether a JSON file is a role's config.json."""
    return isinstance(data, dict) and bool(
        {"ref_audio", "multiREF"} & data.keys() or {"gpt", "sovits"} <= data.keys()
    )


def read_cabm(data: dict[str, Any], file: Path) -> Draft:
    """Read a role's config.json and the clips around it. Raises SettingsError."""
    folder = file.parent.absolute()
    draft = Draft(folder, name=folder.name)
    draft.take(file.parent.name or file.name, "name", draft.name, tr("文件夹的名字"))
    draft.take_language("ref_lang", "reference_language", data.get("ref_lang"))
    draft.take_path("gpt", "gpt_weights", data.get("gpt"))
    draft.take_path("sovits", "sovits_weights", data.get("sovits"))
    _take_classifier(draft, draft.path("BERTmodel", data.get("BERTmodel")).rstrip("/\\"))
    if path := draft.path("ref_audio", data.get("ref_audio")):
        here = folder / path.replace("\\", "/")
        said = text(data.get("ref_text")) or (text_of(here, built_in_names()) if here.is_file() else "")
        draft.add_clip("ref_audio", "", path, said)
    _read_emotions(draft, draft.path("multiREF", data.get("multiREF")))
    draft.ignore_rest(data, _KNOWN)
    return draft


def _take_classifier(draft: Draft, path: str) -> None:
    if not path:
        return
    here = draft.base / path.replace("\\", "/")
    if here.is_dir() and not (here / "config.json").is_file():
        note = tr("{path} 里没有 config.json，不是感情分类模型，没有用", path=path)
        draft.tell("BERTmodel", "warning", note=note)
    elif not is_absolute(path) and here.exists():
        note = tr("没有复制；GPT-SoVITS 在别的机器时改成它那里的路径")
        draft.take("BERTmodel", "classifier", str(here), note, "changed")
    else:
        draft.tell("BERTmodel", "warning", note=tr("没有找到 {path}，不用感情分类模型", path=path))


def _read_emotions(draft: Draft, multi: str) -> None:
    """Take the clips below `multiREF`, or, where that is not written, those that lie in refAudio/ and its like."""
    before = len(draft.clips)
    path = inside(multi) if multi else None
    root = draft.base / (path or "")
    if path is not None and root.is_dir():
        draft.add_found(clips_below(root, built_in_names(), (draft.name,), base=draft.base))
        if len(draft.clips) == before:
            draft.tell("multiREF", "warning", note=tr("{multi} 里没有 感情/文字.wav", multi=multi))
    else:
        if multi:
            note = tr("没有文件夹 {multi}，找了 refAudio 这样的文件夹", multi=multi)
            draft.tell("multiREF", "warning", note=note)
        found: FoundClips = clips_of_pack(draft.base, built_in_names(), is_foreign=True, takes_loose=False)
        draft.add_found(found)
        if len(draft.clips) > before and not multi:
            draft.tell("refAudio", "changed", "refs", tr("没有写 multiREF，照样取用了"))
    for clip in draft.clips[before:]:
        if not clip.text:
            draft.tell(draft.told_as(clip.path), "warning", note=tr("文件名不像文字，roles fix 可听写"))
