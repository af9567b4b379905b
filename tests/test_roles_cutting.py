"""Cutting recordings at their pauses: 3 to 10 s, no word cut, and pieces that follow one another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from fakes.role_packs import hum
from hypothesis import given, settings
from hypothesis import strategies as st

from xiaozhi_persona.audio.recordings import open_recording
from xiaozhi_persona.roles.cutting import MAX_S, MIN_S, Span, cut_at_pauses, loudness_of, sounds_of

RATE_HZ = 8000


def recording(*seconds: float, noise: float = 0.0) -> np.ndarray:
    """Speech and pauses in turn, speech first."""
    parts = [hum(s, RATE_HZ) if i % 2 == 0 else np.zeros(round(s * RATE_HZ)) for i, s in enumerate(seconds)]
    sound = np.concatenate(parts) / 32768
    return (sound + np.random.default_rng(1).standard_normal(len(sound)) * noise).astype(np.float32)


def levels(sound: np.ndarray) -> np.ndarray:
    power = (sound[: len(sound) // 160 * 160].reshape(-1, 160) ** 2).mean(axis=1)
    return (10 * np.log10(power + 1e-12)).astype(np.float32)


def cut(*seconds: float, noise: float = 0.0) -> list[Span]:
    return cut_at_pauses(levels(recording(*seconds, noise=noise)))[0]


def lengths(spans: list[Span]) -> list[float]:
    return [round(end - begin, 1) for begin, end in spans]


@pytest.mark.parametrize("noise", [0.0, 0.003])
def test_it_is_cut_where_somebody_pauses(noise: float) -> None:
    spans = cut(4, 1, 5, 1, 4, noise=noise)
    assert [round(begin) for begin, _ in spans] == [0, 5, 11] and lengths(spans) == pytest.approx(
        [4.1, 5.3, 4.1], abs=0.2
    )


def test_what_is_too_long_is_cut_at_its_longest_pause() -> None:
    assert lengths(cut(4, 0.3, 4, 0.6, 4, 0.3, 4)) == pytest.approx([8.5, 8.5], abs=0.3)


def test_short_sentences_are_put_together() -> None:
    assert lengths(cut(2, 0.5, 2, 0.5, 2, 3, 2, 5, 4)) == pytest.approx([7.2, 3.0, 4.1], abs=0.2)


def test_a_short_sentence_gets_the_silence_around_it() -> None:
    assert lengths(cut(2.6, 2, 2.6, 0.6)) == pytest.approx([3.05, 3.05], abs=0.06)


@pytest.mark.parametrize("seconds", [(0.0,), (0.5,), (0.0, 8.0), (1.4, 3.0)])
def test_there_is_nothing_in_silence_or_a_word(seconds: tuple[float, ...]) -> None:
    assert cut(*seconds) == []


def test_noise_without_speech_is_none() -> None:
    assert cut(0.0, 60.0, noise=0.1) == []


def test_speech_without_any_pause_cannot_be_cut() -> None:
    assert cut(30.0) == []


def test_clicks_are_no_speech() -> None:
    sound = recording(0.0, 60.0)
    sound[::RATE_HZ] = 0.9
    assert cut_at_pauses(levels(sound))[0] == []


def test_a_quiet_part_of_a_long_recording_is_heard_too() -> None:
    loud, quiet = recording(*[4, 1] * 20), recording(*[4, 1] * 20) * 0.02
    spans, _ = cut_at_pauses(levels(np.concatenate((loud, np.zeros(RATE_HZ * 40, np.float32), quiet))))
    assert len(spans) == 40


def test_it_is_told_whether_a_piece_holds_everything() -> None:
    two = levels(recording(4, 1, 4))
    assert cut_at_pauses(two, keeps_whole=True)[1] and not cut_at_pauses(two)[1]
    assert cut_at_pauses(levels(recording(2, 1, 2)))[1]  # neither would be enough
    assert not cut_at_pauses(levels(recording(9, 2, 2)), keeps_whole=True)[1]
    assert not cut_at_pauses(levels(recording(0.0, 4)))[1]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0.1, 6.0), min_size=1, max_size=30))
def test_pieces_are_in_order_apart_and_of_the_right_length(seconds: list[float]) -> None:
    spans = cut(*seconds)
    assert all(MIN_S - 0.01 <= end - begin <= MAX_S + 0.01 for begin, end in spans)
    assert all(a[1] <= b[0] + 0.001 for a, b in zip(spans, spans[1:], strict=False))
    sounding = np.abs(recording(*seconds)) > 0.01
    for begin, end in spans:  # nobody speaks where it is cut
        for at in (begin, end):
            around = sounding[max(0, round((at - 0.02) * RATE_HZ)) : round((at + 0.02) * RATE_HZ)]
            assert at < 0.02 or at > sum(seconds) - 0.03 or not around.all()


def test_the_sounds_are_those_of_the_times(tmp_path: Path) -> None:
    sound = np.concatenate([recording(*[4, 1] * 30), recording(2.0)])
    soundfile.write(tmp_path / "a.flac", sound, RATE_HZ)
    opened, heard = open_recording(tmp_path / "a.flac"), []
    level_db = loudness_of(opened, heard.append)
    assert sum(heard) == pytest.approx(152) and len(level_db) == 7600
    spans, _ = cut_at_pauses(level_db)
    assert len(spans) == 30
    for (begin, end), piece in zip(spans, sounds_of(opened, spans), strict=True):
        wanted = sound[round(begin * RATE_HZ) : round(end * RATE_HZ)]
        assert np.abs(piece.samples - wanted).max() < 0.001
