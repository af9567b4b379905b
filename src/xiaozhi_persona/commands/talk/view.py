"""What a terminal shows of a spoken conversation; where there is none, a line for each thing that was said."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator

import click
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from xiaozhi_persona.bridge.client.card.interface import Levels
from xiaozhi_persona.bridge.client.signs.sign import Sign
from xiaozhi_persona.bridge.client.staying import LinkEvent
from xiaozhi_persona.bridge.client.timeline import Timeline, TurnEvent
from xiaozhi_persona.commands.common import print_json
from xiaozhi_persona.language import language, later, tr
from xiaozhi_persona.text.emotions import built_in_names

_WORDS: dict[Sign, tuple[str, str]] = {
    "offline": (later("没有连上"), "red"),
    "idle": (later("等着"), "dim"),
    "listening": (later("在听"), "blue"),
    "thinking": (later("在想"), "yellow"),
    "speaking": (later("在说"), "green"),
}
_REFRESHES_PER_S = 4
"""Each costs a thousandth of a second and more."""
_METER_CELLS = 20
_QUIETEST_DBFS = -60.0


class PlainView:
    """Prints a line for each thing that was said, and for what happened to the connection."""

    def __init__(self, echo: Callable[[str], None] = click.echo) -> None:
        self._echo = echo

    def show(self, sign: Sign) -> None:
        """What the device does is not printed."""

    def turn_event(self, event: TurnEvent) -> None:
        """Print what was heard, and each sentence of the reply with its feeling."""
        if event.kind == "woken" and event.text:
            self._echo(tr("听到“{word}”，请说", word=event.text))
        elif event.kind == "heard":
            self._echo(tr("你：{text}", text=event.text))
        elif event.kind == "sentence":
            self._echo(tr("它{value}：{value2}", value=feeling(event), value2=event.text))

    def turn_ended(self, turn: Timeline) -> None:
        """Print how long it took until the reply was heard, and what was lost of it."""
        lost = tr("；{sound}", sound=turn.sound()) if turn.gaps or turn.dropped else ""
        if turn.first_audio_ms is not None:
            self._echo(tr("（{value:.1f} 秒出声{lost}）", value=turn.first_audio_ms / 1000, lost=lost))

    def link_event(self, event: LinkEvent) -> None:
        """Print what happened to the connection."""
        if event.kind == "connected":
            self._echo(tr("已连上 {url}", url=event.text))
        elif event.kind == "offline":
            self._echo(tr("连不上，会一直试：{reason}", reason=event.text))
        else:
            self._echo(event.text)

    def note(self, line: str) -> None:
        """Print what else there is to know."""
        self._echo(line)


class JsonView(PlainView):
    """Prints each turn as a line of JSON; what else there is to know goes to the standard error output."""

    def __init__(self) -> None:
        super().__init__(functools.partial(click.echo, err=True))

    def turn_event(self, event: TurnEvent) -> None:
        """It stands in the turn."""

    def turn_ended(self, turn: Timeline) -> None:
        """Print the turn."""
        print_json(turn.to_json())


class LiveView(PlainView):
    """The same lines, and below them one that changes: what the device does, and how loud it is."""

    def __init__(self, console: Console, levels: Callable[[], Levels]) -> None:
        """`levels` returns the present levels of the sound card."""
        super().__init__(lambda line: console.print(Text(line)))
        self._console = console
        self._levels = levels
        self._sign: Sign = "offline"

    def show(self, sign: Sign) -> None:
        """Show what the device does."""
        self._sign = sign

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Show the line within a block."""
        with Live(
            console=self._console,
            get_renderable=self._render,
            refresh_per_second=_REFRESHES_PER_S,
            transient=True,
        ):
            yield

    def _render(self) -> Group:
        word, color = _WORDS[self._sign]
        levels = self._levels()
        level_dbfs = levels.output_dbfs if self._sign == "speaking" else levels.input_dbfs
        line = Text.assemble(("● ", color), (tr(word), f"bold {color}"), "  ", (level_bar(level_dbfs), color))
        return Group(line)


@contextlib.contextmanager
def open_view(levels: Callable[[], Levels]) -> Iterator[PlainView]:
    """Return the view that the standard output can show, for as long as the block lasts."""
    console = Console(highlight=False)
    if not console.is_terminal or console.is_dumb_terminal or not sys.stdout.isatty():
        yield PlainView()
        return
    view = LiveView(console, levels)
    with view.shown():
        yield view


def feeling(event: TurnEvent) -> str:
    """Return the feeling of a sentence as a person reads it, in brackets; "" for none that is known."""
    emotion = built_in_names().get(event.emotion)
    if emotion is None:
        return ""
    return tr("（{label}）", label=emotion.label if language() == "zh" else emotion.face)


def level_bar(level_dbfs: float, cells: int = _METER_CELLS) -> str:
    """Return a bar of so many cells, empty at -60 dBFS and below, full at 0 dBFS and above."""
    full = round(cells * min(max(1 - level_dbfs / _QUIETEST_DBFS, 0.0), 1.0))
    return "▮" * full + "▯" * (cells - full)
