"""xiaozhi-esp32-server: the GPT_SOVITS_V2 and GPT_SOVITS_V3 sections of its config.yaml or data/.config.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import later, tr
from xiaozhi_persona.roles.importers.draft import Draft, DraftClip, listed, take_parameters, text

_TYPES = ("gpt_sovits_v2", "gpt_sovits_v3")
_DROPPED = {
    "type": later("由 gpt_sovits.api 决定"),
    "url": later("服务器地址写进 data/.config.yaml 的 gpt_sovits.servers"),
    "streaming_mode": later("由 gpt_sovits.streaming_mode 决定"),
    "return_fragment": later("服务器不理它"),
    "output_dir": later("这里不写临时文件"),
    "format": later("这里总是用无损的声音"),
    "private_voice": later("这里用不到"),
}


def is_xiaozhi(data: Mapping[str, Any]) -> bool:
    """Whether a YAML file is the host's and has a GPT-SoVITS section."""
    return bool(_sections(data))


def read_xiaozhi(data: Mapping[str, Any], file: Path) -> Draft:
    """Read the section that is selected, else the first. Raises SettingsError when there is none."""
    sections = _sections(data)
    if not sections:
        raise SettingsError(
            tr("{file} 的 TTS 里没有 GPT_SOVITS_V2 或 GPT_SOVITS_V3。换一个文件，或先填好它。", file=file)
        )
    modules = data.get("selected_module")
    selected = text(modules.get("TTS")) if isinstance(modules, dict) else ""
    key = selected if selected in sections else next(iter(sections))
    draft, section, prefix = Draft(file.parent, name=key), sections[key], f"TTS.{key}."
    for other in sections:
        if other != key:
            draft.tell(f"TTS.{other}", "ignored", note=tr("一次导入一段；selected_module.TTS 选的先用"))
    draft.take(f"TTS.{key}", "name", "小智", tr("这里没有角色的名字，请改 role.yaml 的 name"), "changed")
    draft.take("prompt", "prompt", text(data.get("prompt")))
    _read_voice(draft, section, prefix)
    return draft


def _read_voice(draft: Draft, section: Mapping[str, Any], prefix: str) -> None:
    def first(*keys: str) -> tuple[str, str]:
        found = ((key, text(section.get(key))) for key in keys)
        return next(((key, value) for key, value in found if value), (keys[-1], ""))

    key, language = first("text_lang", "text_language")
    misspelt = language == "audo"
    draft.take(
        prefix + key,
        "language",
        "auto" if misspelt else language,
        tr("audo 改为 auto") if misspelt else "",
        "changed" if misspelt else "taken",
    )
    key, language = first("prompt_lang", "prompt_language")
    draft.take(prefix + key, "reference_language", language)
    _, path = first("ref_audio", "ref_audio_path", "refer_wav_path")
    _, said = first("ref_text", "prompt_text")
    if path:
        draft.clips.append(DraftClip("", path, said))
    draft.aux = listed(section.get("aux_ref_audio_paths")) or listed(section.get("inp_refs"))
    used = take_parameters(draft, section, prefix)
    for key, note in _DROPPED.items():
        if text(section.get(key)):
            draft.tell(prefix + key, "ignored", note=tr(note))
    known = {"text_lang", "text_language", "prompt_lang", "prompt_language", "ref_audio", "ref_audio_path"}
    known |= {"refer_wav_path", "ref_text", "prompt_text", "aux_ref_audio_paths", "inp_refs", *_DROPPED}
    draft.ignore_rest(section, known | used, prefix)


def _sections(data: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    tts = data.get("TTS")
    return {
        str(key): value
        for key, value in (tts.items() if isinstance(tts, dict) else ())
        if isinstance(value, dict)
        and (value.get("type") in _TYPES or str(key).upper() in ("GPT_SOVITS_V2", "GPT_SOVITS_V3"))
    }
