"""`xiaozhi-persona roles`: role packs shown, checked, mended and imported."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import click
from rich.text import Text

from xiaozhi_persona.commands.common import common_options, prepare, print_json
from xiaozhi_persona.commands.roles_pick import pick
from xiaozhi_persona.commands.tables import Cell, print_table
from xiaozhi_persona.errors import PersonaError, own_command
from xiaozhi_persona.language import later, tr
from xiaozhi_persona.roles.check import ClipReport, Finding, check_clips, check_sheet
from xiaozhi_persona.roles.fix import Mended, fix_role
from xiaozhi_persona.roles.importers.kinds import KINDS, ImportKind, import_role
from xiaozhi_persona.roles.pack import RoleSheet
from xiaozhi_persona.roles.role import PACKS, Role, folders_without_sheet, role_folders, role_of_settings
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.spine import Recollection

_MARKS = {"error": (later("错误"), "red"), "warning": (later("注意"), "yellow"), "": (later("好"), "green")}
_KIND_NAMES = {
    "taken": later("取用"),
    "changed": later("改了"),
    "ignored": later("没用"),
    "warning": later("注意"),
    "error": later("错误"),
}


@click.group("roles", invoke_without_command=True)
@common_options
@click.pass_context
def command(ctx: click.Context, config: Path | None, as_json: bool, debug: bool) -> None:
    """角色包：名字、性格、声音。不写子命令时列出现有的角色；每个子命令都可以加 --help。"""
    given = {"config": config, "as_json": as_json, "debug": debug}
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_roles, **given)
    ctx.default_map = dict.fromkeys(command.commands, {key: value for key, value in given.items() if value})


@command.command("list")
@common_options
def list_roles(config: Path | None, as_json: bool, debug: bool) -> None:
    """列出现有的角色。"""
    settings = prepare(config, debug)
    rows, errors = [], {}
    for role_id, folder in role_folders(settings.data_dir).items():
        try:
            role = role_of_settings(settings, role_id)
        except PersonaError as exc:
            row: dict[str, Any] = {"id": role_id, "error": str(exc)}
            errors[role_id] = str(exc)
            rows.append([role_id, tr("读不了"), "", "", ""])
        else:
            bundled = folder.parent == PACKS
            row = {"id": role_id, "name": role.name, "clips": len(role.clips), "tags": role.tags}
            row |= {"bundled": bundled, "folder": str(folder)}
            tags = tr("、").join(role.tags) if role.clips else tr("全部")
            place = tr("自带") if bundled else str(folder)
            rows.append([role_id, role.name, str(len(role.clips)), tags, place])
        if as_json:
            print_json(row)
    for role_id, missing in folders_without_sheet(settings.data_dir).items():
        errors.setdefault(role_id, missing)
        if as_json:
            print_json({"id": role_id, "error": missing})
    if not as_json:
        columns = [tr("角色"), tr("名字"), tr("参考音频"), tr("感情标签"), tr("在哪里")]
        print_table(columns, rows, wraps=(tr("感情标签"),), right=(tr("参考音频"),))
        for role_id, error in errors.items():
            click.echo(tr("{role_id} 读不了：{error}", role_id=role_id, error=error))


@command.command("show")
@click.argument("role_id", metavar="ID")
@common_options
def show(role_id: str, config: Path | None, as_json: bool, debug: bool) -> None:
    """显示一个角色的设定、参考音频和提示词。"""
    role = role_of_settings(prepare(config, debug), role_id)
    prompt = role.system_prompt(datetime.now().astimezone(), Recollection())
    if as_json:
        clips = [{"emotion": clip.name, **asdict(clip.reference)} for clip in role.clips]
        lore = [str(file) for file in role.lore_files]
        shown = {"id": role.id, "folder": str(role.folder), "tags": role.tags, "clips": clips, "lore": lore}
        print_json({**role.sheet.model_dump(), **shown, "system_prompt": prompt})
        return
    click.echo(tr("{name}（{id}）  {folder}", name=role.name, id=role.id, folder=role.folder))
    for title, text in (
        (tr("语言"), role.voice.language),
        (tr("声音"), tr("、").join(_named_voices(role.sheet))),
        (tr("GPT 权重"), role.voice.weights.get("gpt")),
        (tr("SoVITS 权重"), role.voice.weights.get("sovits")),
        (tr("合成参数"), ", ".join(f"{key}: {value}" for key, value in role.voice.parameters.items())),
        (tr("感情来源"), " > ".join(role.emotion_sources)),
        (tr("世界书"), tr("、").join(file.name for file in role.lore_files)),
    ):
        if text:
            click.echo(tr("{title}：{value}", title=title, value=text))
    if role.clips:
        rows = []
        for clip in role.clips:
            face = clip.emotion.face if clip.emotion else "neutral"
            ref = clip.reference
            path = ref.path
            if clip.file and not role.sheet.server_dir:
                path = clip.file.relative_to(role.folder).as_posix()
            rows.append(
                [clip.name or tr("默认"), face, path, ref.language, ref.text, str(len(ref.aux_paths) or "")]
            )
        columns = [tr("感情"), tr("表情"), tr("参考音频"), tr("语言"), tr("文字"), tr("辅助")]
        print_table(columns, rows, wraps=(tr("文字"),), right=(tr("辅助"),))
    click.echo(tr("\n提示词：\n{prompt}", prompt=prompt))


@command.command("check")
@click.argument("role_id", metavar="[ID]", required=False)
@common_options
def check(role_id: str | None, config: Path | None, as_json: bool, debug: bool) -> None:
    """检查角色的参考音频能不能用，各打 0 到 100 分；ID 默认取设置里的 role。有错误时退出码为 1。"""
    settings = prepare(config, debug)
    role = role_of_settings(settings, role_id or "")
    reports, others = check_clips(role), list(check_sheet(role))
    findings = [finding for report in reports for finding in report.findings] + others
    errors = sum(finding.level == "error" for finding in findings)
    if as_json:
        for report in reports:
            print_json(_report_json(report))
        for finding in others:
            print_json(asdict(finding))
        print_json({"role": role.id, "errors": errors, "warnings": len(findings) - errors})
    else:
        _print_reports(role, reports, findings)
        click.echo(
            tr(
                "{name}：{count} 个音频，{errors} 个错误，{value} 处注意",
                name=role.name,
                count=len(reports),
                errors=errors,
                value=len(findings) - errors,
            )
        )
    sys.exit(1 if errors else 0)


@command.command("fix")
@click.argument("role_id", metavar="ID")
@click.option("--name", help="新角色的 ID，默认是 ID-fixed")
@common_options
def fix(role_id: str, name: str | None, config: Path | None, as_json: bool, debug: bool) -> None:
    """把参考音频剪到 3 到 10 秒、转换格式、听写缺的文字，存成一个新角色；原来的不动。"""
    settings = prepare(config, debug)
    role = role_of_settings(settings, role_id)
    folder, mended = asyncio.run(_fix(role, settings, name or f"{role.id}-fixed"))
    if as_json:
        for item in mended:
            print_json(asdict(item))
        print_json({"role": folder.name, "folder": str(folder)} if folder else {"role": role.id})
        return
    rows = [[item.where, tr("；").join(item.done) or tr("没有改"), item.problem] for item in mended]
    print_table(
        [tr("音频"), tr("做了什么"), tr("还要做什么")], rows, wraps=(tr("做了什么"), tr("还要做什么"))
    )
    if folder is None:
        click.echo(
            tr("没有能替你改的，没有另存角色。检查：{command}", command=own_command(f"roles check {role.id}"))
        )
    else:
        click.echo(
            tr(
                "已存成角色 {name}：{folder}\n再检查一遍：{command}",
                name=folder.name,
                folder=folder,
                command=own_command(f"roles check {folder.name}"),
            )
        )


@command.command("import")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--name", default="", help="新角色的 ID，默认取角色的名字")
@click.option("--kind", type=click.Choice(KINDS), help="原来的形式，默认自动认")
@common_options
def import_command(
    path: Path, name: str, kind: str | None, config: Path | None, as_json: bool, debug: bool
) -> None:
    """导入角色，存在数据文件夹的 roles/ 里；有服务器会拒绝的东西时退出码为 1。

    能导入：SillyTavern 角色卡（PNG、JSON）、infer_config.json、MoeChat、CABM、LingChat 的角色文件夹、
    小智服务端的配置、放着参考音频的文件夹。
    """
    settings = prepare(config, debug)
    role, changes = import_role(path, settings.data_dir / "roles", name, cast("ImportKind | None", kind))
    errors = [change for change in changes if change.kind == "error"]
    if as_json:
        for change in changes:
            print_json(asdict(change))
        print_json(
            {"role": role.id, "folder": str(role.folder), "clips": len(role.clips), "errors": len(errors)}
        )
        sys.exit(1 if errors else 0)
    rows = [[change.source, tr(_KIND_NAMES[change.kind]), change.target, change.note] for change in changes]
    print_table([tr("原来的"), "", tr("写到"), tr("说明")], rows, wraps=(tr("说明"),))
    click.echo(
        tr(
            "已导入角色 {id}：{folder}\n检查参考音频：{command}",
            id=role.id,
            folder=role.folder,
            command=own_command(f"roles check {role.id}"),
        )
    )
    if errors:
        click.echo(tr("有 {count} 处错误，见上面的表。", count=len(errors)))
    sys.exit(1 if errors else 0)


command.add_command(pick)


async def _fix(role: Role, settings: Settings, name: str) -> tuple[Path | None, list[Mended]]:
    """Mend with the configured recognizer; the embedded one knows a few sentences only and would write nonsense."""
    roles_dir = settings.data_dir / "roles"
    from xiaozhi_persona.providers.asr.engine import open_recognizer

    recognizer = open_recognizer(settings)
    try:
        if recognizer.advice:  # it is the embedded one
            return await fix_role(role, roles_dir, name)
        await recognizer.load()
        return await fix_role(role, roles_dir, name, recognizer)
    finally:
        await recognizer.aclose()


def _report_json(report: ClipReport) -> dict[str, Any]:
    sound = report.sound
    measured = (
        {
            "seconds": round(sound.seconds, 3),
            "sample_rate_hz": sound.sample_rate_hz,
            "channels": sound.channels,
            "bits": sound.bits,
            "level_dbfs": round(sound.level_dbfs, 1) if sound.level_dbfs > -200 else None,
            "peak_dbfs": round(sound.peak_dbfs, 1) if sound.peak_dbfs > -200 else None,
        }
        if sound
        else {}
    )
    return {
        "clip": report.where,
        "emotion": report.clip.name,
        "points": report.points,
        **measured,
        "aux": report.is_aux,
        "text": "" if report.is_aux else report.clip.reference.text,
        "findings": [asdict(finding) for finding in report.findings],
    }


def _print_reports(role: Role, reports: list[ClipReport], findings: list[Finding]) -> None:
    rows: list[list[Cell]] = []
    for report in reports:
        sound, levels = report.sound, sorted(finding.level for finding in report.findings)
        rows.append(
            [
                report.clip.name or tr("默认"),
                report.where,
                "" if report.points is None else str(report.points),
                f"{sound.seconds:.2f}" if sound else "",
                str(sound.sample_rate_hz) if sound else "",
                f"{sound.level_dbfs:.0f} dB" if sound else "",
                tr("（辅助）") if report.is_aux else report.clip.reference.text,
                Text(*_mark(levels[0] if levels else "")),
            ]
        )
    if reports:
        columns = [tr("感情"), tr("音频"), tr("分"), tr("秒"), tr("采样率"), tr("音量"), tr("文字"), ""]
        print_table(columns, rows, wraps=(tr("文字"),), right=(tr("分"), tr("秒"), tr("采样率"), tr("音量")))
    for finding in findings:
        word, color = _mark(finding.level)
        click.echo(
            tr(
                "{style} {where}：{message}",
                style=click.style(word, fg=color),
                where=finding.where,
                message=finding.message,
            )
        )


def _mark(level: str) -> tuple[str, str]:
    word, color = _MARKS[level]
    return tr(word), color


def _named_voices(sheet: RoleSheet) -> list[str]:
    of_emotions = [tr("{emotion}：{voice}", emotion=key, voice=name) for key, name in sheet.voices.items()]
    return [name for name in [sheet.voice, *of_emotions] if name]
