"""Importing roles: what is taken from each form, and what is told about it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from fakes.foreign_roles import INFO, MOECHAT, SECRET, cabm, host, moechat

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.roles.importers.draft import Change
from xiaozhi_persona.roles.importers.kinds import import_role
from xiaozhi_persona.roles.role import Role, load_role


def told(changes: list[Change], source: str) -> list[Change]:
    return [change for change in changes if change.source == source]


def clips(role: Role) -> dict[str, tuple[str, str]]:
    """Of each clip by its emotion: the path, in the pack where it is there, and the text."""
    base = f"{role.folder}{os.sep}"
    return {c.name: (c.reference.path.removeprefix(base), c.reference.text) for c in role.clips}


# MoeChat.


def test_a_moechat_config_becomes_a_role(tmp_path: Path) -> None:
    role, changes = import_role(moechat(tmp_path / "MoeChat"), tmp_path / "data" / "roles")
    assert load_role("小梅", tmp_path / "data").sheet == role.sheet
    sheet = role.sheet
    assert (sheet.name, sheet.user, sheet.description) == ("小梅", "阿杰", "小梅是花店的店员。")
    assert (sheet.personality, sheet.examples, sheet.prompt) == (
        "爽朗",
        ["花要晒太阳，人也要。"],
        "说话简短。",
    )
    assert (sheet.lore.max_entries, sheet.lore.threshold, sheet.memory.threshold) == (4, 0.5, 0.38)
    assert role.voice.weights == {"gpt": "D:\\gsv\\mei.ckpt", "sovits": "D:\\gsv\\mei.pth"}
    assert role.voice.language == "zh"
    assert role.voice.parameters == {"seed": -1, "top_k": 15, "batch_size": 1, "text_split_method": "cut0"}
    assert clips(role) == {
        "": ("refs/default/01.wav", "主要的参考音频。"),
        "开心": ("refs/开心/01.wav", "真是太好了。"),
        "难过": ("refs/难过/01.wav", "我有点难过。"),
        "普通": ("E:\\voices\\calm.wav", "今天天气不错。"),
    }
    assert {len(c.reference.aux_paths) for c in role.clips if c.file} == {1}
    assert {change.kind for change in told(changes, "GSV.batch_size")} == {"changed"}
    assert "返回的条数" in told(changes, "Agent.scan_depth")[0].note
    assert told(changes, "E:\\voices\\calm.wav")[0].kind == "warning"
    assert "servers" in told(changes, "GSV.api")[0].note


def test_every_key_of_a_moechat_config_is_accounted_for_and_no_secret_shown(tmp_path: Path) -> None:
    role, changes = import_role(moechat(tmp_path / "MoeChat"), tmp_path / "roles")
    sources = " ".join(change.source for change in changes)
    for section in ("GSV", "Agent"):
        for key, value in MOECHAT[section].items():
            if value not in ("", None) and key not in (
                "ref_audio_path",
                "prompt_text",
                "aux_ref_audio_paths",
            ):
                assert f"{section}.{key}" in sources
    for path in (
        "main.wav",
        "happy.wav",
        "sad.wav",
        "aux.wav",
        "calm.wav",
        "extra_ref_audio.空",
        "LLM",
        "hobby",
    ):
        assert path in sources
    assert SECRET not in repr(changes)
    assert SECRET not in (role.folder / "role.yaml").read_text(encoding="utf-8")


def test_the_info_of_newer_moechat_is_read_too(tmp_path: Path) -> None:
    role, changes = import_role(moechat(tmp_path / "Chat", INFO, "info.yaml").parent, tmp_path / "roles")
    assert (role.sheet.name, role.sheet.prompt) == ("小梅", "说话简短。")
    assert role.openings == ("你来啦，阿杰。",)
    assert role.sheet.examples == ["花要晒太阳。", "人也要。"]
    assert (role.sheet.lore.max_entries, role.sheet.memory.threshold) == (3, 0.32)
    assert role.voice.parameters == {"top_k": 30, "batch_size": 1, "text_split_method": "cut0"}
    assert set(clips(role)) == {"", "开心"} and role.clips[0].reference.language == "ja"


@pytest.mark.parametrize(
    "data",
    [
        {"GSV": None, "Agent": {"char": "x"}, "extra_ref_audio": None},
        {"Agent": {"char": "x", "scan_depth": "many", "mem_thresholds": None, "message_example": None}},
        {
            "Agent": {"char": "x"},
            "extra_ref_audio": {"开心": "ref/happy.wav", "怒": [], "哭": [["a.wav", "甲乙"]]},
        },
        {
            "Agent": {"char": "x", "scan_depth": 900, "mem_thresholds": 7},
            "GSV": {"ex_config": None, "top_k": None},
        },
        {
            "Agent": {"char": "x"},
            "GSV": {"ref_audio_path": "a\0b", "aux_ref_audio_paths": "a;;b", "seed": "7"},
        },
    ],
)
def test_incomplete_moechat_files_are_taken_as_far_as_they_go(tmp_path: Path, data: dict[str, Any]) -> None:
    role, _ = import_role(moechat(tmp_path / "m", data), tmp_path / "roles")
    assert role.name == "x"


def test_a_key_that_stands_twice_counts_as_in_the_program_that_wrote_it(tmp_path: Path) -> None:
    (tmp_path / "info.yaml").write_text("Agent:\n  char: 小红\n  char: 小明\n", encoding="utf-8")
    role, _ = import_role(tmp_path / "info.yaml", tmp_path / "roles", kind="moechat")
    assert role.name == "小明"


def test_a_section_of_another_form_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="GSV 应是"):
        import_role(moechat(tmp_path / "m", {"GSV": ["a"]}), tmp_path / "roles")


# CABM.


def test_a_role_folder_with_commas_missing_is_repaired_and_read(tmp_path: Path) -> None:
    config = """{
    "ref_audio": "reference.wav",
    "ref_text": "这是默认的参考文字",
    "ref_lang": "zh",
    "gpt": "mei.ckpt",
    "sovits": "mei.pth"
    "BERTmodel": "BERT/"
    "multiREF": "refAudio/"
}"""
    folder = cabm(
        tmp_path / "role" / "银花",
        config,
        "高兴/今天真是开心",
        "高兴/我们走吧",
        "悲伤/我好难过啊",
        "愤怒/001",
    )
    (folder / "BERT").mkdir()
    (folder / "BERT/config.json").touch()
    (folder / "mei.ckpt").touch()
    role, changes = import_role(folder, tmp_path / "roles")
    assert (role.id, role.name) == ("银花", "银花")
    assert {(c.name, c.reference.text) for c in role.clips} == {
        ("", "这是默认的参考文字"),
        ("高兴", "今天真是开心"),
        ("高兴", "我们走吧"),
        ("悲伤", "我好难过啊"),
        ("愤怒", ""),
    }
    assert role.classifier_dir == folder / "BERT"
    assert role.voice.weights == {"gpt": str(folder / "mei.ckpt"), "sovits": "mei.pth"}
    assert {c.reference.language for c in role.clips} == {"zh"}
    assert "逗号" in told(changes, "config.json")[0].note
    assert [change.kind for change in changes if "001.wav" in change.source] == ["warning", "taken"]


def test_an_empty_folder_is_no_classifier(tmp_path: Path) -> None:
    folder = cabm(tmp_path / "x", '{"ref_audio": "reference.wav", "BERTmodel": "BERT/"}')
    (folder / "BERT").mkdir()
    role, changes = import_role(folder, tmp_path / "roles")
    assert role.classifier_dir is None and "config.json" in told(changes, "BERTmodel")[0].note


@pytest.mark.parametrize("inner", ["role", "."])
def test_the_roles_in_a_folder_are_named(tmp_path: Path, inner: str) -> None:
    for name in ("银花", "铃兰"):
        cabm(tmp_path / "program" / inner / name, '{"ref_audio": "reference.wav"}')
    with pytest.raises(SettingsError) as caught:
        import_role(tmp_path / "program", tmp_path / "roles")
    assert "银花" in str(caught.value) and "铃兰" in str(caught.value)


def test_clips_may_lie_under_the_characters_name(tmp_path: Path) -> None:
    config = json.dumps(
        {"ref_audio": "reference.wav", "ref_text": "文字", "ref_lang": "ja", "multiREF": "refAudio"}
    )
    folder = cabm(
        tmp_path / "银花", config, "Silver/高兴/今天真是开心", "Silver/害羞/高兴1", "Silver/害羞/哎呀"
    )
    role, _ = import_role(folder / "config.json", tmp_path / "roles")
    assert {(c.name, c.reference.text) for c in role.clips} == {
        ("", "文字"),
        ("高兴", "今天真是开心"),
        ("害羞", ""),  # named after an emotion, not after what is said
        ("害羞", "哎呀"),
    }


@pytest.mark.parametrize(
    "config",
    [
        '{"ref_audio": "reference.wav",\n "ref_text": "甲: \\"乙\\"\\n",\n}',
        '\ufeff{"ref_audio": "reference.wav"\r\n\r\n"ref_text": "甲"\r\n}',
        '{"ref_audio": "D:\\voices\\new.wav"\n"top": 5\n"list": [1]\n"yes": true\n"no": null\n"ref_lang": "zh"}',
        '{"ref_audio": "", "multiREF": "../.."}',
        '{\n"ref_audio":"reference.wav",//参考音频名字\n"ref_text":"http://a",//文本\n"ref_lang":"zh"//语言\n"gpt":"a.ckpt"/* x */\n}',
        '{"ref_audio": "reference.wav", "multiREF": "nowhere/", "BERTmodel": "gone", "strange": {"a": 1}}',
    ],
)
def test_what_guides_get_wrong_in_json_is_read(tmp_path: Path, config: str) -> None:
    role, _ = import_role(cabm(tmp_path / "x", config), tmp_path / "roles")
    assert role.name == "x"


def test_windows_paths_with_single_backslashes_stay_whole(tmp_path: Path) -> None:
    role, changes = import_role(
        cabm(tmp_path / "x", '{"ref_audio": "D:\\voices\\new.wav", "ref_text": "甲"}'), tmp_path / "roles"
    )
    assert role.clips[0].reference.path == "D:\\voices\\new.wav"
    assert any("\\" in change.note for change in told(changes, "config.json"))


@pytest.mark.parametrize("config", ["", "{", '{"ref_audio": }', "[1]", '"x"', "{'a': 1}"])
def test_json_beyond_repair_is_told_with_its_place(tmp_path: Path, config: str) -> None:
    with pytest.raises(SettingsError, match=r"config\.json"):
        import_role(cabm(tmp_path / "x", config), tmp_path / "roles")
    assert not (tmp_path / "roles").exists()


# The host.


def test_the_hosts_section_becomes_a_role(tmp_path: Path) -> None:
    role, changes = import_role(host(tmp_path), tmp_path / "roles", "mine")
    assert (role.id, role.name, role.sheet.prompt) == ("mine", "小智", "你是小智。")
    assert clips(role) == {"": ("/srv/voices/a.wav", "这是参考文字。")}  # the console's keys win
    assert role.clips[0].reference.aux_paths == ("/srv/voices/b.wav", "/srv/voices/c.wav")
    assert role.voice.language == "auto"
    assert role.voice.parameters == {"top_k": 5, "temperature": 0.9, "split_bucket": True}
    for key in ("url", "streaming_mode", "return_fragment", "output_dir"):
        assert told(changes, f"TTS.GPT_SOVITS_V2.{key}")[0].kind == "ignored"
    assert told(changes, "TTS.V3")[0].kind == "ignored"


def test_the_selected_section_is_taken(tmp_path: Path) -> None:
    role, changes = import_role(host(tmp_path, selected_module={"TTS": "V3"}), tmp_path / "roles")
    assert (role.id, role.voice.language, role.sheet.reference_language) == ("V3", "auto", "all_zh")
    assert role.voice.parameters == {"top_k": 15, "cut_punc": "，", "speed": 1.1}
    assert told(changes, "TTS.V3.text_language")[0].kind == "changed"


# What is none of these.


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "认不出"),
        ({"config.yaml": "a: 1"}, "认不出"),
        ({"config.yaml": "TTS: {EdgeTTS: {type: edge}}"}, "认不出"),
        ({"role.yaml": "name: x"}, "已经是角色包"),
        ({"config.yaml": "[x"}, "不是有效的 YAML"),
    ],
)
def test_what_cannot_be_imported_is_told(tmp_path: Path, files: dict[str, str], message: str) -> None:
    (tmp_path / "x").mkdir()
    for name, text in files.items():
        (tmp_path / "x" / name).write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=message):
        import_role(tmp_path / "x", tmp_path / "roles")
    with pytest.raises(SettingsError, match="没有 .*gone"):
        import_role(tmp_path / "gone", tmp_path / "roles")
