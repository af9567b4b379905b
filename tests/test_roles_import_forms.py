"""Packs as people have them: GPT-SoVITS-Inference, MoeChat's folder, CABM as found, LingChat, every host section, bare folders."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from fakes.foreign_roles import INFO, MOECHAT, cabm, host, moechat
from fakes.role_packs import hum, write_clip

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.roles.check import check_role
from xiaozhi_persona.roles.importers.draft import Change
from xiaozhi_persona.roles.importers.kinds import import_role
from xiaozhi_persona.roles.role import Role

SAID = "今天真是太好了呀"


def clips(role: Role) -> set[tuple[str, str, str]]:
    """Of each clip its feeling's label, its text and its language."""
    return {
        (clip.emotion.label if clip.emotion else "", clip.reference.text, clip.reference.language)
        for clip in role.clips
    }


def errors(changes: list[Change]) -> list[str]:
    return [change.source for change in changes if change.kind == "error"]


def notes(changes: list[Change]) -> str:
    return "\n".join(f"{change.source} {change.kind} {change.note}" for change in changes)


def write(file: Path, data: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    as_text = (
        json.dumps(data, ensure_ascii=False)
        if file.suffix == ".json"
        else yaml.safe_dump(data, allow_unicode=True)
    )
    file.write_text(data if isinstance(data, str) else as_text, encoding="utf-8")
    return file


# GPT-SoVITS-Inference.

EMOTION_LIST = {
    "default": {
        "ref_wav_path": "默认.wav",
        "prompt_text": "默认的一句话呀。",
        "prompt_language": "多语种混合",
    },
    "angry": {"ref_wav_path": "生气.wav", "prompt_text": "不要再说了啊！", "prompt_language": "中文"},
    "【开心】": {"ref_wav_path": "sub/开心.wav", "prompt_text": "今日はいい天気", "prompt_language": "日文"},
}


def infer_pack(folder: Path, **changes: Any) -> Path:
    data = {
        "gpt_path": "a.ckpt",
        "sovits_path": "a.pth",
        "software_version": "1.1",
        "简介": "x",
        "emotion_list": EMOTION_LIST,
    }
    for name in ("默认", "生气", "sub/开心"):
        write_clip(folder / f"{name}.wav")
    (folder / "a.ckpt").touch()
    write(folder / "infer_config.json", {**data, **changes})
    return folder


def test_an_infer_config_becomes_a_role(tmp_path: Path) -> None:
    role, changes = import_role(infer_pack(tmp_path / "小雨"), tmp_path / "roles")
    assert role.name == "小雨" and not errors(changes)
    assert clips(role) == {
        ("", "默认的一句话呀。", "auto"),
        ("愤怒", "不要再说了啊！", "all_zh"),
        ("高兴", "今日はいい天気", "all_ja"),
    }
    assert role.voice.weights == {"gpt": str(tmp_path / "小雨" / "a.ckpt"), "sovits": "a.pth"}


@pytest.mark.parametrize(
    "emotion_list",
    [
        [{"name": "happy", "path": "默认.wav", "text": SAID}],
        {"happy": ["默认.wav", SAID]},
        {"happy": [{"ref_audio_path": "默认.wav", "prompt_text": SAID}]},
        {"happy": {"wav": "默认.wav", "text": f"【happy】{SAID}"}},
        {"开心/高兴": {"ref_wav_path": ' "默认.wav" ', "prompt_text": SAID}},
    ],
)
def test_the_references_of_an_infer_config_may_have_other_forms(tmp_path: Path, emotion_list: Any) -> None:
    role, _ = import_role(infer_pack(tmp_path / "a", emotion_list=emotion_list), tmp_path / "roles")
    assert clips(role) == {("高兴", SAID, "zh")}


def test_the_only_voice_of_a_program_is_taken_and_several_are_named(tmp_path: Path) -> None:
    infer_pack(tmp_path / "gsvi" / "trained" / "甲")
    assert import_role(tmp_path / "gsvi", tmp_path / "roles")[0].name == "甲"
    infer_pack(tmp_path / "gsvi" / "trained" / "乙")
    with pytest.raises(SettingsError, match="甲.*乙|乙.*甲"):
        import_role(tmp_path / "gsvi", tmp_path / "roles", "x")


# MoeChat.


@pytest.mark.parametrize("name", ["info.yaml", "info.yml"])
def test_moechats_own_folder_is_enough(tmp_path: Path, name: str) -> None:
    moechat(
        tmp_path / "MoeChat" / "data" / "agents" / "小梅", {**INFO, "extraDescription": "她会修表。"}, name
    )
    write(tmp_path / "MoeChat" / "config.yaml", {"Core": {"sv": {"is_up": False}}, "LLM": {"api": "x"}})
    book = tmp_path / "MoeChat" / "data" / "agents" / "小梅" / "data_base" / "town.yaml"
    write(book, {"花店,店": "花店在街角。"})
    role, changes = import_role(tmp_path / "MoeChat", tmp_path / "roles")
    assert role.name == "小梅" and role.sheet.description.endswith("她会修表。")
    assert len(role.lore_files) == 1 and "世界书" in notes(changes)


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ({"[开心]": ["ref/happy.wav", SAID]}, ("高兴", SAID, "zh")),
        ({"【开心】": ["ref/happy.wav", SAID]}, ("高兴", SAID, "zh")),
        ({"开心/高兴": ["ref/happy.wav", SAID]}, ("高兴", SAID, "zh")),
        ({"开心": {"path": "ref/happy.wav", "text": SAID}}, ("高兴", SAID, "zh")),
        (
            {"开心": {"refAudioPath": "ref/happy.wav", "promptText": SAID, "promptLang": "日语"}},
            ("高兴", SAID, "ja"),
        ),
        ({"开心": [["ref/happy.wav", SAID], ["ref/sad.wav", SAID]]}, ("高兴", SAID, "zh")),
        ({"开心": '"ref/happy.wav"'}, ("高兴", "", "")),
        ({"开心": ["file:ref/happy.wav", SAID]}, ("高兴", SAID, "zh")),
    ],
)
def test_every_form_of_extra_references_is_read(
    tmp_path: Path, extra: dict[str, Any], expected: tuple[str, str, str]
) -> None:
    data = {"Agent": {"char": "x"}, "extra_ref_audio": extra}
    role, _ = import_role(moechat(tmp_path / "m", data), tmp_path / "roles")
    assert clips(role) == {expected} and all(clip.file for clip in role.clips)


