"""Echo: its delay, its cancelling with cards that drift, and somebody who speaks over it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import numpy as np
import pytest
from fakes.sound_system import FakeSystem
from fakes.xiaozhi_server import tone

from xiaozhi_persona.audio.resample import resample
from xiaozhi_persona.audio.wav import read_wav
from xiaozhi_persona.bridge.client.card import echo as echo_module
from xiaozhi_persona.bridge.client.card.barge_in import BargeInDetector, GatedMicrophone
from xiaozhi_persona.bridge.client.card.echo import EchoCanceller, chirp, delay_samples
from xiaozhi_persona.errors import PackageMissing
from xiaozhi_persona.spine import Samples

pytest.importorskip("pywebrtc_audio")

SPEECH = Path(__file__).parent / "data" / "speech"
RATE_HZ = 16000


def speech(*numbers: int) -> np.ndarray:
    return np.concatenate([read_wav(SPEECH / f"speech{number}.wav", RATE_HZ) for number in numbers]).astype(
        float
    )


def dbfs(sound: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.asarray(sound, float) ** 2) / 32768**2 + 1e-10))


@pytest.mark.parametrize("delay", [0, 161, 1600, 8000])
@pytest.mark.parametrize("sound", [chirp(), speech(1)[:24000].astype(np.int16)], ids=["chirp", "speech"])
def test_the_delay_of_an_echo_is_found(delay: int, sound: Samples):
    played = np.concatenate((np.zeros(16000, np.int16), sound, np.zeros(16000, np.int16)))
    heard = np.concatenate((np.zeros(delay, np.int16), played))[: len(played)] // 2
    heard = (heard + np.random.default_rng(1).normal(0, 20, len(heard))).astype(np.int16)
    most = RATE_HZ
    found = delay_samples(played, heard[most:])
    assert found is not None
    assert most - found == pytest.approx(delay, abs=2)


def test_no_delay_is_made_up_where_nothing_comes_back():
    noise = np.random.default_rng(1).normal(0, 300, 32000).astype(np.int16)
    played = np.concatenate((np.zeros(16000, np.int16), chirp(), np.zeros(16000, np.int16)))
    assert delay_samples(played, noise[:16000]) is None
    assert delay_samples(np.zeros(32000, np.int16), noise[:16000]) is None
    assert delay_samples(played, np.zeros(16000, np.int16)) is None


@pytest.mark.parametrize("ppm", [-200, 200])
async def test_the_echo_is_taken_out_although_the_clocks_drift(ppm: int):
    """The loudspeaker's sound comes back 60 ms later at half its loudness, by devices whose clocks differ."""
    system = FakeSystem(input_ppm=ppm, output_ppm=-ppm)
    out_hz = 44100 * (1 - ppm * 1e-6)
    began_s = system.now()

    def echo(at: np.ndarray) -> np.ndarray:
        # `at` is by the microphone's clock; what was played by then is looked up by the machine's.
        now_s = began_s + at / (1 + ppm * 1e-6)
        played = system.output(blocks=60)
        start = system.played_from_s
        if start is None or not len(played):
            return np.zeros(len(at))
        position = (now_s - 0.06 - start) * out_hz - (len(system.played) * 882 - len(played))
        return 0.5 * np.interp(position, np.arange(len(played)), played, left=0, right=0)

    system.heard = echo
    async with system.card(cancels_echo=True) as card:
        raw: list[np.ndarray] = []
        cleaned: list[np.ndarray] = []
        assert card.echo is not None
        clean = card.echo.clean

        def noted(samples: Samples, first: int) -> Samples:
            raw.append(samples)
            cleaned.append(clean(samples, first))
            return cleaned[-1]

        card.input.clean = noted
        system.run(12)  # by then the clocks are measured
        card.sound(chirp(), RATE_HZ)
        system.run(1.4)
        measured = card.echo.measure(1.4)
        assert measured == pytest.approx(0.08, abs=0.025)  # and up to a block of either side
        card.echo.delay_s = measured
        card.sound(resample(speech(1, 2, 3).astype(np.int16), RATE_HZ, 24000), 24000)
        raw.clear()
        cleaned.clear()
        system.run(7)
        assert card.echo.measure(2.0) == pytest.approx(measured, abs=0.001)
        before, after = np.concatenate(raw)[2 * RATE_HZ :], np.concatenate(cleaned)[2 * RATE_HZ :]
        assert dbfs(before) > -35
        assert dbfs(after) < dbfs(before) - 25
        card.echo.delay_s = measured + 0.04  # as where a driver has lost sound
        card.sound(resample(speech(4).astype(np.int16), RATE_HZ, 24000), 24000)
        system.run(1.5)
        assert card.echo.is_own_voice()
        assert card.echo.delay_s == pytest.approx(measured, abs=0.002)
        system.heard = lambda at: (
            0.5 * echo(at)
            + np.interp(at % 1.5 * RATE_HZ, np.arange(RATE_HZ * 2), speech(5, 6)[: RATE_HZ * 2])
        )
        system.run(0.5)
        assert not card.echo.is_own_voice()


def test_without_the_package_it_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch):
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(echo_module.importlib, "import_module", missing)
    with pytest.raises(PackageMissing, match=r"pip install pywebrtc-audio"):
        EchoCanceller()


def test_speech_is_found_soon_and_silence_and_rest_of_echo_never():
    detector = BargeInDetector()
    rest = 0.01 * speech(2, 3)
    quiet = np.concatenate((np.zeros(RATE_HZ), rest)).astype(np.int16)
    assert not any(detector.feed(quiet[at : at + 320]) for at in range(0, len(quiet), 320))
    user = speech(1)
    user = user[np.flatnonzero(np.abs(user) > 1000)[0] :].astype(np.int16)
    found = next(at for at in range(0, len(user), 160) if detector.feed(user[at : at + 160]))
    assert found / RATE_HZ < 0.3


class LoudCard:
    """A card that plays until a time, and hears pieces that the test gives."""

    def __init__(self) -> None:
        self.until = 0.0
        self.pieces: asyncio.Queue[Samples] = asyncio.Queue()

    def sounds_until(self) -> float:
        return self.until

    async def listen(self) -> AsyncGenerator[Samples, None]:
        while True:
            yield await self.pieces.get()


async def test_while_it_plays_nothing_but_the_user_is_sent_from_his_first_word_on():
    card, interruptions = LoudCard(), 0

    def interrupt() -> None:
        nonlocal interruptions
        interruptions += 1

    listening = GatedMicrophone(card, interrupt).listen()  # type: ignore[arg-type]

    async def given(piece: np.ndarray) -> np.ndarray:
        card.pieces.put_nowait(piece.astype(np.int16))
        return await anext(listening)

    piece = tone(0.02)
    assert np.array_equal(await given(piece), piece)  # silent loudspeaker: what is heard is sent
    card.until = asyncio.get_running_loop().time() + 60
    residue = np.full(320, 20)
    for _ in range(30):
        assert not (await given(residue)).any()
    user = speech(1)
    user = user[np.flatnonzero(np.abs(user) > 1000)[0] :][: 320 * 40].reshape(-1, 320)
    sent = [await given(part) for part in user]
    assert interruptions == 1
    first = next(number for number, part in enumerate(sent) if part.any())
    assert len(sent[first]) <= RATE_HZ // 2
    whole = np.concatenate(sent[first:])
    assert np.array_equal(
        whole[-len(user.ravel()) :], user.ravel().astype(np.int16)
    )  # every word of it, once
    card.until = 0.0
    assert np.array_equal(await given(residue), residue)
    await listening.aclose()
