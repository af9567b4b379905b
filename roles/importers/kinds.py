"""Which form a file or folder has, and its import."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.roles.importers.cabm import read_cabm
from xiaozhi_persona.roles.importers.draft import Change, Draft, write_pack
from xiaozhi_persona.roles.importers.moechat import is_moechat, read_moechat
from xiaozhi_persona.roles.importers.xiaozhi import is_xiaozhi, read_xiaozhi
from xiaozhi_persona.roles.role import Role
from xiaozhi_persona.text_files import read_text
from xiaozhi_persona.yaml_files import parse_mapping

ImportKind = Literal["moechat", "cabm", "xiaozhi"]
KINDS: tuple[ImportKind, ...] = get_args(ImportKind)

_INNER_ROLES = ("*/config.json", "role/*/config.json", "*/info.yaml")
"""Where the roles lie in the folder of the program that they are for."""
_FILES = ("config.json", "info.yaml", "config.yaml", "data/.config.yaml")


def import_role(
    path: Path, roles_dir: Path, name: str = "", kind: ImportKind | None = None
) -> tuple[Role, list[Change]]:
    """Write the role that `path` holds as a pack under `roles_dir`; return it with the account of what was done.

    `path` is a file, or a folder with one; without `kind` its form is found out. Raises SettingsError, and then
    nothing was written.
    """
    file = _file(path)
    draft = _read(file, kind)
    role = write_pack(draft, roles_dir, name)
    return role, draft.changes


def _read(file: Path, kind: ImportKind | None) -> Draft:
    if kind == "cabm" or kind is None and file.suffix.lower() == ".json":
        return read_cabm(file)
    data = parse_mapping(read_text(file), file, is_ours=False)
    if kind == "moechat" or kind is None and is_moechat(data):
        return read_moechat(data, file)
    if kind == "xiaozhi" or kind is None and is_xiaozhi(data):
        return read_xiaozhi(data, file)
    raise SettingsError(
        tr(
            "认不出 {file} 是什么。"
            "能导入的：MoeChat 的 config.yaml 或 info.yaml、CABM 的 role/角色/config.json、小智服务端的 config.yaml（里面有 GPT_SOVITS_V2 或 V3）。",
            file=file,
        )
    )


def _file(path: Path) -> Path:
    if (path / "role.yaml").is_file():
        raise SettingsError(
            tr("{path} 已经是角色包，不用导入：把整个文件夹复制到数据文件夹的 roles/ 下就能用。", path=path)
        )
    if path.is_file():
        return path
    found = [path / name for name in _FILES if (path / name).is_file()]
    if found:
        return found[0]
    if path.is_dir():
        inner = sorted(file.parent for pattern in _INNER_ROLES for file in path.glob(pattern))
        if inner:
            raise SettingsError(
                tr(
                    "{path} 里有几个角色，写出是哪一个：{listed}",
                    path=path,
                    listed=tr("、").join(map(str, inner[:20])),
                )
            )
        raise SettingsError(
            tr("{path} 里没有 config.json、config.yaml 或 info.yaml。请写出是哪个文件。", path=path)
        )
    raise SettingsError(tr("没有 {path}。请检查路径。", path=path))
