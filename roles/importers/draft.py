"""What an importer gathers, the account of it, and how it becomes a role pack."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.roles.files import is_absolute, new_folder, safe_name
from xiaozhi_persona.roles.references import AUX_FOLDERS, SOUND_SUFFIXES, default_or
from xiaozhi_persona.roles.role import Role, load_pack
from xiaozhi_persona.roles.sound import MAX_FILE_BYTES

Kind = Literal["taken", "changed", "ignored", "warning"]


@dataclass(frozen=True)
class Change:
    """One line of the account. Values of keys that were not taken are never shown: they may be secrets."""

    source: str
    """The key or file it came from."""
    kind: Kind
    target: str = ""
    """The key or file of the role pack, "" when nothing was written."""
    note: str = ""


@dataclass(frozen=True)
class DraftClip:
    """A reference clip to be. A path that is not found here stays as it is, for the GPT-SoVITS machine."""

    emotion: str
    """The tag, "" for the default reference."""
    path: str
    text: str = ""


@dataclass
class Draft:
    """A role on its way in."""

    base: Path
    """The folder where relative paths start."""
    name: str = ""
    sheet: dict[str, Any] = field(default_factory=dict)
    clips: list[DraftClip] = field(default_factory=list)
    aux: list[str] = field(default_factory=list)
    """Auxiliary references of all clips."""
    changes: list[Change] = field(default_factory=list)

    def take(self, source: str, target: str, value: Any, note: str = "", kind: Kind = "taken") -> None:
        """Put a value under a key of role.yaml (`a.b` for a key inside), and account for it; blank means not set."""
        if value is None or value == "" or value == [] or value == {}:
            return
        inner, sheet = target.split("."), self.sheet
        for key in inner[:-1]:
            sheet = sheet.setdefault(key, {})
        sheet[inner[-1]] = value
        self.tell(source, kind, target, note)

    def tell(self, source: str, kind: Kind, target: str = "", note: str = "") -> None:
        """Account for something."""
        self.changes.append(Change(source, kind, target, note))

    def ignore_rest(self, data: Mapping[str, Any], known: set[str], prefix: str = "", note: str = "") -> None:
        """Account for the keys that nothing was made of."""
        for key, value in data.items():
            if key not in known and value not in (None, "", [], {}):
                self.tell(f"{prefix}{key}", "ignored", note=note or tr("不认识，没有用"))


PARAMETERS = frozenset(
    ["top_k", "top_p", "temperature", "repetition_penalty", "seed", "sample_steps", "if_sr", "super_sampling"]
    + ["text_split_method", "cut_punc", "batch_threshold", "split_bucket", "parallel_infer", "speed_factor"]
    + ["speed", "fragment_interval", "overlap_length", "min_chunk_length"]
)
"""Parameters of the two APIs that a role may set."""


def take_parameters(draft: Draft, data: Mapping[str, Any], prefix: str) -> set[str]:
    """Take the synthesis parameters of one mapping; return the keys that were dealt with."""
    used = set()
    for key, value in data.items():
        if key in PARAMETERS:
            draft.take(prefix + key, f"parameters.{key}", _number(value))
            used.add(key)
        elif key == "batch_size":
            used.add(key)
            if str(value).strip() not in ("", "1", "None"):
                draft.take(
                    prefix + key,
                    "parameters.batch_size",
                    1,
                    tr("{value} 改为 1：流式时大于 1 会丢句子", value=value),
                    "changed",
                )
    return used


def listed(value: Any) -> list[str]:
    """Return the texts of a list, or of one text separated by semicolons; blanks left out."""
    items = value.replace("；", ";").split(";") if isinstance(value, str) else value
    if not isinstance(items, list):
        return []
    return [str(item).strip() for item in items if item is not None and str(item).strip()]


def text(value: Any) -> str:
    """Return a value of a foreign file as text, "" for none."""
    return "" if value is None else str(value).strip()


def write_pack(draft: Draft, roles_dir: Path, wanted: str = "") -> Role:
    """Write the draft as a pack under `roles_dir`, named `wanted` or by the role; what is done goes into its account.

    Raises SettingsError when there is such a role already or the draft cannot be a role.
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
        dumped = yaml.safe_dump(order, allow_unicode=True, sort_keys=False, width=100)
        (folder / "role.yaml").write_text(dumped, encoding="utf-8")
        try:
            load_pack(folder)
        except SettingsError as exc:
            place = tr("{value}：", value=folder / "role.yaml")
            raise SettingsError(
                tr("导入不了：{replace}。请改原文件里的这一项。", replace=str(exc).replace(place, ""))
            ) from exc
    return load_pack(roles_dir / role_id)


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
        name = default_or(clip.emotion) or "default"
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
            if inner != name or aux_there:
                entry = {"file": path.as_posix()}
        if entry:
            entry |= {"server_aux": aux_there} if aux_there else {}
            draft.sheet.setdefault("references", {}).setdefault(name, []).append(entry)


def _copy(file: Path, target: Path, draft: Draft) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, target)
    draft.tell(str(file), "taken", target.relative_to(target.parents[2]).as_posix())


def _number(value: Any) -> Any:
    """Return a number that is written as text as a number: the host's console keeps all values as text."""
    if not isinstance(value, str):
        return value
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(value.strip().lower(), value)
