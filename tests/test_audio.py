"""Opus packets, resampling, framing and WAV files, all real."""

from __future__ import annotations

import ctypes.util
import importlib.util
import random
import sys
import wave
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import soundfile

from xiaozhi_persona.audio import opus
from xiaozhi_persona.audio.opus import MAX_PACKET_MS, OpusDecoder, OpusEncoder, OpusError
from xiaozhi_persona.audio.resample import Framer, Resampler, resample
from xiaozhi_persona.audio.wav import read_wav, write_wav
from xiaozhi_persona.errors import PackageMissing, SettingsError
from xiaozhi_persona.spine import PcmChunk, Samples


def sweep(sample_rate_hz: int, seconds: float = 1.2) -> Samples:
    """A tone that rises from 200 to 1,400 Hz: unlike itself at any other moment."""
    t = np.arange(int(sample_rate_hz * seconds)) / sample_rate_hz
    wave = np.sin(2 * np.pi * (200 + 500 * t) * t)
    return (wave * 9000).astype(np.int16)


def best_correlation(sent: Samples, heard: Samples, max_delay: int) -> float:
    """The correlation at the delay where it is greatest."""
    return max(
        float(np.corrcoef(sent[: len(heard) - delay], heard[delay : delay + len(sent)])[0, 1])
        for delay in range(max_delay)
    )


# Opus


