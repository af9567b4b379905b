"""What people have on disk: YAML, and names that become folders."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.text_files import read_text
from xiaozhi_persona.yaml_files import parse_mapping

_MAX_NAME_BYTES = 120  # a file system takes 255 bytes, and something is added to the name
_NO_NAME = str.maketrans(dict.fromkeys('\\/:*?"<>|', "_"))
_DRIVE = re.compile("[A-Za-z]:")
_WINDOWS_DEVICES = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE
)


def read_yaml(file: Path) -> dict[str, Any]:
    """Read a YAML file of keys and values; keys left empty are left out. Raises SettingsError with the place."""
    return parse_mapping(read_text(file), file)


def safe_name(text: str) -> str:
    """Return `text` as the name of one folder on Linux, macOS and Windows; "" when nothing of it can be kept."""
    name = unicodedata.normalize("NFC", text)
    name = "".join(" " if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") else c for c in name)
    name = name.translate(_NO_NAME)
    name = " ".join(name.split()).strip(" .")
    while len(name.encode("utf-8")) > _MAX_NAME_BYTES:
        name = name[:-1].strip(" .")
    if not name.strip("_ ."):
        return ""
    return f"_{name}" if _WINDOWS_DEVICES.fullmatch(name) else name


@contextlib.contextmanager
def new_folder(parent: Path, name: str) -> Iterator[Path]:
    """Make the folder `name` in `parent`, which appears whole at the end, and not at all after an exception.

    Raises SettingsError when the name leads elsewhere or is taken, or nothing can be written there.
    """
    if not name or safe_name(name) != name:
        raise SettingsError(tr("{name!r} 不能作角色的名字。用 --name 换一个。", name=name))
    target = parent / name
    if os.path.lexists(target):
        raise SettingsError(
            tr("已经有 {target}，没有改动它。用 --name 换个名字，或先把它移走。", target=target)
        )
    try:
        parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".new-", dir=parent))
        try:
            folder.chmod(0o755)  # mkdtemp makes it private; a GPT-SoVITS server may run as someone else
            yield folder
            folder.rename(target)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as exc:
        raise SettingsError(
            tr(
                "写不了 {target}（{value}）。检查 paths.data 和剩余空间。",
                target=target,
                value=exc.strerror or exc,
            )
        ) from exc


def inside(text: str) -> PurePosixPath | None:
    """Return a relative path that stays in its folder, None for any other one. `\\` counts as `/`."""
    path = PurePosixPath(text.replace("\\", "/"))
    bad = path.is_absolute() or ".." in path.parts or "\0" in text or _DRIVE.match(text)
    return None if bad or not path.parts else path


def is_absolute(text: str) -> bool:
    """Whether a path is absolute on Linux, macOS or Windows."""
    return text.startswith(("/", "\\")) or bool(_DRIVE.match(text))
