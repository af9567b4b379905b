"""LingChat: characters/<name>/settings.yml, in older releases settings.txt, with the recordings in voice/.

Forms: SlimeBoyOwO/LingChat, CharacterSettings and VoiceModel; the six feelings of its pull request 726
(`gsv_emo_voice_files`, `gsv_emo_texts`), whose files are found in voice/ by the feeling's name where none is written.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

from xiaozhi_persona.language import tr
from xiaozhi_persona.roles.clip_files import clips_of_pack
from xiaozhi_persona.roles.importers.draft import Draft
from xiaozhi_persona.roles.importers.foreign_files import bounded_text, text
from xiaozhi_persona.text.emotions import built_in_names

SETTINGS_FILES = ("settings.yml", "settings.yaml", "settings.txt", "setting.txt")

_TAKEN = (
    ("ai_name", "name"),
    ("user_name", "user"),
    ("system_prompt", "description"),
)
_LOOKS = re.compile(
    r"bubble|offset|scale|clothes|body_part|avatar|thinking|subtitle|title|script_|pet_|live2d|color|resource"
)
_MOST_ASSIGNMENTS, _MAX_BYTES = 500, 512 << 10
_ASSIGNED = re.compile(r"^[ \t]{0,20}([A-Za-z_]\w*)[ \t]{0,20}[=:](.*)$", re.MULTILINE)


def is_lingchat(data: Any) -> bool:
    """Whether settings are those of one of LingChat's characters."""
    return isinstance(data, dict) and bool({"ai_name", "gsv_voice_filename", "voice_models"} & data.keys())


def read_lingchat(data: dict[str, Any], file: Path) -> Draft:
    """Read a character's settings and the recordings in its folder."""
    folder = file.parent.absolute()
    draft = Draft(folder, name=text(data.get("ai_name")) or folder.name)
    for key, target in _TAKEN:
        draft.take(key, target, text(data.get(key)))
    examples = [line for line in text(data.get("system_prompt_example")).splitlines() if line.strip()]
    draft.take("system_prompt_example", "examples", examples)
    models = data.get("voice_models")
    models = models if isinstance(models, dict) else {}
    voice = {**{key: value for key, value in data.items() if key.startswith("gsv_")}, **models}
    draft.take_path("gsv_gpt_model_name", "gpt_weights", voice.get("gsv_gpt_model_name"))
    draft.take_path("gsv_sovits_model_name", "sovits_weights", voice.get("gsv_sovits_model_name"))
    draft.take_language("gsv_voice_lang", "reference_language", voice.get("gsv_voice_lang"))
    draft.take_language("voice_lang", "language", data.get("voice_lang"))
    _read_clips(draft, voice)
    kind = text(data.get("tts_type"))
    if kind and kind != "gsv":
        note = tr("它用的是 {kind}；这里取用的是 GPT-SoVITS 的那几项", kind=kind[:20])
        draft.tell("tts_type", "ignored", note=note)
    for key, value in voice.items():
        if not key.startswith("gsv_") and value not in (None, "", {}, []):
            draft.tell(f"voice_models.{key}", "ignored", note=tr("别的语音合成的设置"))
    dealt = {key for key, _ in _TAKEN} | {"system_prompt_example", "voice_models", "tts_type", "voice_lang"}
    dealt |= {key for key in data if key.startswith("gsv_")}
    for key, value in data.items():
        if key not in dealt and value not in (None, "", [], {}):
            draft.tell(key, "ignored", note=tr("只管样子") if _LOOKS.search(key) else tr("这里用不到"))
    return draft


def read_assignments(file: Path) -> dict[str, Any]:
    """Read a settings.txt: `key = "text"`, over several lines in triple quotes, or `key=text`. Raises SettingsError."""
    source = bounded_text(file, _MAX_BYTES)
    found: dict[str, Any] = {}
    try:
        for node in ast.parse(source).body[:_MOST_ASSIGNMENTS]:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                found[node.targets[0].id] = ast.literal_eval(node.value)
        return found
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        pairs = _ASSIGNED.findall(source)[:_MOST_ASSIGNMENTS]
        return {key: value.strip().strip("\"'") for key, value in pairs if value.strip()}


def _read_clips(draft: Draft, voice: dict[str, Any]) -> None:
    files, texts = voice.get("gsv_emo_voice_files"), voice.get("gsv_emo_texts")
    files = files if isinstance(files, dict) else {}
    texts = texts if isinstance(texts, dict) else {}
    if path := draft.path("gsv_voice_filename", voice.get("gsv_voice_filename")):
        draft.add_clip("gsv_voice_filename", "", _in_voice(draft, path), voice.get("gsv_voice_text"))
    for name, value in files.items():
        if path := draft.path(f"gsv_emo_voice_files.{name}", value):
            file = _in_voice(draft, path)
            draft.add_clip(f"gsv_emo_voice_files.{name}", str(name), file, texts.get(name))
    mentioned = {Path(clip.path).name for clip in draft.clips}
    found = clips_of_pack(draft.base, built_in_names(), (draft.name,), is_foreign=True)
    for clip in found.clips:
        if clip.file.name not in mentioned:
            said = text(texts.get(clip.emotion)) or text(texts.get(clip.file.stem)) or clip.text
            draft.add_clip(draft.told_as(clip.file), clip.emotion, str(clip.file), said, clip.language)


def _in_voice(draft: Draft, path: str) -> str:
    """Return a path as it is, or the one in voice/ where the file lies there."""
    here = draft.base / "voice" / path.replace("\\", "/")
    return f"voice/{path}" if here.is_file() else path
