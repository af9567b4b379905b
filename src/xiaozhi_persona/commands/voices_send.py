"""`xiaozhi-persona voices send`: a role's reference clips packed for a GPT-SoVITS on another machine."""

from __future__ import annotations

import zipfile
from pathlib import Path, PurePosixPath, PureWindowsPath

import click

from xiaozhi_persona.commands.common import common_options, prepare, print_json
from xiaozhi_persona.commands.own_settings import own_file, put_settings
from xiaozhi_persona.errors import SettingsError, own_command
from xiaozhi_persona.language import later, tr
from xiaozhi_persona.providers.tts.gpt_sovits.probe import DEFAULT_PORT
from xiaozhi_persona.roles.role import Role, role_of_settings
from xiaozhi_persona.settings_files import find_files

_START = {
    api: f"python {script} -a 0.0.0.0 -p {DEFAULT_PORT}"
    for api, script in (("v1", "api.py"), ("v2", "api_v2.py"))
}
_README = later("""\
把这个压缩包解压到 GPT-SoVITS 那台机器的 {parent}，解压后应有 {folder}。
再在 GPT-SoVITS 的文件夹里启动它（让别的机器也能访问）：
  {start}
""")


@click.command("send")
@click.argument("role_id", metavar="角色", required=False)
@click.option("--to", "parent", help="解压到 GPT-SoVITS 那台机器的哪个文件夹，如 D:\\voices 或 /srv/voices")
@click.option("--out", type=click.Path(path_type=Path), help="压缩包写到哪里，默认 out/角色-voices.zip")
@common_options
def send(
    role_id: str | None, parent: str | None, out: Path | None, config: Path | None, as_json: bool, debug: bool
) -> None:
    """GPT-SoVITS 在别的机器上时：把角色的参考音频打成一个压缩包，说明解压到哪里，并记下那个文件夹。"""
    settings = prepare(config, debug)
    role = role_of_settings(settings, role_id or "")
    files = _files_of(role)
    if not files:
        raise SettingsError(
            tr(
                "角色 {id} 没有参考音频，没有要送过去的。放进 {value} 再运行。",
                id=role.id,
                value=role.folder / "refs",
            )
        )
    if not parent:
        parent = _parent_of(role.sheet.server_dir) or click.prompt(
            tr("解压到 GPT-SoVITS 那台机器的哪个文件夹（如 D:\\voices 或 /srv/voices）"), err=True
        )
    folder = _folder_there(parent, role.id)
    start = _START["v1" if settings.gpt_sovits.api == "v1" else "v2"]
    told = tr(_README, parent=parent, folder=folder, start=start)
    out = out or Path("out", f"{role.id}-voices.zip")
    _pack(role, files, told, out)
    put_settings(own_file(find_files(config)), {"gpt_sovits.server_dirs": {role.id: folder}})
    test = own_command(f"voices test --role {role.id}")
    if as_json:
        print_json({"zip": str(out), "files": len(files), "server_dir": folder, "start": start})
        return
    click.echo(
        tr(
            "角色 {id} 的 {count} 个文件打包在 {absolute}\n{told}",
            id=role.id,
            count=len(files),
            absolute=out.absolute(),
            told=told,
        ),
        nl=False,
    )
    click.echo(
        tr(
            "已记下 gpt_sovits.server_dirs.{id}: {folder}。之后运行 {test}",
            id=role.id,
            folder=folder,
            test=test,
        )
    )


def _folder_there(parent: str, role_id: str) -> str:
    """Return the folder of the role in `parent`, a full path of either kind of system. Raises SettingsError."""
    windows = PureWindowsPath(parent)
    kind = PureWindowsPath if windows.drive else PurePosixPath
    path = kind(parent)
    if not path.is_absolute():
        raise SettingsError(
            tr("{parent} 不是完整的路径。写成 D:\\voices 或 /srv/voices 这样。", parent=parent)
        )
    return str(path / role_id)


def _parent_of(server_dir: str) -> str:
    """Return the folder around a role's folder that is known already, "" when none is."""
    if not server_dir:
        return ""
    return str((PureWindowsPath if PureWindowsPath(server_dir).drive else PurePosixPath)(server_dir).parent)


def _files_of(role: Role) -> list[Path]:
    """Return the files of a pack that its synthesizer reads: clips with their texts, and weights."""
    sounds = [file for clip in role.clips if clip.file for file in (clip.file, *clip.aux_files)]
    texts = [sound.with_suffix(suffix) for sound in sounds for suffix in (".txt", ".lab")]
    weights = [role.folder / text for text in (role.sheet.gpt_weights, role.sheet.sovits_weights) if text]
    inside = (file for file in sounds + texts + weights if file.is_file() and role.folder in file.parents)
    return list(dict.fromkeys(inside))


def _pack(role: Role, files: list[Path], told: str, out: Path) -> None:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(tr("{id}/先读我.txt", id=role.id), "\ufeff" + told.replace("\n", "\r\n"))
            for file in files:
                archive.write(file, f"{role.id}/{file.relative_to(role.folder).as_posix()}")
    except OSError as exc:
        raise SettingsError(
            tr("写不了 {out}（{strerror}）。用 --out 换一个能写的地方。", out=out, strerror=exc.strerror)
        ) from exc
