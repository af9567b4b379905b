"""Reading recordings piece by piece: every kind, broken ones, and never the whole at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from fakes.role_packs import hum

from xiaozhi_persona.audio.recordings import open_recording
from xiaozhi_persona.errors import SettingsError


def whole(path: Path) -> np.ndarray:
    return np.concatenate(list(open_recording(path).pieces()))


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_wav_is_read_as_mono(tmp_path: Path, subtype: str, channels: int) -> None:
    sound = np.stack([hum(1.0, 8000) / 32768] * channels, axis=1)
    soundfile.write(tmp_path / "a.wav", sound, 8000, subtype=subtype)
    recording = open_recording(tmp_path / "a.wav")
    assert (recording.sample_rate_hz, recording.channels, recording.seconds) == (8000, channels, 1.0)
    assert np.abs(whole(tmp_path / "a.wav") - sound[:, 0]).max() < 0.01


@pytest.mark.parametrize("suffix", ["flac", "ogg", "mp3"])
def test_compressed_sound_is_read(tmp_path: Path, suffix: str) -> None:
    soundfile.write(tmp_path / f"a.{suffix}", hum(2.0), 16000)
    assert len(whole(tmp_path / f"a.{suffix}")) == pytest.approx(32000, abs=2400)


def test_a_long_recording_comes_in_pieces(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.tile(hum(1.0), 100), 16000)
    pieces = list(open_recording(tmp_path / "a.wav").pieces())
    assert sum(map(len, pieces)) == 1_600_000 and max(map(len, pieces)) <= 1 << 18


def test_a_recorder_that_never_wrote_the_size_loses_nothing(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", hum(1.0), 16000)
    data = bytearray((tmp_path / "a.wav").read_bytes())
    at = data.index(b"data")
    data[4:8] = data[at + 4 : at + 8] = b"\0\0\0\0"
    (tmp_path / "a.wav").write_bytes(data)
    assert np.abs(whole(tmp_path / "a.wav") * 32768 - hum(1.0)).max() <= 1


def test_samples_that_are_no_numbers_are_silence(tmp_path: Path) -> None:
    sound = np.array([0.5, np.nan, np.inf, -np.inf], np.float32)
    soundfile.write(tmp_path / "a.wav", sound, 8000, subtype="FLOAT")
    assert whole(tmp_path / "a.wav").tolist() == [0.5, 0.0, 1.0, -1.0]


@pytest.mark.parametrize(
    "data", [b"", b"RIFF\0\0\0\0WAVE", b"ID3 nothing", b"\0" * 100, b"text", b"fLaC" + b"\0" * 60]
)
@pytest.mark.parametrize("suffix", ["wav", "mp3", "m4a"])
def test_what_is_no_recording_says_what_to_do(tmp_path: Path, data: bytes, suffix: str) -> None:
    (tmp_path / f"a.{suffix}").write_bytes(data)
    with pytest.raises(SettingsError, match="换一个|转换"):
        whole(tmp_path / f"a.{suffix}")


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="读不了"):
        open_recording(tmp_path / "a.wav")


def test_what_is_cut_off_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", hum(2.0), 16000)
    (tmp_path / "a.wav").write_bytes((tmp_path / "a.wav").read_bytes()[:32044])
    assert len(whole(tmp_path / "a.wav")) == 16000


def test_m4a_is_read_where_pyav_is(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "a.m4a"), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(hum(2.0).reshape(1, -1), "s16", "mono")
        frame.sample_rate = 16000
        resampler = av.AudioResampler(
            stream.format, stream.layout, 16000, stream.codec_context.frame_size or 1024
        )
        for part in [*resampler.resample(frame), None]:
            container.mux(stream.encode(part))
    assert len(whole(tmp_path / "a.m4a")) == pytest.approx(32000, abs=3000)
