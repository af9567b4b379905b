"""Importing roles writes nothing outside the data folder, and nothing over what is there."""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path
from typing import Any

import pytest
from fakes.foreign_roles import cabm, moechat
from fakes.role_packs import write_clip, write_role

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.roles.files import safe_name
from xiaozhi_persona.roles.importers.kinds import KINDS, import_role
from xiaozhi_persona.roles.role import load_role


def test_a_role_is_never_written_over(tmp_path: Path) -> None:
    write_role(tmp_path / "roles" / "小梅", "name: 旧的")
    with pytest.raises(SettingsError, match="已经有.*--name"):
        import_role(moechat(tmp_path / "m"), tmp_path / "roles")
    assert load_role("小梅", tmp_path).name == "旧的"
    os.symlink(tmp_path / "elsewhere", tmp_path / "roles" / "链接")
    with pytest.raises(SettingsError, match="已经有"):
        import_role(moechat(tmp_path / "m"), tmp_path / "roles", "链接")
    assert not (tmp_path / "elsewhere").exists() and sorted(os.listdir(tmp_path / "roles")) == [
        "小梅",
        "链接",
    ]


# Names and paths stay where they belong.

BAD_NAMES = [
    "../../evil",
    "/etc/evil",
    "C:\\evil",
    "a\0b",
    "..",
    ".",
    "...",
    "con",
    "NUL.txt",
    "COM1",
    "a/b",
    "~/x",
]
BAD_NAMES += ["\n", "x" * 999, "字" * 300, ".hidden", "a:b", "名 字 ", "\u202egnp", "aux"]


@pytest.mark.parametrize("name", BAD_NAMES)
@pytest.mark.parametrize("where", ["--name", "char", "tag"])
def test_names_cannot_lead_out_of_the_data_folder(tmp_path: Path, name: str, where: str) -> None:
    data: dict[str, Any] = {"Agent": {"char": name if where == "char" else "x"}}
    if where == "tag":
        data["extra_ref_audio"] = {name: ["ref/happy.wav", "真是太好了。"]}
    file = moechat(tmp_path / "in" / "m", data)
    before = set(tmp_path.rglob("*"))
    try:
        role, _ = import_role(file, tmp_path / "data" / "roles", name if where == "--name" else "")
    except SettingsError as exc:
        assert "--name" in str(exc) or "role.yaml" in str(exc) or "name" in str(exc)
        assert not [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    else:
        assert role.folder.parent == tmp_path / "data" / "roles"
        assert safe_name(role.id) == role.id
        assert all(clip.file and role.folder in clip.file.parents for clip in role.clips)
        assert load_role(role.id, tmp_path / "data").id == role.id
    new = set(tmp_path.rglob("*")) - before
    assert all(path == tmp_path / "data" or tmp_path / "data" in path.parents for path in new)
    for path in new - {tmp_path / "data"}:
        assert safe_name(path.name) == path.name  # also for Windows


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("小梅", "小梅"),
        ("Chat酱 2.0", "Chat酱 2.0"),
        ("../x", "_x"),
        ("a/b\\c:d", "a_b_c_d"),
        (" .a. ", "a"),
        ("CON", "_CON"),
        ("nul.tar", "_nul.tar"),
        ("console", "console"),
        ("..", ""),
        ("///", ""),
        ("\0\1", ""),
    ],
)
def test_a_name_is_kept_as_far_as_every_system_allows(name: str, kept: str) -> None:
    assert safe_name(name) == kept


def test_links_out_of_a_role_folder_are_not_followed(tmp_path: Path) -> None:
    write_clip(tmp_path / "secret" / "高兴" / "不该复制的声音.wav")
    config = json.dumps({"ref_audio": "reference.wav", "ref_text": "文字", "multiREF": "refAudio"})
    folder = cabm(tmp_path / "x", config, "高兴/今天真是开心")
    os.symlink(tmp_path / "secret" / "高兴", folder / "refAudio" / "悲伤")
    os.symlink(
        tmp_path / "secret" / "高兴" / "不该复制的声音.wav", folder / "refAudio" / "高兴" / "链接里的声音.wav"
    )
    role, changes = import_role(folder, tmp_path / "roles")
    assert [c.reference.text for c in role.clips] == ["文字", "今天真是开心"]
    assert sum("链接" in change.note for change in changes) == 2


