"""Writing into a tree that belongs to somebody else: whole files or nothing, with the rights that stand there."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import tr


def read_file(path: Path) -> bytes | None:
    """Return what stands in a file, None when there is none. Raises SettingsError when it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise SettingsError(
            tr("读不了 {path}（{strerror}）。请检查权限。", path=path, strerror=exc.strerror)
        ) from exc


def write_file(path: Path, content: bytes, like: Path | None = None) -> None:
    """Write a file so that it holds `content` or what it held before, never a part; links stay links.

    It keeps its rights and its owner; a new file takes them from `like` where that is given. Raises OSError.
    """
    real = Path(os.path.realpath(path))
    make_folder(real.parent)
    model = next((file for file in (real, like) if file and file.is_file()), None)
    temporary = _temporary(real)
    try:
        with temporary.open("wb") as output:
            if model:
                os.chmod(temporary, stat.S_IMODE(model.stat().st_mode))
            output.write(content)
            output.flush()
            os.fsync(output.fileno())
        _give_to(temporary, model or real.parent)
        os.replace(temporary, real)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def make_folder(path: Path) -> None:
    """Make a folder that belongs to whom its parent belongs; one that is there stays as it is. Raises OSError."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir()
        _give_to(path, path.parent)


def remove_file(path: Path) -> None:
    """Remove a file, what a broken-off write of it left, and what Python compiled of it. Raises OSError."""
    remove_leftover(path)
    path.unlink(missing_ok=True)
    remove_compiled(path)


def remove_leftover(path: Path) -> None:
    """Remove what a write of a file left when it was broken off. Raises OSError."""
    _temporary(Path(os.path.realpath(path))).unlink(missing_ok=True)


def remove_compiled(path: Path) -> None:
    """Remove what Python compiled of a file, and the folder for it when that is then empty. Raises OSError."""
    if path.suffix == ".py":
        cache = path.parent / "__pycache__"
        for compiled in cache.glob(f"{path.stem}.*.pyc"):
            compiled.unlink(missing_ok=True)
        remove_empty(cache)


def remove_empty(folder: Path) -> None:
    """Remove a folder where nothing is in it."""
    with contextlib.suppress(OSError):
        folder.rmdir()


def check_writable(path: Path) -> None:
    """Raise SettingsError when a file could not be written or replaced."""
    real = Path(os.path.realpath(path))
    if real.is_dir():
        raise SettingsError(
            tr("{path} 是文件夹，应是文件，什么都没有改。请给它换个名字，再运行一次。", path=path)
        )
    folder = next(parent for parent in real.parents if parent.exists())
    for place in (real, folder) if real.exists() else (folder,):
        # The mode is asked too: the superuser may write everything, also what somebody locked on purpose.
        if not os.access(place, os.W_OK) or not place.stat().st_mode & 0o222:
            raise SettingsError(
                tr(
                    "写不了 {place}（只读，或属于别的用户），什么都没有改。"
                    "请给它写的权限（chmod u+w），或换能写它的用户，再运行一次。",
                    place=place,
                )
            )


def _temporary(real: Path) -> Path:
    return real.with_name(f".{real.name}.xiaozhi-persona-new")


def _give_to(path: Path, model: Path) -> None:
    """Give a file to whom `model` belongs, where we may: install may run as root, the host as somebody else."""
    if hasattr(os, "chown") and os.geteuid() == 0:
        owner = model.stat()
        os.chown(path, owner.st_uid, owner.st_gid)
