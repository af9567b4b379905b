"""The command `xiaozhi-persona`. Each subcommand is a module of xiaozhi_persona.commands, imported when it is asked for."""

from __future__ import annotations

import sys
import traceback

import click

from xiaozhi_persona import __version__
from xiaozhi_persona.commands.lazy_group import LazyGroup
from xiaozhi_persona.errors import PersonaError

COMMANDS = {
    "serve": "启动桥：设备连接的服务",
    "talk": "当一台设备，和服务器说话",
    "speak": "把一段话合成为声音",
    "transcribe": "识别 WAV 文件；比较几个模型",
    "roles": "角色包：列出、检查、修整、导入",
    "voices": "GPT-SoVITS 的服务器和声音：列出、试说",
    "memory": "记忆：查看、导入、改正、忘掉",
    "install": "装进小智服务端（xiaozhi-esp32-server）",
    "uninstall": "从小智服务端里卸载",
    "doctor": "检查哪里有毛病，说下一步做什么",
    "init": "写出一份 config.yaml",
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
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
        return 2
    return 0


def _in_chinese(exc: click.UsageError) -> str:
    if isinstance(exc, click.NoSuchOption):
        return f"没有选项 {exc.option_name}"
    if isinstance(exc, click.MissingParameter) and exc.param:
        return f"缺少 {exc.param.get_error_hint(exc.ctx) if exc.ctx else exc.param.name}"
    if isinstance(exc, click.BadParameter) and exc.param and exc.ctx:
        return f"{exc.param.get_error_hint(exc.ctx)} 的值不对：{exc.message}"
    if exc.message.startswith("No such command '"):
        name = exc.message.split("'")[1]
        return f"没有命令 {name}"
    return exc.format_message()


def main() -> None:
    """Run the command; errors end in one or two lines and exit code 1 (a failure) or 2 (wrong use or settings)."""
    try:
        code = xiaozhi_persona.main(prog_name="xiaozhi-persona", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except PersonaError as exc:
        if "--debug" in sys.argv:
            traceback.print_exc()
        click.echo(f"错误：{exc}", err=True)
        sys.exit(exc.exit_code)
    except click.UsageError as exc:
        where = exc.ctx.command_path if exc.ctx else "xiaozhi-persona"
        click.echo(f"用法不对：{_in_chinese(exc)}\n看看 {where} --help", err=True)
        sys.exit(2)
    except click.ClickException as exc:
        click.echo(f"错误：{exc.format_message()}", err=True)
        sys.exit(1)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone
        sys.exit(1)
    except Exception as exc:
        if "--debug" in sys.argv:
            raise
        click.echo(
            f"出了意外的错误：{type(exc).__name__}: {exc}\n加上 --debug 再运行一次可看到细节。", err=True
        )
        sys.exit(1)
