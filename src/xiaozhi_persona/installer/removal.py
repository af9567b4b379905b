"""Taking out of a host what install put in: byte for byte where nothing changed since, else only what is ours."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.installer import atomic_files
from xiaozhi_persona.installer.door_files import is_ours
from xiaozhi_persona.installer.install import BACKUP, HOST_SETTINGS
from xiaozhi_persona.installer.manifest import (
    MANIFEST,
    OUR_FOLDER,
    Entry,
    Manifest,
    Tree,
    digest,
    read_manifest,
)
from xiaozhi_persona.installer.merge import without_edits
from xiaozhi_persona.installer.survey import parse_settings
from xiaozhi_persona.language import tr
from xiaozhi_persona.providers.host.doors import DOORS


@dataclass
class Removal:
    """What uninstall did."""

    removed: list[PurePosixPath] = field(default_factory=list)
    restored: list[PurePosixPath] = field(default_factory=list)
    """Files that hold again what they held before."""
    left: list[str] = field(default_factory=list)
    """What stays and why, in Chinese."""


def uninstall(tree: Tree, *, purge: bool = False) -> Removal:
    """Undo install. What was changed since stays, and so do roles, memory and caches unless `purge`.

    One that was broken off can be run again. Raises SettingsError; what cannot be undone is told before anything is.
    """
    manifest = read_manifest(tree)
    removal = Removal()
    steps = [*_steps(tree, manifest or _without_manifest(tree), removal)]
    for path, _ in steps:
        atomic_files.check_writable(tree.path(path))
    if manifest:
        atomic_files.check_writable(tree.path(MANIFEST))
    elif steps:
        removal.left.append(
            tr(
                "{HOST_SETTINGS}：没有安装记录，没有动它。"
                "selected_module 的 TTS、ASR、Memory、Intent，prompt_template，Intent 下 functions 里的 persona_… 请自己改回去",
                HOST_SETTINGS=HOST_SETTINGS,
            )
            + (tr("（原样在 {BACKUP}）", BACKUP=BACKUP) if tree.path(BACKUP).exists() else "")
        )
    try:
        for path in manifest.files if manifest else ():
            atomic_files.remove_leftover(tree.path(path))
        for path, content in steps:
            place = tree.path(path)
            if content is None:
                atomic_files.remove_file(place)
                removal.removed.append(path)
            else:
                atomic_files.write_file(place, content)
                atomic_files.remove_compiled(place)
                removal.restored.append(path)
        _remove_data(tree, removal, purge)
        folders = manifest.folders[::-1] if manifest else []
        _remove_folders(
            tree, folders
        )  # all but that of the manifest, without which they are not known as ours
        atomic_files.remove_file(tree.path(MANIFEST))
        _remove_folders(tree, [OUR_FOLDER, *folders])
    except OSError as exc:
        raise SettingsError(
            tr(
                "删不了 {value}（{strerror}）。请检查权限，再运行一次，会接着做。",
                value=exc.filename or tree.server,
                strerror=exc.strerror,
            )
        ) from exc
    return removal


def _steps(tree: Tree, manifest: Manifest, removal: Removal) -> Iterator[tuple[PurePosixPath, bytes | None]]:
    """Yield each file to change and what it is to hold, None for removing it: what selects a door before the door."""
    for path in sorted(manifest.files, key=lambda path: path != HOST_SETTINGS):
        entry, current = manifest.files[path], atomic_files.read_file(tree.path(path))
        if current is None or current == entry.before:
            if current is None and entry.before is not None and path != HOST_SETTINGS:
                yield path, entry.before
        elif entry.is_as_written(current) and entry.is_exact:
            yield path, entry.before
        elif path == HOST_SETTINGS:
            content, kept = without_edits(current, tree.path(path), manifest.edits)
            removal.left += [
                tr("{path} 的 {key}：后来改过，没有动", path=path, key=".".join(key)) for key in kept
            ]
            removal.left += _orphans(tree, manifest, content)
            if content != current:
                yield path, content
        else:
            removal.left.append(tr("{path}：后来改过，没有动", path=path))


def _orphans(tree: Tree, manifest: Manifest, content: bytes) -> Iterator[str]:
    """Yield the sections that name a door which is going."""
    settings = parse_settings(content, tree.path(HOST_SETTINGS))
    for door in DOORS:
        sections, entry = settings.get(door.kind), manifest.files.get(door.path)
        for name, section in sections.items() if isinstance(sections, dict) else ():
            if isinstance(section, dict) and section.get("type") == door.type and entry and not entry.before:
                yield tr(
                    "{HOST_SETTINGS} 的 {kind}.{name}：type 还是 {type}，它的文件没有了，请改用别的",
                    HOST_SETTINGS=HOST_SETTINGS,
                    kind=door.kind,
                    name=name,
                    type=door.type,
                )


def _without_manifest(tree: Tree) -> Manifest:
    """Return what can be told of an install without its manifest: the doors, by their first line."""
    manifest = Manifest()
    for door in DOORS:
        content = atomic_files.read_file(tree.path(door.path))
        if content is not None and is_ours(content):
            manifest.files[door.path] = Entry(None, [digest(content)])
    return manifest


def _remove_folders(tree: Tree, folders: Iterable[PurePosixPath]) -> None:
    for folder in folders:
        atomic_files.remove_empty(tree.path(folder) / "__pycache__")
        atomic_files.remove_empty(tree.path(folder))


def _remove_data(tree: Tree, removal: Removal, purge: bool) -> None:
    folder = tree.path(OUR_FOLDER)
    kept = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    kept = [name for name in kept if name != MANIFEST.name and not name.endswith(".xiaozhi-persona-new")]
    if not kept:
        return
    if not purge:
        removal.left.append(
            tr(
                "{OUR_FOLDER}：你的数据（{kept}），要删去加上 --purge 再运行一次",
                OUR_FOLDER=OUR_FOLDER,
                kept=tr("、").join(kept),
            )
        )
    elif folder.is_symlink():
        removal.left.append(
            tr(
                "{OUR_FOLDER}：是链接，指向 {resolve}，请自己删去",
                OUR_FOLDER=OUR_FOLDER,
                resolve=folder.resolve(),
            )
        )
    else:
        for name in kept:
            place = folder / name
            if place.is_dir() and not place.is_symlink():
                shutil.rmtree(place)
            else:
                place.unlink()
        removal.removed.append(OUR_FOLDER)
