"""`xiaozhi-persona uninstall`: xiaozhi-esp32-server as it was before install."""

from __future__ import annotations

from pathlib import Path

import click

from xiaozhi_persona.commands.common import common_options, prepare, print_json
from xiaozhi_persona.errors import SettingsError, own_command
from xiaozhi_persona.installer.manifest import Tree
from xiaozhi_persona.installer.removal import Removal, uninstall
from xiaozhi_persona.installer.survey import find_server
from xiaozhi_persona.language import tr


@click.command("uninstall")
@click.argument("host", required=False, type=click.Path(path_type=Path))
@click.option("--purge", is_flag=True, help="连 data/xiaozhi-persona 里的角色、记忆和缓存一起删去")
@click.option(
    "--docker",
    type=click.Path(path_type=Path),
    help="小智服务端用 Docker 时，写它的 compose 文件所在的文件夹",
)
@common_options
def command(
    host: Path | None, purge: bool, docker: Path | None, config: Path | None, as_json: bool, debug: bool
) -> None:
    """把小智服务端（xiaozhi-esp32-server）还原成安装以前的样子。HOST 是它的文件夹。

    后来自己改过的地方不动，会列出来；角色和记忆也留着，除非加上 --purge。
    """
    if config:  # ./config.yaml is the host's own where this is run in its folder
        prepare(config, debug)
    if docker and host:
        raise SettingsError(tr("HOST 和 --docker 只写一个：Docker 里的小智服务端用 --docker。"))
    if docker:
        from xiaozhi_persona.installer.docker import data_folder, uninstall_docker

        data = data_folder(docker)
        _report(uninstall(Tree(data.parent, data), purge=purge), as_json, quiet=True)
        for line in uninstall_docker(docker):
            _say(line, as_json)
        return
    if host is None:
        raise SettingsError(
            tr(
                "缺少小智服务端的文件夹。写成 {command}，Docker 里的用 --docker。",
                command=own_command("uninstall HOST"),
            )
        )
    server = find_server(host)
    _report(uninstall(Tree(server, server / "data"), purge=purge), as_json)


def _report(removal: Removal, as_json: bool, quiet: bool = False) -> None:
    for action, word, paths in (
        ("restore", tr("还原了"), removal.restored),
        ("remove", tr("删了"), removal.removed),
    ):
        for path in paths:
            if as_json:
                print_json({"path": str(path), "action": action})
            else:
                click.echo(f"{word} {path}")
    if removal.left and not as_json:
        click.echo(tr("留着没有动的："))
    for line in removal.left:
        if as_json:
            print_json({"left": line})
        else:
            click.echo(f"  {line}")
    if quiet:
        return
    if removal.restored or removal.removed:
        _say(tr("卸载好了。下一步：重启小智服务端。"), as_json)
    else:
        _say(tr("这里没有装过，或已经卸载，没有要改的。"), as_json)


def _say(line: str, as_json: bool) -> None:
    if as_json:
        print_json({"message": line})
    else:
        click.echo(line)
