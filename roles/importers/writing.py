"""How a draft becomes a role pack: recordings are copied, role.yaml and the lore book written, and all of it checked."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.roles.check import check_role
from xiaozhi_persona.roles.clip_files import AUX_FOLDERS
from xiaozhi_persona.roles.clip_texts import SOUND_SUFFIXES
from xiaozhi_persona.roles.files import is_absolute, new_folder, safe_name
from xiaozhi_persona.roles.importers.draft import Draft
from xiaozhi_persona.roles.lore import load_lore
from xiaozhi_persona.roles.role import Role, load_pack
from xiaozhi_persona.roles.sound import MAX_FILE_BYTES


def write_pack(draft: Draft, roles_dir: Path, wanted: str = "") -> Role:
    """Write the draft as a pack under `roles_dir`, named `wanted` or by the role; what is done goes into its account.

    What the check finds wrong with the pack is told as an error. Raises SettingsError when there is such a role already
    or the draft cannot be a role, and then nothing is written.
    """
    asked = wanted or draft.name
    role_id = safe_name(asked)
    if not role_id:
        raise SettingsError(
            tr("{asked!r} 不能作角色的名字。用 --name 换一个，如 --name xiaomei", asked=asked)
        )
    if role_id != asked:
        draft.tell(
            "--name" if wanted else tr("名字"),
            "changed",
            role_id,
            tr("{asked!r} 不能作文件夹名", asked=asked),
        )
    draft.sheet.setdefault("name", draft.name or role_id)
    with new_folder(roles_dir, role_id) as folder:
        _copy_clips(draft, folder)
        order = {"name": draft.sheet["name"], **draft.sheet}
        _dump(order, folder / "role.yaml")
        if draft.lore:
            (folder / "lore").mkdir()
            _dump(draft.lore, folder / "lore" / "book.yaml")
        try:
            load_pack(folder)
            load_lore(folder / "lore")
        except SettingsError as exc:
            place = tr("{value}：", value=folder / "role.yaml")
            raise SettingsError(
                tr("导入不了：{replace}。请改原文件里的这一项。", replace=str(exc).replace(place, ""))
            ) from exc
    role = load_pack(roles_dir / role_id)
    if not role.clips:
        note = tr("没有参考音频：把 3 到 10 秒的 WAV 放进新角色的 refs/感情/，用 GPT-SoVITS 时要有")
        draft.tell("refs", "warning", note=note)
    for finding in check_role(role):
        if finding.level == "error":
            draft.tell(finding.where, "error", note=finding.message)
    return role


def find_here(base: Path, path: str) -> Path | None:
    """Return the file that a foreign path means here, None when there is none; it is sound and not too large."""
    tries = [Path(path).expanduser()] if is_absolute(path) or path.startswith("~") else []
    tries += [] if is_absolute(path) else [base / path, base / path.replace("\\", "/")]
    for file in tries:
        try:
            if (
                file.is_file()
                and file.suffix.lower() in SOUND_SUFFIXES
                and file.stat().st_size <= MAX_FILE_BYTES
            ):
                return file
        except (OSError, ValueError, RuntimeError):  # a NUL, a name that is too long, an unknown ~user
            continue
    return None


def _copy_clips(draft: Draft, folder: Path) -> None:
    aux_here = [file for path in draft.aux if (file := find_here(draft.base, path))]
    aux_there = [path for path in draft.aux if find_here(draft.base, path) is None]
    for number, file in enumerate(aux_here, 1):
        _copy(file, folder / "refs" / AUX_FOLDERS[0] / f"{number:02d}{file.suffix.lower()}", draft)
    for missing in aux_there:
        draft.tell(missing, "warning", "server_aux", tr("这里没有这个文件，路径照原样交给 GPT-SoVITS 的机器"))
    counts: Counter[str] = Counter()
    for clip in draft.clips:
        name = clip.emotion or "default"
        inner = safe_name(name) or "emotion"
        file = find_here(draft.base, clip.path)
        entry: dict[str, Any] = {}
        if file is None:
            entry = {"server_path": clip.path, "text": clip.text}
            note = tr("这里没有这个文件，路径照原样交给 GPT-SoVITS 的机器；它的长度和声音没有检查")
            draft.tell(clip.path, "warning", f"references.{name}", note)
        else:
            counts[inner.casefold()] += 1
            path = Path("refs", inner, f"{counts[inner.casefold()]:02d}{file.suffix.lower()}")
            _copy(file, folder / path, draft)
            if clip.text:
                (folder / path).with_suffix(".txt").write_text(clip.text + "\n", encoding="utf-8")
            if inner != name or aux_there or clip.language:
                entry = {"file": path.as_posix()}
        if entry:
            entry |= {"language": clip.language} if clip.language else {}
            entry |= {"server_aux": aux_there} if aux_there else {}
            draft.sheet.setdefault("references", {}).setdefault(name, []).append(entry)


def _copy(file: Path, target: Path, draft: Draft) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, target)
    draft.tell(draft.told_as(file), "taken", target.relative_to(target.parents[2]).as_posix())


def _dump(data: Any, file: Path) -> None:
    dumped = yaml.safe_dump(data, allow_unicode=True, sort_keys=False, width=100)
    file.write_text(dumped, encoding="utf-8")
