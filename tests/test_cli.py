"""The command line: what it prints, what it writes, and how it ends."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest

from xiaozhi_persona import __version__
from xiaozhi_persona.audio.wav import read_wav
from xiaozhi_persona.bridge.client.identity import machine_id
from xiaozhi_persona.cli import COMMANDS, main
from xiaozhi_persona.commands.lazy_group import DefaultGroup
from xiaozhi_persona.providers.tts.gpt_sovits import GptSovitsSynthesizer

SPEECH = Path(__file__).parent / "data" / "speech"
TEXTS: dict[str, str] = json.loads((SPEECH / "texts.json").read_text(encoding="utf-8"))
COMMAND = [sys.executable, "-m", "xiaozhi_persona"]
CHINESE = re.compile(r"[\u4e00-\u9fff]")


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[Any]:
        """What was printed, as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


Run = Callable[..., Ended]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.upper().startswith("XZP_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Call the command in this process; its log levels end with the test."""
    loggers = [logging.getLogger(name) for name in ("xiaozhi_persona", "websockets.server")]
    levels = [logger.level for logger in loggers]

    def call(*arguments: str, stdin: str = "") -> Ended:
        monkeypatch.setattr(sys, "argv", ["xiaozhi-persona", *arguments])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode("utf-8"))))
        with pytest.raises(SystemExit) as exited:
            main()
        assert isinstance(exited.value.code, int)
        ended = Ended(exited.value.code, *capsys.readouterr())
        assert "Traceback" not in ended.err
        return ended

    yield call
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


# Help and wrong use.


def leaves(command: click.Command, *path: str) -> Iterator[tuple[str, ...]]:
    """Yield the words of every command below `command`."""
    if not isinstance(command, click.Group):
        yield path
        return
    if isinstance(command, DefaultGroup):
        yield path
    context = click.Context(command)
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        assert inner
        yield from leaves(inner, *path, name)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_chinese_help_for_itself_and_each_option(run: Run, name: str) -> None:
    module = importlib.import_module(f"xiaozhi_persona.commands.{name}")
    assert CHINESE.search(run(name, "--help").out)
    for path in leaves(module.command, name):
        ended = run(*path, "--help")
        assert ended.code == 0
        usage, _, options = ended.out.partition("Options:\n")
        assert CHINESE.search(usage), path
        assert {"--config", "--json", "--debug"} <= set(re.findall(r"--[a-z-]+", options)), path
        for option in re.split(r"\n  (?=-)", options.strip("\n")):
            assert CHINESE.search(option) or "--help" in option, option
        assert run(*path, "-h").out == ended.out


def test_a_question_that_nobody_can_answer_says_how_to_answer_it_beforehand(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = run("voices", "send", "xiaoyu")
    assert ended.code == 2 and "--help" in ended.err
    assert "--to" in run("voices", "send", "--help").out


def test_the_help_lists_every_command(run: Run) -> None:
    ended = run("--help")
    assert ended.code == 0
    for name, purpose in COMMANDS.items():
        assert name in ended.out and purpose in ended.out


def test_without_a_command_the_help_is_shown_and_it_is_wrong_use(run: Run) -> None:
    ended = run()
    assert (ended.code, ended.err) == (2, "")
    assert ended.out == run("--help").out


def test_the_version(run: Run) -> None:
    assert run("--version").out.strip() == __version__


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["sing"], "sing"),
        (["memory", "recal", "x"], "是不是 recall"),
        (["speak", "你好", "世界"], "多了 世界"),
        (["speak", "你好", "--role"], "--role 后面要写"),
        (["speak", "--loud"], "--loud"),
        (["speak", "--rolle", "x"], "是不是 --role"),
        (["transcribe"], "FILE"),
        (["talk", "--mode", "shouting"], "shouting"),
        (["talk", "--timeout", "soon"], "soon"),
    ],
)
def test_wrong_use_is_told_in_two_lines(run: Run, arguments: list[str], named: str) -> None:
    ended = run(*arguments)
    assert ended.code == 2 and not ended.out
    first, second = ended.err.splitlines()
    assert first.startswith("用法不对：") and named in first
    assert "--help" in second


