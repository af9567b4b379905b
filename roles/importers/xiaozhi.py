"""xiaozhi-esp32-server: the sections of its config.yaml or data/.config.yaml that speak with a reference recording.

Those of GPT-SoVITS, the host's own and ours, whatever they are named; of others (FishSpeech) the recordings.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import later, tr
from xiaozhi_persona.roles.importers.draft import Draft, take_parameters
from xiaozhi_persona.roles.importers.foreign_files import listed, text

_REFERENCES = ("ref_audio", "ref_audio_path", "refer_wav_path", "reference_audio")
_DROPPED = {
    "type": later("由 gpt_sovits.api 决定"),
    "url": later("服务器地址写进 data/.config.yaml 的 gpt_sovits.servers"),
    "streaming_mode": later("由 gpt_sovits.streaming_mode 决定"),
    "return_fragment": later("服务器不理它"),
    "output_dir": later("这里不写临时文件"),
    "format": later("这里总是用无损的声音"),
    "private_voice": later("这里用不到"),
    "api_key": later("密钥不属于角色"),
    "api_url": later("服务器地址写进 data/.config.yaml 的 gpt_sovits.servers"),
    "response_format": later("这里总是用无损的声音"),
    "engine": later("由 tts.engine 决定"),
}


def is_xiaozhi(data: Mapping[str, Any]) -> bool:
    """Whether a YAML file is the host's and has a section with a reference recording."""
    return bool(_sections(data))


def read_xiaozhi(data: Mapping[str, Any], file: Path) -> Draft:
    """Read the section that is selected, else the first. Raises SettingsError when there is none."""
    sections = _sections(data)
    if not sections:
        raise SettingsError(
            tr("{file} 的 TTS 里没有用参考音频的一段，如 GPT_SOVITS_V2。换一个文件，或先填好它。", file=file)
        )
    modules = data.get("selected_module")
    selected = text(modules.get("TTS")) if isinstance(modules, dict) else ""
    key = selected if selected in sections else next(iter(sections))
    draft = Draft(file.parent.absolute(), name=key)
    section, prefix = sections[key], f"TTS.{key}."
    for other in sections:
        if other != key:
            draft.tell(f"TTS.{other}", "ignored", note=tr("一次导入一段；selected_module.TTS 选的先用"))
    draft.take(f"TTS.{key}", "name", "小智", tr("这里没有角色的名字，请改 role.yaml 的 name"), "changed")
    draft.take("prompt", "prompt", text(data.get("prompt")))
    _read_voice(draft, section, prefix)
    return draft


def _read_voice(draft: Draft, section: Mapping[str, Any], prefix: str) -> None:
    def first(*keys: str) -> tuple[str, Any]:
        return next(((key, section[key]) for key in keys if text(section.get(key))), (keys[-1], None))

    key, language = first("text_lang", "text_language")
    draft.take_language(prefix + key, "language", language)
    key, language = first("prompt_lang", "prompt_language")
    draft.take_language(prefix + key, "reference_language", language)
    key, path = first(*_REFERENCES)
    _, said = first("ref_text", "prompt_text", "reference_text")
    paths, texts = (value if isinstance(value, list) else [value] for value in (path, said))
    for path, said in zip(paths, [*texts, *[None] * len(paths)], strict=False):
        draft.add_clip(prefix + key, "", path, said)
    draft.take_path(prefix + "gpt_weights", "gpt_weights", section.get("gpt_weights"))
    draft.take_path(prefix + "sovits_weights", "sovits_weights", section.get("sovits_weights"))
    aux = listed(section.get("aux_ref_audio_paths")) or listed(section.get("inp_refs"))
    draft.aux = [found for item in aux if (found := draft.path(prefix + "aux_ref_audio_paths", item))]
    used = take_parameters(draft, section, prefix)
    for key, note in _DROPPED.items():
        if text(section.get(key)):
            draft.tell(prefix + key, "ignored", note=tr(note))
    known = {"text_lang", "text_language", "prompt_lang", "prompt_language", "ref_audio", "ref_audio_path"}
    known |= {"ref_text", "prompt_text", "reference_text", "aux_ref_audio_paths", "inp_refs", *_DROPPED}
    known |= {*_REFERENCES, "gpt_weights", "sovits_weights"}
    draft.ignore_rest(section, known | used, prefix)


def _sections(data: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    tts = data.get("TTS")
    found = {
        str(key): value
        for key, value in (tts.items() if isinstance(tts, dict) else ())
        if isinstance(value, dict)
    }
    sovits = [key for key, value in found.items() if _is_sovits(key, value)]
    others = [key for key, value in found.items() if any(text(value.get(name)) for name in _REFERENCES)]
    return {key: found[key] for key in dict.fromkeys([*sovits, *others])}


def _is_sovits(key: str, section: Mapping[str, Any]) -> bool:
    named = key.upper().startswith("GPT_SOVITS")
    return named or text(section.get("type")).casefold().startswith("gpt_sovits")
