"""The tools by which a chat model uses the memory: their names, and what it reads of them.

The texts are for small models: when to call, when not to, and what to write.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TOOL_BEGINNING = "persona_memory_"
"""All names begin with it."""

TOOL_NAMES: Mapping[str, str] = {
    tool: f"{TOOL_BEGINNING}{tool}" for tool in ("recall", "note", "correct", "forget", "off_record")
}
"""By what they do."""


def function_of(tool: str) -> dict[str, Any]:
    """Return the description of a tool as chat models take it: name, description, parameters."""
    description, properties, required = _TEXTS[tool]
    parameters = {"type": "object", "properties": properties, "required": list(required)}
    return {"name": TOOL_NAMES[tool], "description": description, "parameters": parameters}


_TEXTS: dict[str, tuple[str, dict[str, dict[str, Any]], tuple[str, ...]]] = {
    "recall": (
        "翻查以前的谈话和记下的事，按时间或话题。"
        "系统提示末尾的 memory 里已经有和这句话有关的记忆，够回答就直接回答，不要调用。"
        "只在这些时候调用：memory 里没有而用户问起以前的事；用户要再找、换个时间找；改正或忘掉以前要查编号。",
        {
            "query": {
                "type": "string",
                "description": "找什么，写成完整的问句，时间照用户的说法写。例：上周三我们聊了什么；我对什么过敏",
            }
        },
        ("query",),
    ),
    "note": (
        "用户明说“记住”“帮我记一下”时，记下一件事。谈话会自动记下，平常聊天不要调用。定闹钟、到时提醒不归它管。",
        {
            "content": {
                "type": "string",
                "description": "要记的事，一句话，用“我”指用户。例：我的车停在B2层；我妈妈的生日是3月5日",
            }
        },
        ("content",),
    ),
    "correct": (
        "用户说记错了、有变化时，改正一件记下的事。id 和 attribute 写一个就行。改的是用户的事才调用，你自己说错了不要调用。",
        {
            "value": {
                "type": "string",
                "description": "正确的内容，只写新的值。例：上海；3月5日。安排写时间和事：下周三下午三点看牙医",
            },
            "attribute": {"type": "string", "description": "改哪一样。例：住处；生日；妈妈的生日；鞋码"},
            "id": {
                "type": "string",
                "description": "persona_memory_recall 查到的编号，例：f12。没有就不写，不要编",
            },
        },
        ("value",),
    ),
    "forget": (
        "用户要你忘掉、删掉记忆里的内容时调用，忘掉就找不回来。分两步："
        "第一次只查出会忘掉什么，这时不会忘，把结果告诉用户，问他是不是确定；"
        "用户下一句同意了，再调用第二次，confirm 填 true。用户不同意就不要再调用。",
        {
            "what": {
                "type": "string",
                "description": "忘掉什么：一段时间、人或事，或编号。例：昨天下午；小丽；我的生日；刚才那句话；全部；f12",
            },
            "confirm": {
                "type": "boolean",
                "description": "第一次填 false；用户已经明确同意才填 true",
            },
        },
        ("what",),
    ),
    "off_record": (
        "用户说“这段不要记”“别记下来”时停止记录谈话；说“可以记了”时恢复。只是忘掉已经说过的，用 persona_memory_forget。",
        {
            "recording": {
                "type": "string",
                "enum": ["stop", "resume"],
                "description": "stop：从现在起不记；resume：恢复记录",
            }
        },
        ("recording",),
    ),
}
