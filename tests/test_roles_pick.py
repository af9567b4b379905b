"""Choosing clips from recordings: feelings, texts, points, and what is written into a role."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from fakes.role_packs import hum, write_clip, write_role

from xiaozhi_persona.cli import main
from xiaozhi_persona.errors import ServiceUnavailable, SettingsError
from xiaozhi_persona.providers.speech.lexicon import feeling_of
from xiaozhi_persona.roles.pick import Picker, recordings_in, write_clips
from xiaozhi_persona.roles.role import load_pack
from xiaozhi_persona.spine import Samples, Transcript
from xiaozhi_persona.text.emotions import built_in_names

TEXT = "这是四秒钟的一句话，一共有十六个字。"


class Listener:
    """Hears what it is told to, the last one for ever; an error is raised."""

    def __init__(self, heard: Iterable[Transcript | Exception]) -> None:
        self._heard = list(heard)
        self.calls = 0

    async def transcribe(self, pcm16k: Samples) -> Transcript:
        self.calls += 1
        heard = self._heard.pop(0) if len(self._heard) > 1 else self._heard[0]
        if isinstance(heard, Exception):
            raise heard
        return heard


def label_of(text: str) -> str:
    found = feeling_of(text)
    return found.label if found else ""


async def picked(folder: Path, recognizer: Listener | None = None) -> Picker:
    picker = Picker(folder, built_in_names(), label_of, recognizer)
    for file in recordings_in(folder):
        await picker.listen(file)
    return picker


def sentences(count: int, rate_hz: int = 16000) -> Samples:
    return np.concatenate([hum(4, rate_hz), np.zeros(rate_hz, np.int16)] * count)


@pytest.mark.parametrize(
    ("name", "text", "emotion"),
    [
        ("高兴/a", TEXT, "高兴"),
        ("happy/deeper/a", TEXT, "高兴"),
        ("01_悲伤/a", TEXT, "悲伤"),
        ("a/angry_03", TEXT, "愤怒"),
        ("a/【害羞】那个，其实这是我织的", "", "害羞"),
        ("a/b", "【难过】" + TEXT, "悲伤"),
        ("高兴/b", "【难过】" + TEXT, "悲伤"),
        ("a/b", "太好了，我们今天终于可以出去玩了呀", "高兴"),
        ("a/b", TEXT, "中性"),
    ],
)
async def test_the_feeling_is_that_of_the_folder_the_name_or_the_text(
    tmp_path: Path, name: str, text: str, emotion: str
) -> None:
    write_clip(tmp_path / f"{name}.wav", 4.0, text, 32000)
    (candidate,) = (await picked(tmp_path)).candidates
    assert candidate.emotion == emotion and "【" not in candidate.text and candidate.text
    assert candidate.judgement.points >= 90


async def test_a_long_recording_is_cut_and_heard(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.wav", sentences(3), "三句话的文字都在这里，一共有好多好多个字。")
    heard = [
        Transcript(TEXT, "zh", "sad"),
        Transcript(TEXT, "zh", "neutral"),
        Transcript("真的好开心呀" + TEXT),
    ]
    picker = await picked(tmp_path, Listener(heard))
    assert [c.emotion for c in picker.candidates] == ["悲伤", "中性", "高兴"]
    assert [c.text for c in picker.candidates] == [t.text for t in heard]  # not the text of all three
    assert len(picker.best(1)) == 3


async def test_without_a_recognizer_a_long_recording_has_no_texts(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.wav", sentences(3), "三句话的文字都在这里，一共有好多好多个字。")
    assert [c.text for c in (await picked(tmp_path)).candidates] == ["", "", ""]


async def test_a_text_that_is_not_what_is_heard_costs_points(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.wav", 4.0, TEXT, 32000)
    same = (await picked(tmp_path, Listener([Transcript(TEXT.replace("，", ""))]))).candidates[0]
    other = (
        await picked(tmp_path, Listener([Transcript("完全不一样的另外一句话，说的是别的事情")]))
    ).candidates[0]
    assert same.judgement.points - other.judgement.points == 30 and same.text == other.text == TEXT
    assert "完全不一样" in other.judgement.flaws[-1].message


async def test_a_recognizer_that_fails_is_left_alone_after_three_times(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.wav", sentences(6))
    listener = Listener([ServiceUnavailable("没有回答")])
    picker = await picked(tmp_path, listener)
    assert len(picker.candidates) == 6 and listener.calls == 3 and str(picker.trouble) == "没有回答"


async def test_the_best_of_each_feeling_are_chosen(tmp_path: Path) -> None:
    for number, level in enumerate((0.2, 0.02, 0.1)):
        write_clip(tmp_path / "高兴" / f"{number}.wav", hum(4, 32000, level), TEXT, 32000)
    write_clip(tmp_path / "悲伤" / "0.wav", hum(4, 32000), TEXT, 32000)
    chosen = (await picked(tmp_path)).best(2)
    assert [(c.emotion, c.file.stem) for c in chosen] == [("高兴", "0"), ("高兴", "2"), ("悲伤", "0")]


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.zeros(0, np.int16), "没有 3 到 10 秒"),
        (np.zeros(80000, np.int16), "没有 3 到 10 秒"),
        (hum(1.0), "没有 3 到 10 秒"),
        (hum(40.0), "没有 3 到 10 秒"),
        (np.clip(hum(4).astype(np.int32) * 50, -32768, 32767).astype(np.int16), "都不够好"),
    ],
)
async def test_what_cannot_be_used_is_left_out_with_a_reason(
    tmp_path: Path, samples: Samples, reason: str
) -> None:
    write_clip(tmp_path / "a.wav", samples, "好")
    picker = await picked(tmp_path)
    assert not picker.candidates and reason in picker.left_out[tmp_path / "a.wav"]


@pytest.mark.parametrize("data", [b"", b"no sound", b"RIFF\0\0\0\0WAVE"])
async def test_a_broken_file_stops_nothing(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.mp3").write_bytes(data)
    write_clip(tmp_path / "b.wav", 4.0, TEXT)
    (tmp_path / "b.txt").write_bytes(b"\xff\xff\xff broken \x81")
    write_clip(tmp_path / "c.wav", 4.0, TEXT)
    picker = await picked(tmp_path)
    assert [c.file.name for c in picker.candidates] == ["c.wav"] and len(picker.left_out) == 2


@pytest.mark.parametrize(
    ("suffix", "subtype", "rate_hz", "channels"),
    [
        ("wav", "PCM_U8", 16000, 1),
        ("wav", "PCM_24", 96000, 2),
        ("flac", None, 44100, 2),
        ("mp3", None, 44100, 1),
    ],
)
async def test_what_is_written_passes_the_check(
    tmp_path: Path, suffix: str, subtype: str | None, rate_hz: int, channels: int
) -> None:
    sound = np.stack([sentences(2, rate_hz)] * channels, axis=1)
    (tmp_path / "rec").mkdir()
    soundfile.write(tmp_path / "rec" / f"a.{suffix}", sound, rate_hz, subtype=subtype)
    picker = await picked(tmp_path / "rec", Listener([Transcript(TEXT)]))
    written = write_clips(picker.best(3), write_role(tmp_path / "role"))
    assert len(written) == 2
    role = load_pack(tmp_path / "role")
    assert [(clip.name, clip.reference.text) for clip in role.clips] == [("中性", TEXT)] * 2
    for clip in role.clips:
        assert clip.file
        info = soundfile.info(clip.file)
        assert (info.channels, info.subtype) == (1, "PCM_16") and info.samplerate <= 32000
        assert 3.0 <= info.duration <= 10.0


async def test_nothing_that_is_there_is_overwritten_and_nothing_is_written_twice(tmp_path: Path) -> None:
    write_clip(tmp_path / "rec" / "高兴" / "a.wav", 5.0, TEXT)
    role = write_role(tmp_path / "role", clips={"高兴/01": "原来的一句话在这里"})
    before = (role / "refs" / "高兴" / "01.wav").read_bytes()
    chosen = (await picked(tmp_path / "rec")).best(3)
    first, again = write_clips(chosen, role), write_clips(chosen, role)
    assert [path.name for path in first.values()] == ["02.wav"] and first == again
    assert (role / "refs" / "高兴" / "01.wav").read_bytes() == before
    assert sorted(path.name for path in (role / "refs" / "高兴").iterdir()) == [
        "01.txt",
        "01.wav",
        "02.txt",
        "02.wav",
    ]


async def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    write_clip(tmp_path / "rec" / "a.wav", 4.0, TEXT)
    chosen = (await picked(tmp_path / "rec")).best(3)
    (tmp_path / "role").write_text("a file")
    with pytest.raises(SettingsError, match="写不了"):
        write_clips(chosen, tmp_path / "role")


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Call `roles pick ...` in a folder with recordings; return exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").touch()
    monkeypatch.setenv("COLUMNS", "200")
    write_clip(tmp_path / "rec" / "高兴" / "a.wav", 4.0, TEXT, 32000)
    write_clip(tmp_path / "rec" / "b.wav", sentences(5))

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["xiaozhi-persona", "roles", *arguments])
        with pytest.raises(SystemExit) as exited:
            main()
        out, err = capsys.readouterr()
        assert isinstance(exited.value.code, int)
        return exited.value.code, out, err

    return call


def lines(out: str) -> list[Any]:
    return [json.loads(line) for line in out.splitlines()]


def test_a_proposal_is_shown_and_nothing_is_written(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("pick", "rec", "--role", "mei")
    assert code == 0 and "高兴/a.wav" in out and TEXT in out and "挑了 4 段" in out
    assert "0:04.8" in out
    assert not (tmp_path / "data" / "roles").exists()
    code, out, _ = run("pick", "rec", "--count", "1", "--json")
    assert code == 0 and lines(out)[-1] == {"candidates": 6, "chosen": 2}


def test_a_role_is_made_of_recordings(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("pick", "rec", "--role", "小梅", "--write")
    assert code == 0 and "roles check 小梅" in out
    role = load_pack(tmp_path / "data" / "roles" / "小梅")
    assert role.name == "小梅" and sorted({clip.name for clip in role.clips}) == ["中性", "高兴"]
    assert run("check", "小梅")[0] == 1  # the texts of the long one are missing, as it said
    code, out, _ = run("pick", "rec", "--role", "小梅", "--write", "--json")
    assert code == 0 and len(load_pack(tmp_path / "data" / "roles" / "小梅").clips) == len(role.clips)
    assert lines(out)[0]["written"].endswith("01.wav")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["pick", "nowhere"], "请检查路径"),
        (["pick", "data"], "请检查路径"),
        (["pick", "rec", "--write"], "--role"),
        (["pick", "rec", "--role", "xiaoyu", "--write"], "自带"),
        (["pick", "rec", "--role", "../x", "--write"], "不能作角色的名字"),
        (["pick", "empty"], "没有录音"),
    ],
)
def test_wrong_use_says_what_to_do(run: Run, tmp_path: Path, arguments: list[str], told: str) -> None:
    (tmp_path / "empty").mkdir()
    code, out, err = run(*arguments)
    assert code == 2 and told in err and not out


def test_one_recording_may_be_named_itself(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("pick", "rec/b.wav", "--json")
    assert code == 0 and lines(out)[-1]["chosen"] == 3


def test_recordings_without_speech_end_with_1(run: Run, tmp_path: Path) -> None:
    write_clip(tmp_path / "silent" / "a.wav", np.zeros(80000, np.int16))
    code, out, _ = run("pick", "silent")
    assert code == 1 and "没有用 a.wav" in out and "没有找到能用的" in out


class Loudspeaker:
    """Stands for sounddevice."""

    class PortAudioError(Exception):
        pass

    def __init__(self, fails: BaseException | None = None) -> None:
        self.played: list[tuple[int, int]] = []
        self.fails = fails

    def play(self, samples: np.ndarray, rate_hz: int, blocking: bool) -> None:
        if self.fails:
            raise self.fails
        assert blocking
        self.played.append((len(samples), rate_hz))

    def stop(self) -> None:
        self.played.append((0, 0))


def test_each_clip_is_played_after_its_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    speaker = Loudspeaker()
    monkeypatch.setitem(sys.modules, "sounddevice", speaker)
    code, _, err = run("pick", "rec", "--count", "1", "--play")
    assert code == 0 and sorted(rate for _, rate in speaker.played) == [16000, 32000]
    assert "【高兴】" + TEXT in err and "1/2" in err


@pytest.mark.parametrize("fails", [KeyboardInterrupt(), Loudspeaker.PortAudioError("no device")])
def test_a_loudspeaker_that_fails_keeps_no_clip_from_being_written(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: BaseException
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", Loudspeaker(fails))
    code, _, err = run("pick", "rec", "--play", "--role", "mei", "--write")
    assert code == 0 and (tmp_path / "data" / "roles" / "mei" / "role.yaml").is_file()
    assert ("no device" in err) is not isinstance(fails, KeyboardInterrupt)


def test_without_sounddevice_it_says_how_to_get_it_before_it_listens(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    code, out, err = run("pick", "rec", "--play")
    assert code == 1 and "sounddevice" in err and not out
