"""What every subcommand has: --config, --json, --debug; logging; output as JSON lines."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click

from xiaozhi_persona import settings_files
from xiaozhi_persona.config import changed_keys, load_settings, read_file
from xiaozhi_persona.language import set_language, tr, translate_record
from xiaozhi_persona.log_lines import LimitedHandler
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.settings_files import find_files
from xiaozhi_persona.text_files import stream_lines

DEMO_DEVICE = "demo"
"""The id of the simulated device of `serve --demo`: what it says is not remembered as said by the owner of this machine."""

_Command = TypeVar("_Command", bound=Callable[..., Any])


def common_options(function: _Command) -> _Command:
    """Add the options that every subcommand takes: parameters config, as_json, debug."""
    for option in (
        click.option("--debug", is_flag=True, help="出错时显示细节，日志最详细"),
        click.option("--json", "as_json", is_flag=True, help="结果以 JSON 行输出"),
        click.option(
            "--config",
            type=click.Path(path_type=Path),
            help="设置文件，默认 config.yaml 和旁边的 data/.config.yaml",
        ),
    ):
        function = option(function)
    return function


def prepare(config: Path | None, debug: bool) -> Settings:
    """Load the settings and start the log, which goes to the standard error output."""
    settings = load_settings(config)
    set_language(settings.language)
    files = find_files(config)
    for file in files.of_the_host:
        click.echo(tr("{file} 是小智服务端的设置，不是本程序的：没有用它", file=file), err=True)
    if not files.present:
        click.echo(
            tr("没有找到 config.yaml，用默认设置；数据在 {data_dir}", data_dir=settings.data_dir), err=True
        )
    level = "debug" if debug else settings.log.level
    handler = LimitedHandler(sys.stderr)
    handler.addFilter(translate_record)
    logging.basicConfig(
        level=logging.WARNING,
        handlers=[handler],
        format="%(asctime)s %(levelname)s %(message)s",
        datefmt="%H:%M:%S",
    )
    logging.getLogger("xiaozhi_persona").setLevel(level.upper())
    # Its tracebacks for clients that come and go tell users nothing.
    logging.getLogger("websockets.server").setLevel(logging.CRITICAL)
    return settings


def settings_line(settings: Settings, config: Path | None) -> str:
    """Return in one line which files the settings come from and where the data lies."""
    return tr("设置：{sources}", sources=settings_sources(settings, config))


def settings_sources(settings: Settings, config: Path | None) -> str:
    """Return which files the settings come from, and where the data lies."""
    files = tr("、").join(map(str, find_files(config).present)) or tr("默认值")
    return tr("{files}；数据：{data_dir}", files=files, data_dir=settings.data_dir)


def edited_settings(config: Path | None) -> list[str]:
    """Return the settings that were written into the project's config.yaml, where an update would collide with them."""
    file = find_files(config).defaults
    if file is None or file.absolute().parent != settings_files.project_folder():
        return []
    return list(changed_keys(read_file(file)))


def print_json(data: Any) -> None:
    """Print one line of JSON."""
    click.echo(json.dumps(data, ensure_ascii=False))


def input_lines() -> Iterator[str]:
    """Yield the lines of the standard input as they come. Raises SettingsError for what is no text."""
    return stream_lines(sys.stdin.buffer, tr("标准输入"))
