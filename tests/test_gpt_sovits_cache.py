from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
from fakes.sovits_client import ANGRY, clip, say, synthesizer_at
from fakes.sovits_server import FakeSovits

from xiaozhi_persona.providers.tts import sound_cache as cache_module
from xiaozhi_persona.providers.tts.gpt_sovits.utterance import Utterance, Weights, utterance_key
from xiaozhi_persona.providers.tts.sound_cache import SoundCache
from xiaozhi_persona.spine import PcmChunk

PLACE = ["http://a:9880"]
BASE = Utterance("你好。", "zh", "/refs/calm.wav", "参考。", "zh")


def sound(samples: int = 1000, value: int = 7) -> list[PcmChunk]:
    return [PcmChunk(np.full(samples, value, np.int16), 32000)]


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


async def test_a_fixed_phrase_is_made_once_and_survives_a_restart(tmp_path: Path) -> None:
    async with FakeSovits() as server:
        spoken = []
        for _ in range(2):
            async with synthesizer_at(server, cache_dir=tmp_path) as synthesizer:
                spoken += [await say(synthesizer, how=clip(fixed=True)) for _ in range(2)]
        assert len(server.requests) == 1
        for one in spoken:
            np.testing.assert_array_equal(one.samples, spoken[0].samples)


async def test_what_is_not_fixed_never_reaches_the_disk(tmp_path: Path) -> None:
    async with FakeSovits() as server, synthesizer_at(server, cache_dir=tmp_path) as synthesizer:
        await say(synthesizer)
        await say(synthesizer)
        assert len(server.requests) == 1 and not names(tmp_path)


async def test_forgetting_forgets_both(tmp_path: Path) -> None:
    async with FakeSovits() as server, synthesizer_at(server, cache_dir=tmp_path) as synthesizer:
        for _ in range(2):
            await say(synthesizer)
            await say(synthesizer, how=clip(fixed=True, speed=1.1))
            await synthesizer.clear_cache()
        assert len(server.requests) == 4 and not names(tmp_path)


@pytest.mark.parametrize("fault", ["cut_off", "endless"])
async def test_only_whole_sentences_are_kept(tmp_path: Path, fault: str) -> None:
    async with FakeSovits(fault=fault) as server, synthesizer_at(server, cache_dir=tmp_path) as synthesizer:  # type: ignore[arg-type]
        for how in (clip(), clip(), clip(fixed=True), clip(fixed=True)):
            await say(synthesizer, how=how)
        assert len(server.requests) == 4 and not names(tmp_path)


async def test_a_sentence_that_was_closed_early_is_not_kept(tmp_path: Path) -> None:
    async with FakeSovits() as server, synthesizer_at(server, cache_dir=tmp_path) as synthesizer:
        chunks = synthesizer.synthesize("今天天气很好。", clip(fixed=True))
        await anext(chunks)
        await chunks.aclose()
        assert not names(tmp_path)


async def test_another_emotion_is_another_sound(tmp_path: Path) -> None:
    async with FakeSovits() as server, synthesizer_at(server, cache_dir=tmp_path) as synthesizer:
        await say(synthesizer, how=clip(fixed=True))
        await say(synthesizer, how=clip(ANGRY, fixed=True))
        assert len(server.requests) == 2


def test_everything_that_changes_the_sound_is_in_the_key() -> None:
    changes = {
        "text": "再见。",
        "text_lang": "en",
        "ref_audio_path": "/refs/angry.wav",
        "prompt_text": "别的。",
        "prompt_lang": "ja",
        "aux_ref_audio_paths": ("b.wav",),
        "streaming_mode": 0,
        "options": {"top_k": 5},
        "weights": Weights("a.ckpt", ""),
    }
    assert set(changes) == {field.name for field in dataclasses.fields(Utterance)}
    keys = {
        utterance_key(dataclasses.replace(BASE, **{name: value}), PLACE) for name, value in changes.items()
    }  # type: ignore[arg-type]
    keys |= {utterance_key(BASE, PLACE), utterance_key(BASE, ["http://b:9880"])}
    assert len(keys) == len(changes) + 2
    assert utterance_key(BASE, ["x", "y"]) == utterance_key(BASE, ["y", "x"])


def test_another_recording_under_the_same_name_is_another_sound(tmp_path: Path) -> None:
    reference = tmp_path / "calm.wav"
    reference.write_bytes(b"one")
    utterance = dataclasses.replace(BASE, ref_audio_path=str(reference))
    before = utterance_key(utterance, PLACE)
    reference.write_bytes(b"another")
    assert utterance_key(utterance, PLACE) != before


async def test_the_disk_is_bounded_and_the_longest_unused_goes_first(tmp_path: Path) -> None:
    cache = SoundCache(tmp_path, 7000)  # three files of 2044 bytes
    for number, key in enumerate("abc"):
        await cache.put(key, sound(), fixed=True)
        os.utime(tmp_path / f"{key}.wav", (number, number))
    assert await cache.get("a", fixed=True)  # used: now the newest
    await cache.put("d", sound(), fixed=True)
    assert names(tmp_path) == ["a.wav", "c.wav", "d.wav"]
    await cache.put("e", sound(10_000), fixed=True)  # larger than everything
    assert "e.wav" not in names(tmp_path)


async def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "MEMORY_BYTES", 5000)
    cache = SoundCache(None, 0)
    for key in "abc":
        await cache.put(key, sound(), fixed=True)
    assert [await cache.get(key, fixed=True) is not None for key in "abc"] == [False, True, True]


@pytest.mark.parametrize("damage", [b"", b"RIFF", b"not a sound", None])
async def test_a_damaged_file_is_ignored_and_removed(tmp_path: Path, damage: bytes | None) -> None:
    cache = SoundCache(tmp_path, 1 << 20)
    await cache.put("a", sound(), fixed=True)
    file = tmp_path / "a.wav"
    file.write_bytes(file.read_bytes()[:-100] if damage is None else damage)
    assert await cache.get("a", fixed=True) is None
    assert not names(tmp_path)


async def test_a_disk_that_cannot_be_written_costs_only_the_cache(tmp_path: Path) -> None:
    folder = tmp_path / "file"
    folder.write_bytes(b"")
    async with FakeSovits() as server, synthesizer_at(server, cache_dir=folder) as synthesizer:
        for _ in range(2):
            assert (await say(synthesizer, how=clip(fixed=True))).error is None
        assert len(server.requests) == 2


async def test_no_half_written_file_is_left(tmp_path: Path) -> None:
    cache = SoundCache(tmp_path / "deep" / "folder", 1 << 20)
    await cache.put("a", sound(), fixed=True)
    assert names(tmp_path / "deep" / "folder") == ["a.wav"]
    kept = await cache.get("a", fixed=True)
    assert kept is not None and kept.sample_rate_hz == 32000 and len(kept.samples) == 1000