def test_tabs_and_paths_that_guides_print_are_mended_and_told(tmp_path: Path) -> None:
    text = 'Agent:\n  char: 小梅\t# 名字\n  user: 阿杰\t\nGSV:\n\ttop_k: 5\n  ref_audio_path: "D:\\voices\\new.wav"\n'
    role, changes = import_role(write(tmp_path / "config.yaml", text), tmp_path / "roles")
    assert (role.name, role.sheet.user) == ("小梅", "阿杰")
    assert role.clips[0].reference.path == "D:\\voices\\new.wav"
    assert "Tab" in notes(changes) and "\\\\" in notes(changes)


def test_every_second_line_of_a_beginning_is_the_roles(tmp_path: Path) -> None:
    data = {**INFO, "startWith": ["你好呀", "主人好！", "在吗", "在呢"]}
    role, _ = import_role(moechat(tmp_path / "m", data, "info.yaml"), tmp_path / "roles")
    assert role.openings == ("主人好！", "在呢")


# CABM.


@pytest.mark.parametrize(
    "config", ['{"ref_audio": "reference.wav", "ref_text": "默认的话"}', '{"multiREF": "nowhere/"}']
)
def test_references_of_cabm_are_found_without_multiref(tmp_path: Path, config: str) -> None:
    role, changes = import_role(cabm(tmp_path / "x", config, f"高兴/{SAID}"), tmp_path / "roles")
    assert ("高兴", SAID, "zh") in clips(role)
    assert "multiREF" in notes(changes)


def test_a_cabm_role_that_names_only_its_weights_is_known(tmp_path: Path) -> None:
    config = '{"gpt": "a.ckpt", "sovits": "a.pth"}'
    role, _ = import_role(cabm(tmp_path / "x", config, f"高兴/{SAID}"), tmp_path / "roles")
    assert ("高兴", SAID, "zh") in clips(role) and role.sheet.gpt_weights == "a.ckpt"


# What archives unpack to.


def test_a_folder_that_only_wraps_a_role_is_opened(tmp_path: Path) -> None:
    pack = tmp_path / "语音包" / "roles" / "流萤"
    for file in (f"【开心】{SAID}.wav", f"【难过】{SAID}.wav"):
        write_clip(pack / file)
    (pack / "流萤-e10.ckpt").write_bytes(b"x")
    (tmp_path / "语音包" / "使用说明.txt").write_text("请勿商用", encoding="utf-8")
    role, changes = import_role(tmp_path / "语音包", tmp_path / "out")
    assert role.name == "流萤" and role.sheet.gpt_weights.endswith("流萤-e10.ckpt")
    assert {label for label, _, _ in clips(role)} == {"高兴", "悲伤"}


