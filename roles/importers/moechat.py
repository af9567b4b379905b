"""MoeChat: its config.yaml (GSV, extra_ref_audio, Agent), and the info.yaml that newer versions keep per assistant."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.roles.importers.draft import Draft, reference_of, take_parameters
from xiaozhi_persona.roles.importers.foreign_files import listed, section, text
from xiaozhi_persona.roles.lore import load_lore

_MOST_ENTRIES = 2000

# Keys of info.yaml as those of config.yaml.
_AGENT = {
    "name": "char",
    "user": "user",
    "description": "char_settings",
    "personality": "char_personalities",
    "mask": "mask",
    "messageExamples": "message_example",
    "customPrompt": "prompt",
    "startWith": "start_with",
    "extraDescription": "extra_description",
}
_SETTINGS = {
    "enableLongMemory": "long_memory",
    "enableLongMemorySearchEnhance": "is_check_memorys",
    "enableCoreMemory": "is_core_mem",
    "longMemoryThreshold": "mem_thresholds",
    "enableLoreBooks": "lore_books",
    "loreBooksThreshold": "books_thresholds",
    "loreBooksDepth": "scan_depth",
}
_GSV = {
    "textLang": "text_lang",
    "gptModelPath": "GPT_weight",
    "sovitsModelPath": "SoVITS_weight",
    "refAudioPath": "ref_audio_path",
    "promptText": "prompt_text",
    "promptLang": "prompt_lang",
    "auxRefAudioPaths": "aux_ref_audio_paths",
    "topK": "top_k",
    "batchSize": "batch_size",
    "extra": "ex_config",
}


def is_moechat(data: Mapping[str, Any]) -> bool:
    """Whether a YAML or JSON file is one of MoeChat's that holds a role."""
    return any(key in data for key in ("GSV", "extra_ref_audio", "Agent", "gsvSetting"))


def read_moechat(data: Mapping[str, Any], file: Path) -> Draft:
    """Read a MoeChat file. Raises SettingsError when a section has another form than it should."""
    newer = "gsvSetting" in data
    if newer:
        data = _as_older(data, file)
    draft = Draft(file.parent.absolute())
    gsv, agent = section(data, "GSV", file), section(data, "Agent", file)
    _read_agent(draft, agent)
    _read_voice(draft, gsv)
    for tag, value in section(data, "extra_ref_audio", file).items():
        _read_tag(draft, str(tag), value)
    _read_lore(draft, file.parent / "data_base")
    note = tr("这里用不到") if newer else tr("不属于角色，没有用；要的话写进 data/.config.yaml")
    draft.ignore_rest(data, {"GSV", "Agent", "extra_ref_audio"}, note=note)
    return draft


def _read_agent(draft: Draft, agent: Mapping[str, Any]) -> None:
    draft.name = text(agent.get("char"))
    draft.take("Agent.char", "name", draft.name)
    for source, target in (
        ("user", "user"),
        ("char_settings", "description"),
        ("char_personalities", "personality"),
        ("mask", "mask"),
        ("prompt", "prompt"),
    ):
        draft.take(f"Agent.{source}", target, text(agent.get(source)))
    if extra := text(agent.get("extra_description")):
        described = "\n".join(filter(None, [text(agent.get("char_settings")), extra]))
        draft.take("Agent.extra_description", "description", described, tr("接在设定的后面"), "changed")
    draft.take("Agent.message_example", "examples", _lines(agent.get("message_example")))
    openings = _lines(agent.get("start_with"))
    if len(openings) > 1:
        told = tr("双数的几句是角色说的，只取了它们")
        draft.take("Agent.start_with", "openings", openings[1::2], told, "changed")
    else:
        draft.take("Agent.start_with", "openings", openings)
    for source, target in (("mem_thresholds", "memory.threshold"), ("books_thresholds", "lore.threshold")):
        draft.take(f"Agent.{source}", target, _between(agent.get(source), 0, 1), tr("相似度门限"))
    depth = _between(agent.get("scan_depth"), 0, 50)
    draft.take(
        "Agent.scan_depth",
        "lore.max_entries",
        None if depth is None else int(depth),
        tr("是返回的条数，不是往回看的深度"),
    )
    for key in ("is_up", "long_memory", "is_check_memorys", "is_core_mem", "lore_books"):
        if agent.get(key) is not None:
            draft.tell(f"Agent.{key}", "ignored", note=tr("记忆和世界书的开关不在角色里"))
    known = {
        "char",
        "user",
        "char_settings",
        "char_personalities",
        "mask",
        "prompt",
        "message_example",
        "start_with",
        "extra_description",
    }
    switches = {"is_up", "long_memory", "is_check_memorys", "is_core_mem", "lore_books"}
    draft.ignore_rest(
        agent, known | switches | {"mem_thresholds", "books_thresholds", "scan_depth"}, "Agent."
    )


