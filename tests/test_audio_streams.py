from __future__ import annotations

import io
import struct
import wave

import numpy as np
import pytest
import soundfile
from fakes.sovits_server import ogg_of, stream_header

from xiaozhi_persona.audio.streams import AudioDecoder, decoder_for
from xiaozhi_persona.errors import ServiceRejected, ServiceUnavailable
from xiaozhi_persona.spine import PcmChunk, Samples

SOUND: Samples = (8000 * np.sin(2 * np.pi * 440 * np.arange(32000) / 32000)).astype(np.int16)
DATA = SOUND.tobytes()


def decoded(data: bytes, piece: int = 0) -> tuple[list[PcmChunk], AudioDecoder]:
    decoder = decoder_for(data[:4])
    chunks: list[PcmChunk] = []
    size = piece or len(data)
    for start in range(0, len(data), size):
        chunks += decoder.feed(data[start : start + size])
    return chunks + decoder.finish(), decoder


def joined(chunks: list[PcmChunk]) -> Samples:
    return np.concatenate([chunk.samples for chunk in chunks])


def whole_wav(samples: Samples, subtype: str = "PCM_16", rate: int = 24000) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples / 32768, rate, format="WAV", subtype=subtype)
    return file.getvalue()


@pytest.mark.parametrize("piece", [0, 1, 3, 777, 4096])
def test_streamed_wav_is_whole_however_it_is_cut(piece: int) -> None:
    chunks, decoder = decoded(stream_header(48000) + DATA[: 8000 if piece == 1 else None], piece)
    assert {chunk.sample_rate_hz for chunk in chunks} == {48000}
    np.testing.assert_array_equal(joined(chunks), SOUND[: 4000 if piece == 1 else None])
    assert not decoder.states_length


@pytest.mark.parametrize("size", [0, 0x7FFFFFFF, 0xFFFFFFFF])
def test_sizes_of_a_stream_are_ignored(size: int) -> None:
    header = bytearray(stream_header(32000))
    header[40:44] = struct.pack("<I", size)
    chunks, decoder = decoded(bytes(header) + DATA, 999)
    np.testing.assert_array_equal(joined(chunks), SOUND)
    assert not decoder.states_length


def test_a_whole_wav_says_so_and_what_follows_is_no_sound() -> None:
    tail = b"LIST" + struct.pack("<I", 1000) + b"x" * 1000
    chunks, decoder = decoded(stream_header(32000, data_bytes=len(DATA)) + DATA + tail, 1001)
    np.testing.assert_array_equal(joined(chunks), SOUND)
    assert decoder.states_length


def test_a_stated_length_that_is_too_small_loses_no_sound() -> None:
    chunks, _ = decoded(stream_header(32000, data_bytes=10000) + DATA, 777)
    np.testing.assert_array_equal(joined(chunks), SOUND)


def test_several_wav_files_in_one_body() -> None:
    one = stream_header(32000, data_bytes=len(DATA)) + DATA
    chunks, _ = decoded(one + one, 777)
    np.testing.assert_array_equal(joined(chunks), np.concatenate([SOUND, SOUND]))


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32", "FLOAT"])
def test_wav_of_every_width(subtype: str) -> None:
    chunks, _ = decoded(whole_wav(SOUND, subtype), 1000)
    assert chunks[0].sample_rate_hz == 24000
    np.testing.assert_allclose(joined(chunks), SOUND, atol=2)


def test_stereo_is_averaged() -> None:
    file = io.BytesIO()
    with wave.open(file, "wb") as wav:
        wav.setparams((2, 2, 32000, 0, "NONE", ""))
        wav.writeframes(np.stack([SOUND, np.zeros_like(SOUND)], axis=1).tobytes())
    chunks, _ = decoded(file.getvalue(), 1001)
    np.testing.assert_allclose(joined(chunks), SOUND // 2, atol=1)


def test_a_header_that_is_broken_or_of_another_format() -> None:
    with pytest.raises(ServiceUnavailable):
        decoded(b"RIFF" + struct.pack("<I", 36) + b"WAVEdata" + struct.pack("<I", 0) + DATA)
    header = bytearray(stream_header(32000))
    header[20:22] = struct.pack("<H", 85)  # MP3 in WAV
    with pytest.raises(ServiceRejected):
        decoded(bytes(header) + DATA)


def test_what_is_neither_is_refused_with_the_next_step() -> None:
    with pytest.raises(ServiceRejected, match="-mt wav"):
        decoded(b"\xff\xf1" + DATA)


@pytest.mark.parametrize("piece", [0, 1, 777])
def test_every_link_of_chained_ogg_is_decoded(piece: int) -> None:
    links = [SOUND[:9600], SOUND[:16000], SOUND[:3200]]
    data = b"".join(ogg_of(link, 32000) for link in links)
    chunks, decoder = decoded(data, piece)
    assert [len(chunk.samples) for chunk in chunks] == [9600, 16000, 3200]
    assert decoder.is_compressed
    for chunk, link in zip(chunks, links, strict=True):
        assert np.corrcoef(chunk.samples, link)[0, 1] > 0.99


def test_each_link_comes_out_as_soon_as_it_is_complete() -> None:
    decoder = decoder_for(b"OggS")
    assert len(decoder.feed(ogg_of(SOUND, 32000))) == 1


def test_ogg_without_its_end_is_decoded_at_the_end() -> None:
    data = bytearray(ogg_of(SOUND, 32000))
    last = data.rindex(b"OggS")
    data[
        last + 5
    ] &= ~4  # no end of stream; libsndfile does not mind the checksum of a page it has to guess at
    decoder = decoder_for(b"OggS")
    assert decoder.feed(bytes(data)) == []


def test_ogg_that_is_none() -> None:
    with pytest.raises(ServiceUnavailable):
        decoded(b"OggS" + b"\x00" * 22 + b"\x01\x05hello" + b"junk" * 20)
