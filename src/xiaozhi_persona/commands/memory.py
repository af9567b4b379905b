"""`xiaozhi-persona memory`: the memory by hand. Each subcommand is a module, imported when it is asked for."""

from __future__ import annotations

import importlib

import click

_SUBCOMMANDS = {
    "when": ("memory_when", "一句话里的时间指的是哪一段"),
    "add": ("memory_add", "记下一句话"),
    "import": ("memory_import", "导入 JSONL，或别的程序的记忆"),
    "recall": ("memory_recall", "一个问题会让它想起什么"),
    "search": ("memory_search", "按词查找说过的话"),
    "facts": ("memory_facts", "记住的事实：列出、改正、删除"),
    "export": ("memory_export", "导出为 JSONL"),
    "forget": ("memory_forget", "忘掉一段时间、一个人、一件事或全部"),
    "rebuild": ("memory_rebuild", "由谈话记录重建索引"),
    "stats": ("memory_stats", "有多少记录，占多大地方"),
}


class _Subcommands(click.Group):
    """Finds the subcommands by name without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _SUBCOMMANDS:
            return None
        module = importlib.import_module(f"xiaozhi_persona.commands.{_SUBCOMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("命令"):
            formatter.write_dl([(name, text) for name, (_, text) in _SUBCOMMANDS.items()])


@click.command("memory", cls=_Subcommands)
def command() -> None:
    """记忆：查看、导入、改正、忘掉。"""
