"""install.json: what install wrote into a host and what stood there before, so that uninstall can put it back.

It is written before anything else is changed and removed after everything else is undone. A file is then found either
as it was or as it was meant to be, however far an install or an uninstall came.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from xiaozhi_persona import __version__
from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.installer.atomic_files import read_file
from xiaozhi_persona.installer.yaml_edit import Edit
from xiaozhi_persona.language import tr

OUR_FOLDER = PurePosixPath("data/xiaozhi-persona")
"""Below the folder that holds the host's app.py, as all paths of a manifest."""

MANIFEST = OUR_FOLDER / "install.json"

_FORMAT = 1


@dataclass(frozen=True)
class Tree:
    """Where the host's files are on this machine: a path below data/ may lie elsewhere than the rest."""

    server: Path
    data: Path

    def path(self, path: PurePosixPath) -> Path:
        """Return where a path of the manifest is."""
        if path.parts[0] == "data":
            return self.data.joinpath(*path.parts[1:])
        return self.server.joinpath(*path.parts)


@dataclass
class Entry:
    """One file."""

    before: bytes | None
    """What stood there; None when there was no file."""
    written: list[str]
    """Sum of everything that install wrote there, the last one last."""
    is_exact: bool = True
    """Whether `before` may be put back as a whole: nobody else changed the file between two installs."""

    def is_as_written(self, content: bytes) -> bool:
        """Whether this is what install wrote, now or earlier."""
        return digest(content) in self.written


@dataclass
class Manifest:
    """What install did in one host."""

    files: dict[PurePosixPath, Entry] = field(default_factory=dict)
    folders: list[PurePosixPath] = field(default_factory=list)
    """Folders that install made, outer ones first."""
    edits: list[Edit] = field(default_factory=list)
    """What was put into the host's settings, in order."""
    host: str = ""
    """Version and commit of the host, for people."""

    def to_bytes(self) -> bytes:
        """Return the JSON text."""
        data = {
            "format": _FORMAT,
            "version": __version__,
            "host": self.host,
            "files": {
                str(path): {
                    "before": None if entry.before is None else base64.b64encode(entry.before).decode(),
                    "written": entry.written,
                    "exact": entry.is_exact,
                }
                for path, entry in self.files.items()
            },
            "folders": [str(folder) for folder in self.folders],
            "edits": [{"path": edit.path, "old": edit.old, "new": edit.new} for edit in self.edits],
        }
        return (json.dumps(data, ensure_ascii=False, indent=1) + "\n").encode("utf-8")


def read_manifest(tree: Tree) -> Manifest | None:
    """Return the manifest of a host, None where nothing was installed. Raises SettingsError."""
    file = tree.path(MANIFEST)
    content = read_file(file)
    if content is None:
        return None
    try:
        return _from_json(json.loads(content))
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise SettingsError(
            tr(
                "{file} 坏了（{exc}），不知道安装时改了什么。请删去它，再运行一次；data/.config.yaml 要自己检查。",
                file=file,
                exc=exc,
            )
        ) from exc


def digest(content: bytes) -> str:
    """Return the sum by which a content is known again."""
    return hashlib.sha256(content).hexdigest()


def _from_json(data: dict[str, Any]) -> Manifest:
    if data["format"] != _FORMAT:
        raise SettingsError(
            tr(
                "这里是 xiaozhi-persona {get} 装的，这个版本读不懂它的记录。请用那个版本卸载。",
                get=data.get("version"),
            )
        )
    files = {
        PurePosixPath(path): Entry(
            None if entry["before"] is None else base64.b64decode(entry["before"]),
            [str(known) for known in entry["written"]],
            bool(entry["exact"]),
        )
        for path, entry in data["files"].items()
    }
    for path in files:
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise ValueError(str(path))
    return Manifest(
        files,
        [PurePosixPath(folder) for folder in data["folders"]],
        [Edit(tuple(edit["path"]), edit["old"], edit["new"]) for edit in data["edits"]],
        str(data["host"]),
    )