@pytest.mark.parametrize("sample_rate_hz", [16000, 24000])
@pytest.mark.parametrize("frame_ms", [20, 60])
def test_what_is_encoded_and_decoded_sounds_the_same(sample_rate_hz: int, frame_ms: int) -> None:
    encoder, decoder = OpusEncoder(sample_rate_hz, frame_ms), OpusDecoder(sample_rate_hz)
    sound = sweep(sample_rate_hz)
    frames = sound.reshape(-1, encoder.frame_samples)
    heard = np.concatenate([decoder.decode(encoder.encode(frame)) for frame in frames])
    assert heard.dtype == np.int16 and len(heard) == len(sound)
    assert best_correlation(sound, heard, max_delay=sample_rate_hz // 100) > 0.98


def test_a_decoder_takes_packets_of_any_duration_and_rate() -> None:
    decoder = OpusDecoder(16000)
    for sample_rate_hz, frame_ms in ((24000, 60), (16000, 20), (48000, 60), (8000, 40)):
        encoder = OpusEncoder(sample_rate_hz, frame_ms)
        packet = encoder.encode(sweep(sample_rate_hz)[: encoder.frame_samples])
        assert len(decoder.decode(packet)) == 16 * frame_ms


@pytest.mark.parametrize("length", [0, 1, 959, 961, 1920])
def test_a_frame_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(OpusError, match=f"960.*{length}"):
        OpusEncoder(16000, 60).encode(np.zeros(length, np.int16))


@pytest.mark.parametrize("packet", [b"", b"\xff", b"\xff" * 100, bytes(2000)])
def test_what_is_no_opus_packet_is_refused(packet: bytes) -> None:
    with pytest.raises(OpusError):
        OpusDecoder().decode(packet)


def test_random_bytes_never_do_worse_than_an_error() -> None:
    randomness = random.Random(1)
    decoder, encoder = OpusDecoder(16000), OpusEncoder(16000)
    for _ in range(500):
        try:
            heard = decoder.decode(randomness.randbytes(randomness.randrange(1, 80)))
        except OpusError:
            continue
        assert 0 < len(heard) <= 16 * MAX_PACKET_MS
    silence = encoder.encode(np.zeros(960, np.int16))
    assert len([decoder.decode(silence) for _ in range(5)][-1]) == 960


@pytest.fixture
def _as_if_new(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The binding is looked for again, and forgotten when the test ends."""
    for name in [name for name in sys.modules if name.split(".")[0] == "opuslib_next"]:
        monkeypatch.delitem(sys.modules, name)
    opus.opus_library.cache_clear()
    yield
    opus.opus_library.cache_clear()
    for name in [name for name in sys.modules if name.split(".")[0] == "opuslib_next"]:
        del sys.modules[name]


@pytest.fixture
def looked_for(monkeypatch: pytest.MonkeyPatch, _as_if_new: None) -> list[str]:
    """A system without libopus; what was looked for in it."""
    names: list[str] = []
    monkeypatch.setattr(ctypes.util, "find_library", names.append)
    return names


def test_without_a_system_libopus_the_one_of_pyav_serves(
    looked_for: list[str],
) -> None:
    pytest.importorskip("av", reason="the system has a libopus, so run.py has not installed PyAV")
    find_library = ctypes.util.find_library
    frame = sweep(16000)[:960]
    assert len(OpusDecoder().decode(OpusEncoder(16000).encode(frame))) == 960
    assert "opus" in looked_for
    library: ModuleType = sys.modules["opuslib_next.api"]
    assert "av.libs" in library.libopus._name or ".dylibs" in library.libopus._name
    assert ctypes.util.find_library is find_library  # others find what they found before


@pytest.mark.parametrize(
    ("carried", "found"),
    [
        ("av.libs/libopus-0a1b2c3d.so.0.9.0", True),
        ("av.libs/libopus-0-0a1b2c3d.dll", True),
        ("av/.dylibs/libopus.0.dylib", True),
        ("av.libs/libvpx-0a1b2c3d.so.9", False),
    ],
)
def test_the_libopus_of_pyav_is_found_on_every_system(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, carried: str, found: bool
) -> None:
    (tmp_path / carried).parent.mkdir(parents=True)
    (tmp_path / carried).touch()
    spec = SimpleNamespace(origin=str(tmp_path / "av" / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec if name == "av" else None)
    assert opus._libopus_of_pyav() == (str(tmp_path / carried) if found else None)


@pytest.mark.parametrize("carried", ["no PyAV", "PyAV without libopus"])
def test_without_any_libopus_it_is_said_how_to_get_one(
    looked_for: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, carried: str
) -> None:
    spec = None if carried == "no PyAV" else SimpleNamespace(origin=str(tmp_path / "av" / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(PackageMissing, match="apt install libopus0"):
        OpusDecoder()
    with pytest.raises(PackageMissing, match="pip install av"):
        OpusEncoder()


def test_a_libopus_that_cannot_be_loaded_is_told_of(
    monkeypatch: pytest.MonkeyPatch, _as_if_new: None, tmp_path: Path
) -> None:
    broken = tmp_path / "libopus.so"
    broken.write_bytes(b"no library")
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: str(broken))
    with pytest.raises(PackageMissing, match="找不到 libopus"):
        OpusDecoder()


# Resampling and framing


def resampled(sound: Samples, in_rate_hz: int, out_rate_hz: int, cuts: list[int]) -> Samples:
    resampler = Resampler(out_rate_hz)
    parts = [resampler.feed(PcmChunk(part, in_rate_hz)) for part in np.split(sound, cuts)]
    return np.concatenate([*parts, resampler.finish()])


@pytest.mark.parametrize("in_rate_hz", [8000, 16000, 22050, 32000, 44100, 48000])
@pytest.mark.parametrize("out_rate_hz", [16000, 24000])
def test_the_cutting_of_a_stream_is_not_heard(in_rate_hz: int, out_rate_hz: int) -> None:
    sound = sweep(in_rate_hz)
    randomness = random.Random(in_rate_hz)
    cuts = sorted(randomness.randrange(len(sound)) for _ in range(40))
    whole, cut = (resampled(sound, in_rate_hz, out_rate_hz, where) for where in ([], cuts))
    assert len(whole) == len(cut)
    assert abs(len(whole) - len(sound) * out_rate_hz / in_rate_hz) <= 2
    assert np.abs(whole.astype(int) - cut).max() <= 2
    assert best_correlation(sweep(out_rate_hz)[: len(whole) - 50], whole, max_delay=20) > 0.999


def test_the_same_rate_passes_through() -> None:
    sound = sweep(24000)
    resampler = Resampler(24000)
    assert resampler.feed(PcmChunk(sound, 24000)) is sound
    assert len(resampler.finish()) == 0
    assert resample(sound, 24000, 24000) is sound


def test_a_resampler_that_was_fed_nothing_gives_nothing() -> None:
    assert len(Resampler(24000).finish()) == 0
    assert len(resampled(np.zeros(0, np.int16), 16000, 24000, [])) == 0


def test_frames_are_equal_and_the_last_is_filled_with_silence() -> None:
    sound = np.arange(1, 251, dtype=np.int16)
    framer = Framer(100)
    frames = [frame for part in np.split(sound, [1, 1, 120, 199, 240]) for frame in framer.feed(part)]
    assert [len(frame) for frame in frames] == [100, 100]
    (last,) = framer.finish()
    assert np.array_equal(np.concatenate([*frames, last]), np.pad(sound, (0, 50)))
    assert framer.finish() == []


def test_whole_frames_leave_nothing_to_fill() -> None:
    framer = Framer(100)
    assert len(framer.feed(np.zeros(300, np.int16))) == 3
    assert framer.finish() == []


# WAV files


def write_pcm(path: Path, data: bytes, *, width: int = 2, channels: int = 1, rate: int = 16000) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, width, rate, 0, "NONE", ""))
        file.writeframes(data)
    return path


def as_width(samples: Samples, width: int) -> bytes:
    """The samples as little-endian PCM of `width` bytes; WAV of 8 bit is unsigned."""
    if width == 1:
        return ((samples >> 8) + 128).astype(np.uint8).tobytes()
    wide = samples.astype("<i4") << 16
    return wide.view(np.uint8).reshape(-1, 4)[:, 4 - width :].tobytes()


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_every_width_reads_as_16_bit(tmp_path: Path, width: int) -> None:
    sound = np.array([0, 256, -256, 32512, -32768], np.int16)
    heard = read_wav(write_pcm(tmp_path / "a.wav", as_width(sound, width), width=width), 16000)
    assert heard.dtype == np.int16
    assert np.array_equal(heard, sound)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_channels_are_averaged(tmp_path: Path, width: int) -> None:
    left, right = np.array([1024, -32768, 30720], np.int16), np.array([3072, -32768, 30720], np.int16)
    data = as_width(np.stack([left, right], axis=1).reshape(-1), width)
    heard = read_wav(write_pcm(tmp_path / "a.wav", data, width=width, channels=2), 16000)
    assert heard.tolist() == [2048, -32768, 30720]


@pytest.mark.parametrize("rate", [8000, 22050, 44100])
def test_other_rates_are_converted(tmp_path: Path, rate: int) -> None:
    heard = read_wav(write_pcm(tmp_path / "a.wav", sweep(rate).tobytes(), rate=rate), 16000)
    assert abs(len(heard) - 1.2 * 16000) <= 2
    assert best_correlation(sweep(16000)[:19000], heard, max_delay=5) > 0.999


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    sound = sweep(24000)
    write_wav(tmp_path / "new" / "folder" / "a.wav", sound, 24000)
    assert np.array_equal(read_wav(tmp_path / "new" / "folder" / "a.wav", 24000), sound)


@pytest.mark.parametrize(("width", "channels", "missing"), [(2, 1, 1), (2, 2, 3), (3, 2, 4), (2, 1, 100)])
def test_of_truncated_data_the_whole_samples_are_read(
    tmp_path: Path, width: int, channels: int, missing: int
) -> None:
    sound = np.full(100 * channels, 4096, np.int16)
    path = write_pcm(tmp_path / "a.wav", as_width(sound, width), width=width, channels=channels)
    path.write_bytes(path.read_bytes()[:-missing])
    heard = read_wav(path, 16000)
    assert len(heard) == (100 * channels * width - missing) // (channels * width)
    assert np.all(heard == 4096)


def test_a_recording_of_nothing_is_empty(tmp_path: Path) -> None:
    assert len(read_wav(write_pcm(tmp_path / "a.wav", b"", rate=8000), 16000)) == 0


@pytest.mark.parametrize("content", [b"", b"ID3\x04 a song", b"RIFF\x04\0\0\0WAVE", b"RIFF", bytes(100)])
@pytest.mark.parametrize("has_pyav", [True, False])
def test_what_is_no_recording_is_refused_with_the_next_step(
    tmp_path: Path, content: bytes, has_pyav: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if has_pyav:
        pytest.importorskip("av")
    else:
        monkeypatch.setitem(sys.modules, "av", None)
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        read_wav(path, 16000)
    assert str(path) in str(caught.value)
    assert ("ffmpeg" in str(caught.value)) == bool(content)


@pytest.mark.parametrize("sizes", ["none", "data", "streamed"])
def test_a_recorder_that_never_wrote_the_sizes_is_read_to_the_end(tmp_path: Path, sizes: str) -> None:
    sound = sweep(16000)
    path = write_pcm(tmp_path / "a.wav", sound.tobytes())
    data = bytearray(path.read_bytes())
    unknown = b"\xff" * 4 if sizes == "streamed" else bytes(4)
    data[40:44] = unknown
    if sizes != "data":
        data[4:8] = unknown
    path.write_bytes(data)
    assert np.array_equal(read_wav(path, 16000), sound)
    path.write_bytes(data[:44])
    assert not len(read_wav(path, 16000))


@pytest.mark.parametrize(
    ("form", "subtype"),
    [
        ("WAV", "FLOAT"),
        ("WAV", "DOUBLE"),
        ("WAV", "PCM_24"),
        ("WAV", "ULAW"),
        ("WAVEX", "PCM_16"),
        ("FLAC", "PCM_16"),
        ("MP3", "MPEG_LAYER_III"),
        ("OGG", "VORBIS"),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_other_formats_are_read(tmp_path: Path, form: str, subtype: str, channels: int) -> None:
    sound = np.repeat(sweep(44100)[:, None], channels, axis=1) / np.float32(32768)
    soundfile.write(tmp_path / "a", sound, 44100, format=form, subtype=subtype)
    heard = read_wav(tmp_path / "a", 16000)
    assert abs(len(heard) - 1.2 * 16000) < 0.1 * 16000
    assert best_correlation(sweep(16000)[:18000], heard, max_delay=1300) > 0.99


def test_floats_beyond_full_scale_and_no_numbers_do_no_harm(tmp_path: Path) -> None:
    sound = np.array([0.5, 2.0, -2.0, np.nan, np.inf, 0.25], np.float32)
    soundfile.write(tmp_path / "a.wav", sound, 16000, subtype="FLOAT")
    assert read_wav(tmp_path / "a.wav", 16000).tolist() == [16384, 32767, -32768, 0, 32767, 8192]


def test_m4a_is_read_with_pyav_and_else_its_name_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "a.m4a"), "w") as output:
        stream = output.add_stream("aac", rate=44100, layout="stereo")
        both = np.repeat(sweep(44100)[None, :], 2, axis=0)
        frame = av.AudioFrame.from_ndarray(both.T.reshape(1, -1).copy(), format="s16", layout="stereo")
        frame.rate = 44100
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            output.mux(packet)
    heard = read_wav(tmp_path / "a.m4a", 16000)
    assert best_correlation(sweep(16000)[:18000], heard, max_delay=1300) > 0.95
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(SettingsError, match=r"M4A.*pip install av"):
        read_wav(tmp_path / "a.m4a", 16000)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="没有这个文件.*none.wav"):
        read_wav(tmp_path / "none.wav", 16000)


def test_a_folder_is_no_recording(tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        read_wav(tmp_path, 16000)
