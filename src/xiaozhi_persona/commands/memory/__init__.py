"""`xiaozhi-persona memory`: the memory by hand. Each subcommand is a module of this folder."""

from __future__ import annotations

import click

from xiaozhi_persona.commands.lazy_group import LazyGroup, show_help_alone

_SUBCOMMANDS = {
    "owners": "有谁的记忆",
    "when": "一句话里的时间指的是哪一段",
    "add": "记下一句话",
    "import": "导入 JSONL，或别的程序的记忆",
    "recall": "一个问题会让它想起什么",
    "search": "按词查找说过的话",
    "facts": "记住的事实：列出、改正、删除",
    "diary": "对话模型把每天的谈话写成的日记",
    "export": "导出为 JSONL",
    "forget": "忘掉一段时间、一个人、一件事或全部",
    "rebuild": "由谈话记录重建索引",
    "stats": "有多少记录，占多大地方",
}


@click.command(
    "memory",
    cls=LazyGroup,
    purposes=_SUBCOMMANDS,
    module_prefix="xiaozhi_persona.commands.memory.",
    invoke_without_command=True,
)
@click.pass_context
def command(ctx: click.Context) -> int:
    """记忆：查看、导入、改正、忘掉。"""
    return show_help_alone(ctx)
