"""Which files the settings come from, as in xiaozhi-esp32-server: `config.yaml` with every default and its comment, which
the project brings and nobody edits, and beside it the user's own `data/.config.yaml`, which wins.
"""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

DEFAULTS_NAME = "config.yaml"
OWN_NAME = Path("data", ".config.yaml")

PROJECT_VARIABLE = "XIAOZHI_PERSONA_PROJECT"
"""The environment variable in which run.py, started from anywhere, names the folder of its settings."""

_LANGUAGE = re.compile(r"(?m)^language[ \t]*:[ \t]*['\"]?(\w+)")
_HOSTS_KEY = re.compile(r"(?m)^selected_module[ \t]*:")
"""Stands in the settings of xiaozhi-esp32-server, and never in ours."""


@dataclass(frozen=True)
class SettingsFiles:
    """The files of one set of settings."""

    folder: Path
    """Where relative paths of the settings start."""
    defaults: Path | None
    """The config.yaml, or the one file that was asked for; None where there is none."""
    own: Path | None
    """Where the user's own settings stand, or would stand; None when one file was asked for."""
    of_the_host: tuple[Path, ...] = ()
    """Files of xiaozhi-esp32-server at these places. They are left alone."""

    @property
    def present(self) -> list[Path]:
        """The files that are there, the later one winning."""
        return [file for file in (self.defaults, self.own) if file and file.exists()]


def find_files(config: Path | None = None) -> SettingsFiles:
    """Return the files that count.

    A file that is asked for by name counts alone, but a `config.yaml` with the `data/.config.yaml` beside it. Without
    one, they are those beside the run.py that was started; else they are looked for in the current folder and then in
    the project's, where the installation is editable.
    """
    if config is not None:
        if config.name == OWN_NAME.name and config.absolute().parent.name == OWN_NAME.parent.name:
            return _files_in(config.absolute().parent.parent)
        if config.name != DEFAULTS_NAME:
            return SettingsFiles(config.absolute().parent, config, None)
        found = _files_in(config.parent)
        return SettingsFiles(config.absolute().parent, config, found.own, found.of_the_host)
    started_in = os.environ.get(PROJECT_VARIABLE, "")
    here = _files_in(Path(started_in))
    if started_in or here.present:
        return here
    project = project_folder()
    if project is None:
        return here
    there = _files_in(project)
    return SettingsFiles(there.folder, there.defaults, there.own, here.of_the_host + there.of_the_host)


def written_language() -> str:
    """Return what the files say of the setting `language`, without reading all of them; "" if nothing."""
    found = ""
    for file in find_files().present:
        with contextlib.suppress(OSError):
            text = file.read_text(encoding="utf-8", errors="replace")
            found = next(iter(_LANGUAGE.findall(text)), found)
    return found


def project_folder() -> Path | None:
    """Return the folder of the project that this installation runs from; None when it was installed as a copy."""
    # Only asked for outside of the project, and slow to import.
    import json
    from importlib import metadata
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    try:
        source = metadata.distribution("xiaozhi-persona").read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return None
    origin = json.loads(source) if source else {}
    if not origin.get("dir_info", {}).get("editable"):
        return None
    return Path(url2pathname(urlsplit(origin["url"]).path))


def _files_in(folder: Path) -> SettingsFiles:
    defaults, own = folder / DEFAULTS_NAME, folder / OWN_NAME
    of_the_host = tuple(file for file in (defaults, own) if _is_the_hosts(file))
    return SettingsFiles(
        folder.absolute(),
        defaults if defaults.exists() and defaults not in of_the_host else None,
        None if own in of_the_host else own,
        of_the_host,
    )


def _is_the_hosts(file: Path) -> bool:
    try:
        return _HOSTS_KEY.search(file.read_text(encoding="utf-8", errors="replace")) is not None
    except OSError:
        return False
