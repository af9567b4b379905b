"""How good a recording is as a reference clip: measured, 0 to 100 points, and what to do about what is wrong.

A GPT-SoVITS voice takes timbre, loudness, pace and noise from its reference. The lengths are those that api_v2 takes
(GPT-SoVITS, TTS_infer_pack/TTS.py, _set_prompt_semantic); all others are what sounds well by experience.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from xiaozhi_persona.language import tr
from xiaozhi_persona.roles.languages import AUTO, language_code, language_of
from xiaozhi_persona.roles.sound import ClipSound

MIN_SAMPLES_16K, MAX_SAMPLES_16K = 48000, 160000
"""What api_v2 takes: 3 to 10 s at 16 kHz."""

_SYLLABLE = re.compile(r"[\u3041-\u3096\u30a1-\u30fa\u3400-\u9fff\uac00-\ud7a3\U00020000-\U0003ffff]")
_DIGIT = re.compile(r"\d")
_LATIN_WORD = re.compile(r"[^\W\d_\u3040-\ud7a3]+")
_MIN_RATE_HZ = 16000
_QUIET_DBFS, _LOUD_DBFS = -36.0, -6.0
_LEAST_ABOVE_NOISE_DB = 18.0
_MAX_SILENCE_S = 0.5
_MAX_PAUSE_S = 1.5
_SYLLABLES_PER_SECOND = (1.5, 9.5)  # slow speech to the fastest that can be understood
_READ_BY = {"zh": ("zh", "yue", "ja"), "ja": ("ja",), "ko": ("ko",)}
"""The languages in which a server reads characters of one; in any other it deletes them."""


@dataclass(frozen=True)
class Flaw:
    """Something that is wrong (error), or that may not sound well (warning), and what to do."""

    level: Literal["error", "warning"]
    message: str


@dataclass(frozen=True)
class Measures:
    """What was measured of a recording with speech in it."""

    seconds: float
    level_dbfs: float
    above_noise_db: float
    """How far the speech stands above its background."""
    clipped_runs: int
    silence_s: tuple[float, float]
    """Before the speech, and after it."""
    pause_s: float
    """The longest pause within it."""
    sample_rate_hz: int
    syllables_per_second: float | None
    """None without a text."""


@dataclass(frozen=True)
class _Range:
    """What costs no points, what costs all of `cost`, and what lies between them a part of it."""

    best: tuple[float, float]
    worst: tuple[float, float]
    cost: int

    def lost(self, value: float) -> float:
        (low, high), (lowest, highest) = self.best, self.worst
        if value < low:
            return self.cost * min(1.0, (low - value) / (low - lowest))
        return self.cost * min(1.0, (value - high) / (highest - high)) if value > high else 0.0


_LENGTH_S = _Range((4.0, 8.0), (2.0, 12.0), 30)
_LEVEL_DBFS = _Range((-26.0, -12.0), (-40.0, -4.0), 25)
_ABOVE_NOISE_DB = _Range((32.0, math.inf), (8.0, math.inf), 40)
_CLIPPED_RUNS = _Range((0, 0), (-1, 8), 30)
_SILENCE_S = _Range((0.0, 0.3), (-1.0, 1.5), 15)
_PAUSE_S = _Range((0.0, 0.6), (-1.0, 2.0), 15)
_RATE_HZ = _Range((32000, math.inf), (8000, math.inf), 15)
_PER_SECOND = _Range((2.5, 6.5), (1.0, 10.0), 30)
_NO_TEXT_COST = 15


@dataclass(frozen=True)
class Judgement:
    """What a recording is worth as a reference clip."""

    points: int
    """0 to 100; 0 for what has no speech."""
    flaws: tuple[Flaw, ...]
    measures: Measures | None = None
    """None without speech."""


def judge(sound: ClipSound, text: str = "", language: str = "", *, timbre_only: bool = False) -> Judgement:
    """Judge a recording, the text that is said in it and the language that this is said to be in ("" for any).

    An auxiliary reference gives its timbre only (`timbre_only`): its length and its text do not matter.
    """
    measures = _measured(sound, text)
    if measures is None:
        return Judgement(0, (Flaw("error", tr("没有声音。请换一段录音。")),))
    flaws = [] if timbre_only else list(_length_flaws(sound))
    flaws += _sound_flaws(measures)
    flaws += [] if timbre_only else _text_flaws(measures, text, language)
    return Judgement(_points(measures, timbre_only), tuple(flaws), measures)


def syllables(text: str) -> float:
    """Return about how many syllables it takes to say a text."""
    letters = _SYLLABLE.findall(text)
    return len(letters) + len(_DIGIT.findall(text)) + 1.5 * len(_LATIN_WORD.findall(text))


def text_flaws(text: str, language: str) -> Iterator[Flaw]:
    """Yield what is wrong with the text of a clip whose sound is not here."""
    if not syllables(text):
        yield Flaw("error", tr("没有文字，api.py 和 v3、v4 的模型都要有。写进同名的 .txt，或运行 roles fix"))
    code = (language_code(language) or AUTO).removeprefix("all_").partition("_")[0]
    if code not in (AUTO, *_READ_BY.get(language_of(text), (code,))):
        yield Flaw(
            "warning", tr("语言写的是 {language}，文字不是。改成文字的语言，或核对文字", language=language)
        )


def _measured(sound: ClipSound, text: str) -> Measures | None:
    begin, end = sound.speech_s
    if begin == end:
        return None
    units = syllables(text)
    return Measures(
        seconds=sound.seconds,
        level_dbfs=sound.level_dbfs,
        above_noise_db=sound.level_dbfs - sound.noise_dbfs,
        clipped_runs=sound.clipped_runs,
        silence_s=(begin, max(0.0, sound.seconds - end)),
        pause_s=sound.longest_pause_s,
        sample_rate_hz=sound.sample_rate_hz,
        syllables_per_second=units / (end - begin) if units else None,
    )


def _points(measures: Measures, timbre_only: bool) -> int:
    lost = [
        _LEVEL_DBFS.lost(measures.level_dbfs),
        _ABOVE_NOISE_DB.lost(measures.above_noise_db),
        _CLIPPED_RUNS.lost(measures.clipped_runs),
        *map(_SILENCE_S.lost, measures.silence_s),
        _PAUSE_S.lost(measures.pause_s),
        _RATE_HZ.lost(measures.sample_rate_hz),
    ]
    if not timbre_only:
        rate = measures.syllables_per_second
        lost += [_LENGTH_S.lost(measures.seconds), _NO_TEXT_COST if rate is None else _PER_SECOND.lost(rate)]
    return max(1, round(100 - sum(lost)))


def _length_flaws(sound: ClipSound) -> Iterator[Flaw]:
    if sound.samples_at_16k < MIN_SAMPLES_16K:
        told = tr("只有 {seconds:.3f} 秒，api_v2 要 3 到 10 秒。换一段，或 roles fix", seconds=sound.seconds)
        yield Flaw("error", told)
    if sound.samples_at_16k > MAX_SAMPLES_16K:
        told = tr("有 {seconds:.3f} 秒，api_v2 要 3 到 10 秒。运行 roles fix 可剪短", seconds=sound.seconds)
        yield Flaw("error", told)


def _sound_flaws(measures: Measures) -> Iterator[Flaw]:
    rate_hz, level_dbfs = measures.sample_rate_hz, measures.level_dbfs
    if rate_hz < _MIN_RATE_HZ:
        told = tr("采样率 {sample_rate_hz} Hz 太低，声音会发闷。最好 32000 以上", sample_rate_hz=rate_hz)
        yield Flaw("warning", told)
    if level_dbfs < _QUIET_DBFS:
        yield Flaw("warning", tr("太轻（{level_dbfs:.0f} dB）。运行 roles fix 可调大", level_dbfs=level_dbfs))
    if level_dbfs > _LOUD_DBFS:
        yield Flaw("warning", tr("太响（{level_dbfs:.0f} dB）。换一段，或重新导出", level_dbfs=level_dbfs))
    if measures.above_noise_db < _LEAST_ABOVE_NOISE_DB:
        told = tr(
            "底噪或背景音太大，说话只高出 {above:.0f} dB，合成会带上它。换一段，或先降噪",
            above=measures.above_noise_db,
        )
        yield Flaw("warning", told)
    if measures.clipped_runs:
        told = tr("有 {clipped_runs} 处削顶失真。换一段，或重新导出", clipped_runs=measures.clipped_runs)
        yield Flaw("warning", told)
    for side, seconds in zip((tr("开头"), tr("结尾")), measures.silence_s, strict=True):
        if seconds > _MAX_SILENCE_S:
            told = tr("{side}有 {seconds:.1f} 秒没有声音。运行 roles fix 可剪去", side=side, seconds=seconds)
            yield Flaw("warning", told)
    if measures.pause_s > _MAX_PAUSE_S:
        told = tr("中间停了 {seconds:.1f} 秒，合成会学着停。换一段，或剪去", seconds=measures.pause_s)
        yield Flaw("warning", told)


def _text_flaws(measures: Measures, text: str, language: str) -> Iterator[Flaw]:
    yield from text_flaws(text, language)
    per_second, (least, most) = measures.syllables_per_second, _SYLLABLES_PER_SECOND
    if per_second is not None and not least <= per_second <= most:
        told = tr(
            "文字太{much}，每秒 {per_second:.1f} 个字。核对文字是否就是录音里说的",
            much=tr("多") if per_second > most else tr("少"),
            per_second=per_second,
        )
        yield Flaw("warning", told)