def test_an_unexpected_error_is_told_in_two_lines(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr("xiaozhi_persona.commands.speak.role_of_settings", broken)
    ended = run("speak", "你好")
    assert ended.code == 1
    assert "RuntimeError: boom" in ended.err and "--debug" in ended.err


def test_a_package_that_the_command_needs_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the package was installed by hand without the extra `bridge`."""

    def lacks(name: str) -> None:
        raise ModuleNotFoundError("No module named 'aiohttp.web'", name="aiohttp.web")

    monkeypatch.setattr(importlib, "import_module", lacks)
    ended = run("serve")
    assert ended.code == 1 and ended.err.endswith("pip install aiohttp\n") and "意外" not in ended.err


def test_wrong_settings_end_every_command_with_2(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("bridge: {http_port: 0}", encoding="utf-8")
    for name, *arguments in (("serve",), ("talk",), ("speak", "你好"), ("transcribe", "x.wav")):
        ended = run(name, *arguments, "--config", str(file))
        assert ended.code == 2
        assert ended.err == f"错误：{file}：bridge.http_port 的值 0 不行，应为：1 到 65535\n"


# speak


def test_speak_writes_the_sound_that_its_lines_tell_of(run: Run, tmp_path: Path) -> None:
    ended = run("speak", "【高兴】今天真好！[sad]再见。", "--out", "new/hello.wav", "--json")
    assert ended.code == 0
    *sentences, file = ended.lines
    assert [(s["text"], s["emotion"], s["face"]) for s in sentences] == [
        ("今天真好！", "高兴", "happy"),
        ("再见。", "悲伤", "sad"),
    ]
    assert file == {"file": str(Path("new/hello.wav"))}
    sound = read_wav(tmp_path / "new" / "hello.wav", 24000)
    assert len(sound) == 24 * sum(s["audio_ms"] for s in sentences)
    assert np.abs(sound).max() > 3000


def test_speak_that_cannot_begin_closes_its_connections(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("boom")

    async def aclose(self: GptSovitsSynthesizer) -> None:
        closed.append(self)

    monkeypatch.setenv("XZP_TTS__ENGINE", "gpt_sovits")
    monkeypatch.setenv("XZP_GPT_SOVITS__SERVERS", f"[http://127.0.0.1:{free_port()}]")
    monkeypatch.setattr("xiaozhi_persona.providers.speech.pipeline.SpeechPipeline.__init__", broken)
    monkeypatch.setattr(GptSovitsSynthesizer, "aclose", aclose)
    assert run("speak", "你好").code == 1
    assert len(closed) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ([], 2, "要说什么"),
        (["你好", "--role", "nobody"], 2, "default"),
        (["你好", "--out", "."], 2, "--out"),
        (["。。。"], 1, "没有可以说的内容"),
        (["--jsonl"], 2, "--dry-run"),
        (["你好", "--dry-run", "--jsonl"], 2, "标准输入"),
    ],
)
def test_speak_says_what_is_missing(run: Run, arguments: list[str], code: int, told: str) -> None:
    ended = run("speak", *arguments)
    assert ended.code == code and told in ended.err


def test_a_dry_run_answers_every_line_in_order(run: Run, tmp_path: Path) -> None:
    replies = [
        {"id": 7, "chunks": ["【高", "兴】好呀！", "我们走。"]},
        {"id": "x", "chunks": []},
        {"id": None, "chunks": ["没有标签。"]},
    ]
    ended = run("speak", "--dry-run", "--jsonl", stdin="\n\n".join(map(json.dumps, replies)) + "\n")
    assert ended.code == 0
    assert ended.lines == [
        {
            "id": 7,
            "sentences": [
                {"text": "好呀！", "subtitle": "好呀！", "emotion": "happy"},
                {"text": "我们走。", "subtitle": "我们走。", "emotion": "happy"},
            ],
        },
        {"id": "x", "sentences": []},
        {"id": None, "sentences": [{"text": "没有标签。", "subtitle": "没有标签。", "emotion": None}]},
    ]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "line",
    ["{", "[]", "5", '{"id": 1}', '{"chunks": []}', '{"id": 1, "chunks": "a"}', '{"id": 1, "chunks": [1]}'],
)
def test_a_bad_line_is_named_after_the_good_ones_were_answered(run: Run, line: str) -> None:
    ended = run("speak", "--dry-run", "--jsonl", stdin=f'{{"id": 1, "chunks": ["好。"]}}\n{line}\n')
    assert ended.code == 2 and "第 2 行" in ended.err and "chunks" in ended.err
    assert [answer["id"] for answer in ended.lines] == [1]


def test_half_an_emoji_in_a_chunk_does_not_end_the_run(run: Run) -> None:
    lines = [r'{"id": 1, "chunks": ["好\ud83d", "\ude00呀，再见。"]}', '{"id": 2, "chunks": ["好。"]}']
    ended = run("speak", "--dry-run", "--jsonl", stdin="\n".join(lines))
    assert ended.code == 0
    assert [answer["id"] for answer in ended.lines] == [1, 2]


def test_a_thousand_replies_take_less_than_three_seconds() -> None:
    reply = "【高兴】今天天气真好，我们一起去公园吧！你想带些什么吃的？我来准备三明治和水果。[难过]不过明天可能会下雨。"
    chunks = [reply[i : i + 3] for i in range(0, len(reply), 3)]
    lines = "".join(json.dumps({"id": i, "chunks": chunks}, ensure_ascii=False) + "\n" for i in range(1000))
    before = os.times()
    done = subprocess.run(
        [*COMMAND, "speak", "--dry-run", "--jsonl"], input=lines, capture_output=True, encoding="utf-8"
    )
    after = os.times()
    assert done.returncode == 0
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == list(range(1000))
    # Its own time, so that other work on the machine does not count.
    seconds = after.children_user + after.children_system - before.children_user - before.children_system
    assert seconds < 3


# transcribe


def test_transcribe_hears_what_was_said(run: Run) -> None:
    assert run("transcribe", str(SPEECH / "speech1.wav")).out.strip() == TEXTS["speech1.wav"]
    (line,) = run("transcribe", "--json", str(SPEECH / "speech7.wav")).lines
    assert (line["text"], line["language"], line["emotion"]) == (TEXTS["speech7.wav"], "zh", "happy")
    assert abs(line["audio_ms"] - len(read_wav(SPEECH / "speech7.wav", 16000)) / 16) <= 1


def test_transcribe_needs_a_wav(run: Run, tmp_path: Path) -> None:
    (tmp_path / "song.mp3").write_bytes(b"ID3 no wave")
    for name, next_step in (("song.mp3", "ffmpeg"), ("none.wav", "请检查路径")):
        ended = run("transcribe", name)
        assert ended.code == 2 and name in ended.err and next_step in ended.err


def test_transcribe_with_a_folder_that_holds_no_model(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XZP_ASR__MODEL", ".")
    ended = run("transcribe", str(SPEECH / "speech1.wav"))
    assert ended.code == 2 and "asr.model" in ended.err


# talk and serve


def test_talk_to_nobody_says_what_to_do(run: Run) -> None:
    url = f"ws://127.0.0.1:{free_port()}/xiaozhi/v1/"
    ended = run("talk", url, "--text", "你好")
    assert ended.code == 1 and ended.out == f"设备 {machine_id()} 连接 {url}\n"
    assert url in ended.err and CHINESE.search(ended.err) and len(ended.err.splitlines()) <= 2


@pytest.mark.parametrize("taken", ["WEBSOCKET", "HTTP"])
def test_serve_on_a_taken_port_asks_who_has_it(run: Run, monkeypatch: pytest.MonkeyPatch, taken: str) -> None:
    monkeypatch.setenv("XZP_BRIDGE__HOST", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        for kind in ("WEBSOCKET", "HTTP"):
            monkeypatch.setenv(f"XZP_BRIDGE__{kind}_PORT", str(port if kind == taken else free_port()))
        ended = run("serve")
    assert ended.code == 2
    assert str(port) in ended.err and "xiaozhi-esp32-server" in ended.err


def test_serve_with_one_port_for_both_blames_the_settings(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    for kind in ("WEBSOCKET", "HTTP"):
        monkeypatch.setenv(f"XZP_BRIDGE__{kind}_PORT", str(port))
    ended = run("serve")
    assert ended.code == 2 and f"bridge.websocket_port 和 bridge.http_port 都是 {port}" in ended.err


@contextlib.contextmanager
def started(*arguments: str, **environ: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, **environ},
    )
    try:
        with process:
            yield process
            process.kill()
    finally:
        process.kill()


def test_sigterm_ends_serve_cleanly() -> None:
    Path("config.yaml").touch()  # without one it says that it uses the defaults
    http_port = free_port()
    ports = {"XZP_BRIDGE__WEBSOCKET_PORT": str(free_port()), "XZP_BRIDGE__HTTP_PORT": str(http_port)}
    with started("serve", "--json", XZP_BRIDGE__HOST="127.0.0.1", **ports) as process:
        assert process.stdout and process.stderr
        listening = json.loads(process.stdout.readline())
        assert listening["http"] == http_port
        with urllib.request.urlopen(f"http://127.0.0.1:{http_port}/health", timeout=5) as answer:
            assert json.load(answer)["status"] == "ok"
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert process.wait(10) == 0
        assert time.monotonic() - began < 3
        assert process.stderr.read() == ""


def test_a_demonstration_that_is_not_understood_has_failed() -> None:
    deaf = {"XZP_ASR__ENGINE": "funasr_server", "XZP_ASR__SERVER_URL": "ws://127.0.0.1:9"}
    done = subprocess.run(
        [*COMMAND, "serve", "--demo", "--once"],
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        env={**os.environ, **deaf},
    )
    assert done.returncode == 1, done.stderr
    assert "没有听出来" in done.stderr and "doctor" in done.stderr


def test_the_demonstration_is_a_whole_spoken_turn(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "serve", "--demo", "--once", "--json"], capture_output=True, encoding="utf-8", timeout=60
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    turn = next(line for line in lines if "heard" in line)  # the bridge's own line of the turn may follow it
    assert turn["heard"] == "我今天很开心"
    assert turn["dropped"] == 0
    assert turn["stt_ms"] <= turn["tts_start_ms"] <= turn["first_audio_ms"] <= turn["tts_stop_ms"]
    assert turn["sentences"] and turn["sentences"][0]["emotion"] == "happy"
    sound = read_wav(tmp_path / "out" / "reply.wav", 24000)
    assert len(sound) > 24000
    assert np.sqrt(np.mean(sound.astype(float) ** 2)) > 500
