"""What every subcommand has: --config, --json, --debug; logging; output as JSON lines."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click

from xiaozhi_persona.config import load_settings
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.text_files import stream_lines

_Command = TypeVar("_Command", bound=Callable[..., Any])


def common_options(function: _Command) -> _Command:
    """Add the options that every subcommand takes: parameters config, as_json, debug."""
    for option in (
        click.option("--debug", is_flag=True, help="出错时显示细节，日志最详细"),
        click.option("--json", "as_json", is_flag=True, help="结果以 JSON 行输出"),
        click.option("--config", type=click.Path(path_type=Path), help="设置文件，默认 ./config.yaml"),
    ):
        function = option(function)
    return function


def prepare(config: Path | None, debug: bool) -> Settings:
    """Load the settings and start the log, which goes to the standard error output."""
    settings = load_settings(config)
    level = "debug" if debug else settings.log.level
    logging.basicConfig(
        level=logging.WARNING,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(message)s",
        datefmt="%H:%M:%S",
    )
    logging.getLogger("xiaozhi_persona").setLevel(level.upper())
    # Its tracebacks for clients that come and go tell users nothing.
    logging.getLogger("websockets.server").setLevel(logging.CRITICAL)
    return settings


def print_json(data: Any) -> None:
    """Print one line of JSON."""
    click.echo(json.dumps(data, ensure_ascii=False))


def input_lines() -> Iterator[str]:
    """Yield the lines of the standard input as they come. Raises SettingsError for what is no text."""
    return stream_lines(sys.stdin.buffer, "标准输入")