@pytest.mark.parametrize(
    "path", ["../../etc/passwd", "/etc/passwd", "/dev/zero", ".", "", "ref", "config.yaml"]
)
def test_only_sound_files_are_copied(tmp_path: Path, path: str) -> None:
    data = {"Agent": {"char": "x"}, "GSV": {"ref_audio_path": path, "prompt_text": "文字"}}
    role, _ = import_role(moechat(tmp_path / "m", data), tmp_path / "roles")
    assert [file.name for file in role.folder.rglob("*") if file.is_file()] == ["role.yaml"]
    assert [clip.reference.path for clip in role.clips] == ([path] if path else [])


# Whatever a file holds.

_KEYS = (
    "name description first_mes data spec character_book entries keys content constant extensions emotion_list gpt_path "
    "ref_wav_path prompt_text default 开心/难过 ref_audio ref_lang multiREF BERTmodel GSV Agent extra_ref_audio char top_k "
    "ex_config gsvSetting startWith extraRefAudio ai_name voice_models gsv_voice_filename gsv_emo_voice_files TTS type "
    "GPT_SOVITS_V2 aux_ref_audio_paths reference_audio path text [开心]"
).split()
_VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    1e308,
    float("nan"),
    10**30,
    "",
    "a.wav",
    "../../x",
    "/etc/passwd",
    "\0",
    "\ud800",
]
_VALUES += [
    "zh",
    "【高兴】今天真好",
    "{{x}}{{char}}",
    "x" * 5000,
    "chara_card_v2",
    "gpt_sovits_v2",
    "1.2x",
    "\u202aD:\\a.wav",
]


def _anything(chance: random.Random, depth: int) -> Any:
    kind = chance.random()
    if depth == 0 or kind < 0.5:
        return chance.choice(_VALUES)
    if kind < 0.7:
        return [_anything(chance, depth - 1) for _ in range(chance.randrange(4))]
    return {chance.choice(_KEYS): _anything(chance, depth - 1) for _ in range(chance.randrange(6))}


@pytest.mark.parametrize("seed", range(60))
def test_whatever_a_file_holds_becomes_a_role_or_is_refused(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    write_clip(tmp_path / "in" / "a.wav", 0.1)
    data = {chance.choice(_KEYS): _anything(chance, 4) for _ in range(chance.randrange(1, 12))}
    (tmp_path / "in" / "config.json").write_text(json.dumps(data), encoding="utf-8")
    kind = chance.choice([None, None, *KINDS])
    try:
        role, changes = import_role(tmp_path / "in" / "config.json", tmp_path / "roles", "y", kind)
    except SettingsError as exc:
        str(exc).encode()
        assert not (tmp_path / "roles").exists() or not any((tmp_path / "roles").iterdir())
    else:
        assert load_role("y", tmp_path).sheet == role.sheet
        repr(changes).encode()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("config.json", "/*" * 500_000),
        ("config.json", '{"a": 1' + " " * 1_000_000),
        ("config.json", '{"a": ' + '"' * 300_001),
        ("config.yaml", "Agent:\n" + "\t" * 100_000 + "x"),
        ("config.yaml", "a: [" + "\n" * 100_000),
        ("settings.txt", "\n" * 400_000 + "= ="),
        ("settings.txt", "a =" + " " * 400_000 + "("),
    ],
)
def test_files_made_to_keep_a_reader_busy_end_soon(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    began = time.process_time()
    with pytest.raises(SettingsError):
        import_role(tmp_path / name, tmp_path / "roles")
    assert time.process_time() - began < 10
