"""Mending a role's clips: a copy that api_v2 takes, and originals that nothing touched."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fakes.role_packs import hum, write_clip, write_role

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.roles.check import check_role
from xiaozhi_persona.roles.fix import Mended, fix_role
from xiaozhi_persona.roles.role import Role, load_pack
from xiaozhi_persona.roles.sound import ClipSound, read_clip
from xiaozhi_persona.spine import Samples, Transcript

TEXT = "这是四秒钟的一句话，一共有十六个字。"


class Listener:
    """Hears as many characters as the sound has quarters of a second."""

    def __init__(self) -> None:
        self.heard: list[int] = []

    async def transcribe(self, pcm16k: Samples) -> Transcript:
        self.heard.append(len(pcm16k))
        return Transcript("听" * (len(pcm16k) // 4000))


def silence(seconds: float, rate_hz: int = 16000) -> Samples:
    return np.zeros(round(seconds * rate_hz), np.int16)


def digest(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


async def mended(
    tmp_path: Path, samples: Samples | float, text: str = TEXT, rate_hz: int = 16000, channels: int = 1
) -> tuple[Role, Mended, ClipSound]:
    """Mend a role whose one clip this is, without a recognizer; return the new role, the account, the new sound."""
    source = write_role(tmp_path / "old")
    write_clip(source / "refs" / "中性" / "a.wav", samples, text, rate_hz, channels)
    before = digest(source)
    folder, (account,) = await fix_role(load_pack(source), tmp_path / "roles", "new")
    assert digest(source) == before and folder
    role = load_pack(folder)
    assert role.clips[0].file
    return role, account, read_clip(role.clips[0].file)


async def test_a_good_clip_is_copied_as_it_is_and_only_beside_one_that_is_mended(tmp_path: Path) -> None:
    source = write_role(tmp_path / "old", clips={"中性/a": TEXT})
    folder, (account,) = await fix_role(load_pack(source), tmp_path / "roles", "new")
    assert (folder, account.done, account.problem) == (None, [], "")
    assert os.listdir(tmp_path / "roles") == []
    write_clip(source / "refs" / "中性" / "b.wav", 2.0, TEXT)
    folder, _ = await fix_role(load_pack(source), tmp_path / "roles", "new")
    assert folder
    good = load_pack(folder).clips[0]
    assert good.file and good.file.read_bytes() == (source / "refs" / "中性" / "a.wav").read_bytes()
    assert good.reference.text == TEXT


async def test_silence_at_the_ends_is_cut_and_the_text_stays(tmp_path: Path) -> None:
    sound = np.concatenate((silence(5), hum(4), silence(4)))
    role, account, new = await mended(tmp_path, sound)
    assert 4.0 <= new.seconds <= 4.5 and not account.problem
    assert not check_role(role)


async def test_a_long_clip_is_cut_at_a_pause_and_loses_its_text(tmp_path: Path) -> None:
    sound = np.concatenate((hum(4), silence(0.4), hum(4), silence(0.4), hum(6)))
    role, account, new = await mended(tmp_path, sound)
    assert new.seconds == pytest.approx(8.6, abs=0.1)
    assert "补文字" in account.problem and TEXT in account.problem
    assert role.clips[0].reference.text == ""


async def test_a_long_clip_without_a_pause_is_cut_at_the_limit(tmp_path: Path) -> None:
    _, _, new = await mended(tmp_path, 14.0)
    assert 48000 <= new.samples_at_16k <= 160000


@pytest.mark.parametrize("seconds", [2.0, 2.99])
async def test_a_short_clip_gets_silence(tmp_path: Path, seconds: float) -> None:
    role, account, new = await mended(tmp_path, seconds, "这是一句很短的话。")
    assert 48000 <= new.samples_at_16k <= 50000 and "补静音" in account.done[0]
    assert not [finding for finding in check_role(role) if finding.level == "error"]


async def test_too_little_speech_cannot_be_mended(tmp_path: Path) -> None:
    source = write_role(tmp_path / "old")
    write_clip(source / "refs" / "中性" / "a.wav", 1.0, TEXT)
    folder, (account,) = await fix_role(load_pack(source), tmp_path / "roles", "new")
    assert folder is None and "换一段" in account.problem


async def test_the_form_is_converted_and_the_level_raised(tmp_path: Path) -> None:
    _, account, new = await mended(tmp_path, hum(4, 48000, level=0.01), TEXT, 48000, channels=2)
    assert (new.sample_rate_hz, new.channels, new.bits) == (32000, 1, 16)
    assert new.level_dbfs == pytest.approx(-20, abs=1) and new.peak_dbfs < -1
    assert new.seconds == pytest.approx(4.0, abs=0.01)
    assert len(account.done) == 3


async def test_a_low_rate_is_raised_to_16_khz(tmp_path: Path) -> None:
    _, _, new = await mended(tmp_path, 4.0, TEXT, 8000)
    assert new.sample_rate_hz == 16000


async def test_missing_texts_are_written_down_by_the_recognizer(tmp_path: Path) -> None:
    sheet = "name: x\nreferences: {悲伤: [{file: refs/悲伤/c.wav, language: zh}]}"
    source = write_role(tmp_path / "old", sheet, {"高兴/001": "", "悲伤/c": "", "中性/b": TEXT})
    write_clip(source / "refs" / "惊讶" / "d.wav", np.concatenate((hum(6), silence(0.3), hum(6))), TEXT)
    listener = Listener()
    folder, account = await fix_role(load_pack(source), tmp_path / "roles", "new", listener)
    texts = {clip.name: clip.reference.text for clip in load_pack(folder).clips}
    assert texts == {"高兴": "听" * 16, "悲伤": "听" * 16, "中性": TEXT, "惊讶": "听" * 24}
    assert len(listener.heard) == 3 and not any(item.problem for item in account)
    assert not check_role(load_pack(folder))
    assert load_pack(source).clips[0].reference.text == ""


async def test_another_format_becomes_a_wav_with_its_text(tmp_path: Path) -> None:
    sheet = "name: x\nreferences: {默认: [{file: refs/默认/a.flac, text: 今天真是太好了, aux: [refs/默认/a.flac]}]}"
    source = write_role(tmp_path / "old", sheet)
    for file in ("默认/a.flac", "高兴/b.flac"):
        (source / "refs" / file).parent.mkdir(parents=True)
        soundfile.write(source / "refs" / file, hum(12.0 if file.startswith("高兴") else 4.0), 16000)
    (source / "refs" / "高兴" / "b.flac.txt").write_text(TEXT, encoding="utf-8")
    folder, account = await fix_role(load_pack(source), tmp_path / "roles", "new", Listener())
    assert folder and not [item.problem for item in account if item.problem]
    clips = {clip.name: clip for clip in load_pack(folder).clips}
    assert {clip.file.suffix for clip in clips.values() if clip.file} == {".wav"}
    assert clips[""].reference.text == "今天真是太好了" and set(clips["高兴"].reference.text) == {"听"}
    assert [file.name for file in clips[""].aux_files] == ["a.wav"]
    assert not [finding for finding in check_role(load_pack(folder)) if finding.level == "error"]


async def test_a_wav_that_lies_beside_another_format_is_not_written_over(tmp_path: Path) -> None:
    source = write_role(tmp_path / "old", "name: x", {"高兴/b": TEXT})
    before = (source / "refs" / "高兴" / "b.wav").read_bytes()
    soundfile.write(source / "refs" / "高兴" / "b.flac", hum(4.0), 16000)
    write_clip(source / "refs" / "悲伤" / "long.wav", 12.0, TEXT)
    folder, account = await fix_role(load_pack(source), tmp_path / "roles", "new")
    assert folder and (folder / "refs" / "高兴" / "b.wav").read_bytes() == before
    assert "b.wav" in next(item.problem for item in account if item.where.endswith("b.flac"))


async def test_what_cannot_be_mended_here_is_told(tmp_path: Path) -> None:
    sheet = "name: x\nserver_dir: 'D:\\x'\nreferences: {default: [{server_path: 'E:\\a.wav', text: 你好}]}"
    source = write_role(tmp_path / "old", sheet)
    write_clip(source / "refs" / "高兴" / "a.wav").write_bytes(b"broken")
    (source / "refs" / "高兴" / "b.mp3").write_bytes(b"ID3")
    write_clip(source / "refs" / "高兴" / "short.wav", 2.0, TEXT)
    folder, account = await fix_role(load_pack(source), tmp_path / "roles", "new")
    assert folder and sum(bool(item.problem) for item in account) == 4
    assert {"D:\\x" in item.problem for item in account if item.where == "role.yaml"} == {True}
    assert (folder / "refs" / "高兴" / "a.wav").read_bytes() == b"broken"


@pytest.mark.parametrize("name", ["../out", "/tmp/x", "", ".", "a/b", "a\0b", "nul", "old"])
async def test_the_copy_never_leaves_the_folder_nor_writes_over_a_role(tmp_path: Path, name: str) -> None:
    source = write_role(tmp_path / "roles" / "old", clips={"中性/a": TEXT})
    before = digest(tmp_path)
    with pytest.raises(SettingsError, match="--name"):
        await fix_role(load_pack(source), tmp_path / "roles", name)
    assert digest(tmp_path) == before and os.listdir(tmp_path) == ["roles"]


async def test_nothing_is_left_when_the_recognizer_fails(tmp_path: Path) -> None:
    class Broken:
        async def transcribe(self, pcm16k: Samples) -> Transcript:
            raise RuntimeError("gone")

    source = write_role(tmp_path / "old", clips={"中性/001": ""})
    with pytest.raises(RuntimeError):
        await fix_role(load_pack(source), tmp_path / "roles", "new", Broken())
    assert os.listdir(tmp_path / "roles") == []
