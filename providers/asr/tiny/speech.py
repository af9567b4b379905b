"""Speech for the tiny recognizer: eSpeak NG's voice, made to sound as a device's speech arrives.

Needs `espeakng-loader`, `kaldi-native-fbank`, `opuslib-next`, `soxr`, and a libopus: the system's, or the one
that `av` brings.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import glob
import importlib
import importlib.util
import json
import math
import random
import wave
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import espeakng_loader
import kaldi_native_fbank
import numpy as np
import numpy.typing as npt
import soxr

from xiaozhi_persona.providers.asr.tiny.sentences import (
    OTHER_CHINESE,
    OTHER_ENGLISH,
    SENTENCES,
    WORDS,
    text_of,
)

Floats = npt.NDArray[np.float32]

RATE = 16000
FRAME = 960  # 60 ms
MARGIN = 50  # feature frames (10 ms) of silence at each end, of which training cuts some away
NOTHING = ["<|nospeech|>", "<|EMO_UNKNOWN|>", "<|Event_UNK|>"]
VARIANTS = """
m1 m2 m3 m4 m5 m6 m8 f1 f2 f4 Alex Alicia Andy Annie Denis Diogo Gene Gene2 Henrique Hugo Jacky Lee Marco Mario
Michael Mike Nguyen RicishayMax RicishayMax2 RicishayMax3 adam anika antonio aunty belinda benjamin boris caleb
david ed edward edward2 grandma grandpa gustave ian iven iven2 iven3 iven4 john kaukovalta klatt klatt2 klatt3
klatt4 klatt5 klatt6 linda marcelo max michel miguel mike2 norbert pablo paul pedro quincy rob robert sandro
shelby steph steph2 steph3 travis victor zac robosoft robosoft3 robosoft5
"""
VOICES = [f"+{name}" for name in VARIANTS.split()]
# (voice, words a minute, pitch) of the renderings that are never trained on
HELD_OUT = [("+f3", 168, 57), ("+m7", 183, 44), ("+Andrea", 157, 63), ("+Reed", 191, 36), ("+f5", 176, 48)]


class Speaker:
    """eSpeak NG from the wheel `espeakng-loader`, one phrase at a time."""

    def __init__(self) -> None:
        self._lib: Any = ctypes.CDLL(str(espeakng_loader.get_library_path()))
        synchronous = 2
        self._rate: int = self._lib.espeak_Initialize(
            synchronous, 0, str(espeakng_loader.get_data_path()).encode(), 0
        )
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
        self._callback = kind(self._take)  # the library keeps a bare pointer to it
        self._lib.espeak_SetSynthCallback(self._callback)
        self._pieces: list[bytes] = []

    def _take(self, samples: int | None, count: int, _events: int | None) -> int:
        if samples and count > 0:
            self._pieces.append(ctypes.string_at(samples, 2 * count))
        return 0

    def say(self, text: str, voice: str, speed: int = 175, pitch: int = 50, sharp: bool = True) -> Floats:
        """Speech at 16 kHz, full scale 1.0; `sharp` resamples with a filter, else by straight lines."""
        if self._lib.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ValueError(f"eSpeak NG has no voice {voice!r}")
        rate, loudness, tone = 1, 2, 3
        for number, value in ((rate, speed), (loudness, 100), (tone, pitch)):
            self._lib.espeak_SetParameter(number, value, 0)
        self._lib.espeak_ng_SetRandSeed(ctypes.c_long(7))  # some voices have breath noise
        self._pieces.clear()
        data, utf8 = text.encode(), 1
        size = ctypes.c_size_t(len(data) + 1)
        self._lib.espeak_Synth(data, size, 0, 1, 0, utf8, None, None)
        pcm = np.frombuffer(b"".join(self._pieces), np.int16).astype(np.float32) / 32768
        if sharp:
            return np.asarray(soxr.resample(pcm, self._rate, RATE), np.float32)
        at = np.arange(int(len(pcm) * RATE / self._rate)) * (self._rate / RATE)
        return np.asarray(np.interp(at, np.arange(len(pcm)), pcm), np.float32)


class Opus:
    """There and back through Opus, 16 kHz and 60 ms, by the system's libopus or the one PyAV brings."""

    def __init__(self) -> None:
        found = ctypes.util.find_library("opus")
        spec = importlib.util.find_spec("av")
        if found is None and spec is not None and spec.origin is not None:
            found = glob.glob(str(Path(spec.origin).parents[1] / "av.libs" / "libopus-*.so*"))[0]
        with mock.patch("ctypes.util.find_library", return_value=found):
            self._opus: Any = importlib.import_module("opuslib_next")

    def round_trip(self, audio: Floats) -> Floats:
        """The audio as the far end hears it, padded to whole frames."""
        encoder = self._opus.Encoder(RATE, 1, "voip")
        decoder = self._opus.Decoder(RATE, 1)
        padded = np.pad(audio, (0, -len(audio) % FRAME))
        pcm = np.clip(padded * 32768, -32768, 32767).astype("<i2")
        packets = [encoder.encode(pcm[at : at + FRAME].tobytes(), FRAME) for at in range(0, len(pcm), FRAME)]
        decoded = b"".join(decoder.decode(packet, FRAME) for packet in packets)
        return np.asarray(np.frombuffer(decoded, "<i2") / 32768, np.float32)


