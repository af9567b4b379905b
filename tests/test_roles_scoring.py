"""Scoring a reference clip: what costs points, what is told, and that both say the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fakes.role_packs import hum, write_clip, write_role

from xiaozhi_persona.roles.check import check_clips
from xiaozhi_persona.roles.role import load_pack
from xiaozhi_persona.roles.scoring import Judgement, judge
from xiaozhi_persona.roles.sound import ClipSound, read_clip

TEXT = "这是四秒钟的一句话，一共有十六个字。"
RATE_HZ = 32000


def voice(seconds: float = 4.0, level: float = 0.2) -> np.ndarray:
    return (hum(seconds, RATE_HZ, level) / 32768).astype(np.float32)


def quiet(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE_HZ), np.float32)


def noisy(below_db: float) -> np.ndarray:
    sound = voice()
    power = float((sound**2).mean())
    noise = np.random.default_rng(1).standard_normal(len(sound)) * np.sqrt(power / 10 ** (below_db / 10))
    return (sound + noise).astype(np.float32)


def judged(samples: np.ndarray, text: str = TEXT, language: str = "zh") -> Judgement:
    return judge(ClipSound(samples, RATE_HZ), text, language)


def test_a_good_clip_has_all_points_and_no_flaw() -> None:
    assert judged(voice()) == Judgement(100, (), judged(voice()).measures)


@pytest.mark.parametrize(
    ("samples", "text", "told"),
    [
        (voice(2.5), "只有两秒半的一句话", "3 到 10 秒"),
        (voice(10.5), TEXT * 3, "3 到 10 秒"),
        (voice(0.0), TEXT, "没有声音"),
        (quiet(5), TEXT, "没有声音"),
        (voice(level=0.005), TEXT, "太轻"),
        (voice(level=0.99), TEXT, "太响"),
        (np.clip(voice(level=0.5) * 3, -1, 1), TEXT, "削顶"),
        (noisy(12), TEXT, "底噪"),
        (np.concatenate((quiet(0.8), voice())), TEXT, "开头有 0.8 秒"),
        (np.concatenate((voice(), quiet(0.8))), TEXT, "结尾有 0.8 秒"),
        (np.concatenate((voice(2), quiet(1.8), voice(2))), TEXT, "中间停了 1.8 秒"),
        (voice(), "", "没有文字"),
        (voice(), TEXT * 3, "文字太多"),
        (voice(), "好", "文字太少"),
    ],
)
def test_what_is_wrong_is_told_and_costs_points(samples: np.ndarray, text: str, told: str) -> None:
    result = judged(samples, text)
    assert any(told in flaw.message for flaw in result.flaws), result
    assert result.points <= 95


@pytest.mark.parametrize(
    "worse",
    [
        lambda by: noisy(30 - 20 * by),
        lambda by: voice(4 - by * 1.5),
        lambda by: voice(level=0.05 / 10**by),
        lambda by: np.concatenate((voice(), quiet(by))),
    ],
)
def test_the_worse_the_clip_the_fewer_the_points(worse: Callable[[float], np.ndarray]) -> None:
    points = [judged(worse(by), TEXT).points for by in (0.0, 0.5, 1.0)]
    assert points[0] > points[2] and points == sorted(points, reverse=True)


def test_steady_noise_without_speech_is_no_clip() -> None:
    noise = (np.random.default_rng(1).standard_normal(RATE_HZ * 5) * 0.1).astype(np.float32)
    assert judged(noise).points <= 60 and any("底噪" in flaw.message for flaw in judged(noise).flaws)


@pytest.mark.parametrize(
    ("text", "language", "fits"),
    [
        (TEXT, "", True),
        (TEXT, "all_ja", True),  # it may be kanji
        (TEXT, "粤语", True),
        (TEXT, "en", False),
        (TEXT, "中英混合", True),
        ("これはよんびょうのおんせいです", "zh", False),
        ("これはよんびょうのおんせいです", "日英混合", True),
        ("これはよんびょうのおんせいです", "auto", True),
        ("네 초 동안의 한 문장입니다 정말로", "zh", False),
        ("Well, this is a sentence of nine English words.", "zh", True),
        (TEXT, "火星文", True),  # that is another finding
    ],
)
def test_a_text_that_the_server_would_delete_is_told(text: str, language: str, fits: bool) -> None:
    assert any("语言写的是" in flaw.message for flaw in judged(voice(), text, language).flaws) is not fits


def test_an_auxiliary_clip_needs_neither_length_nor_text() -> None:
    result = judge(ClipSound(voice(1.0), RATE_HZ), timbre_only=True)
    assert (result.points, result.flaws) == (100, ())


@pytest.mark.parametrize(
    ("suffix", "rate_hz", "channels"),
    [
        ("wav", 16000, 1),
        ("wav", 44100, 2),
        ("wav", 96000, 1),
        ("flac", 96000, 2),
        ("ogg", 44100, 2),
        ("mp3", 16000, 1),
        ("mp3", 44100, 1),
    ],
)
def test_every_kind_of_file_is_scored(tmp_path: Path, suffix: str, rate_hz: int, channels: int) -> None:
    folder = write_role(tmp_path)
    (folder / "refs" / "中性").mkdir(parents=True)
    file = folder / "refs" / "中性" / f"a.{suffix}"
    soundfile.write(file, np.stack([hum(4, rate_hz)] * channels, axis=1), rate_hz)
    file.with_suffix(".txt").write_text(TEXT, encoding="utf-8")
    (report,) = check_clips(load_pack(folder))
    assert not report.findings and report.points is not None and report.points >= 85, report
    assert read_clip(file).sample_rate_hz == rate_hz and read_clip(file).channels == channels


def test_eight_bits_are_scored(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", hum(4), 16000, subtype="PCM_U8")
    assert 40 < judge(read_clip(tmp_path / "a.wav"), TEXT).points < 100


def test_a_small_file_that_unpacks_to_hours_is_not_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xiaozhi_persona.roles.sound.MAX_FILE_BYTES", 1 << 20)
    soundfile.write(tmp_path / "a.flac", np.zeros(1 << 22, np.int16), 8000)
    assert len(read_clip(tmp_path / "a.flac").samples) < 1 << 21


def test_what_a_check_finds_is_what_the_score_says(tmp_path: Path) -> None:
    folder = write_role(tmp_path)
    write_clip(folder / "refs" / "中性" / "a.wav", hum(4, level=0.005), TEXT)
    (report,) = check_clips(load_pack(folder))
    assert report.sound and report.points == judge(report.sound, TEXT, "zh").points < 80
    assert ["太轻" in finding.message for finding in report.findings] == [True]
