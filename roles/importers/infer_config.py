"""The voices of GPT-SoVITS-Inference (GSVI): <name>/infer_config.json with emotion_list, beside weights and recordings.

Form: RVC-Boss/GPT-SoVITS#692 and X-T-E-R's inference packs: `{gpt_path, sovits_path, emotion_list: {default:
{ref_wav_path, prompt_text, prompt_language}}}`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from xiaozhi_persona.language import tr
from xiaozhi_persona.roles.importers.draft import Draft, reference_of, take_parameters
from xiaozhi_persona.roles.importers.foreign_files import text

_WEIGHTS = (("gpt_path", "gpt_weights"), ("sovits_path", "sovits_weights"))
_KNOWN = {
    "gpt_path",
    "sovits_path",
    "emotion_list",
    "software_version",
    "简介",
    "ref_wav_path",
    "prompt_text",
    "prompt_language",
}


def is_infer_config(data: Any) -> bool:
    """Whether a JSON file is an infer_config.json."""
    return isinstance(data, dict) and (
        isinstance(data.get("emotion_list"), dict | list) or {"gpt_path", "sovits_path"} <= data.keys()
    )


def read_infer_config(data: dict[str, Any], file: Path) -> Draft:
    """Read the voice and its references; the folder's name is the role's."""
    folder = file.parent.absolute()
    draft = Draft(folder, name=folder.name)
    draft.take(folder.name, "name", draft.name, tr("文件夹的名字"))
    for key, target in _WEIGHTS:
        draft.take_path(key, target, data.get(key))
    references = data.get("emotion_list")
    if isinstance(references, dict):
        entries = list(references.items())
    else:
        entries = [(_name_of(item), item) for item in references] if isinstance(references, list) else []
    if not entries and data.get("ref_wav_path"):
        entries = [("default", data)]
    for name, value in entries[:200]:
        source = f"emotion_list.{name}"
        for inner in value if isinstance(value, list) and value and isinstance(value[0], dict) else [value]:
            path, said, language = reference_of(inner)
            if path:
                draft.add_clip(source, str(name), path, said, language)
            else:
                draft.tell(source, "ignored", note=tr("没有写路径"))
    for key in ("software_version", "简介"):
        if text(data.get(key)):
            draft.tell(key, "ignored", note=tr("这里用不到"))
    draft.ignore_rest(data, _KNOWN | take_parameters(draft, data, ""))
    return draft


def _name_of(item: Any) -> str:
    if not isinstance(item, dict):
        return "default"
    return next((text(item[key]) for key in ("emotion", "name", "emotion_name") if item.get(key)), "default")
