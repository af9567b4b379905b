"""The command `xiaozhi-persona`. Each subcommand is a module of xiaozhi_persona.commands, imported when it is asked for."""

from __future__ import annotations

import codecs
import difflib
import io
import os
import sys
import traceback

import click

from xiaozhi_persona import __version__
from xiaozhi_persona.commands.lazy_group import LazyGroup, show_help_alone, translate_help
from xiaozhi_persona.errors import PersonaError, own_command, pip_install
from xiaozhi_persona.language import VARIABLE, set_language, tr
from xiaozhi_persona.settings_files import written_language

COMMANDS = {
    "serve": "启动桥：设备连接的服务",
    "talk": "当一台设备，和服务器说话",
    "speak": "把一段话合成为声音",
    "transcribe": "识别 WAV 文件；比较几个模型",
    "roles": "角色包：列出、检查、修整、导入，从录音里挑音频",
    "voices": "语音合成的服务器和声音：列出、试说",
    "devices": "设备：列出、批准、忘掉、起名",
    "memory": "记忆：查看、导入、改正、忘掉",
    "intent": "本地意图：看一句话是哪个",
    "install": "装进小智服务端（xiaozhi-esp32-server）",
    "uninstall": "从小智服务端里卸载",
    "doctor": "检查哪里有毛病，说下一步做什么",
    "init": "写出你自己的设置文件",
    "set": "写一项设置，或显示它",
}


@click.command(
    cls=LazyGroup,
    purposes=COMMANDS,
    module_prefix="xiaozhi_persona.commands.",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, message="%(version)s")
@click.pass_context
def xiaozhi_persona(ctx: click.Context) -> int:
    """小智设备的声音、耳朵、记忆和性格。每个命令都可以加 --help。"""
    return show_help_alone(ctx)


def _in_chinese(exc: click.UsageError) -> str:
    if isinstance(exc, click.NoSuchOption):
        near = tr("，是不是 {value}？", value=exc.possibilities[0]) if exc.possibilities else ""
        return tr("没有选项 {option_name}", option_name=exc.option_name) + near
    if isinstance(exc, click.MissingParameter) and exc.param:
        return tr("缺少 {value}", value=exc.param.get_error_hint(exc.ctx) if exc.ctx else exc.param.name)
    if isinstance(exc, click.BadParameter) and exc.param and exc.ctx:
        return tr(
            "{get_error_hint} 的值不对：{message}",
            get_error_hint=exc.param.get_error_hint(exc.ctx),
            message=exc.message,
        )
    if exc.message.startswith("No such command '"):
        name = exc.message.split("'")[1]
        group = exc.ctx.command if exc.ctx else None
        known = group.list_commands(exc.ctx) if isinstance(group, click.Group) and exc.ctx else []
        near = "".join(
            tr("，是不是 {value}？", value=one) for one in difflib.get_close_matches(name, known, 1)
        )
        return tr("没有命令 {name}", name=name) + near
    if exc.message.startswith("Got unexpected extra argument"):
        return tr("多了 {words}。有空格的话要用引号括起来", words=exc.message.partition("(")[2].rstrip(")"))
    if isinstance(exc, click.BadOptionUsage) and "requires" in exc.message:
        return tr("{option_name} 后面要写一个值", option_name=exc.option_name)
    return exc.format_message()


_NEAREST = {"✓": "v", "✗": "x", "→": "->"}
"""What stands for the marks that many terminals lack."""


def _nearest(exc: UnicodeError) -> tuple[str, int]:
    """Replace what an encoding lacks."""
    if not isinstance(exc, UnicodeEncodeError):
        raise exc
    return "".join(_NEAREST.get(char, "?") for char in exc.object[exc.start : exc.end]), exc.end


def _set_output_encoding() -> None:
    """Let the outputs take any character: a file or a pipe gets UTF-8, a terminal the nearest that it can show, or ?."""
    codecs.register_error("nearest", _nearest)
    for stream in (sys.stdout, sys.stderr):
        if not isinstance(stream, io.TextIOWrapper):
            continue
        if stream.isatty():
            stream.reconfigure(errors="nearest")
        else:  # half a character (a lone surrogate), which UTF-8 cannot hold, is written as its escape
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def main() -> None:
    """Run the command; errors end in one or two lines and exit code 1 (a failure) or 2 (wrong use or settings)."""
    _set_output_encoding()
    set_language(os.environ.get(VARIABLE) or written_language() or "auto")
    translate_help(xiaozhi_persona)
    try:
        code = xiaozhi_persona.main(prog_name=own_command(), standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except PersonaError as exc:
        if "--debug" in sys.argv:
            traceback.print_exc()
        click.echo(tr("错误：{exc}", exc=exc), err=True)
        sys.exit(exc.exit_code)
    except click.UsageError as exc:
        where = exc.ctx.command_path if exc.ctx else own_command()
        click.echo(
            tr("用法不对：{in_chinese}\n看看 {where} --help", in_chinese=_in_chinese(exc), where=where),
            err=True,
        )
        sys.exit(2)
    except click.ClickException as exc:
        click.echo(tr("错误：{format_message}", format_message=exc.format_message()), err=True)
        sys.exit(1)
    except (KeyboardInterrupt, click.Abort) as exc:
        if isinstance(exc.__context__, EOFError):
            click.echo(err=True)  # the question ended no line
            click.echo(
                tr("有一个问题要问，可是这里没有终端。加上 --help 再运行一次，看看能先写好答案的选项。"),
                err=True,
            )
            sys.exit(2)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone
        sys.exit(1)
    except Exception as exc:
        if "--debug" in sys.argv:
            raise
        package = (exc.name or "").split(".")[0] if isinstance(exc, ModuleNotFoundError) else ""
        if package and package != __package__:  # installed by hand, without the extra that this command needs
            lacking = tr(
                "这个命令要用 {package}，还没有装。运行 {command}",
                package=package,
                command=pip_install(package),
            )
            click.echo(tr("错误：{exc}", exc=lacking), err=True)
            sys.exit(1)
        click.echo(
            tr(
                "出了意外的错误：{name}: {exc}\n加上 --debug 再运行一次可看到细节。",
                name=type(exc).__name__,
                exc=exc,
            ),
            err=True,
        )
        sys.exit(1)
