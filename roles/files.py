"""What people have on disk: texts in the encodings of Windows, YAML, names that become folders."""

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
from xiaozhi_persona.yaml_files import parse_mapping

_MAX_NAME_BYTES = 120  # a file system takes 255 bytes, and something is added to the name
_NO_NAME = str.maketrans(dict.fromkeys('\\/:*?"<>|', "_"))
_DRIVE = re.compile("[A-Za-z]:")
_WINDOWS_DEVICES = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE
)


def read_text(file: Path) -> str:
    """Read a text file in UTF-8 (with or without a mark), UTF-16 with its mark, or GB18030.

    Raises SettingsError when the file is not there or cannot be read.
    """
    try:
        data = file.read_bytes()
    except FileNotFoundError as exc:
        raise SettingsError(f"没有这个文件：{file}。请检查路径。") from exc
    except (OSError, ValueError) as exc:
        raise SettingsError(f"读不了 {file}（{exc}）。请检查路径和权限。") from exc
    utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    for encoding in ("utf-16",) if utf16 else ("utf-8-sig", "gb18030"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise SettingsError(f"{file} 的编码认不出来。请另存为 UTF-8。")


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
        raise SettingsError(f"{name!r} 不能作角色的名字。用 --name 换一个。")
    target = parent / name
    if os.path.lexists(target):
        raise SettingsError(f"已经有 {target}，没有改动它。用 --name 换个名字，或先把它移走。")
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
            f"写不了 {target}（{exc.strerror or exc}）。检查 paths.data 和剩余空间。"
        ) from exc


def inside(text: str) -> PurePosixPath | None:
    """Return a relative path that stays in its folder, None for any other one. `\\` counts as `/`."""
    path = PurePosixPath(text.replace("\\", "/"))
    bad = path.is_absolute() or ".." in path.parts or "\0" in text or _DRIVE.match(text)
    return None if bad or not path.parts else path


def is_absolute(text: str) -> bool:
    """Whether a path is absolute on Linux, macOS or Windows."""
    return text.startswith(("/", "\\")) or bool(_DRIVE.match(text))