@pytest.mark.parametrize("inner", ["refs/高兴", "高兴", "声音/开心", "中文/sad"])
def test_a_folder_that_holds_the_parts_of_a_role_is_the_role(tmp_path: Path, inner: str) -> None:
    write_clip(tmp_path / "小雨" / inner / f"{SAID}.wav")
    assert import_role(tmp_path / "小雨", tmp_path / "out")[0].name == "小雨"


def test_recordings_without_a_feeling_are_for_pick(tmp_path: Path) -> None:
    write_clip(tmp_path / "训练集" / "slicer_opt" / "vocal_0001.wav")
    (tmp_path / "训练集" / "slicer_opt.list").write_text("vocal_0001.wav|x|ZH|你好", encoding="utf-8")
    with pytest.raises(SettingsError, match="roles pick"):
        import_role(tmp_path / "训练集", tmp_path / "out")


def test_a_folder_of_nothing_is_told_what_can_be_imported(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(SettingsError, match=r"infer_config\.json"):
        import_role(tmp_path / "a", tmp_path / "out")


# LingChat.

LINGCHAT = {
    "ai_name": "灯儿",
    "user_name": "先生",
    "system_prompt": "你守着灯塔。",
    "system_prompt_example": "1.“【高兴】来啦。”\n2.“【难过】走啦。”",
    "info": "x",
    "scale": 1.2,
    "tts_type": "gsv",
    "voice_models": {
        "sva_speaker_id": "0",
        "gsv_voice_filename": "main.wav",
        "gsv_voice_text": "这是主要的一句。",
        "gsv_gpt_model_name": "C:\\w\\a.ckpt",
        "gsv_sovits_model_name": "C:\\w\\a.pth",
        "gsv_emo_texts": {"开心": SAID, "难过": "我有一点难过啊"},
        "gsv_emo_voice_files": {"难过": "cry.wav", "吃惊": ""},
    },
}


def lingchat(folder: Path) -> Path:
    for name in ("main", "开心", "cry"):
        write_clip(folder / "voice" / f"{name}.wav")
    write(folder / "settings.yml", LINGCHAT)
    (folder / "avatar").mkdir()
    return folder


def test_a_character_of_lingchat_becomes_a_role(tmp_path: Path) -> None:
    lingchat(tmp_path / "LingChat" / "data" / "game_data" / "characters" / "灯儿")
    role, changes = import_role(tmp_path / "LingChat", tmp_path / "roles")
    assert (role.name, role.sheet.user, role.sheet.description) == ("灯儿", "先生", "你守着灯塔。")
    assert len(role.sheet.examples) == 2 and role.voice.weights["gpt"] == "C:\\w\\a.ckpt"
    assert clips(role) == {
        ("", "这是主要的一句。", "zh"),
        ("高兴", SAID, "zh"),
        ("悲伤", "我有一点难过啊", "zh"),
    }
    assert not errors(changes)


@pytest.mark.parametrize(
    "text",
    [
        f'ai_name = "灯儿"\nsystem_prompt = """守\n灯塔"""\nvoice_models = {{"gsv_voice_filename": "main.wav", "gsv_voice_text": "{SAID}"}}\n',
        f"ai_name=灯儿\nsystem_prompt=守灯塔\ngsv_voice_filename=main.wav\ngsv_voice_text={SAID}\n",
    ],
)
def test_the_older_settings_of_lingchat_are_read(tmp_path: Path, text: str) -> None:
    write_clip(tmp_path / "灯儿" / "voice" / "main.wav")
    write(tmp_path / "灯儿" / "settings.txt", text)
    role, _ = import_role(tmp_path / "灯儿", tmp_path / "roles")
    assert role.name == "灯儿" and clips(role) == {("", SAID, "zh")}


# The host.


@pytest.mark.parametrize(
    "section",
    [
        {
            "GPT_SOVITS_V1": {
                "type": "gpt_sovits_v1",
                "refer_wav_path": "/a.wav",
                "prompt_text": SAID,
                "prompt_language": "中文",
            }
        },
        {
            "我的声音": {
                "type": "gpt_sovits_v2_stream",
                "ref_audio_path": "/a.wav",
                "prompt_text": SAID,
                "prompt_lang": "zh",
            }
        },
        {"Voice": {"type": "persona_voice", "ref_audio": "/a.wav", "ref_text": SAID}},
        {
            "FishSpeech": {
                "type": "fishspeech",
                "reference_audio": ["/a.wav"],
                "reference_text": [SAID],
                "api_key": "x",
            }
        },
        {
            "FishSpeech": {"type": "fishspeech", "reference_audio": ["/b.wav"], "reference_text": ["别的"]},
            "GPT_SOVITS_V9": {"ref_audio_path": "‪/a.wav", "prompt_text": SAID},
        },
    ],
)
def test_every_section_with_a_reference_is_taken(tmp_path: Path, section: dict[str, Any]) -> None:
    role, changes = import_role(
        write(tmp_path / "config.yaml", {"TTS": {"EdgeTTS": {"type": "edge"}, **section}}), tmp_path / "roles"
    )
    (clip,) = role.clips
    assert (clip.reference.path, clip.reference.text) == ("/a.wav", SAID) and not errors(changes)


# Folders.


def test_a_folder_of_recordings_is_a_role(tmp_path: Path) -> None:
    folder = tmp_path / "阿米娅"
    write_clip(folder / "reference_audios" / "Chinese" / "emotions" / f"happy_{SAID}.wav")
    write_clip(folder / "reference_audios" / "Japanese" / "emotions" / "default_今日はいい天気ですね.wav")
    for name in ("a-e10.ckpt", "a-e15.ckpt", "a_e8_s96.pth"):
        (folder / name).touch()
    role, changes = import_role(folder, tmp_path / "roles")
    assert clips(role) == {("高兴", SAID, "zh"), ("", "今日はいい天気ですね", "ja")}
    assert role.voice.weights["gpt"].endswith("a-e15.ckpt") and "a-e10.ckpt ignored" in notes(changes)


def test_a_data_set_is_not_copied_whole(tmp_path: Path) -> None:
    for number in range(60):
        write_clip(tmp_path / "set" / f"{number:03d}.wav", hum(0.1))
    role, changes = import_role(tmp_path / "set", tmp_path / "roles")
    assert len(role.clips) == 40 and "有 60 段" in notes(changes)


def test_a_folder_of_which_nothing_is_used_says_so(tmp_path: Path) -> None:
    for file in ("战斗/x.wav", "待机/y.wav"):
        write_clip(tmp_path / "x" / "deep" / file)
    with pytest.raises(SettingsError, match="没有能用的音频.*有 2 个音频"):
        import_role(tmp_path / "x", tmp_path / "roles")


# What servers refuse is an error.


@pytest.mark.parametrize(
    ("gsv", "told", "kept"),
    [
        ({"text_split_method": "按标点符号切"}, "", {"text_split_method": "cut5"}),
        ({"text_split_method": "凑四句一切"}, "", {"text_split_method": "cut1"}),
        ({"speed_factor": "1.2x"}, "", {"speed_factor": 1.2}),
        ({"ex_config": {"topK": "5"}}, "", {"top_k": 5}),
        ({"top_k": "多"}, "GSV.top_k", {}),
        ({"sample_steps": 0}, "GSV.sample_steps", {}),
        ({"temperature": [1]}, "GSV.temperature", {}),
        ({"text_lang": "火星语"}, "GSV.text_lang", {}),
        ({"ref_audio_path": "a\u202eb.wav"}, "GSV.ref_audio_path", {}),
        ({"media_type": "aac"}, "", {}),
    ],
)
def test_parameters_are_mapped_or_an_error(
    tmp_path: Path, gsv: dict[str, Any], told: str, kept: dict[str, Any]
) -> None:
    role, changes = import_role(
        moechat(tmp_path / "m", {"Agent": {"char": "x"}, "GSV": gsv}), tmp_path / "roles"
    )
    assert role.voice.parameters == kept
    assert errors(changes) == ([told] if told else [])


@pytest.mark.parametrize(
    ("seconds", "text", "told"),
    [(1.0, SAID, "秒"), (12.0, SAID * 5, "秒"), (4.0, "", "没有文字")],
)
def test_a_clip_that_the_engine_refuses_is_an_error(
    tmp_path: Path, seconds: float, text: str, told: str
) -> None:
    write_clip(tmp_path / "x" / "高兴" / "001.wav", seconds, text)
    _, changes = import_role(tmp_path / "x", tmp_path / "roles")
    assert any(change.kind == "error" and told in change.note for change in changes)


@pytest.mark.parametrize("name", ["a.mp3", "a.flac", "a.ogg", "a.m4a", "a.wav"])
def test_a_file_that_is_no_sound_is_an_error(tmp_path: Path, name: str) -> None:
    file = tmp_path / "x" / "高兴" / name
    write(file.with_suffix(".txt"), SAID)
    file.write_bytes(b"<html>not found</html>")
    _, changes = import_role(tmp_path / "x", tmp_path / "roles")
    assert errors(changes)


@pytest.mark.parametrize(
    "parameters",
    ["{media_type: aac}", "{topk: 5}", "{top_k: 多}", "{sample_steps: 0}", "{text_split_method: cut9}"],
)
def test_the_check_refuses_what_a_server_would(tmp_path: Path, parameters: str) -> None:
    from fakes.role_packs import write_role

    from xiaozhi_persona.roles.role import load_pack

    role = load_pack(write_role(tmp_path / "r", f"name: x\nparameters: {parameters}"))
    assert [finding.level for finding in check_role(role)] == ["error"]


def test_the_check_tells_of_recordings_that_are_not_used(tmp_path: Path) -> None:
    from fakes.role_packs import write_role

    from xiaozhi_persona.roles.role import load_pack

    write_role(tmp_path / "r")
    write_clip(tmp_path / "r" / "录制" / "战斗" / "x.wav")
    (finding,) = check_role(load_pack(tmp_path / "r"))
    assert finding.level == "error" and "录制/战斗/x.wav" in finding.message


# Attacks.


def test_links_out_of_a_folder_are_not_followed(tmp_path: Path) -> None:
    write_clip(tmp_path / "secret" / "高兴" / f"{SAID}.wav")
    write_clip(tmp_path / "x" / "难过" / "我有点难过啊.wav")
    os.symlink(tmp_path / "secret" / "高兴", tmp_path / "x" / "高兴")
    os.symlink(tmp_path / "x", tmp_path / "x" / "难过" / "again")
    role, changes = import_role(tmp_path / "x", tmp_path / "roles")
    assert clips(role) == {("悲伤", "我有点难过啊", "zh")} and "链接" in notes(changes)


def test_yaml_that_holds_itself_a_thousand_times_ends(tmp_path: Path) -> None:
    bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"a{n}: &a{n} [" + ",".join([f"*a{n - 1}"] * 10) + "]\n" for n in range(1, 12)
    )
    text = (
        bomb
        + "Agent: {char: *a11, prompt: *a11}\nGSV: {top_k: *a11, ref_audio_path: *a11, ex_config: *a11}\n"
    )
    role, changes = import_role(write(tmp_path / "m" / "config.yaml", text), tmp_path / "roles", "x")
    assert role.sheet.prompt == "" and len(notes(changes)) < 5000


