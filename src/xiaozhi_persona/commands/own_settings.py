"""Writing into data/.config.yaml, the settings that a user made: comments and everything else in it stay."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from xiaozhi_persona.config import read_file, render_own
from xiaozhi_persona.device_ids import same_key
from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.installer.atomic_files import write_file
from xiaozhi_persona.installer.yaml_edit import UnsupportedText, put
from xiaozhi_persona.language import tr
from xiaozhi_persona.settings_files import SettingsFiles
from xiaozhi_persona.text_files import read_text

_NEW_FILE_MODE = 0o600
"""It holds the keys of services."""


def own_file(files: SettingsFiles) -> Path:
    """Return where the user's own settings stand, or are to stand. Raises SettingsError where that place is another's."""
    if files.own is None:
        taken = next(iter(files.of_the_host), files.defaults)
        raise SettingsError(
            tr(
                "{taken} 是小智服务端的设置，这里不能写我们的。"
                "在 xiaozhi-persona 的文件夹里运行，或用 --config 指出它的 config.yaml。",
                taken=taken,
            )
            if files.of_the_host
            else tr("--config 指定了 {taken}，它单独有效：直接改它，或去掉 --config。", taken=taken)
        )
    return files.own


def put_settings(file: Path, changes: Mapping[str, Any]) -> None:
    """Write settings, named like `llm.base_url`, into a file of the user's own, which is made if there is none.

    Raises SettingsError when it cannot be written, or is written in a form that cannot be changed for sure.
    """
    nested: dict[str, Any] = {}
    for key, value in changes.items():
        *sections, last = key.split(".")
        inner = nested
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[last] = value
    present = read_file(file) if file.is_file() else {}
    text = read_text(file) if present else None
    if text is None:  # there is nothing in it but comments
        before = read_text(file) if file.is_file() else render_own()
        text = before.rstrip("\n") + "\n\n" + yaml.safe_dump(nested, allow_unicode=True, sort_keys=False)
    else:
        try:
            text, _ = put(text, _as_spelled(nested, present))
        except UnsupportedText as exc:
            keys = tr("、").join(changes)
            raise SettingsError(
                tr(
                    "{file} 的写法（锚点、标签之类）不能自动改。请自己在里面写上 {keys}。",
                    file=file,
                    keys=keys,
                )
            ) from exc
    write_own(file, text)


def _as_spelled(changes: Mapping[str, Any], present: Mapping[str, Any]) -> dict[str, Any]:
    """Return the changes with the ids of devices as they stand in the file: another spelling would be a second entry."""
    spelled: dict[str, Any] = {}
    for written, value in changes.items():
        key = same_key(present, written)
        inner = present.get(key)
        if isinstance(value, dict) and isinstance(inner, dict):
            value = _as_spelled(value, inner)
        spelled[key] = value
    return spelled


def write_own(file: Path, text: str) -> None:
    """Write a settings file as a whole; a new one is for its owner's eyes only. Raises SettingsError."""
    is_new = not file.exists()
    try:
        write_file(file, text.encode("utf-8"))
        if is_new:
            file.chmod(_NEW_FILE_MODE)
    except OSError as exc:
        raise SettingsError(
            tr("写不了 {file}（{strerror}）。请检查权限和磁盘空间。", file=file, strerror=exc.strerror)
        ) from exc
