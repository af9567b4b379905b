"""Chooses from recordings the best reference clips for each feeling, and writes them into a role pack."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from pathlib import Path

import yaml

from xiaozhi_persona.audio.recordings import SUFFIXES, open_recording
from xiaozhi_persona.audio.resample import resample
from xiaozhi_persona.audio.wav import wav_bytes
from xiaozhi_persona.errors import ServiceError, SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.roles.clip_names import emotion_word, is_default, read_name
from xiaozhi_persona.roles.clip_texts import ClipTexts, Written
from xiaozhi_persona.roles.cutting import Span, cut_at_pauses, loudness_of, sounds_of
from xiaozhi_persona.roles.files import safe_name
from xiaozhi_persona.roles.fix import converted
from xiaozhi_persona.roles.scoring import Flaw, Judgement, judge
from xiaozhi_persona.roles.sound import ClipSound
from xiaozhi_persona.spine import SpeechRecognizer
from xiaozhi_persona.text.emotions import EmotionNames

NEUTRAL = "中性"
"""The feeling of what tells none."""

_LEAST_POINTS = 30
_WORTH_HEARING = 40
_LEAST_ALIKE, _UNLIKE_COST = 0.5, 30
_FAILURES_IN_A_ROW = 3
_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True)
class Candidate:
    """A piece of a recording that can be a reference clip."""

    file: Path
    span: Span
    emotion: str
    """The label of its feeling, or the name that the role has for its own."""
    text: str
    judgement: Judgement


class Picker:
    """Listens to recordings, one after another, and keeps what could be a clip."""

    def __init__(
        self,
        folder: Path,
        names: EmotionNames,
        feeling_of: Callable[[str], str],
        recognizer: SpeechRecognizer | None = None,
        language: str = "",
    ) -> None:
        """`folder` is where the recordings lie: the folders within tell the feeling, then the file's name.

        `feeling_of` returns the label of a text's feeling, "" where its words tell none. `recognizer` writes texts that
        are missing and hears feelings; `language` is that of the role's clips.
        """
        self._folder = folder
        self._names = names
        self._texts = ClipTexts(folder if folder.is_dir() else folder.parent, names)
        self._feeling_of = feeling_of
        self._recognizer = recognizer
        self._language = language
        self._failures = 0
        self.candidates: list[Candidate] = []
        self.left_out: dict[Path, str] = {}
        """Recordings of which nothing can be used, and why."""
        self.trouble: ServiceError | None = None
        """Why the recognizer failed, where it did."""

    async def listen(self, file: Path, told: Callable[[float], None] = lambda seconds: None) -> None:
        """Cut a recording and judge its pieces. `told` hears of the seconds that were read; each is read twice."""
        try:
            recording = open_recording(file)
            emotion, text = self._written(file)
            level_db = await asyncio.to_thread(loudness_of, recording, told)
            spans, is_whole = cut_at_pauses(level_db, keeps_whole=bool(text))
            text = text if is_whole else ""  # that of all pieces together is that of none
            sounds = sounds_of(recording, spans, told)
            before = len(self.candidates)
            for span in spans:
                sound = await asyncio.to_thread(next, sounds)
                await self._judge(Candidate(file, span, emotion, text, judge(sound)), sound)
        except SettingsError as exc:
            self.left_out[file] = str(exc)
            return
        if not spans:
            self.left_out[file] = tr("没有 3 到 10 秒的话")
        elif len(self.candidates) == before:
            self.left_out[file] = tr("声音都不够好")

    def best(self, count: int) -> list[Candidate]:
        """Return up to `count` candidates of each feeling, the best first, the feelings with the most first."""
        of_feeling: dict[str, list[Candidate]] = {}
        for candidate in sorted(self.candidates, key=lambda candidate: -candidate.judgement.points):
            of_feeling.setdefault(candidate.emotion, []).append(candidate)
        in_order = sorted(of_feeling.values(), key=len, reverse=True)
        return [candidate for candidates in in_order for candidate in candidates[:count]]

    async def _judge(self, candidate: Candidate, sound: ClipSound) -> None:
        """Keep a piece that is good enough, with its text and its feeling."""
        if candidate.judgement.points < _WORTH_HEARING:
            return
        heard, heard_emotion = await self._heard(sound)
        text = candidate.text or heard
        judgement = judge(sound, text, self._language)
        if heard and _alike(text, heard) < _LEAST_ALIKE:
            told = tr("文字和听到的不一样，听到的是“{heard}”。核对文字", heard=heard)
            flaws = (*judgement.flaws, Flaw("warning", told))
            judgement = replace(judgement, points=judgement.points - _UNLIKE_COST, flaws=flaws)
        if judgement.points >= _LEAST_POINTS:
            emotion = candidate.emotion or heard_emotion or self._feeling_of(text) or NEUTRAL
            self.candidates.append(replace(candidate, emotion=emotion, text=text, judgement=judgement))

    async def _heard(self, sound: ClipSound) -> tuple[str, str]:
        """Return what the recognizer heard: the text, and the feeling where it is not neutral."""
        if self._recognizer is None or self._failures >= _FAILURES_IN_A_ROW:
            return "", ""
        samples, rate_hz = converted(sound, [])
        try:
            transcript = await self._recognizer.transcribe(resample(samples, rate_hz, 16000))
        except ServiceError as exc:
            self._failures, self.trouble = self._failures + 1, exc
            return "", ""
        self._failures = 0
        emotion = self._names.get(transcript.emotion) if transcript.emotion else None
        return transcript.text, emotion.label if emotion and emotion.label != NEUTRAL else ""

    def _written(self, file: Path) -> tuple[str, str]:
        """Return the feeling and the text that are written: in the text beside it, the folders' names, the file's name.

        Raises SettingsError for a text that cannot be read.
        """
        written = self._texts.of(file) or Written("")
        of_name, text_of_name = read_name(file.stem, self._names)
        inside = file.relative_to(self._folder).parent.parts if file != self._folder else ()
        folders = (emotion_word(name, self._names) for name in (*reversed(inside), self._folder.name))
        word = next(filter(None, (written.emotion, *folders, of_name)), "")
        found = None if is_default(word) else self._names.get(word)
        return found.label if found else NEUTRAL if word else "", written.text or text_of_name


def recordings_in(folder: Path) -> list[Path]:
    """Return the recordings in a folder and below it, by name; a recording itself is one. Raises SettingsError for none."""
    if not folder.exists():
        raise SettingsError(tr("没有这个文件：{path}。请检查路径。", path=folder))
    if folder.is_file():
        return [folder]
    found = [
        Path(place, name)
        for place, folders, names in os.walk(folder)
        for name in names
        if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES
    ]
    if not found:
        raise SettingsError(
            tr(
                "{folder} 里没有录音（{suffixes}）。请检查路径。",
                folder=folder,
                suffixes=tr("、").join(suffix[1:] for suffix in SUFFIXES),
            )
        )
    return sorted(found)


def sounds_of_candidates(candidates: Sequence[Candidate]) -> Iterator[tuple[Candidate, ClipSound]]:
    """Yield the candidates with their sounds, those of one recording together. Raises SettingsError."""
    for file in dict.fromkeys(candidate.file for candidate in candidates):
        of_file = sorted((c for c in candidates if c.file == file), key=lambda candidate: candidate.span)
        yield from zip(of_file, sounds_of(open_recording(file), [c.span for c in of_file]), strict=True)


def write_clips(candidates: Sequence[Candidate], pack: Path) -> dict[Candidate, Path]:
    """Write clips with their texts as refs/<feeling>/<number>.wav of a role pack, which is made where there is none.

    What is there stays. Returns where each one is; one that is there already is not written again. Raises SettingsError.
    """
    written: dict[Candidate, Path] = {}
    try:
        for candidate, sound in sounds_of_candidates(candidates):
            folder = pack / "refs" / (safe_name(candidate.emotion) or "emotion")
            folder.mkdir(parents=True, exist_ok=True)
            data = wav_bytes(*converted(sound, []))
            written[candidate] = _same(folder, data) or _new(folder, data, candidate.text)
        if not (pack / "role.yaml").exists():
            sheet = yaml.safe_dump({"name": pack.name}, allow_unicode=True)
            (pack / "role.yaml").write_text(sheet, encoding="utf-8")
    except OSError as exc:
        raise SettingsError(
            tr("写不了 {pack}（{strerror}）。请检查权限和空间。", pack=pack, strerror=exc.strerror)
        ) from exc
    return written


def _new(folder: Path, data: bytes, text: str) -> Path:
    number = 1
    while any(folder.glob(f"{number:02d}.*")):
        number += 1
    file = folder / f"{number:02d}.wav"
    if text:
        file.with_suffix(".txt").write_text(text + "\n", encoding="utf-8")
    unfinished = folder / f".{file.name}"
    unfinished.write_bytes(data)
    os.replace(unfinished, file)
    return file


def _same(folder: Path, data: bytes) -> Path | None:
    files = (file for file in sorted(folder.glob("*.wav")) if file.stat().st_size == len(data))
    return next((file for file in files if file.read_bytes() == data), None)


def _alike(a: str, b: str) -> float:
    """Return how much of two texts is the same, 0 to 1, marks and letter case aside."""
    bare = ["".join(_WORD.findall(text.casefold())) for text in (a, b)]
    return SequenceMatcher(None, bare[0], bare[1], autojunk=False).ratio()
