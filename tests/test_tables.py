"""Tables: whole addresses at every width, plain lines where they are piped."""

from __future__ import annotations

import click
import pytest
from rich.cells import cell_len
from rich.text import Text

from xiaozhi_persona.commands.tables import print_table

URL = "http://gpt-sovits.example-company.local:19880/tts/v2"
TEXT = "窗外一直下着雨，院子里空空的，今天谁也没有来。书架从左边数第三格，放着你上个星期借回来的那本书。"
COLUMNS = ["地址", "秒", "文字", ""]
ROWS = [[URL, "1.50", TEXT, Text("好", "green")], ["http://a", "12.00", "[bold]短", Text("")]]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Let what is captured count as a terminal."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    return monkeypatch


@pytest.mark.parametrize("columns", [20, 60, 80, 100, 300])
def test_nothing_but_running_text_is_broken(
    terminal: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: int
) -> None:
    terminal.setenv("COLUMNS", str(columns))
    print_table(COLUMNS, ROWS, wraps=("文字",), right=("秒",), title="题目", caption="说明")
    shown = click.unstyle(capsys.readouterr().out)
    for whole in (URL, "1.50", "12.00", "好", "[bold]短", "题目", "说明"):
        assert whole in shown
    if columns >= 80 and "│" in shown:
        assert all(cell_len(line) <= columns for line in shown.splitlines())
    assert ("│" in shown) == (columns >= 100)
    if "│" not in shown:
        assert TEXT in shown and "秒：1.50" in shown


def test_a_table_that_is_piped_has_aligned_columns_and_nothing_else(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_table(COLUMNS, ROWS, right=("秒",), title="题目", caption="说明")
    title, head, first, second, caption = capsys.readouterr().out.splitlines()
    assert (title, caption) == ("题目", "说明")
    assert first == f"{URL}   1.50  {TEXT}  好"
    assert second == f"{'http://a':<{len(URL)}}  12.00  [bold]短"
    assert head == f"地址{' ' * (len(URL) - 4)}     秒  文字"


def test_a_cell_of_several_lines_is_one_line_when_piped(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["a", "b"], [["1\n2", "3"]])
    assert capsys.readouterr().out.splitlines() == ["A    B", "1 2  3"]


def test_headings_begin_with_a_capital_and_keep_their_column(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["seconds", "文字"], [["1.5", "a"]], right=("seconds",))
    assert capsys.readouterr().out.splitlines() == ["Seconds  文字", "    1.5  a"]