def _read_voice(draft: Draft, gsv: Mapping[str, Any]) -> None:
    draft.take_language("GSV.text_lang", "language", gsv.get("text_lang"))
    draft.take_language("GSV.prompt_lang", "reference_language", gsv.get("prompt_lang"))
    for source, target in (("GPT_weight", "gpt_weights"), ("SoVITS_weight", "sovits_weights")):
        path = draft.path(f"GSV.{source}", gsv.get(source))
        draft.take(f"GSV.{source}", target, path, tr("GPT-SoVITS 机器上的路径"))
    draft.add_clip("GSV.ref_audio_path", "", gsv.get("ref_audio_path"), gsv.get("prompt_text"))
    aux = listed(gsv.get("aux_ref_audio_paths"))
    draft.aux = [path for item in aux if (path := draft.path("GSV.aux_ref_audio_paths", item))]
    used = take_parameters(draft, gsv, "GSV.")
    extra = gsv.get("ex_config")
    if isinstance(extra, dict):
        draft.ignore_rest(extra, take_parameters(draft, extra, "GSV.ex_config."), "GSV.ex_config.")
    if text(gsv.get("api")):
        draft.tell("GSV.api", "ignored", note=tr("服务器地址写进 data/.config.yaml 的 gpt_sovits.servers"))
    known = {"text_lang", "prompt_lang", "prompt_text", "GPT_weight", "SoVITS_weight", "ref_audio_path"}
    draft.ignore_rest(gsv, known | used | {"aux_ref_audio_paths", "ex_config", "api"}, "GSV.")


def _read_tag(draft: Draft, tag: str, value: Any) -> None:
    """Take one entry of extra_ref_audio: [path, text], {path: ..., text: ...} or a list of these."""
    source = f"extra_ref_audio.{tag}"
    pairs = value if isinstance(value, list) and value and isinstance(value[0], list | dict) else [value]
    for pair in pairs[:100]:
        path, said, language = reference_of(pair)
        if not path:
            draft.tell(source, "ignored", note=tr("没有写路径"))
            continue
        if isinstance(pair, list) and len(pair) != 2:
            draft.tell(source, "warning", note=tr("应是 [路径, 文字] 两项"))
        draft.add_clip(source, tag, path, said, language)


def _as_older(data: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """Return an info.yaml with the names of config.yaml; what has none keeps its own."""
    gsv, settings = section(data, "gsvSetting", file), section(data, "settings", file)
    agent = {_AGENT[key]: value for key, value in data.items() if key in _AGENT}
    agent |= {_SETTINGS[key]: value for key, value in settings.items() if key in _SETTINGS}
    rest = {key: value for key, value in data.items() if key not in (*_AGENT, "gsvSetting", "settings")}
    voice = {_GSV.get(key, key): value for key, value in gsv.items() if key != "extraRefAudio"}
    return {"Agent": agent, "GSV": voice, "extra_ref_audio": gsv.get("extraRefAudio"), **rest}


def _read_lore(draft: Draft, folder: Path) -> None:
    """Take the lore books of an assistant, which lie in its data_base/."""
    try:
        entries = load_lore(folder).entries[:_MOST_ENTRIES]
    except SettingsError as exc:
        draft.tell("data_base", "warning", note=str(exc))
        return
    draft.lore += [{"keys": list(entry.keys), "text": entry.text} for entry in entries if entry.text]
    if entries:
        told = tr("{count} 条世界书", count=len(draft.lore))
        draft.tell("data_base", "taken", "lore/book.yaml", told)


def _lines(value: Any) -> list[str]:
    return listed(value if isinstance(value, list) else [value])


def _between(value: Any, least: float, most: float) -> float | None:
    """Return a number within its range, None for anything else."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return min(max(number, least), most) if number == number else None