@pytest.mark.parametrize(
    "text",
    [
        "Agent: &a {char: *a}",
        "Agent: {char: x}\nGSV: &g {ex_config: *g}",
        "Agent: !!python/object:os.system {}",
    ],
)
def test_yaml_in_circles_and_with_objects_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError):
        import_role(write(tmp_path / "config.yaml", text), tmp_path / "roles")


def test_a_settings_file_that_is_a_program_is_only_read(tmp_path: Path) -> None:
    text = "import os\nai_name = os.system('touch /tmp/never')\ngsv_voice_text = " + "(" * 500 + ")" * 500
    write(tmp_path / "x" / "settings.txt", text)
    import_role(tmp_path / "x", tmp_path / "roles")
    assert not Path("/tmp/never").exists()


@pytest.mark.parametrize(
    "path",
    [
        "\u202aD:\\声音\\a.wav",
        '"D:\\声音\\a.wav"',
        "file:///D:/%E5%A3%B0%E9%9F%B3/a.wav",
        " 'D:\\声音\\a.wav' ",
        "“D:\\声音\\a.wav”",
    ],
)
def test_paths_with_decoration_are_meant_without(tmp_path: Path, path: str) -> None:
    data = {
        "Agent": {"char": "x"},
        "GSV": {"ref_audio_path": path, "prompt_text": SAID, "GPT_weight": path.replace("a.wav", "a.ckpt")},
    }
    role, _ = import_role(moechat(tmp_path / "m", data), tmp_path / "roles")
    assert role.clips[0].reference.path.replace("/", "\\") == "D:\\声音\\a.wav"
    assert role.sheet.gpt_weights.replace("/", "\\") == "D:\\声音\\a.ckpt"


def test_the_folder_itself_may_be_named_with_quotes(tmp_path: Path) -> None:
    cabm(tmp_path / "银 花", '{"ref_audio": "reference.wav", "ref_text": "默认的话"}')
    assert import_role(Path(f'"{tmp_path}/银 花"'), tmp_path / "roles")[0].name == "银 花"


def test_a_host_that_names_nothing_is_refused(tmp_path: Path) -> None:
    assert MOECHAT and host(tmp_path)
    with pytest.raises(SettingsError, match="认不出"):
        import_role(write(tmp_path / "c.yaml", {"TTS": {"EdgeTTS": {"type": "edge"}}}), tmp_path / "roles")
