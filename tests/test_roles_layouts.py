"""Recordings as people keep them: folders, names and texts of every kind become the references of a role."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fakes.role_packs import write_clip, write_role

from xiaozhi_persona.roles.clip_names import emotion_word, read_name
from xiaozhi_persona.roles.role import Role, load_pack
from xiaozhi_persona.text.emotions import built_in_names

SAID = "我等了你好久好久"


def role_with(
    folder: Path, *files: str, sheet: str = "name: 小梅", texts: dict[str, str] | None = None
) -> Role:
    write_role(folder, sheet)
    for file in files:
        write_clip(folder / file)
    for file, text in (texts or {}).items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(text, encoding="utf-8")
    return load_pack(folder)


def told(role: Role) -> list[tuple[str, str]]:
    """Of each clip the label of its feeling, "" for the default, and its text."""
    return [(clip.emotion.label if clip.emotion else "", clip.reference.text) for clip in role.clips]


@pytest.mark.parametrize(
    ("file", "label", "text"),
    [
        (f"refs/悲伤_{SAID}.wav", "悲伤", SAID),
        (f"refs/【悲伤】{SAID}.wav", "悲伤", SAID),
        ("refs/happy.wav", "高兴", ""),
        ("refs/happy_01.wav", "高兴", ""),
        ("refs/emotions/【开心】今天真是太好了.wav", "高兴", "今天真是太好了"),
        ("refs/01_高兴/x.wav", "高兴", ""),
        ("refs/高兴(1)/x.wav", "高兴", ""),
        ("refs/happy1/x.wav", "高兴", ""),
        ("refs/【高兴】/x.wav", "高兴", ""),
        ("refs/小雨/高兴/x.wav", "高兴", ""),
        ("refs/小梅/高兴/x.wav", "高兴", ""),
        ("refAudio/高兴/x.wav", "高兴", ""),
        ("refAudio/小梅/高兴/今天真是太好了.wav", "高兴", "今天真是太好了"),
        ("reference_audios/happy_你好博士.wav", "高兴", "你好博士"),
        ("reference_audios/Chinese/emotions/sad_我不想工作.wav", "悲伤", "我不想工作"),
        ("reference_audios/普通对话而已.wav", "", "普通对话而已"),
        ("高兴/今天真是太好了.wav", "高兴", "今天真是太好了"),
        ("happy.wav", "高兴", ""),
        ("voice/开心.wav", "高兴", ""),
        ("参考音频/开心/x.wav", "高兴", ""),
        ("refs/【中立_neutral】今天天气不错啊.wav", "中性", "今天天气不错啊"),
        ("refs/小雨_高兴_今天天气真好.wav", "高兴", "今天天气真好"),
        ("refs/生气—不要把我跟他相提并论！.wav", "愤怒", "不要把我跟他相提并论！"),
        ("refs/happy_I_am_so_glad.wav", "高兴", "I am so glad"),
        ("refs/今天真是太好了【高兴】.wav", "高兴", "今天真是太好了"),
        ("refs/happy - 副本.wav", "高兴", ""),
        ("refs/非常开心/x.wav", "高兴", ""),
        ("refs/高兴/wav/x.wav", "高兴", ""),
        ("refs/默认/happy birthday to you.wav", "", "happy birthday to you"),
        ("refs/战斗/x.wav", "战斗", ""),
        ("refs/中文/emotions/【开心_happy】哇！这里好漂亮啊！.wav", "高兴", "哇！这里好漂亮啊！"),
        ("refs/01生气.wav", "愤怒", ""),
        ("refs/高兴~今天去哪里玩呀.wav", "高兴", "今天去哪里玩呀"),
        ("ref_audio/愤怒-你怎么能这样对我.wav", "愤怒", "你怎么能这样对我"),
        ("refs/Happy 01/a.wav", "高兴", ""),
        ("refs/003_惊讶_什么？怎么会这样.wav", "惊讶", "什么？怎么会这样"),
        ("refs/[害羞]你、你不要一直看我.mp3", "害羞", "你、你不要一直看我"),
        ("refs/恐惧(fear)/a.wav", "恐惧", ""),
        ("refs/疑惑？/a.wav", "困惑", ""),
        ("refs/开心（大笑）/a.wav", "高兴", ""),
        ("refs/派蒙-开心-前面的区域以后再来探索吧.wav", "高兴", "前面的区域以后再来探索吧"),
        ("refs/害羞/害羞_那个，其实我.wav", "害羞", "那个，其实我"),
        ("refs/嬉しい_今日は楽しかったね.wav", "高兴", "今日は楽しかったね"),
        ("refs/화남/1.wav", "愤怒", ""),
        ("refs/happy__hello there everyone.wav", "高兴", "hello there everyone"),
        ("refs/main/a.wav", "", ""),
        ("refs/高兴/小雨_0012_太好了我们走吧.wav", "高兴", "太好了我们走吧"),
        ("refs/开心1号.wav", "高兴", ""),
        ("refs/【愤怒】(大声) 你走开啊！.wav", "愤怒", "你走开啊！"),
        ("refs/emotion=sad.wav", "悲伤", ""),
        ("refs/小雨的参考音频/高兴.wav", "高兴", ""),
    ],
)
def test_a_recording_is_found_with_its_feeling_and_its_words(
    tmp_path: Path, file: str, label: str, text: str
) -> None:
    assert told(role_with(tmp_path / "r", file)) == [(label, text)]


@pytest.mark.parametrize(
    "name",
    "001 参考音频 01_文字 小雨参考音频 录音(3) 文字.wav_0000_0144 a.mp3.reformatted.wav_10.flac_0000003200_0000148480 "
    "2024-05-01_12-30-11 sample idle50 untitled".split(),
)
def test_a_name_that_is_no_sentence_is_no_text(tmp_path: Path, name: str) -> None:
    assert told(role_with(tmp_path / "r", f"refs/高兴/{name}.wav")) == [("高兴", "")]


def test_files_of_several_feelings_decide_over_the_folder(tmp_path: Path) -> None:
    role = role_with(tmp_path / "r", "refs/默认/happy.wav", "refs/默认/sad.wav", "refs/默认/x.wav")
    assert told(role) == [("高兴", ""), ("悲伤", ""), ("", "")]


def test_a_folder_with_feelings_in_it_is_none_itself(tmp_path: Path) -> None:
    role = role_with(
        tmp_path / "r", "refs/小雨/高兴/a.wav", "refs/小雨/b.wav", "refs/银花/sad_我好难过啊.wav"
    )
    assert told(role) == [("", ""), ("高兴", ""), ("悲伤", "我好难过啊")]


def test_the_roles_own_name_is_no_feeling(tmp_path: Path) -> None:
    role = role_with(tmp_path / "r", "refs/Joy/a.wav", "refs/Joy/sad.wav", sheet="name: Joy")
    assert told(role) == [("", ""), ("悲伤", "")]


def test_the_folder_of_a_language_tells_the_language(tmp_path: Path) -> None:
    role = role_with(
        tmp_path / "r", "reference_audios/Japanese/emotions/happy_1.wav", "reference_audios/zh/sad_1.wav"
    )
    assert [clip.reference.language for clip in role.clips] == ["ja", "zh"]


# Texts.


@pytest.mark.parametrize(
    ("file", "text", "label"),
    [
        ("refs/01.txt", f"01.wav|小雨|ZH|{SAID}", ""),
        ("refs/01.txt", f"vocal/01.wav|小雨|ZH|{SAID}\n", ""),
        ("refs/01.txt", f"【高兴】{SAID}", "高兴"),
        ("refs/01.txt", f"“{SAID}”", ""),
        ("refs/01.wav.txt", SAID, ""),
        ("refs/01.TXT", SAID, ""),
        ("refs/01.lab", SAID, ""),
        ("refs/01.normalized.txt", SAID, ""),
        ("refs/x.list", f"D:\\sliced\\01.wav|小雨|ZH|{SAID}\nD:\\sliced\\02.wav|小雨|ZH|别的", ""),
        ("refs/x.list", f"output/01.wav|{SAID}", ""),
        ("refs/x.csv", f"01|{SAID}|{SAID}", ""),
        ("refs/texts.txt", f"02.wav 别的\n01.wav：{SAID}", ""),
        ("refs/texts.txt", f"01.wav\t{SAID}", ""),
        ("refs/asr.list", f"/root/x/01.wav|小雨|zh|{SAID}|", ""),
        ("refs/metadata.csv", f"wavs/01.wav|{SAID}", ""),
        ("refs/texts.tsv", f"wav\ttext\n01.wav\t【难过】{SAID}", "悲伤"),
    ],
)
def test_the_words_are_found_beside(tmp_path: Path, file: str, text: str, label: str) -> None:
    assert told(role_with(tmp_path / "r", "refs/01.wav", texts={file: text})) == [(label, SAID)]


def test_happy_wav_takes_happy_txt(tmp_path: Path) -> None:
    role = role_with(tmp_path / "r", "refs/happy.wav", texts={"refs/happy.txt": SAID})
    assert told(role) == [("高兴", SAID)]


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16", "utf-8-sig"])
def test_lists_of_every_encoding_are_read_with_their_languages(tmp_path: Path, encoding: str) -> None:
    write_clip(tmp_path / "r" / "refs" / "高兴" / "a.wav")
    line = "a.wav|小雨|JP|今日はいい天気ですね"
    (tmp_path / "r" / "refs" / "all.list").write_text(line, encoding=encoding)
    (clip,) = role_with(tmp_path / "r").clips
    assert (clip.reference.text, clip.reference.language) == ("今日はいい天気ですね", "ja")


def test_a_bar_in_a_text_of_its_own_stays(tmp_path: Path) -> None:
    assert told(role_with(tmp_path / "r", "refs/a.wav", texts={"refs/a.txt": "今天|天气真好"})) == [
        ("", "今天|天气真好")
    ]


# role.yaml.


@pytest.mark.parametrize("key", ["[开心]", "【开心】", "开心/高兴", "01_开心", "非常开心"])
def test_references_under_decorated_names_are_known_feelings(tmp_path: Path, key: str) -> None:
    sheet = f"name: x\nreferences: {{'{key}': [{{server_path: 'D:\\a.wav', text: 今天真好}}]}}"
    assert told(role_with(tmp_path / "r", sheet=sheet)) == [("高兴", "今天真好")]


def test_a_listed_file_takes_its_words_from_where_it_lies(tmp_path: Path) -> None:
    sheet = "name: x\nreferences: {高兴: [{file: voice/a.wav}], default: [{file: voice/【悲伤】我等了你好久.wav}]}"
    role = role_with(
        tmp_path / "r",
        "voice/a.wav",
        "voice/【悲伤】我等了你好久.wav",
        sheet=sheet,
        texts={"voice/a.lab": SAID},
    )
    assert told(role) == [("高兴", SAID), ("", "我等了你好久")]


def test_a_role_of_its_own_emotions_finds_their_files(tmp_path: Path) -> None:
    sheet = "name: x\nemotions: {得瑟: 骄傲, 中二: {face: cool}}"
    role = role_with(tmp_path / "r", "refs/得瑟_看我的本事.wav", "refs/01_中二/a.wav", sheet=sheet)
    assert told(role) == [("中二", ""), ("骄傲", "看我的本事")] or told(role) == [
        ("骄傲", "看我的本事"),
        ("中二", ""),
    ]


def test_links_in_circles_and_deep_folders_end(tmp_path: Path) -> None:
    write_role(tmp_path / "r", clips={"高兴/a": SAID})
    os.symlink(tmp_path / "r" / "refs", tmp_path / "r" / "refs" / "高兴" / "again")
    write_clip(tmp_path / "r" / "refs" / "/".join("abcdefghij") / "x.wav")
    assert ("高兴", SAID) in told(load_pack(tmp_path / "r"))


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("不开心", ""),
        ("emotions", ""),
        ("小雨", ""),
        ("001", ""),
        ("高兴_happy", "高兴"),
        ("开心语音", "开心"),
        ("sad.wav", "sad"),
    ],
)
def test_what_a_folder_is_named_after(name: str, word: str) -> None:
    assert emotion_word(name, built_in_names()) == word


@pytest.mark.parametrize("name", ["happy birthday to you", "I'm so sorry about that", "说话—今天天气真好呀"])
def test_a_sentence_with_a_feeling_in_it_is_a_sentence(name: str) -> None:
    assert read_name(name, built_in_names()) == ("", name)
