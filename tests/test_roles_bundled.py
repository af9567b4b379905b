"""The bundled packs: whole, small, ours, and packaged."""

from __future__ import annotations

import configparser
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from xiaozhi_persona.roles.check import check_clips, check_role
from xiaozhi_persona.roles.make_refs import TAKES
from xiaozhi_persona.roles.role import load_role, role_folders
from xiaozhi_persona.roles.sound import read_clip

ROOT = Path(__file__).resolve().parents[1]
REFS = ROOT / "roles" / "packs" / "xiaoyu" / "refs"
BUNDLED = sorted(path.parent.name for path in (ROOT / "roles" / "packs").glob("*/role.yaml"))


def test_the_packs_of_the_tree_are_the_bundled_roles() -> None:
    assert list(role_folders()) == BUNDLED == ["default", "xiaoyu"]


@pytest.mark.parametrize("role_id", BUNDLED)
def test_a_bundled_role_has_nothing_to_find(role_id: str) -> None:
    assert check_role(load_role(role_id)) == []


def test_the_emotional_role_shows_at_least_six_emotions_in_clips_of_the_right_form() -> None:
    reports = check_clips(load_role("xiaoyu"))
    emotions = {report.clip.name for report in reports}
    assert len(emotions) >= 6 and emotions >= {"高兴", "悲伤", "愤怒", "惊讶", "中性", "害羞"}
    for report in reports:
        sound = report.sound
        assert sound and 3 <= sound.seconds <= 10
        assert 16000 <= sound.sample_rate_hz <= 24000 and (sound.channels, sound.bits) == (1, 16)


def test_the_packs_are_small_and_every_file_of_them_is_packaged() -> None:
    files = [path for path in (ROOT / "roles" / "packs").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 2_500_000
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    packaged = config["options.package_data"]["xiaozhi_persona.roles"].split()
    assert {f"packs/**/*{path.suffix}" for path in files} == set(packaged)


def test_the_clips_are_those_that_the_script_makes(tmp_path: Path) -> None:
    pytest.importorskip("espeakng_loader")
    # In a process of its own: it starts the library a second time, which the library does not survive for long.
    script = ROOT / "roles" / "make_refs.py"
    subprocess.run([sys.executable, str(script), str(tmp_path)], check=True, capture_output=True)
    made = {file.relative_to(tmp_path): file for file in tmp_path.rglob("*.wav")}
    assert set(made) == {path.relative_to(REFS) for path in REFS.rglob("*.wav")}
    for path, file in made.items():
        ours, new = read_clip(REFS / path), read_clip(file)
        assert new.seconds == pytest.approx(ours.seconds, rel=0.02)  # releases of eSpeak differ a little
        assert (REFS / path).with_suffix(".txt").read_text(encoding="utf-8") == file.with_suffix(
            ".txt"
        ).read_text(encoding="utf-8")


def test_the_emotions_can_be_told_apart_by_ear() -> None:
    """Pitch and speed differ: the median distance of zero crossings, and syllables a second."""
    measures = {}
    for take in TAKES:
        sound = read_clip(REFS / f"{take.file}.wav")
        measures[take.file] = (_pitch_hz(sound.samples, sound.sample_rate_hz), len(take.text) / sound.seconds)
    pitch = {file: hz for file, (hz, _) in measures.items()}
    speed = {file: per_s for file, (_, per_s) in measures.items()}
    assert pitch["悲伤/01"] < 0.9 * pitch["中性/01"] < 0.9 * 0.9 * pitch["惊讶/01"]
    assert speed["悲伤/01"] < 0.8 * speed["中性/01"]
    assert speed["愤怒/01"] > 1.1 * speed["中性/01"]


def _pitch_hz(samples: np.ndarray[tuple[int, ...], np.dtype[np.float32]], rate_hz: int) -> float:
    """The median pitch, by autocorrelation of 40 ms frames."""
    size, pitches = rate_hz // 25, []
    for begin in range(0, len(samples) - 2 * size, size):
        frame = samples[begin : begin + 2 * size] - samples[begin : begin + 2 * size].mean()
        if np.abs(frame).max() < 0.05:
            continue
        spectrum = np.fft.rfft(frame, 4 * size)
        correlation = np.fft.irfft(np.abs(spectrum) ** 2)
        low, high = rate_hz // 500, rate_hz // 80
        best = low + int(correlation[low:high].argmax())
        if correlation[best] > 0.5 * correlation[0]:
            pitches.append(rate_hz / best)
    return float(np.median(pitches))
