"""`xiaozhi-persona install`: our voices, ears, memory and intents inside xiaozhi-esp32-server, with one command."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from xiaozhi_persona.commands.common import common_options, prepare, print_json
from xiaozhi_persona.errors import SettingsError, own_command
from xiaozhi_persona.installer.install import BACKUP, HOST_SETTINGS, Plan, apply, check, plan_install
from xiaozhi_persona.installer.manifest import OUR_FOLDER, Tree
from xiaozhi_persona.installer.merge import Wish, changes_for, merged, uses_our_ears
from xiaozhi_persona.installer.survey import Host, read_settings, survey, uses_console
from xiaozhi_persona.installer.yaml_edit import Edit
from xiaozhi_persona.language import later, tr
from xiaozhi_persona.providers.host.doors import DEFAULT_VOICE, DOORS, MEMORY, ROLE, TOOLS, VOICES
from xiaozhi_persona.roles.role import load_role

_HOW_TO_HEAR = later(
    "语音识别还是小智服务端自己的；要换成本程序的 FunASR，加上 --asr 模型的文件夹，再运行一次。"
)


@click.command("install")
@click.argument("host", required=False, type=click.Path(path_type=Path))
@click.option("--role", default="", help="角色；不写时设备用 data/xiaozhi-persona/config.yaml 里的")
@click.option("--url", default="", help="GPT-SoVITS 的地址，如 http://192.168.1.9:9880/tts")
@click.option(
    "--tts",
    type=click.Choice([*VOICES]),
    help="v1 用 api.py，v2_stream 用 api_v2.py（默认；已经选了其中一个时不变），voice 用 tts.engine 选的",
)
@click.option("--memory/--no-memory", default=True, help="用本程序的记忆（默认），或留着小智服务端自己选的")
@click.option(
    "--asr",
    default="",
    help="语音识别换成本程序的 FunASR：模型的文件夹，或模型库里的名字；不写时不动小智服务端自己选的",
)
@click.option(
    "--intent/--no-intent",
    default=True,
    help="音量、闹钟、换角色这些话在本地马上办（默认；选的是 function_call 或 nointent 时），或不管",
)
@click.option("--python", type=click.Path(path_type=Path), help="运行小智服务端的 Python，把本程序装进去")
@click.option("--replace", is_flag=True, help="换掉不是本程序写的同名文件；卸载时放回去")
@click.option("--print", "show_only", is_flag=True, help="只显示会写什么，不写")
@click.option("--doors-only", is_flag=True, help="只写入口文件，不改设置（做镜像时用）")
@click.option(
    "--docker",
    type=click.Path(path_type=Path),
    help="小智服务端用 Docker 时，写它的 compose 文件所在的文件夹",
)
@common_options
def command(
    host: Path | None,
    role: str,
    url: str,
    tts: str | None,
    memory: bool,
    asr: str,
    intent: bool,
    python: Path | None,
    replace: bool,
    show_only: bool,
    doors_only: bool,
    docker: Path | None,
    config: Path | None,
    as_json: bool,
    debug: bool,
) -> None:
    """把角色的声音、记忆和语音识别装进小智服务端（xiaozhi-esp32-server）。HOST 是它的文件夹。

    写入几个入口文件，在 data/.config.yaml 里选用它们（别处不动，旁边留备份）。再运行一次不会多改什么。
    """
    if config:  # ./config.yaml is the host's own where this is run in its folder
        prepare(config, debug)
    if url and not url.startswith(("http://", "https://")):
        raise SettingsError(tr("--url 的 {url!r} 不是地址。写成 http://192.168.1.9:9880/tts 这样。", url=url))
    wish = Wish(role, url, tts or "", memory, asr, intent)
    if docker:
        if host or python or doors_only:
            raise SettingsError(
                tr("--docker 只要 compose 文件所在的文件夹，不能和 HOST、--python、--doors-only 一起用。")
            )
        _install_docker(docker, wish, replace, show_only, as_json)
        return
    if host is None:
        raise SettingsError(
            tr(
                "缺少小智服务端的文件夹。写成 {command}，Docker 里的用 --docker。",
                command=own_command("install HOST"),
            )
        )
    found = survey(host)
    if found.missing:
        raise SettingsError(
            tr(
                "小智服务端 {version} 和本程序合不上：{missing}。"
                "请换用 0.9.1 到 0.9.6 的小智服务端，或升级 xiaozhi-persona。",
                version=found.version,
                missing=tr("；").join(found.missing),
            )
        )
    tree = Tree(found.server, found.data)
    load_role(role or "default", tree.path(OUR_FOLDER))
    if asr:
        wish = dataclasses.replace(wish, asr=_model(asr, found.server))
    changes = None
    settings = merged(read_settings(found.server / "config.yaml"), read_settings(tree.path(HOST_SETTINGS)))
    has_ears = bool(asr) or uses_our_ears(settings)
    if not doors_only and not found.uses_console:
        changes = changes_for(settings, wish)
    label = f"{found.version} {found.commit}".strip()
    plan = plan_install(tree, DOORS, changes=changes, with_data=not doors_only, replace=replace, host=label)
    if show_only:
        _show(plan, as_json)
    else:
        check(plan)
        if python:
            from xiaozhi_persona.installer.python import install_package

            _say(install_package(python, asr=has_ears), as_json)
        apply(plan)
        _report(plan, tr("小智服务端 {label}：{server}", label=label, server=found.server), as_json)
    if found.uses_console and not doors_only:
        _print_console_steps(found, tree, wish, "", as_json)
    if not show_only and not doors_only:
        _next_steps(found, host, python, has_ears, as_json)


def _model(asr: str, server: Path) -> str:
    """Return the model as the host's settings name it: a folder starts at the host's. Raises SettingsError."""
    from xiaozhi_persona.providers.asr.model_hub import is_hub_name
    from xiaozhi_persona.providers.asr.onnx_models import look_at

    folder = Path(asr).expanduser()
    there = next((place for place in (server / folder, folder) if place.is_dir()), None)
    if there is not None:
        if not (there / "model.pt").is_file():
            look_at(there)
        return str(folder if there == server / folder else folder.absolute())
    if is_hub_name(asr, server):
        return asr
    raise SettingsError(
        tr(
            "--asr 的 {asr!r} 没有这个文件夹（在这里和 {server} 里找过），也不像模型库里的名字（如 iic/SenseVoiceSmall-onnx）。"
            "请检查它。",
            asr=asr,
            server=server,
        )
    )


def _install_docker(folder: Path, wish: Wish, replace: bool, show_only: bool, as_json: bool) -> None:
    """Our files for docker beside the compose file, the settings in the folder that it mounts as data/."""
    from xiaozhi_persona.installer.docker import SERVER_URL, data_folder, install_docker

    data = data_folder(folder)
    tree = Tree(data.parent, data)
    load_role(wish.role or "default", tree.path(OUR_FOLDER))
    own = read_settings(tree.path(HOST_SETTINGS))
    changes = None if uses_console(own) else changes_for(own, wish, SERVER_URL)
    plan = plan_install(tree, (), changes=changes, replace=replace)
    has_ears = bool(wish.asr) or uses_our_ears(own)
    lines = install_docker(
        folder, show_only=True, asr=has_ears
    )  # what stands in its way is told before anything is written
    if show_only:
        _show(plan, as_json)
    else:
        apply(plan)
        _report(plan, tr("设置文件夹：{data}", data=data), as_json)
        lines = install_docker(folder, show_only=False, asr=has_ears)
    for line in lines:
        _say(line, as_json)
    for name, section in ((changes or {}).get("Intent") or {}).items():
        if "functions" in section and "Intent" not in own:
            _say(
                tr(
                    "Intent.{name}.functions 写的是小智服务端默认的功能加上本程序的工具；你的镜像默认的不同时，请补上。",
                    name=name,
                ),
                as_json,
            )
    if wish.asr:
        _say(
            tr(
                "语音识别的模型 {asr} 是容器里看到的：文件夹放进 {data}，写成 data/文件夹名；模型库里的名字第一次用时下载到那里。",
                asr=wish.asr,
                data=data,
            ),
            as_json,
        )
    if changes is None:
        _print_console_steps(None, tree, wish, SERVER_URL, as_json)
    if not show_only and not has_ears:
        _say(tr(_HOW_TO_HEAR), as_json)


def _show(plan: Plan, as_json: bool) -> None:
    for write in plan.writes:
        action = "add" if write.before is None else "change"
        if as_json:
            print_json({"path": str(write.path), "action": action, "done": False})
        else:
            click.echo(
                tr("会{value} {path}", value=tr("新写") if action == "add" else tr("改动"), path=write.path)
            )
    for note in plan.notes:
        _say(note, as_json)
    if not plan.writes:
        _say(tr("没有要改的。"), as_json)
    elif as_json:
        print_json({"diff": plan.diff()})
    elif plan.diff():
        click.echo(plan.diff())


def _report(plan: Plan, title: str, as_json: bool) -> None:
    if not as_json:
        click.echo(title)
    for write in plan.writes:
        action = "add" if write.before is None else "change"
        if as_json:
            print_json({"path": str(write.path), "action": action, "done": True})
        else:
            done = tr("写了") if action == "add" else tr("改了")
            click.echo(f"  {done} {write.path}")
    for edit in plan.edits:
        for line in _lines_of(edit):
            if not as_json:
                click.echo(f"    {line}")
    if any(write.path == BACKUP for write in plan.writes) and not as_json:
        click.echo(tr("    原来的 {name} 在 {BACKUP}", name=HOST_SETTINGS.name, BACKUP=BACKUP))
    for note in plan.notes:
        _say(note, as_json)
    if not plan.writes:
        _say(tr("已经装好了，没有要改的。"), as_json)


def _lines_of(edit: Edit) -> Iterator[str]:
    def leaves(path: Iterable[str], value: object) -> Iterator[str]:
        if isinstance(value, dict):
            for key, inner in value.items():
                yield from leaves((*path, key), inner)
        else:
            yield f"{'.'.join(path)}: {value}"

    if edit.path[-1] == edit.new:
        yield tr("{listed} 加上 {new}", listed=".".join(edit.path[:-1]), new=edit.new)
        return
    for line in leaves(edit.path, edit.new):
        yield (
            line
            if edit.old is None
            else tr("{line}（原来是 {value}）", line=line, value=edit.old or tr("空的"))
        )


def _print_console_steps(host: Host | None, tree: Tree, wish: Wish, url: str, as_json: bool) -> None:
    from xiaozhi_persona.installer.console import steps

    role = load_role(wish.role or "default", tree.path(OUR_FOLDER))
    doors = [
        door
        for door in DOORS
        if door.type == (wish.tts or DEFAULT_VOICE.type)
        or (door in (MEMORY, TOOLS) and wish.memory)
        or (door == ROLE and wish.intent)
        or (door.kind == "ASR" and wish.asr)
    ]
    for line in steps(host, role, wish.url or url or doors[0].url, doors, wish.asr):
        _say(line, as_json)


def _next_steps(found: Host, folder: Path, python: Path | None, has_ears: bool, as_json: bool) -> None:
    if not has_ears:
        _say(tr(_HOW_TO_HEAR), as_json)
    if not python:
        from xiaozhi_persona.installer.python import extras, package_source

        source = f'"{package_source()}[{extras(True)}]"' if has_ears else package_source()
        _say(
            tr(
                "小智服务端的 Python 里也要有本程序。没有装过，或者更新了本程序，就用那个 Python 运行："
                "python -m pip install {source}（或加上 --python 再运行一次 install）",
                source=source,
            ),
            as_json,
        )
    if not found.uses_console:
        _say(tr("下一步：重启小智服务端，再运行 {command}", command=own_command(f"doctor {folder}")), as_json)


def _say(line: str, as_json: bool) -> None:
    if as_json:
        print_json({"message": line})
    else:
        click.echo(line)