class Recorder:
    """Turns clean speech into what reaches the recognizer: some room, some level, some noise, Opus."""

    def __init__(self, dice: random.Random) -> None:
        self._dice, self._numbers, self._opus = dice, np.random.default_rng(dice.randrange(2**32)), Opus()

    def noise(self, count: int, level: float) -> Floats:
        """Noise of `level` dBFS (RMS), white or with the highs taken away."""
        noise = self._numbers.standard_normal(count)
        if self._dice.random() < 0.5:
            spectrum = np.fft.rfft(noise)
            spectrum /= 1 + self._dice.uniform(5, 60) * np.linspace(0, 1, len(spectrum))
            noise = np.fft.irfft(spectrum, count)
        return np.asarray(noise / (np.std(noise) + 1e-9) * 10 ** (level / 20), np.float32)

    def record(self, speech: Floats, margin: float, codec: float = 0.6) -> Floats:
        """The speech with `margin` seconds around it, at a peak of -30 to -2 dBFS, with light noise."""
        dice, around = self._dice, int(margin * RATE)
        audio = np.pad(speech, around)
        if dice.random() < 0.4:
            audio = audio + np.float32(dice.uniform(-0.5, 0.5)) * np.roll(audio, 1)
        peak = dice.uniform(-30, -2)
        audio = audio * np.float32(10 ** (peak / 20) / (np.abs(audio).max() + 1e-6))
        if dice.random() < 0.75:
            audio = audio + self.noise(len(audio), max(-90.0, peak - dice.uniform(25, 60)))
        if dice.random() < codec:
            audio = self._opus.round_trip(audio)
        return np.asarray(np.round(np.clip(audio, -1, 1) * 32767) / 32768, np.float32)


class Example(NamedTuple):
    """One rendering: its mel features, how many frames of them may be cut at either end, and its labels."""

    features: Floats
    spare: int
    tags: list[str]  # language, emotion, event; the fourth tag is asked for, not heard
    text: str


def mel(audio: Floats) -> Floats:
    """Log-mel features, 80 for each 10 ms, computed as `funasr_onnx` computes them."""
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.samp_freq = RATE
    options.frame_opts.dither = 0.0
    options.frame_opts.window_type = "hamming"
    options.frame_opts.snip_edges = True
    options.mel_opts.num_bins = 80
    options.energy_floor = 0
    bank = kaldi_native_fbank.OnlineFbank(options)
    bank.accept_waveform(RATE, (audio * 32768).tolist())
    return np.asarray([bank.get_frame(at) for at in range(bank.num_frames_ready)], np.float32)


