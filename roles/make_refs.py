"""Makes the reference clips of the bundled pack xiaoyu: `python -m xiaozhi_persona.roles.make_refs FOLDER`.

The voice is eSpeak NG's (wheel espeakng-loader) with a female variant; texts and prosody are our own. The clips
show the form of a pack and let everything be tried; for a voice that moves, put real recordings in their place.
"""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xiaozhi_persona.audio.resample import resample
from xiaozhi_persona.audio.wav import write_wav
from xiaozhi_persona.spine import Samples

VOICE = b"cmn-latn-pinyin+f2"
RATE_HZ = 16000

_SYNCHRONOUS, _UTF8 = 2, 1
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4
_PEAK = 0.7


@dataclass(frozen=True)
class Take:
    """One clip: its place in refs/, what is said, and how."""

    file: str
    text: str
    pitch: int
    """0 to 99."""
    pitch_range: int
    """Liveliness of the melody, 0 to 99."""
    rate_wpm: int


TAKES = (
    Take("中性/01", "今天的天气是多云，气温二十度左右，出门可以带一件薄外套。", 50, 45, 175),
    Take("中性/02", "书架从左边数第三格，放着你上个星期借回来的那本书。", 48, 45, 170),
    Take("高兴/01", "太好啦，我们种下的向日葵今天早上终于开花了，快来看呀！", 70, 80, 190),
    Take("高兴/02", "你带回来的小蛋糕真好吃，我可以再要一块吗？谢谢你！", 74, 85, 195),
    Take("悲伤/01", "窗外一直下着雨，院子里空空的，今天谁也没有来。", 28, 15, 128),
    Take("愤怒/01", "我说过多少次了，不要把湿雨伞放在我的画纸上面！", 45, 95, 205),
    Take("惊讶/01", "咦，这个盒子里面怎么会有一只会发光的小猫呢？", 88, 95, 178),
    Take("害羞/01", "那个，其实这条围巾，是我自己织的，你不要笑我呀。", 64, 25, 140),
    Take("困惑/01", "奇怪，地图上明明写着往右走，可是前面为什么没有路呢？", 58, 70, 155),
    Take("爱慕/01", "只要你在旁边，就算什么也不做，我也觉得今天特别好。", 56, 60, 145),
)


def make_refs(folder: Path) -> list[Path]:
    """Write every clip of TAKES, 16 kHz mono, with its text beside it, under `folder`; return the WAV files.

    Raises ImportError without espeakng-loader.
    """
    speak = _Espeak()
    written = []
    for take in TAKES:
        file = folder / f"{take.file}.wav"
        write_wav(file, resample(_levelled(speak(take)), speak.sample_rate_hz, RATE_HZ), RATE_HZ)
        file.with_suffix(".txt").write_text(take.text + "\n", encoding="utf-8")
        written.append(file)
    return written


class _Espeak:
    """The library, for one voice. API: espeak-ng, src/include/espeak-ng/speak_lib.h."""

    _Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)

    def __init__(self) -> None:
        import espeakng_loader

        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = str(espeakng_loader.get_data_path()).encode()
        self.sample_rate_hz: int = self._library.espeak_Initialize(_SYNCHRONOUS, 0, data, 0)
        self._parts: list[Samples] = []
        self._callback = self._Callback(self._take)
        self._library.espeak_SetSynthCallback(self._callback)
        if self._library.espeak_SetVoiceByName(VOICE) != 0:
            raise RuntimeError(f"eSpeak has no voice {VOICE!r}")

    def __call__(self, take: Take) -> Samples:
        self._parts = []
        for parameter, value in (
            (_RATE, take.rate_wpm),
            (_VOLUME, 100),
            (_PITCH, take.pitch),
            (_RANGE, take.pitch_range),
        ):
            self._library.espeak_SetParameter(parameter, value, 0)
        text = take.text.encode() + b"\0"
        self._library.espeak_Synth(text, len(text), 0, 0, 0, _UTF8, None, None)
        return np.concatenate(self._parts)

    def _take(self, samples: ctypes._Pointer[ctypes.c_short], count: int, events: int) -> int:
        if samples and count > 0:
            self._parts.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0


def _levelled(samples: Samples) -> Samples:
    peak = max(1, int(np.abs(samples.astype(np.int32)).max()))
    return (samples * (_PEAK * 32767 / peak)).astype(np.int16)


if __name__ == "__main__":
    for made in make_refs(Path(sys.argv[1])):
        print(made)
