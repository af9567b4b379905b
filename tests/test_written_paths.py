"""Paths as people copy them into settings."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.role_packs import write_role

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.roles.languages import language_code
from xiaozhi_persona.roles.role import load_pack
from xiaozhi_persona.voice_settings import GptSovitsSettings
from xiaozhi_persona.written_paths import path_as_meant


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("\u202aC:\\a.wav", "C:\\a.wav"),
        ('"C:\\a b.wav"\n', "C:\\a b.wav"),
        ("\ufeffD:\\x", "D:\\x"),
        ("‘/a b.wav’", "/a b.wav"),
        ("C:\\a.wav\u200b", "C:\\a.wav"),
        ("\u00a0/a.wav\u3000", "/a.wav"),
        ("file:///C:/a%20b.wav", "C:/a b.wav"),
        ("file:///home/a.wav", "/home/a.wav"),
        ("file://localhost/home/a.wav", "/home/a.wav"),
        ("file://nas/share/a.wav", "//nas/share/a.wav"),
        ("FILE:///d:/a.wav", "d:/a.wav"),
        ("/a/O'Neil.wav", "/a/O'Neil.wav"),
        ("《D:\\a.wav》", "《D:\\a.wav》"),
        ('"', '"'),
        ("", ""),
    ],
)
def test_what_is_around_a_path_is_left_out(written: str, meant: str) -> None:
    assert path_as_meant(written) == meant == path_as_meant(meant)


@pytest.mark.parametrize(
    ("path", "named"), [("C:\\a\u200bb.wav", "U+200B"), ("D:\\a\tb", "U+0009"), ("a\0b", "U+0000")]
)
def test_what_nobody_sees_within_a_path_is_named(path: str, named: str) -> None:
    with pytest.raises(ValueError, match=named.replace("+", r"\+")):
        path_as_meant(path)


def test_paths_of_roles_and_settings_are_meant_without(tmp_path: Path) -> None:
    sheet = "name: x\ngpt_weights: '\"D:\\w\\a.ckpt\"'\nserver_dir: \u202aD:\\voices\\x\n"
    role = load_pack(
        write_role(tmp_path / "r", sheet + "references: {高兴: [{server_path: ' \"E:\\a.wav\" '}]}")
    )
    assert (role.sheet.gpt_weights, role.sheet.server_dir) == ("D:\\w\\a.ckpt", "D:\\voices\\x")
    assert role.clips[0].reference.path == "E:\\a.wav"
    settings = GptSovitsSettings(gpt_weights='"a.ckpt"', server_dirs={"x": "file:///D:/v"})
    assert (settings.gpt_weights, settings.server_dirs) == ("a.ckpt", {"x": "D:/v"})
    with pytest.raises(SettingsError, match=r"server_dir.*U\+200B"):
        load_pack(write_role(tmp_path / "s", "name: x\nserver_dir: D:\\a\u200bb"))


@pytest.mark.parametrize(
    ("written", "code"),
    [
        *(
            (text, "zh")
            for text in (
                "cn",
                "Chinese",
                "普通话",
                "zh-CN",
                "zh_TW",
                "zh-Hans-CN",
                "简体中文",
                "国语",
                "Mandarin",
                "中英",
            )
        ),
        *((text, "ja") for text in ("日本語", "jp", "ja_JP", "日本语", "ＪＰ", "Japanese(日语)")),
        *((text, "en") for text in ("english", "en-GB", "英")),
        *((text, "ko") for text in ("korean", "韩国语", "한국어")),
        *((text, "yue") for text in ("广东话", "cantonese", "zh-HK")),
        *((text, "auto") for text in ("中日混合", "多语种", "多语种混合", "AUTO")),
        ("中文", "all_zh"),
        ("多语种混合（粤语）", "auto_yue"),
        *((text, None) for text in ("klingon", "fr", "", "zhx", "台语")),
    ],
)
def test_one_list_of_spellings_for_languages(written: str, code: str | None) -> None:
    assert language_code(written) == code
