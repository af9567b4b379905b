"""The log of a flood: bounded, and nothing that differs is lost while there is room."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from xiaozhi_persona.log_lines import LINES_A_PERIOD, PERIOD_S, LimitedHandler

log = logging.getLogger("xiaozhi_persona.flooded")


class Log:
    """What a handler wrote, and the clock that it reads."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.stream = io.StringIO()
        self.handler = LimitedHandler(self.stream, lambda: self.now_s)

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Log:
    written = Log()
    monkeypatch.setattr(log, "handlers", [written.handler])
    monkeypatch.setattr(log, "level", logging.DEBUG)
    monkeypatch.setattr(log, "propagate", False)
    return written


def refused(host: str) -> None:
    log.warning("不再接受 %s 的", host)


def test_a_line_that_comes_again_is_counted_and_told_after_a_minute(written: Log) -> None:
    for _ in range(1000):
        refused("192.0.2.1")
    refused("192.0.2.2")
    assert written.lines == ["不再接受 192.0.2.1 的", "不再接受 192.0.2.2 的"]
    written.now_s += PERIOD_S
    log.info("别的")
    assert written.lines[2:] == ["不再接受 192.0.2.1 的（一分钟里还有 999 行这样的）", "别的"]
    refused("192.0.2.1")
    assert written.lines[4:] == ["不再接受 192.0.2.1 的"]


def test_lines_that_all_differ_are_bounded_for_each_place_in_the_code(written: Log) -> None:
    for number in range(1000):
        refused(f"192.0.2.{number}")
        log.info("别的")
    assert len(written.lines) == LINES_A_PERIOD + 1
    written.handler.close()
    assert "不再接受 192.0.2.999 的（一分钟里还有 940 行这样的）" in written.lines


def test_the_end_tells_what_was_left_out_and_then_nothing_is_kept(written: Log) -> None:
    for _ in range(3):
        refused("192.0.2.1")
    written.handler.close()
    written.handler.close()
    assert written.lines[1:] == ["不再接受 192.0.2.1 的（一分钟里还有 2 行这样的）"]


def test_a_traceback_is_written_once(written: Log) -> None:
    for _ in range(50):
        try:
            raise ValueError("坏了")
        except ValueError:
            log.exception("出错")
    written.handler.close()
    assert written.stream.getvalue().count("Traceback") == 1
    assert written.lines[-1] == "出错（一分钟里还有 49 行这样的）"


def test_debug_is_complete(written: Log) -> None:
    for _ in range(100):
        log.debug("听到：你好")
    assert len(written.lines) == 100


def test_arguments_that_do_not_fit_are_reported(written: Log, capsys: pytest.CaptureFixture[str]) -> None:
    written.handler.handle(log.makeRecord(log.name, logging.INFO, "here", 1, "%d", ("x",), None))
    assert "--- Logging error ---" in capsys.readouterr().err and not written.lines


def test_the_commands_write_such_a_log(tmp_path: Path) -> None:
    code = (
        "import logging; from xiaozhi_persona.commands.common import prepare\n"
        "prepare(None, False)\n"
        "for _ in range(100): logging.getLogger('asyncio').error('socket.accept() out of system resource')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=60
    )
    _, first, last = done.stderr.splitlines()  # before them: no settings were found
    assert first.endswith("resource") and last.endswith("（一分钟里还有 99 行这样的）")
