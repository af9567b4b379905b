"""Tables: in a terminal with lines around them, piped as plain lines. What is to be copied, such as an address, stays whole."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import click
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from xiaozhi_persona.language import tr

Cell = str | Text

_LEAST_WRAPPED = 20
"""Cells that a column of running text needs to be read in; with less the rows are shown one below the other."""


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    *,
    wraps: Collection[str] = (),
    right: Collection[str] = (),
    title: str = "",
    caption: str = "",
) -> None:
    """Print rows of texts, in which rich finds no markup of its own.

    The columns of `wraps` hold running text, which may be broken; those of `right` hold numbers. A terminal that is
    too narrow for the others gets each row as a paragraph.
    """
    # Words of the catalogue that stand within sentences too, such as units, begin as headings do.
    columns, wraps, right = (
        [name[:1].upper() + name[1:] for name in names] for names in (columns, wraps, right)
    )
    texts = [[cell if isinstance(cell, Text) else Text(cell) for cell in row] for row in rows]
    console = Console()
    if not console.is_terminal:
        _print_plain(columns, texts, right, title, caption)
        return
    widths = _widths(columns, texts)
    frame = 3 * len(columns) + 1
    whole = sum(width for name, width in zip(columns, widths, strict=True) if name not in wraps)
    wrapped = sum(
        min(width, _LEAST_WRAPPED) for name, width in zip(columns, widths, strict=True) if name in wraps
    )
    if frame + whole + wrapped > console.width:
        _print_paragraphs(columns, texts, title, caption, console)
        return
    table = Table(title=title or None, title_justify="left", caption=caption or None, caption_justify="left")
    for name in columns:
        justify = "right" if name in right else "left"
        table.add_column(name, justify=justify, no_wrap=name not in wraps, overflow="fold")  # type: ignore[arg-type]
    for row in texts:
        table.add_row(*row)
    console.print(table)


def _print_plain(
    columns: Sequence[str], rows: list[list[Text]], right: Collection[str], title: str, caption: str
) -> None:
    widths = _widths(columns, rows)
    if title:
        click.echo(title)
    for row in [[Text(name) for name in columns], *rows]:
        cells = []
        for name, cell, width in zip(columns, row, widths, strict=True):
            text = cell.plain.replace("\n", " ")
            space = " " * (width - cell_len(text))
            cells.append(space + text if name in right else text + space)
        click.echo("  ".join(cells).rstrip())
    if caption:
        click.echo(caption)


def _print_paragraphs(
    columns: Sequence[str], rows: list[list[Text]], title: str, caption: str, console: Console
) -> None:
    if title:
        console.print(Text(title), soft_wrap=True)
    for row in rows:
        filled = [(name, cell) for name, cell in zip(columns, row, strict=True) if cell.plain]
        for number, (name, cell) in enumerate(filled):
            line = (
                Text("  " if number else "")
                .append(tr("{name}：", name=name) if name else "")
                .append_text(cell)
            )
            console.print(line, soft_wrap=True)
    if caption:
        console.print(Text(caption), soft_wrap=True)


def _widths(columns: Sequence[str], rows: list[list[Text]]) -> list[int]:
    """Return the cells that each column takes on one line."""
    return [
        max(
            cell_len(line)
            for text in (name, *(row[i].plain for row in rows))
            for line in [text.replace("\n", " ")]
        )
        for i, name in enumerate(columns)
    ]
