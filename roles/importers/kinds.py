"""Which form a file or folder has, and its import."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.roles.clip_files import unwrapped
from xiaozhi_persona.roles.clip_texts import SOUND_SUFFIXES, in_folder
from xiaozhi_persona.roles.importers.cabm import is_cabm, read_cabm
from xiaozhi_persona.roles.importers.card_files import CARD_SUFFIXES, read_card_file
from xiaozhi_persona.roles.importers.draft import Change, Draft
from xiaozhi_persona.roles.importers.folder import add_voice, read_folder, unused_sounds
from xiaozhi_persona.roles.importers.foreign_files import read_json, read_yaml
from xiaozhi_persona.roles.importers.infer_config import is_infer_config, read_infer_config
from xiaozhi_persona.roles.importers.lingchat import (
    SETTINGS_FILES,
    is_lingchat,
    read_assignments,
    read_lingchat,
)
from xiaozhi_persona.roles.importers.moechat import is_moechat, read_moechat
from xiaozhi_persona.roles.importers.tavern import is_card, read_card
from xiaozhi_persona.roles.importers.writing import write_pack
from xiaozhi_persona.roles.importers.xiaozhi import is_xiaozhi, read_xiaozhi
from xiaozhi_persona.roles.role import Role
from xiaozhi_persona.text.emotions import built_in_names
from xiaozhi_persona.written_paths import path_as_meant

ImportKind = Literal["moechat", "cabm", "xiaozhi", "card", "infer", "lingchat", "folder"]
KINDS: tuple[ImportKind, ...] = get_args(ImportKind)

_FORMS: dict[str, tuple[Callable[[Any], bool], Callable[[Any, Path], Draft]]] = {
    "infer": (is_infer_config, read_infer_config),
    "cabm": (is_cabm, read_cabm),
    "moechat": (is_moechat, read_moechat),
    "lingchat": (is_lingchat, read_lingchat),
    "xiaozhi": (is_xiaozhi, read_xiaozhi),
    "card": (is_card, read_card),
}
"""How each form is told, the most certain first."""

_FILES = (
    *(
        "infer_config.json",
        "info.yaml",
        "info.yml",
        "info.json",
        *SETTINGS_FILES,
        "config.json",
        "config.yaml",
        "config.yml",
    ),
    *("data/.config.yaml", "card.json", "character.json"),
)
"""What describes a role in its folder."""

_INNER_ROLES = (
    *("data/agents/*/info.yaml", "data/agents/*/info.yml", "*/info.yaml", "*/info.yml", "role/*/config.json"),
    *("*/config.json", "*/infer_config.json", "trained/*/infer_config.json", "models/*/*/reference_audios"),
    *(
        "data/game_data/characters/*/settings.*",
        "game_data/characters/*/settings.*",
        "characters/*/settings.*",
    ),
    *("*/reference_audios", "MyCharacters/*/reference_audios"),
)
"""Where the roles lie in the folder of the program that they are for."""

_MOST_NAMED, _MOST_LOOKED_AT = 20, 500


def import_role(
    path: Path, roles_dir: Path, name: str = "", kind: ImportKind | None = None
) -> tuple[Role, list[Change]]:
    """Write the role that `path` holds as a pack under `roles_dir`; return it with the account of what was done.

    `path` is a file, or a folder with one or with recordings; without `kind` its form is found out. Raises
    SettingsError, and then nothing was written.
    """
    try:
        path = Path(path_as_meant(str(path)))
    except ValueError as exc:
        raise SettingsError(tr("路径不行，应为：{exc}。", exc=exc)) from exc
    try:
        draft = _of_folder(path, kind) if path.is_dir() else _of_file(path, kind)
    except OSError as exc:
        raise SettingsError(
            tr("读不了 {file}（{strerror}）。请检查路径和权限。", file=path, strerror=exc.strerror)
        ) from exc
    role = write_pack(draft, roles_dir, name)
    return role, draft.changes


def _of_file(file: Path, kind: ImportKind | None) -> Draft:
    if not file.is_file():
        raise SettingsError(tr("没有 {path}。请检查路径。", path=file))
    suffix = file.suffix.lower()
    if suffix in SOUND_SUFFIXES:
        raise SettingsError(tr("{file} 是一段音频。请写它所在的文件夹。", file=file))
    if suffix in (".zip", ".7z", ".rar", ".gz"):
        raise SettingsError(tr("{file} 是压缩包。请先解压，再导入解压出来的文件夹。", file=file))
    if suffix in (".webp", ".jpg", ".jpeg", ".gif"):
        raise SettingsError(tr("{file}：这种图里的角色卡读不了。请导出成 PNG 或 JSON。", file=file))
    draft = _recognized(file, kind)
    if draft is None:
        raise _unknown(file)
    return draft


def _of_folder(path: Path, kind: ImportKind | None) -> Draft:
    if (path / "role.yaml").is_file():
        raise SettingsError(
            tr("{path} 已经是角色包，不用导入：把整个文件夹复制到数据文件夹的 roles/ 下就能用。", path=path)
        )
    if kind == "folder":
        return _recordings(path, kind)
    files = [path / name for name in _FILES if (path / name).is_file()]
    for file in files:
        if draft := _recognized(file, kind):
            return draft
    if inner := _inner_roles(path):
        if len(inner) == 1:
            return _of_folder(inner[0], kind)
        raise SettingsError(
            tr(
                "{path} 里有几个角色，写出是哪一个：{listed}",
                path=path,
                listed=tr("、").join(map(str, inner[:_MOST_NAMED])),
            )
        )
    if cards := list(_cards(path)):
        if len(cards) > 1:
            names = tr("、").join(draft.name for draft in cards[:_MOST_NAMED])
            raise SettingsError(
                tr("{path} 里有几张角色卡（{names}），写出是哪个文件。", path=path, names=names)
            )
        add_voice(cards[0])
        return cards[0]
    if files:
        raise _unknown(files[0])
    return _recordings(path, kind)


def _recordings(path: Path, kind: ImportKind | None) -> Draft:
    if (inner := unwrapped(path, built_in_names())) != path:
        return _of_folder(inner, kind)
    draft = read_folder(path)
    if not draft.clips:
        if not (told := unused_sounds(path)):
            raise _unknown(path)
        raise SettingsError(
            tr("{folder} 里没有能用的音频，也没有认得的设置文件。{told}", folder=path, told=told)
        )
    return draft


def _inner_roles(path: Path) -> list[Path]:
    """Return the folders of the roles in the folder of a program, or in one of several roles."""
    found = [file for pattern in _INNER_ROLES for file in sorted(path.glob(pattern))[:_MOST_LOOKED_AT]]
    folders = [file.parent for file in found if file.name != "config.json" or _is_cabm_file(file)]
    return [folder for folder in dict.fromkeys(folders) if folder != path]


def _is_cabm_file(file: Path) -> bool:
    """Whether a config.json, which many programs have, is that of a role."""
    try:
        return is_cabm(read_json(file)[0])
    except SettingsError:
        return False


def _unknown(file: Path) -> SettingsError:
    return SettingsError(
        tr(
            "认不出 {file} 是什么，什么也没有写。能导入的：SillyTavern 的角色卡（PNG、JSON）、infer_config.json、"
            "MoeChat 的 config.yaml 或 info.yaml、CABM 的 role/角色/config.json、LingChat 的 settings.yml、"
            "小智服务端的 config.yaml（里面有 GPT_SOVITS 的一段）、放着参考音频的文件夹（只要音频时加 --kind folder）。",
            file=file,
        )
    )


def _recognized(file: Path, kind: ImportKind | None) -> Draft | None:
    """Read a file in the form that it has, or in the one that is asked for; None for a form that is not known.

    Raises SettingsError for a file that is damaged.
    """
    data, mended = _data(file)
    if not isinstance(data, dict):
        return None
    for name, (is_form, read) in _FORMS.items():
        if name == kind or kind is None and is_form(data):
            draft = read(data, file)
            for note in mended:
                draft.tell(file.name, "warning", note=note)
            return draft
    return None


def _data(file: Path) -> tuple[Any, list[str]]:
    suffix = file.suffix.lower()
    if suffix in CARD_SUFFIXES:
        return read_card_file(file), []
    if suffix == ".json":
        return read_json(file)
    return (read_assignments(file), []) if suffix == ".txt" else read_yaml(file)


def _cards(folder: Path) -> Iterator[Draft]:
    """Yield the cards in a folder; pictures and files that are none are passed over."""
    for file in in_folder(folder)[:_MOST_LOOKED_AT]:
        if file.is_file() and file.suffix.lower() in (*CARD_SUFFIXES, ".json"):
            with contextlib.suppress(SettingsError):
                if is_card(_data(file)[0]) and (draft := _recognized(file, None)):
                    yield draft
