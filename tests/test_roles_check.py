"""Checking a role: WAV in every form, the exact lengths that api_v2 takes, and what does not sound right."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from fakes.role_packs import hum, write_clip, write_role

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.roles.check import Finding, check_clips, check_role
from xiaozhi_persona.roles.role import load_pack
from xiaozhi_persona.roles.sound import ClipSound, read_clip
from xiaozhi_persona.spine import Samples

TEXT = "这是四秒钟的一句话，一共有十六个字。"
TEXTLESS = "name: x"


def found(
    tmp_path: Path, samples: Samples | float = 4.0, text: str = TEXT, rate_hz: int = 16000
) -> list[Finding]:
    """What is found about a role whose one neutral clip this is."""
    write_role(tmp_path)
    write_clip(tmp_path / "refs" / "中性" / "a.wav", samples, text, rate_hz)
    return check_role(load_pack(tmp_path))


def riff(fmt: bytes, data: bytes, size: int | None = None, before: bytes = b"") -> bytes:
    body = b"WAVE" + before + b"fmt " + struct.pack("<I", len(fmt)) + fmt
    body += b"data" + struct.pack("<I", len(data) if size is None else size) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def form(tag: int, bits: int, channels: int = 1, rate_hz: int = 8000) -> bytes:
    width = bits // 8 * channels
    return struct.pack("<HHIIHH", tag, channels, rate_hz, rate_hz * width, width, bits)


HUM = (hum(0.5, 8000) / 32768).astype(np.float64)
EXTENSION = struct.pack("<HHI", 22, 24, 4) + struct.pack("<H", 1) + b"\0" * 14


@pytest.mark.parametrize(
    "data",
    [
        riff(form(1, 8), (HUM * 128 + 128).astype(np.uint8).tobytes()),
        riff(form(1, 16), (HUM * 32768).astype("<i2").tobytes()),
        riff(form(1, 24), (HUM * (1 << 31)).astype("<i4").view(np.uint8).reshape(-1, 4)[:, 1:].tobytes()),
        riff(form(1, 32), (HUM * (1 << 31)).astype("<i4").tobytes()),
        riff(form(3, 32), HUM.astype("<f4").tobytes()),
        riff(form(3, 64), HUM.astype("<f8").tobytes()),
        riff(form(0xFFFE, 16) + EXTENSION, (HUM * 32768).astype("<i2").tobytes()),
        riff(form(3, 32, 2), np.repeat(HUM, 2).astype("<f4").tobytes()),
        riff(form(1, 16), (HUM * 32768).astype("<i2").tobytes(), size=0),
        riff(form(1, 16), (HUM * 32768).astype("<i2").tobytes() + b"\1", size=0xFFFFFFFF),
        riff(form(1, 16), (HUM * 32768).astype("<i2").tobytes(), before=b"LIST\3\0\0\0abc\0"),
    ],
)
def test_every_form_of_wav_is_read(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.wav").write_bytes(data)
    sound = read_clip(tmp_path / "a.wav")
    assert (sound.sample_rate_hz, len(sound.samples)) == (8000, 4000)
    assert np.abs(sound.samples - HUM).max() < 0.01


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"ID3\4not a wav",
        b"RIFF\0\0\0\0WAVE",
        riff(form(1, 16), b"\1"),
        riff(form(6, 8), b"12345678"),
        riff(form(1, 16, 0), b"1234"),
        riff(form(1, 16, rate_hz=0), b"1234"),
        riff(form(3, 32), np.array([np.nan], "<f4").tobytes()),
        riff(form(1, 16)[:12], b"1234"),
    ],
)
def test_what_is_no_wav_is_an_error_that_says_how_to_convert(tmp_path: Path, data: bytes) -> None:
    write_role(tmp_path, clips={"中性/a": TEXT})
    (tmp_path / "refs" / "中性" / "a.wav").write_bytes(data)
    (finding,) = check_role(load_pack(tmp_path))
    assert finding.level == "error" and "ffmpeg" in finding.message
    with pytest.raises(SettingsError):
        read_clip(tmp_path)


# The length, as librosa.load(path, sr=16000) gives it: ceil(samples * (16000 / rate)) in floating point.


@pytest.mark.parametrize(
    ("samples", "rate_hz", "taken"),
    [
        (48000, 16000, True),
        (47999, 16000, False),
        (160000, 16000, True),
        (160001, 16000, False),
        (95999, 32000, True),  # rounded up to 48000
        (95998, 32000, False),
        (320000, 32000, True),
        (320001, 32000, False),
        (132300, 44100, True),
        (132298, 44100, True),
        (132297, 44100, False),
        (480000, 48000, True),
    ],
)
def test_the_lengths_are_those_of_api_v2_to_the_sample(
    tmp_path: Path, samples: int, rate_hz: int, taken: bool
) -> None:
    sound = hum(11, rate_hz)[:samples]
    findings = found(tmp_path, sound, TEXT * (2 if samples > 5 * rate_hz else 1), rate_hz)
    assert [finding.level for finding in findings] == ([] if taken else ["error"]), findings
    assert taken or "3 到 10 秒" in findings[0].message


def with_silence(before_s: float, after_s: float) -> Samples:
    return np.concatenate(
        (np.zeros(round(before_s * 16000), np.int16), hum(4), np.zeros(round(after_s * 16000), np.int16))
    )


@pytest.mark.parametrize(
    ("samples", "text", "level", "told"),
    [
        (4.0, TEXT, None, ""),
        (with_silence(0.4, 0.4), TEXT, None, ""),
        (with_silence(0.7, 0), TEXT, "warning", "开头有 0.7 秒"),
        (with_silence(0, 1.5), TEXT, "warning", "结尾有 1.5 秒"),
        (hum(4, level=0.01), TEXT, "warning", "太轻"),
        (hum(4, level=0.99), TEXT, "warning", "太响"),
        (
            np.clip(hum(4, level=0.5).astype(np.int32) * 3, -32768, 32767).astype(np.int16),
            TEXT,
            "warning",
            "削顶",
        ),
        (np.zeros(64000, np.int16), TEXT, "error", "没有声音"),
        (4.0, "", "error", "没有文字"),
        (4.0, "……？！", "error", "没有文字"),
        (4.0, "好吧", "warning", "文字太少"),
        (4.0, TEXT * 3, "warning", "文字太多"),
        (4.0, "Well, this is a sentence of nine English words.", None, ""),
        (4.0, "これはよんびょうのおんせいです", None, ""),
    ],
)
def test_what_does_not_sound_right_is_told(
    tmp_path: Path, samples: Samples | float, text: str, level: str | None, told: str
) -> None:
    findings = found(tmp_path, samples, text)
    assert level is not None or not findings
    assert level is None or any(f.level == level and told in f.message for f in findings), findings
    assert {f.where for f in findings} <= {"refs/中性/a.wav"}


def test_a_low_rate_is_told(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, 4.0, TEXT, 8000)
    assert finding.level == "warning" and "8000" in finding.message


@pytest.mark.parametrize(
    ("sheet", "level", "told"),
    [
        ("name: x\nlanguage: 火星语", "error", "火星语"),
        ("name: x\nlanguage: ZH", None, ""),
        ("name: x\nreference_language: 日英混合", None, ""),
        ("name: x\ngpt_weights: E:\\a.ckpt", "warning", "一半"),
        ("name: x\ngpt_weights: E:\\a.ckpt\nsovits_weights: E:\\b.pth", None, ""),
        ("name: x\ngpt_weights: /srv/none/a.pth\nsovits_weights: /srv/none/b.ckpt", "warning", "写反"),
        ("name: x\ngpt_weights: a.ckpt\nsovits_weights: GPT/b.pth", "warning", "角色包里没有 a.ckpt"),
    ],
)
def test_languages_and_weights_are_checked(tmp_path: Path, sheet: str, level: str | None, told: str) -> None:
    findings = check_role(load_pack(write_role(tmp_path, sheet, {"中性/a": TEXT})))
    assert any(f.level == level and told in f.message for f in findings) if level else not findings


def test_weights_on_this_machine_must_be_there(tmp_path: Path) -> None:
    sheet = f"name: x\ngpt_weights: {tmp_path / 'a.ckpt'}\nsovits_weights: {tmp_path / 'b.pth'}"
    (tmp_path / "a.ckpt").touch()
    folder = write_role(tmp_path / "x", sheet, {"中性/a": TEXT})
    assert [(f.level, f.where) for f in check_role(load_pack(folder))] == [("error", "sovits_weights")]
    (folder / "role.yaml").write_text(sheet + "\nserver_dir: /x", encoding="utf-8")
    assert not check_role(load_pack(folder))  # they are on another machine


def test_the_whole_role_is_looked_at(tmp_path: Path) -> None:
    messages = [f.message for f in check_role(load_pack(write_role(tmp_path / "a", clips={"中二/a": TEXT})))]
    assert any("不是内置的" in message for message in messages)
    assert any("没有中性" in message for message in messages)
    sheet = "name: x\ngpt_weights: E:\\a.ckpt\nsovits_weights: E:\\b.pth"
    assert [f.level for f in check_role(load_pack(write_role(tmp_path / "b", sheet)))] == ["error"]
    assert not check_role(load_pack(write_role(tmp_path / "c")))


def test_auxiliary_clips_may_be_of_any_length_but_must_be_sound(tmp_path: Path) -> None:
    write_role(tmp_path, clips={"中性/a": TEXT})
    write_clip(tmp_path / "refs" / "aux_refs" / "1.wav", 1.0)
    (tmp_path / "refs" / "aux_refs" / "2.wav").write_bytes(b"no")
    (tmp_path / "refs" / "aux_refs" / "3.mp3").write_bytes(b"ID3")
    findings = check_role(load_pack(tmp_path))
    assert [(f.level, f.where) for f in findings] == [
        ("error", "refs/aux_refs/2.wav"),
        ("error", "refs/aux_refs/3.mp3"),
    ]


def test_a_clip_on_the_server_is_checked_by_its_text_only(tmp_path: Path) -> None:
    sheet = "name: x\nreferences: {default: [{server_path: 'E:\\a.wav', text: 你好, language: 火星文}]}"
    (report,) = check_clips(load_pack(write_role(tmp_path, sheet)))
    assert report.sound is None and report.where == "E:\\a.wav"
    assert ["火星文" in finding.message for finding in report.findings] == [True]


def test_pauses_are_found_between_speech() -> None:
    parts = [np.zeros(1600), hum(1.0) / 32768, np.zeros(3200), hum(1.0) / 32768, np.zeros(800)]
    sound = ClipSound(np.concatenate(parts).astype(np.float32), 16000)
    assert sound.pauses_s() == pytest.approx([1.2], abs=0.03)
    assert sound.speech_s == pytest.approx((0.1, 2.3), abs=0.03)
