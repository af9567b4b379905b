"""MoeChat: its config.yaml (GSV, extra_ref_audio, Agent), and the info.yaml that newer versions keep per assistant."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.roles.importers.draft import Draft, DraftClip, listed, take_parameters, text

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
    """Whether a YAML file is one of MoeChat's that holds a role."""
    return any(key in data for key in ("GSV", "extra_ref_audio", "Agent", "gsvSetting"))


def read_moechat(data: Mapping[str, Any], file: Path) -> Draft:
    """Read a MoeChat file. Raises SettingsError when a section has another form than it should."""
    newer = "gsvSetting" in data
    if newer:
        data = _as_older(data, file)
    draft = Draft(file.parent)
    gsv, agent = _section(data, "GSV", file), _section(data, "Agent", file)
    _read_agent(draft, agent)
    _read_voice(draft, gsv)
    for tag, value in _section(data, "extra_ref_audio", file).items():
        _read_tag(draft, str(tag), value)
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
    for source, target in (("message_example", "examples"), ("start_with", "openings")):
        value = agent.get(source)
        draft.take(f"Agent.{source}", target, listed(value if isinstance(value, list) else [value]))
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
    }
    switches = {"is_up", "long_memory", "is_check_memorys", "is_core_mem", "lore_books"}
    draft.ignore_rest(
        agent, known | switches | {"mem_thresholds", "books_thresholds", "scan_depth"}, "Agent."
    )


def _read_voice(draft: Draft, gsv: Mapping[str, Any]) -> None:
    draft.take("GSV.text_lang", "language", text(gsv.get("text_lang")))
    draft.take("GSV.prompt_lang", "reference_language", text(gsv.get("prompt_lang")))
    draft.take("GSV.GPT_weight", "gpt_weights", text(gsv.get("GPT_weight")), tr("GPT-SoVITS 机器上的路径"))
    draft.take(
        "GSV.SoVITS_weight", "sovits_weights", text(gsv.get("SoVITS_weight")), tr("GPT-SoVITS 机器上的路径")
    )
    if path := text(gsv.get("ref_audio_path")):
        draft.clips.append(DraftClip("", path, text(gsv.get("prompt_text"))))
    draft.aux = listed(gsv.get("aux_ref_audio_paths"))
    used = take_parameters(draft, gsv, "GSV.")
    extra = gsv.get("ex_config")
    if isinstance(extra, dict):
        draft.ignore_rest(extra, take_parameters(draft, extra, "GSV.ex_config."), "GSV.ex_config.")
    if text(gsv.get("api")):
        draft.tell("GSV.api", "ignored", note=tr("服务器地址写进 data/.config.yaml 的 gpt_sovits.servers"))
    known = {"text_lang", "prompt_lang", "prompt_text", "GPT_weight", "SoVITS_weight", "ref_audio_path"}
    draft.ignore_rest(gsv, known | used | {"aux_ref_audio_paths", "ex_config", "api"}, "GSV.")


def _read_tag(draft: Draft, tag: str, value: Any) -> None:
    """Take one entry of extra_ref_audio: tag to [path, text]; also a list of such pairs."""
    pairs = value if isinstance(value, list) and value and isinstance(value[0], list) else [value]
    for pair in pairs:
        items = [text(item) for item in pair] if isinstance(pair, list) else [text(pair)]
        if not items or not items[0]:
            draft.tell(f"extra_ref_audio.{tag}", "ignored", note=tr("没有写路径"))
            continue
        if len(items) != 2:
            draft.tell(f"extra_ref_audio.{tag}", "warning", note=tr("应是 [路径, 文字] 两项"))
        draft.clips.append(DraftClip(tag, items[0], items[1] if len(items) > 1 else ""))


def _as_older(data: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """Return an info.yaml with the names of config.yaml; what has none keeps its own."""
    gsv, settings = _section(data, "gsvSetting", file), _section(data, "settings", file)
    agent = {_AGENT[key]: value for key, value in data.items() if key in _AGENT}
    agent |= {_SETTINGS[key]: value for key, value in settings.items() if key in _SETTINGS}
    rest = {key: value for key, value in data.items() if key not in (*_AGENT, "gsvSetting", "settings")}
    voice = {_GSV.get(key, key): value for key, value in gsv.items() if key != "extraRefAudio"}
    return {"Agent": agent, "GSV": voice, "extra_ref_audio": gsv.get("extraRefAudio"), **rest}


def _section(data: Mapping[str, Any], key: str, file: Path) -> Mapping[str, Any]:
    value = data.get(key) or {}
    if not isinstance(value, dict):
        raise SettingsError(
            tr(
                "{file}：{key} 应是“键: 值”，得到的是 {name}。请检查缩进。",
                file=file,
                key=key,
                name=type(value).__name__,
            )
        )
    return value


def _between(value: Any, least: float, most: float) -> float | None:
    """Return a number within its range, None for anything else."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return min(max(number, least), most) if number == number else None
