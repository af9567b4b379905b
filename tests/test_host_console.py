"""The steps for the host's web console: complete, in the console's words, with JSON that it takes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from fakes.role_packs import write_role

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.installer.console import MAX_PROMPT_CHARACTERS, fields_json, steps
from xiaozhi_persona.installer.merge import PROMPT_FILE
from xiaozhi_persona.providers.host.doors import DOORS, Door
from xiaozhi_persona.providers.host.sections import asr_settings, tts_settings
from xiaozhi_persona.providers.host.tool_names import TOOL_NAMES
from xiaozhi_persona.roles.role import Role, load_pack

URL = "http://192.168.1.9:9880/tts"


@pytest.fixture
def role(tmp_path: Path) -> Role:
    return load_pack(write_role(tmp_path / "mei", "name: 小梅\ndescription: 你养了一只猫。"))


def door(type: str) -> Door:
    return next(door for door in DOORS if door.type == type)


def json_lines(lines: list[str]) -> list[Any]:
    return [json.loads(line) for line in lines if re.match(r"\s*[\[{]", line)]


def test_every_door_has_its_code_its_fields_and_its_entry(role: Role) -> None:
    lines = steps(None, role, URL, DOORS)
    text = "\n".join(lines)
    found = json_lines(lines)
    for door in DOORS:
        if door.kind in ("plugin", "Intent"):  # the console knows no other kinds of intents than the host's
            continue
        assert f"编码 {door.type}，" in text
        assert json.loads(fields_json(door)) in found or not json.loads(fields_json(door))
    entries = [entry for entry in found if isinstance(entry, dict)]
    assert [entry["type"] for entry in entries if "url" in entry] == ["gpt_sovits_v1", "gpt_sovits_v2_stream"]


@pytest.mark.parametrize("type", ["gpt_sovits_v1", "gpt_sovits_v2_stream"])
def test_fields_are_of_the_consoles_form_and_never_the_reply_language(type: str) -> None:
    fields = json.loads(fields_json(door(type)))
    assert all(set(field) == {"key", "label", "type"} and field["type"] == "string" for field in fields)
    keys = [field["key"] for field in fields]
    assert {"url", "role"} <= set(keys) and "language" not in keys and len(keys) == len(set(keys))


@pytest.mark.parametrize("type", ["gpt_sovits_v1", "gpt_sovits_v2_stream"])
def test_what_the_console_makes_of_it_is_what_the_door_reads(type: str, role: Role, tmp_path: Path) -> None:
    """The console gives every field as text, blank where nothing was entered."""
    blank = {field["key"]: "" for field in json.loads(fields_json(door(type)))}
    (entry,) = (line for line in json_lines(steps(None, role, URL, [door(type)])) if isinstance(line, dict))
    settings = tts_settings(blank | entry, tmp_path, door(type))
    assert settings.role == "mei" and settings.gpt_sovits.servers[0].startswith("http://192.168.1.9:9880")


def test_a_section_for_any_engine_has_the_keys_of_that_engines_settings(
    role: Role, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    any_voice = door("persona_voice")
    (entry,) = (line for line in json_lines(steps(None, role, URL, [any_voice])) if isinstance(line, dict))
    blank = {field["key"]: "" for field in json.loads(fields_json(any_voice))}
    settings = tts_settings(blank | entry, tmp_path, any_voice)
    assert (settings.tts.engine, settings.role) == ("espeak", "mei")
    texts = {"engine": "espeak", "rate_wpm": "200", "voice": "cmn", "output_dir": "tmp/", "text_lang": "zh"}
    espeak = tts_settings(texts, tmp_path, any_voice).espeak
    assert (espeak.rate_wpm, espeak.voice) == (200, "cmn")
    assert "text_lang" in caplog.text and "output_dir" not in caplog.text and "engine" not in caplog.text
    servers = {"engine": "gpt_sovits", "servers": "http://10.0.0.9:9880, http://10.0.0.8:9880", "api": "v1"}
    sovits = tts_settings(servers, tmp_path, any_voice).gpt_sovits
    assert sovits.servers == ["http://10.0.0.9:9880", "http://10.0.0.8:9880"] and sovits.api == "v1"
    for wrong, told in (
        ({"engine": "nonsense"}, "nonsense.*espeak、gpt_sovits"),
        ({"rate_wpm": "fast"}, "TTS 设置里 rate_wpm .*config.yaml 的 espeak"),
        ({"engine": ["espeak"]}, "没有这种语音合成"),
    ):
        with pytest.raises(SettingsError, match=told):
            tts_settings(wrong, tmp_path, any_voice)


@pytest.mark.parametrize("model", ["", "iic/SenseVoiceSmall-onnx"])
def test_what_the_console_makes_of_the_recognizer_is_what_it_reads(
    model: str, role: Role, tmp_path: Path
) -> None:
    ears = door("persona_funasr")
    fields = json.loads(fields_json(ears))
    assert {"model_dir", "output_dir", "device", "language"} <= {field["key"] for field in fields}
    lines = steps(None, role, URL, [ears], model)
    (entry,) = (line for line in json_lines(lines) if isinstance(line, dict))
    asr = asr_settings({field["key"]: "" for field in fields} | entry, tmp_path).asr
    assert (asr.model, asr.device, asr.language) == (model, "auto", "auto")
    assert entry["output_dir"] and "语音识别(ASR)" in "\n".join(lines)


def test_what_the_console_sends_as_text_is_read(tmp_path: Path) -> None:
    texts = {
        "workers": "2",
        "itn": "false",
        "hotwords": "小智, 咪咪",
        "timeout_s": "30",
        "server_mode": "2pass",
    }
    settings = asr_settings({**texts, "role": "xiaoyu"}, tmp_path)
    asr = settings.asr
    assert (asr.workers, asr.itn, asr.hotwords, asr.timeout_s) == (2, False, ["小智", "咪咪"], 30.0)
    assert (asr.server_mode, settings.role) == ("2pass", "xiaoyu")
    for wrong, told in (({"workers": "two"}, "workers 的值 'two' 不行"), ({"device": "gpu"}, "cuda:0")):
        with pytest.raises(SettingsError, match=told):
            asr_settings(wrong, tmp_path)


@pytest.mark.parametrize("door", [door for door in DOORS if door.same_keys], ids=lambda door: door.type)
def test_who_has_a_model_of_the_hosts_own_with_the_same_keys_only_changes_its_supplier(
    door: Door, role: Role
) -> None:
    found = [line for line in steps(None, role, URL, [door]) if "不必新增" in line]
    assert [re.sub(r".*有能用的 (.+) 模型.*", r"\1", line) for line in found] == [*door.same_keys.values()]
    assert all(("再填 角色" in line) == ("role" in door.fields) for line in found)


def test_the_ids_of_models_are_such_as_the_console_takes(tmp_path: Path) -> None:
    role = load_pack(write_role(tmp_path / "很长的名字-abcdefghijklmnopqrstuvwxyz"))
    ids = re.findall(r"模型ID (\S+?)，", "\n".join(steps(None, role, URL, DOORS)))
    assert len(set(ids)) == len(ids) >= 2
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,32}", id) and not id.isalpha() for id in ids)


def test_the_template_and_the_character_are_there(role: Role) -> None:
    text = "\n".join(steps(None, role, URL, DOORS))
    assert f"参数编码 prompt_template，参数值 {PROMPT_FILE}" in text
    assert role.character_prompt().strip() in text and "截断" not in text


def test_a_character_that_the_page_would_cut_off_is_told(tmp_path: Path) -> None:
    role = load_pack(
        write_role(tmp_path / "long", "name: 小梅\ndescription: " + "猫" * MAX_PROMPT_CHARACTERS)
    )
    assert "截断" in "\n".join(steps(None, role, URL, DOORS))


def test_the_tools_of_the_memory_are_entered_one_by_one(role: Role) -> None:
    text = "\n".join(steps(None, role, URL, DOORS))
    assert "插件工具" in text and "编辑功能" in text
    assert all(f"编码 {name}，" in text for name in TOOL_NAMES.values())
    without = "\n".join(steps(None, role, URL, [door("gpt_sovits_v2_stream")]))
    assert "插件工具" not in without


def test_the_steps_are_counted_through(role: Role) -> None:
    numbers = re.findall(r"^第 (\d+) 步", "\n".join(steps(None, role, URL, DOORS)), re.MULTILINE)
    assert numbers == [str(number) for number in range(1, len(numbers) + 1)] and len(numbers) >= 5
