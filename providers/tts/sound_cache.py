"""Sound that was made before: fixed phrases on disk, everything else in memory only."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import tempfile
import wave
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from xiaozhi_persona.spine import PcmChunk

_log = logging.getLogger(__name__)

MEMORY_BYTES = 8 * 1024 * 1024
"""Two minutes of speech at 32 kHz."""

_FORMAT = 1  # part of every key: a new one makes old files unused, and so old


class SoundCache:
    """Keeps whole sentences, by everything that changes their sound. Files are read and written in threads."""

    def __init__(self, folder: Path | None, disk_bytes: int) -> None:
        """Without a folder, or without room on disk, everything is in memory only."""
        self._folder = folder if disk_bytes > 0 else None
        self._disk_bytes = disk_bytes
        self._memory: OrderedDict[str, PcmChunk] = OrderedDict()
        self._memory_bytes = 0
        self._generation = 0

    async def get(self, key: str, *, fixed: bool) -> PcmChunk | None:
        """Return the sound of this key, None when there is none; a file that is not whole is removed."""
        sound = self._memory.get(key)
        if sound is not None:
            self._memory.move_to_end(key)
            return sound
        if not fixed or self._folder is None:
            return None
        return await asyncio.to_thread(_read, self._folder / f"{key}.wav")

    async def put(self, key: str, chunks: Sequence[PcmChunk], *, fixed: bool) -> None:
        """Keep a whole sentence; that of a fixed phrase on disk."""
        rates = {chunk.sample_rate_hz for chunk in chunks}
        if len(rates) != 1:
            return
        sound = PcmChunk(np.concatenate([chunk.samples for chunk in chunks]), rates.pop())
        if fixed and self._folder is not None:
            await asyncio.to_thread(self._write, key, sound, self._generation)
        else:
            self._remember(key, sound)

    async def clear(self) -> None:
        """Forget everything, on disk too: fixed phrases may hold the user's name."""
        self._memory.clear()
        self._memory_bytes = 0
        self._generation += 1  # what is being written now is not kept either
        if self._folder is not None:
            await asyncio.to_thread(self._remove_all)

    def _remember(self, key: str, sound: PcmChunk) -> None:
        old = self._memory.pop(key, None)
        self._memory_bytes -= old.samples.nbytes if old else 0
        self._memory[key] = sound
        self._memory_bytes += sound.samples.nbytes
        while self._memory_bytes > MEMORY_BYTES:
            _, dropped = self._memory.popitem(last=False)
            self._memory_bytes -= dropped.samples.nbytes

    def _write(self, key: str, sound: PcmChunk, generation: int) -> None:
        """Write beside the place and move there: a reader never sees half a file."""
        assert self._folder is not None
        if sound.samples.nbytes > self._disk_bytes:
            return
        temporary = None
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(suffix=".part", dir=self._folder)
            with os.fdopen(handle, "wb") as file, wave.open(file, "wb") as wav:
                wav.setparams((1, 2, sound.sample_rate_hz, 0, "NONE", ""))
                wav.writeframes(sound.samples.astype("<i2").tobytes())
            if generation == self._generation:
                Path(temporary).replace(self._folder / f"{key}.wav")
                temporary = None
            self._make_room()
        except OSError as exc:
            _log.warning("存不下固定句子的声音（%s）。检查 %s 的权限和空间。", exc, self._folder)
        finally:
            if temporary:
                Path(temporary).unlink(missing_ok=True)

    def _make_room(self) -> None:
        """Remove the files that were not used for longest until the rest fits."""
        assert self._folder is not None
        files = []
        for file in self._folder.glob("*.wav"):
            with contextlib.suppress(OSError):
                about = file.stat()
                files.append((about.st_mtime_ns, about.st_size, file))
        too_much = sum(size for _, size, _ in files) - self._disk_bytes
        for _, size, file in sorted(files):
            if too_much <= 0:
                break
            with contextlib.suppress(OSError):
                file.unlink()
            too_much -= size

    def _remove_all(self) -> None:
        assert self._folder is not None
        for file in [*self._folder.glob("*.wav"), *self._folder.glob("*.part")]:
            with contextlib.suppress(OSError):
                file.unlink()


def sound_key(asked_for: Any, references: Sequence[str]) -> str:
    """Return a name for everything that changes the sound: `asked_for`, as JSON has it, and the recordings.

    A reference that is a file here counts with its size and date.
    """
    files = []
    for path in references:
        try:
            about = os.stat(path)
            files.append([path, about.st_size, about.st_mtime_ns])
        except (OSError, ValueError):
            files.append([path])
    text = json.dumps([_FORMAT, files, asked_for], ensure_ascii=True, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _read(file: Path) -> PcmChunk | None:
    try:
        with wave.open(str(file), "rb") as wav:
            is_ours = wav.getnchannels() == 1 and wav.getsampwidth() == 2
            frames, rate = wav.getnframes(), wav.getframerate()
            data = wav.readframes(frames)
        if not is_ours or not frames or len(data) != 2 * frames:
            raise EOFError
        os.utime(file)
    except FileNotFoundError:
        return None
    except (OSError, EOFError, wave.Error):
        with contextlib.suppress(OSError):
            file.unlink()
        return None
    return PcmChunk(np.frombuffer(data, "<i2").astype(np.int16), rate)
