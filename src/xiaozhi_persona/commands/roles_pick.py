"""`xiaozhi-persona roles pick`: the best reference clips among recordings, shown, played, and written into a role."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from xiaozhi_persona.commands.common import common_options, prepare, print_json
from xiaozhi_persona.commands.tables import print_table
from xiaozhi_persona.errors import PackageMissing, SettingsError, own_command, pip_install
from xiaozhi_persona.language import tr
from xiaozhi_persona.roles.files import safe_name
from xiaozhi_persona.roles.pick import Candidate, Picker, recordings_in, sounds_of_candidates, write_clips
from xiaozhi_persona.roles.role import PACKS, Role, load_pack, role_folders
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.spine import SpeechRecognizer
from xiaozhi_persona.text.emotions import built_in_names


@click.command("pick")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--role", "role_id", default="", metavar="ID", help="为哪个角色挑，没有这个角色时 --write 新建")
@click.option("--count", default=3, type=click.IntRange(1, 20), help="每种感情最多挑几段，默认 3")
@click.option("--play", is_flag=True, help="一段一段放出来听")
@click.option("--write", is_flag=True, help="连同文字写进角色的 refs/感情/")
@common_options
def pick(
    folder: Path,
    role_id: str,
    count: int,
    play: bool,
    write: bool,
    config: Path | None,
    as_json: bool,
    debug: bool,
) -> None:
    """从一个文件夹的录音里挑出每种感情最好的参考音频：在停顿处剪成 3 到 10 秒，打分；不加 --write 只看不写。"""
    settings = prepare(config, debug)
    pack = _pack(settings, role_id) if role_id else None
    if write and pack is None:
        raise SettingsError(tr("写进哪个角色？加上 --role，如 --role xiaomei"))
    playing = _player() if play else None
    role = load_pack(pack) if pack and (pack / "role.yaml").is_file() else None
    files = recordings_in(folder)
    picker, can_hear = asyncio.run(_listen(settings, folder, files, role, as_json))
    chosen = picker.best(count)
    if playing:
        _play(chosen, playing)
    written = write_clips(chosen, pack) if write and pack and chosen else {}
    if as_json:
        _print_json(picker, chosen, written)
    else:
        _print(picker, chosen, written, folder, pack, can_hear)
    sys.exit(0 if chosen else 1)


def _pack(settings: Settings, role_id: str) -> Path:
    """Return the folder of the role, which need not be there. Raises SettingsError for a bundled one, or a bad name."""
    if safe_name(role_id) != role_id:
        raise SettingsError(tr("{name!r} 不能作角色的名字。用 --role 换一个。", name=role_id))
    folder = role_folders(settings.data_dir).get(role_id, settings.data_dir / "roles" / role_id)
    if folder.parent == PACKS:
        raise SettingsError(tr("{role_id} 是自带的角色，不能改。用 --role 换一个名字。", role_id=role_id))
    return folder


async def _listen(
    settings: Settings, folder: Path, files: list[Path], role: Role | None, as_json: bool
) -> tuple[Picker, bool]:
    """Listen to all recordings, with the configured recognizer; the embedded one knows a few sentences only."""
    from xiaozhi_persona.providers.asr.engine import open_recognizer
    from xiaozhi_persona.providers.speech.lexicon import feeling_of

    def feeling(text: str) -> str:
        found = feeling_of(text)
        return found.label if found else ""

    recognizer = open_recognizer(settings)
    try:
        heard_by: SpeechRecognizer | None = None
        if not recognizer.advice:
            await recognizer.load()
            heard_by = recognizer
        names = role.emotion_names if role else built_in_names()
        picker = Picker(folder, names, feeling, heard_by, role.sheet.reference_language if role else "")
        with _progress(files, as_json) as told:
            for file in files:
                await picker.listen(file, told)
        return picker, heard_by is not None
    finally:
        await recognizer.aclose()


@contextlib.contextmanager
def _progress(files: list[Path], as_json: bool) -> Iterator[Callable[[float], None]]:
    """Show how much of the recordings was listened to, where the standard error output is a terminal."""
    if not sys.stderr.isatty() or (as_json and sys.stdout.isatty()):
        yield lambda seconds: None
        return
    from xiaozhi_persona.audio.recordings import open_recording

    minutes = 0.0
    for file in files:
        with contextlib.suppress(SettingsError):
            minutes += open_recording(file).seconds / 60
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn(tr("{{task.completed:.1f}} / {{task.total:.1f}} 分钟")),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as progress:
        task = progress.add_task(tr("听"), total=minutes)
        yield lambda seconds: progress.advance(task, seconds / 60 / 2)  # each is read twice


def _print(
    picker: Picker,
    chosen: list[Candidate],
    written: dict[Candidate, Path],
    folder: Path,
    pack: Path | None,
    can_hear: bool,
) -> None:
    rows = []
    for candidate in chosen:
        begin, end = candidate.span
        rows.append(
            [
                candidate.emotion,
                str(candidate.judgement.points),
                _name(candidate.file, folder),
                f"{int(begin) // 60}:{begin % 60:04.1f}",
                f"{end - begin:.1f}",
                candidate.text,
                tr("；").join(flaw.message for flaw in candidate.judgement.flaws if flaw.level == "warning"),
            ]
        )
    if rows:
        columns = [tr("感情"), tr("分"), tr("录音"), tr("从"), tr("秒"), tr("文字"), tr("要注意的")]
        print_table(columns, rows, wraps=(tr("文字"), tr("要注意的")), right=(tr("分"), tr("从"), tr("秒")))
    for file, reason in picker.left_out.items():
        click.echo(tr("没有用 {file}：{reason}", file=_name(file, folder), reason=reason))
    if picker.trouble:
        click.echo(tr("有的没有听写出来：{trouble}", trouble=picker.trouble))
    if not chosen:
        click.echo(tr("没有找到能用的。要一个人说的、安静的、有停顿的录音。"))
        return
    click.echo(tr("{found} 段能用，挑了 {chosen} 段", found=len(picker.candidates), chosen=len(chosen)))
    if not can_hear and not all(candidate.text for candidate in chosen):
        click.echo(tr("没有文字的要补：在设置里配好 asr.model 再挑一次就能听写，或写进同名的 .txt"))
    if written and pack:
        click.echo(
            tr(
                "已写进 {refs}\n检查：{command}",
                refs=pack / "refs",
                command=own_command(f"roles check {pack.name}"),
            )
        )
    else:
        click.echo(tr("加 --play 放出来听，加 --role 名字 --write 写进角色"))


def _name(file: Path, folder: Path) -> str:
    return file.relative_to(folder).as_posix() if file != folder else file.name


def _print_json(picker: Picker, chosen: list[Candidate], written: dict[Candidate, Path]) -> None:
    for candidate in chosen:
        row: dict[str, Any] = {"emotion": candidate.emotion, "points": candidate.judgement.points}
        row |= {"file": str(candidate.file), "begin_s": round(candidate.span[0], 2)}
        row |= {"end_s": round(candidate.span[1], 2), "text": candidate.text}
        row["flaws"] = [flaw.message for flaw in candidate.judgement.flaws]
        if candidate in written:
            row["written"] = str(written[candidate])
        print_json(row)
    for file, reason in picker.left_out.items():
        print_json({"left_out": str(file), "reason": reason})
    print_json({"candidates": len(picker.candidates), "chosen": len(chosen)})


def _player() -> Any:
    """Return the library that plays. Raises PackageMissing, before anything takes long."""
    try:
        import sounddevice
    except (ImportError, OSError) as exc:  # OSError: PortAudio itself is missing
        raise PackageMissing(
            tr(
                "要放声音请装 sounddevice：运行 {command}；Linux 上还要 apt install libportaudio2",
                command=pip_install("sounddevice"),
            )
        ) from exc
    return sounddevice


def _play(chosen: list[Candidate], sounddevice: Any) -> None:
    """Play each clip after its line; Ctrl+C ends the playing."""
    try:
        for number, (candidate, sound) in enumerate(sounds_of_candidates(chosen), 1):
            told = f"{number}/{len(chosen)}  【{candidate.emotion}】{candidate.text or candidate.file.name}"
            click.echo(told, err=True)
            sounddevice.play(sound.samples, sound.sample_rate_hz, blocking=True)
    except KeyboardInterrupt:
        sounddevice.stop()
    except sounddevice.PortAudioError as exc:
        click.echo(tr("放不出声音：{exc}。检查声卡和默认的输出设备", exc=exc), err=True)
