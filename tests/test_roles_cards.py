"""Character cards: every version and every file that holds one becomes a role; what is none is refused."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import pytest
from fakes.cards import FIELDS, MORE, charx, chunk, encoded, png, png_card, text_chunk, v2, v3
from fakes.role_packs import write_clip

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.roles.importers.draft import Change
from xiaozhi_persona.roles.importers.kinds import import_role
from xiaozhi_persona.roles.importers.tavern_macros import Macros
from xiaozhi_persona.roles.lore import load_lore
from xiaozhi_persona.roles.role import Role


def card(folder: Path, data: Any, name: str = "card.json") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
    return folder / name


def imported(tmp_path: Path, data: Any) -> tuple[Role, list[Change]]:
    return import_role(card(tmp_path / "in", data), tmp_path / "roles")


def told(changes: list[Change], source: str) -> list[str]:
    return [change.kind for change in changes if change.source == source]


@pytest.mark.parametrize("data", [FIELDS, v2(), v3(), {**FIELDS, "spec": "chara_card_v1"}, {**MORE, **v2()}])
def test_cards_of_every_version_become_roles(tmp_path: Path, data: dict[str, Any]) -> None:
    role, changes = imported(tmp_path, data)
    assert (role.id, role.name, role.sheet.personality) == ("阿澄", "阿澄", "安静，爱数星星")
    assert role.sheet.description == "阿澄住在灯塔里，每天给用户写信。"
    assert role.openings[0] == "*推开门* 【高兴】用户，你来啦！"
    assert role.sheet.examples == ["灯亮着，就不算晚。\n第二行。", "数到一百颗了。"]
    assert "台风前一夜的灯塔。" in role.sheet.prompt
    assert not [change for change in changes if change.kind == "error"]


def test_what_version_2_has_more_is_taken_or_told(tmp_path: Path) -> None:
    role, changes = imported(tmp_path, v2())
    assert role.openings[1:] == ("今天也在等你。",)
    for part in ("只说两句话。", "别提台风。", "阿澄怕打雷。", "她左手戴着表。"):
        assert part in role.sheet.prompt
    assert "original" not in role.sheet.prompt and "玩得开心" not in role.character_prompt()
    assert told(changes, "creator_notes") == ["ignored"] and told(changes, "scenario") == ["taken"]
    book = load_lore(role.folder / "lore")
    assert [(entry.keys, entry.text) for entry in book.entries] == [
        (("灯塔", "塔"), "灯塔有三层。"),
        (("猫", "狗"), "岛上有一只猫。"),
    ]
    assert book.find(["我们去灯塔吧"], 500) == ["灯塔有三层。"]


@pytest.mark.parametrize("keyword", ["chara", "ccv3", "Chara"])
@pytest.mark.parametrize("kind", ["tEXt", "zTXt", "iTXt", "iTXt+"])
def test_a_card_in_a_picture_is_read(tmp_path: Path, keyword: str, kind: str) -> None:
    role, _ = import_role(png_card(tmp_path / "a.png", v2(), keyword, kind), tmp_path / "roles")
    assert role.name == "阿澄" and len(role.lore_files) == 1


def test_the_newer_card_of_a_picture_counts(tmp_path: Path) -> None:
    texts = [text_chunk("chara", encoded(v2(name="旧"))), text_chunk("ccv3", encoded(v3(name="新")))]
    assert import_role(png(tmp_path / "a.png", *texts), tmp_path / "roles")[0].name == "新"


def test_a_charx_is_read_and_nothing_of_it_unpacked(tmp_path: Path) -> None:
    file = charx(tmp_path / "a.charx", json.dumps(v3()).encode())
    assert import_role(file, tmp_path / "data" / "roles")[0].name == "阿澄"
    assert not list(tmp_path.rglob("evil.txt")) and not (tmp_path.parent / "evil.txt").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"character_book": None, "alternate_greetings": None, "extensions": None},
        {"alternate_greetings": "1687194031049", "tags": "a"},
        {
            "character_book": {
                "entries": {"0": {"key": "灯塔, 塔", "content": "高"}, "1": {"key": [], "content": ""}}
            }
        },
        {"character_book": {"entries": [None, 5, {"keys": [None, 5], "content": 7}]}},
        {"character_book": []},
        {"character_book": {"entries": "x"}},
        {"mes_example": None, "personality": None, "system_prompt": ["a", "b"]},
        {"name": "", "nickname": "阿澄"},
        {"description": {"a": 1}},
        {"first_mes": "x" * 100_000},
    ],
)
def test_cards_that_sites_write_wrong_are_taken_as_far_as_they_go(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    role, _ = imported(tmp_path, v2(**changes))
    assert role.name == "阿澄"


def test_the_nickname_is_what_char_stands_for(tmp_path: Path) -> None:
    role, _ = imported(tmp_path, v3(nickname="澄澄"))
    assert role.sheet.description.startswith("澄澄住在")


def test_a_card_without_a_name_takes_the_files(tmp_path: Path) -> None:
    role, changes = import_role(card(tmp_path / "in", v2(name=""), "灯塔守望者.json"), tmp_path / "roles")
    assert role.name == "灯塔守望者" and told(changes, "灯塔守望者.json") == ["changed"]


def test_the_older_form_is_read(tmp_path: Path) -> None:
    older = {"char_name": "阿澄", "char_persona": "守灯塔", "char_greeting": "来啦", "world_scenario": "海边"}
    role, _ = imported(tmp_path, older)
    assert (role.name, role.sheet.description, role.openings) == ("阿澄", "守灯塔", ("来啦",))


def test_a_folder_with_a_card_and_recordings_gives_both(tmp_path: Path) -> None:
    png_card(tmp_path / "in" / "阿澄.png", v2())
    png(tmp_path / "in" / "avatar.png")
    write_clip(tmp_path / "in" / "reference_audios" / "happy_今天真是太好了呀.wav")
    write_clip(tmp_path / "in" / "reference_audios" / "sad_我等了你好久好久.wav")
    (tmp_path / "in" / "a-e15.ckpt").write_bytes(b"PK")
    (tmp_path / "in" / "a_e8_s200.pth").write_bytes(b"PK")
    role, _ = import_role(tmp_path / "in", tmp_path / "roles")
    assert role.name == "阿澄"
    assert {(clip.name, clip.reference.text) for clip in role.clips} == {
        ("happy", "今天真是太好了呀"),
        ("sad", "我等了你好久好久"),
    }
    assert role.sheet.gpt_weights.endswith("a-e15.ckpt") and role.sheet.sovits_weights.endswith(
        "a_e8_s200.pth"
    )


# Macros.


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("<USER>和<BOT>", "{{user}}和{{char}}"),
        ("{{ Char }}{{USER}}", "{{char}}{{user}}"),
        ("{{random:{{char}},b}}来了", "{{char}}来了"),
        ("{{random::甲::乙}}", "甲"),
        ("{{pick: 甲, 乙}}", "甲"),
        ("{{// 注释}}正文{{comment: x}}", "正文"),
        ("一{{newline}}二{{trim}}", "一\n二"),
        ("{{time}}到了{{getvar::x}}", "到了"),
        ("{{", "{{"),
        ("{{" * 3000, "{{" * 3000),
    ],
)
def test_macros_become_what_they_stand_for(text: str, read: str) -> None:
    assert Macros("阿澄").read(text) == read


def test_macros_that_are_left_out_are_told(tmp_path: Path) -> None:
    _, changes = imported(tmp_path, v2(description="现在{{time}}，{{getvar::x}}"))
    assert told(changes, "{{time}}") == told(changes, "{{getvar}}") == ["changed"]


# What is no card, and attacks.


@pytest.mark.parametrize(
    "data",
    [
        {"foo": 1},
        {},
        [],
        "x",
        {"name": "left-pad", "description": "a package", "version": "1.0.0"},
        {"spec": "chara_card_v2", "data": {}},
        {"spec": "chara_card_v3"},
        {"entries": {"0": {"key": ["a"], "content": "b"}}},
        {"name": "x"},
        {"scenario": 5.5, "data": []} | {"scenario": None},
    ],
)
def test_json_that_is_no_card_is_refused_and_nothing_written(tmp_path: Path, data: Any) -> None:
    with pytest.raises(SettingsError, match="认不出"):
        imported(tmp_path, data)
    assert not (tmp_path / "roles").exists()


def bad_pictures() -> dict[str, bytes]:
    start = b"\x89PNG\r\n\x1a\n"
    huge = zlib.compress(b"0" * (64 << 20))
    return {
        "empty": b"",
        "only the start": start,
        "a JPEG": b"\xff\xd8\xff\xe0" + b"\0" * 50,
        "no card": start + chunk(b"IEND", b""),
        "not base64": start + text_chunk("chara", b"\xff\xfe not base64 !!"),
        "not JSON": start + text_chunk("chara", b"aGVsbG8="),
        "cut off": start + text_chunk("chara", encoded(v2()))[:60],
        "a bomb": start + chunk(b"zTXt", b"chara\0\0" + huge),
        "a bomb in iTXt": start + chunk(b"iTXt", b"chara\0\1\0\0\0" + huge),
        "a size that lies": start + b"\xff\xff\xff\xfftEXtchara\0",
        "many chunks": start + chunk(b"tIME", b"") * 30_000,
        "deep": start + text_chunk("chara", b"[" * 200_000),
        "a number of a million digits": start + text_chunk("chara", b'{"name":' + b"9" * 100_000 + b"}"),
        "damaged zlib": start + chunk(b"zTXt", b"chara\0\0" + b"x\x9cnothing"),
    }


@pytest.mark.parametrize("name", bad_pictures())
def test_a_picture_that_is_damaged_or_a_bomb_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.png").write_bytes(bad_pictures()[name])
    with pytest.raises(SettingsError):
        import_role(tmp_path / "a.png", tmp_path / "roles")
    assert not (tmp_path / "roles").exists()


def test_a_picture_that_was_not_downloaded_whole_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(bad_pictures()["cut off"])
    with pytest.raises(SettingsError, match="重新下载"):
        import_role(tmp_path / "a.png", tmp_path / "roles")


@pytest.mark.parametrize(
    ("content", "name"), [(b"{}" + b" " * (9 << 20), "card.json"), (b"{}", "other.json"), (b"x", "card.json")]
)
def test_a_charx_that_is_none_is_refused(tmp_path: Path, content: bytes, name: str) -> None:
    with pytest.raises(SettingsError):
        import_role(charx(tmp_path / "a.charx", content, name), tmp_path / "roles")


@pytest.mark.parametrize("name", ["a.webp", "a.jpg", "a.zip", "a.7z", "a.wav"])
def test_other_files_are_told_what_to_do(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(SettingsError, match="请"):
        import_role(tmp_path / name, tmp_path / "roles")


def test_the_names_in_a_card_lead_nowhere(tmp_path: Path) -> None:
    role, _ = imported(tmp_path, v2(name="../../etc/passwd"))
    assert role.folder.parent == tmp_path / "roles"
