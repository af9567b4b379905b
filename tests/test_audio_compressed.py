"""MP3, Opus in Ogg, FLAC and bare samples: heard as they come, however they are cut, and not played where they are broken."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from fakes.sovits_server import ogg_of, pitch_hz
from fakes.speech_server import packed

from xiaozhi_persona.audio.compressed import Mp3Decoder, is_mp3
from xiaozhi_persona.audio.streams import decoder_for
from xiaozhi_persona.errors import ServiceUnavailable
from xiaozhi_persona.spine import PcmChunk, Samples

RATE_HZ = 24000
SECONDS = 3.0
SOUND: Samples = (
    8000 * np.sin(2 * np.pi * 450 * np.arange(round(SECONDS * RATE_HZ)) / RATE_HZ) + 100
).astype(np.int16)


def decoded(data: bytes, piece: int = 0, raw_rate_hz: int = 0) -> tuple[list[PcmChunk], int]:
    """Return the sound, and how many bytes it took until the first of it."""
    decoder, chunks, first = decoder_for(data[:64], raw_rate_hz), [], 0
    for start in range(0, len(data), piece or len(data)):
        chunks += decoder.feed(data[start : start + (piece or len(data))])
        if chunks and not first:
            first = start + piece
    return chunks + decoder.finish(), first


def assert_heard(chunks: list[PcmChunk], rate_hz: int, slack_s: float = 0.0) -> None:
    assert {chunk.sample_rate_hz for chunk in chunks} == {rate_hz}
    samples = np.concatenate([chunk.samples for chunk in chunks])
    assert pitch_hz(samples, rate_hz) == 450
    assert len(samples) / rate_hz == pytest.approx(SECONDS, abs=slack_s + 1e-9)


@pytest.mark.parametrize("piece", [0, 1, 7, 1000])
def test_opus_is_whole_to_the_sample_however_it_is_cut(piece: int) -> None:
    data = packed(SOUND, RATE_HZ, "opus")
    chunks, first = decoded(data, piece)
    assert_heard(chunks, 48000)
    assert first < 0.6 * len(data)  # pages of one second


def test_opus_links_one_after_another_each_have_their_own_start() -> None:
    chunks, _ = decoded(packed(SOUND[:24000], RATE_HZ, "opus") + packed(SOUND[:48000], RATE_HZ, "opus"), 500)
    assert sum(len(chunk.samples) for chunk in chunks) == 3 * 48000


def test_vorbis_and_opus_may_follow_each_other() -> None:
    chunks, _ = decoded(ogg_of(SOUND[:24000], RATE_HZ) + packed(SOUND[:24000], RATE_HZ, "opus"), 500)
    assert [chunk.sample_rate_hz for chunk in chunks][0] == RATE_HZ and chunks[-1].sample_rate_hz == 48000


def test_opus_that_is_broken_is_told() -> None:
    data = bytearray(packed(SOUND, RATE_HZ, "opus"))
    second_page = data.index(b"OggS", 200)
    data[second_page : second_page + 4] = b"XXXX"
    with pytest.raises(ServiceUnavailable):
        decoded(bytes(data))


def test_an_opus_head_that_is_cut_is_no_crash() -> None:
    page = b"OggS\0\2" + bytes(20) + b"\x01\x08OpusHead"
    assert decoded(page)[0] == []


@pytest.mark.parametrize("piece", [0, 1, 7, 1000])
@pytest.mark.parametrize("has_pyav", [True, False])
def test_mp3_is_heard_however_it_is_cut(piece: int, has_pyav: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if has_pyav:
        pytest.importorskip("av")
    else:
        monkeypatch.setitem(sys.modules, "av", None)
    data = packed(SOUND, RATE_HZ, "mp3")
    chunks, first = decoded(data, piece)
    assert_heard(chunks, RATE_HZ, slack_s=0.15)
    assert (first < 0.4 * len(data)) == (has_pyav and piece > 0 or first == 0)


@pytest.mark.parametrize("piece", [0, 1, 9, 300])
def test_a_tag_before_mp3_is_passed_over_whatever_is_in_it(piece: int) -> None:
    pytest.importorskip("av")
    picture = b"\xff\xfb\x90\x44" * 500
    size = bytes(len(picture) >> shift & 0x7F for shift in (21, 14, 7, 0))
    chunks, _ = decoded(b"ID3\x04\0\0" + size + picture + packed(SOUND, RATE_HZ, "mp3"), piece)
    assert_heard(chunks, RATE_HZ, slack_s=0.15)


def test_mp3_that_is_broken_amid_is_heard_around_it() -> None:
    pytest.importorskip("av")
    data = bytearray(packed(SOUND, RATE_HZ, "mp3"))
    data[len(data) // 2 : len(data) // 2 + 200] = bytes(200)
    chunks, _ = decoded(bytes(data), 500)
    assert sum(len(chunk.samples) for chunk in chunks) > 0.8 * len(SOUND)


@pytest.mark.parametrize("data", [b"\xff\xfb" + b"junk" * 500, b"ID3", b"ID3\x04\0\0\x7f\x7f\x7f\x7fjunk"])
@pytest.mark.parametrize("has_pyav", [True, False])
def test_what_only_begins_like_mp3_has_no_sound(
    data: bytes, has_pyav: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if has_pyav:
        pytest.importorskip("av")
        assert decoded(data)[0] == []
        return
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ServiceUnavailable, match="pip install av"):
        decoded(data)


def test_the_eleven_bits_of_a_frame_tell_mp3() -> None:
    assert all(map(is_mp3, (b"\xff\xfb\x90\x44", b"\xff\xf3\x84\xc4", b"\xff\xe3\x18\xc4", b"ID3\x04")))
    assert not any(
        map(is_mp3, (b"", b"\xff", b"\xff\xf1\x50\x80", b"RIFF", b"\xff\xff\xff\xff", b"\x00\x00"))
    )
    assert isinstance(decoder_for(b"\xff\xfb\x90\x44"), Mp3Decoder)


def test_flac_is_heard_at_its_end() -> None:
    chunks, _ = decoded(packed(SOUND, RATE_HZ, "flac"), 500)
    np.testing.assert_array_equal(chunks[0].samples, SOUND)


@pytest.mark.parametrize("piece", [0, 1, 7, 1000])
def test_bare_samples_are_heard_however_they_are_cut(piece: int) -> None:
    sound = np.concatenate([np.array([-1025, -1], np.int16), SOUND[:2000]])  # they begin like MP3
    chunks, _ = decoded(sound.astype("<i2").tobytes() + b"\1", piece, raw_rate_hz=16000)
    np.testing.assert_array_equal(np.concatenate([chunk.samples for chunk in chunks]), sound)
    assert {chunk.sample_rate_hz for chunk in chunks} == {16000}