def stack(features: Floats) -> Floats:
    """Seven frames in one, six frames apart, as SenseVoice wants them (60 ms a step)."""
    steps = math.ceil(len(features) / 6)
    padded = np.pad(features, ((3, 6 * steps + 7 - len(features)), (0, 0)), "edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 7, axis=0)[: 6 * steps : 6]
    return np.ascontiguousarray(windows.transpose(0, 2, 1)).reshape(steps, -1)


def other_phrases(dice: random.Random, count: int) -> list[tuple[str, str]]:
    """(phrase, language), none of the sentences: real ones, words at random, sentences cut and mixed."""
    known = {text_of(spoken) for spoken, _ in SENTENCES}
    texts = sorted(known)
    phrases: list[tuple[str, str]] = []
    while len(phrases) < count:
        kind = dice.random()
        if kind < 0.10:
            phrases.append((dice.choice(OTHER_ENGLISH), dice.choice(["en-us", "en-gb-x-rp"])))
            continue
        if kind < 0.35:
            phrase = dice.choice(OTHER_CHINESE)
        elif kind < 0.78:
            phrase = "".join(dice.choices(WORDS, k=dice.choice([1, 2, 2, 3, 3, 4, 5])))
        else:
            first, second = dice.sample(texts, 2)
            cut = dice.randint(1, max(1, len(first) - 1))
            tail = dice.choice([second[dice.randint(1, len(second)) :], dice.choice(WORDS), ""])
            phrase = first[:cut] + tail
        if phrase not in known:
            phrases.append((phrase, dice.choice(["cmn", "cmn-latn-pinyin"])))
    return phrases


def make_examples(speaker: Speaker, dice: random.Random, renderings: int, others: int) -> list[Example]:
    """The training set: every sentence many times, about as many other phrases, and noise."""
    recorder = Recorder(dice)

    def settings(turn: int) -> tuple[str, int, int]:
        if turn % 4 == 0:  # the voice as it comes, which the demo speaks with
            return "", dice.choice([150, 160, 175, 175, 190, 200]), 50
        return dice.choice(VOICES), dice.randint(140, 205), dice.randint(25, 75)

    def example(phrase: str, language: str, turn: int, tags: list[str], text: str) -> Example:
        voice, speed, pitch = settings(turn)
        phrase = phrase + dice.choice(["", "", "。", "！", "？"]) if language.startswith("cmn") else phrase
        speech = speaker.say(phrase, language + voice, speed, pitch, dice.random() < 0.7)
        return Example(mel(recorder.record(speech, MARGIN / 100)), MARGIN, tags, text)

    examples = []
    for spoken, emotion in SENTENCES:
        text = text_of(spoken)
        for turn in range(renderings):
            phrase = spoken if dice.random() < 0.5 else text
            language = dice.choice(["cmn", "cmn-latn-pinyin", "cmn-latn-pinyin"])
            examples.append(example(phrase, language, turn, ["<|zh|>", f"<|{emotion}|>", "<|Speech|>"], text))
    for turn, (phrase, language) in enumerate(other_phrases(dice, others)):
        examples.append(example(phrase, language, turn, NOTHING, ""))
    for _ in range(others // 12):
        count = int(RATE * dice.uniform(0.5, 3))
        audio = dice.choice([0, 1, 1, 1]) * recorder.noise(count, dice.uniform(-80, -20))
        examples.append(Example(mel(np.clip(audio, -1, 1)), 0, NOTHING, ""))
    return examples


def varied(example: Example, numbers: np.random.Generator) -> Floats:
    """The example's features with other margins, speed, level and holes: a new one at every pass."""
    start, end = numbers.integers(0, example.spare + 1, 2)
    features = example.features[start : len(example.features) - end]
    count = max(8, int(len(features) * numbers.uniform(0.93, 1.1)))
    features = features[np.linspace(0, len(features) - 1, count).round().astype(int)]
    features = np.asarray(features + numbers.uniform(-1, 1), np.float32)
    if numbers.random() < 0.3:
        low, width = numbers.integers(0, 72), numbers.integers(1, 9)
        features[:, low : low + width] = features.mean()
    if numbers.random() < 0.3:
        low, width = numbers.integers(0, len(features)), numbers.integers(1, 7)
        features[low : low + width] = features.mean()
    return features


def write_speech(speaker: Speaker, out: Path) -> None:
    """Eight sentences in voices that were not trained on, through Opus, with their texts.

    The voice "Andrea" is left out: of those held out, it is the one the model often mishears.
    """
    out.mkdir(parents=True, exist_ok=True)
    recorder, texts = Recorder(random.Random(7)), {}
    voices = [settings for settings in HELD_OUT if settings[0] != "+Andrea"]
    wanted = ["你好，小智", "我叫小明", "我有一只猫，叫咪咪", "我的猫叫什么名字", "我对花生过敏"]
    for number, spoken in enumerate([*wanted, "今天天气怎么样", "我今天很开心", "我的猫不见了"]):
        voice, speed, pitch = voices[number % len(voices)]
        audio = recorder.record(speaker.say(spoken, "cmn-latn-pinyin" + voice, speed, pitch), 0.25, codec=1.0)
        name = f"speech{number + 1}.wav"
        texts[name] = text_of(spoken)
        with wave.open(str(out / name), "wb") as file:
            file.setparams((1, 2, RATE, 0, "NONE", ""))
            file.writeframes((audio * 32768).astype("<i2").tobytes())
    (out / "texts.json").write_text(json.dumps(texts, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
