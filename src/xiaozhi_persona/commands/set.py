"""`xiaozhi-persona set`: one setting shown or written into the user's own file, or those of an edited config.yaml moved there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from xiaozhi_persona.commands.common import common_options, print_json
from xiaozhi_persona.commands.own_settings import own_file, put_settings, write_own
from xiaozhi_persona.config import changed_keys, check_value, load_settings, read_file, render, variable_of
from xiaozhi_persona.device_ids import normal_id, same_key
from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.settings_files import SettingsFiles, find_files
from xiaozhi_persona.text_files import read_text


@click.command("set")
@click.argument("key", metavar="键", required=False)
@click.argument("value", metavar="值", required=False)
@click.option(
    "--move", is_flag=True, help="把 config.yaml 里改过的项搬到 data/.config.yaml，config.yaml 恢复原样"
)
@common_options
def command(
    key: str | None, value: str | None, move: bool, config: Path | None, as_json: bool, debug: bool
) -> None:
    """写一项设置到 data/.config.yaml，如 set llm.base_url https://api.deepseek.com/v1；不写值时显示现在的值。"""
    files = find_files(config)
    if move == (key is not None):
        raise click.UsageError(tr("写成：set 键 值，或 set --move"))
    was_edited = False
    if key is None:
        was_edited, done = _move(files)
    elif value is None:
        done = {key: _present(key, config)}
    else:
        done = {key: check_value(key, value)}
        put_settings(own_file(files), done)
    if as_json:
        print_json({"file": str(files.own), "settings": done})
    else:
        for name, setting in done.items():
            click.echo(f"{name}: {setting}")
        if done and (value is not None or move):
            click.echo(tr("写在 {own}，下次启动生效", own=files.own))
        elif was_edited:
            click.echo(tr("改过的项 {own} 里都已经有了，以它为准；config.yaml 恢复了原样", own=files.own))
        elif move:
            click.echo(tr("config.yaml 没有改过，没有要搬的"))
    if key is not None and value is not None:
        _tell_what_else_counts(key, done[key], config)


def _tell_what_else_counts(key: str, written: Any, config: Path | None) -> None:
    """Say why what was written does not count, or not alone. Raises SettingsError for a mistake that stood there before."""
    load_settings(config)
    variable = variable_of(key)
    if variable in os.environ:
        click.echo(tr("环境变量 {variable} 优先，现在用的是它的值", variable=variable), err=True)
    elif isinstance(written, dict) and len(present := _present(key, config)) > len(written):
        click.echo(
            tr("原来的也还在：{listed}；不要的请在文件里删去", listed=tr("、").join(map(str, present))),
            err=True,
        )


def _present(key: str, config: Path | None) -> Any:
    value: Any = load_settings(config).model_dump(mode="json")
    for part in key.split("."):
        part = part if isinstance(value, dict) and part in value else normal_id(part)
        if not isinstance(value, dict) or part not in value:
            raise SettingsError(tr("没有 {key} 这一项。config.yaml 里有每一项的说明。", key=key))
        value = value[part]
    return value


def _move(files: SettingsFiles) -> tuple[bool, dict[str, Any]]:
    """Write what config.yaml says differently from the defaults into the user's own file, whose settings win.

    Returns whether there was anything, and what was written.
    """
    own = own_file(files)
    if files.defaults is None:
        return False, {}
    changed = changed_keys(read_file(files.defaults))
    already = changed_keys(read_file(own)) if own.is_file() else {}
    moved = {key: value for key, value in changed.items() if key not in already}
    for key, value in changed.items():  # of a free mapping, such as memory.owners, each entry counts
        if isinstance(value, dict) and isinstance(already.get(key), dict):
            there = already[key]
            if new := {name: inner for name, inner in value.items() if same_key(there, name) not in there}:
                moved[key] = new
    if moved:
        put_settings(own, moved)
    if changed:
        write_own(own.with_name("config.yaml.bak"), read_text(files.defaults))
        write_own(files.defaults, render())
    return bool(changed), moved
