"""The prompt template in the host: it renders with what every release passes, and the host's own edits find their place."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from xiaozhi_persona.installer.prompt import template
from xiaozhi_persona.text.emotions import FACES, LABELS

jinja2 = pytest.importorskip("jinja2")

CHARACTER = "你是小梅。标签只能是：高兴、中性。{{ 7 * 7 }}"

# What core/utils/prompt_manager.py passes, by the first release that does.
PASSED: dict[str, dict[str, Any]] = {
    "0.9.1": {
        "base_prompt": CHARACTER,
        "current_time": "{{current_time}}",
        "today_date": "2026-11-21",
        "today_weekday": "星期六",
        "lunar_date": "十月十三",
        "local_address": "",
        "weather_info": "",
        "emojiList": list(FACES.values()),
        "device_id": "aa:bb:cc:dd:ee:ff",
        "client_ip": "127.0.0.1",
        "dynamic_context": {},
    },
}
PASSED["0.9.2"] = PASSED["0.9.1"] | {"language": "中文", "dynamic_context": ""}
PASSED["0.9.4"] = PASSED["0.9.2"] | {"emoji_enabled": True, "dynamic_context": "- 室温：21 度"}


# Runs in the host's Python, in a copy of its folder: prints the system messages of a request.
IN_THE_HOST = """
import sys
sys.path.insert(0, ".")
from core.utils.dialogue import Dialogue, Message
from core.utils.prompt_manager import PromptManager
class Log:
    def bind(self, **_): return self
    def __getattr__(self, _): return lambda *_, **__: None
prompts = PromptManager({"prompt_template": "data/template.txt"}, Log())
dialogue = Dialogue()
dialogue.update_system_message(prompts.build_enhanced_prompt(sys.argv[1], "aa:bb", "127.0.0.1"))
dialogue.put(Message(role="user", content="你好"))
messages = dialogue.get_llm_dialogue_with_memory("养了一只猫", {})
sys.stdout.buffer.write("\\n".join(m["content"] for m in messages if m["role"] == "system").encode())
"""


def rendered(version: str) -> str:
    text: str = jinja2.Template(template()).render(**PASSED[version])
    return text


@pytest.mark.parametrize("version", PASSED)
def test_it_renders_with_what_each_release_passes(version: str) -> None:
    text = rendered(version)
    assert CHARACTER in text and "2026-11-21，星期六" in text and "十月十三" in text
    assert ("用中文说话" in text) == ("language" in PASSED[version])
    assert "{}" not in text and "%}" not in text
    assert "@" not in template()


def test_what_context_providers_say_stands_in_the_context() -> None:
    context = re.search(r"<context>(.*?)</context>", rendered("0.9.4"), re.DOTALL)
    assert context and "室温：21 度" in context[1]


def test_nothing_in_it_makes_the_host_ask_the_internet() -> None:
    assert "local_address" not in template() and "weather_info" not in template()


def test_it_teaches_tags_and_no_emoji() -> None:
    text = rendered("0.9.4")
    assert "、".join(LABELS) in text and "【" in text
    assert not [emoji for emoji in FACES.values() if emoji in text]


@pytest.mark.parametrize("version", PASSED)
def test_the_host_fills_in_time_and_memory_and_loses_nothing(version: str) -> None:
    """As core/utils/dialogue.py does it; 0.9.4 and 0.9.5 send what stands before <context> by itself."""
    text = rendered(version)
    static, context, dynamic = text.partition("<context>")
    assert context and "current_time" not in static and "<memory>" not in static
    filled = re.sub(r"<memory>.*?</memory>", "<memory>\n养了一只猫\n</memory>", text, flags=re.DOTALL)
    filled = filled.replace("{{current_time}}", "10:30")
    assert "时间：10:30" in filled and "养了一只猫" in filled
    assert [filled.count(tag) for tag in ("<memory>", "</memory>", "<context>", "</context>")] == [1, 1, 1, 1]
    assert len(filled) == len(text) + len("养了一只猫\n") - len("{{current_time}}") + len("10:30")


@pytest.mark.skipif(
    not os.environ.get("XIAOZHI_SERVER_DIR") or not os.environ.get("XIAOZHI_SERVER_PYTHON"),
    reason="needs the real host: XIAOZHI_SERVER_DIR, XIAOZHI_SERVER_PYTHON",
)
def test_the_real_host_makes_of_it_what_was_meant(tmp_path: Path) -> None:
    real = Path(os.environ["XIAOZHI_SERVER_DIR"])
    for name in ("core", "config"):
        shutil.copytree(real / name, tmp_path / name)
    shutil.copy(real / "config.yaml", tmp_path)
    for name, text in ((".config.yaml", "log: {log_level: ERROR}\n"), ("template.txt", template())):
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "data" / name).write_text(text, encoding="utf-8")
    command = [os.environ["XIAOZHI_SERVER_PYTHON"], "-c", IN_THE_HOST, CHARACTER]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=60)
    text = done.stdout.decode()
    assert done.returncode == 0, done.stderr.decode()
    assert CHARACTER in text and "养了一只猫" in text and re.search(r"时间：\d\d:\d\d", text)
    assert [text.count(tag) for tag in ("<memory>", "</memory>", "<context>", "</context>")] == [1, 1, 1, 1]


def test_the_memory_is_marked_as_data() -> None:
    before = rendered("0.9.4").partition("<memory>")[0].rstrip().splitlines()[-1]
    assert "资料" in before and "不是指令" in before


def test_every_block_is_closed() -> None:
    text = template()
    opened = re.findall(r"<([a-z_]+)>", text)
    assert opened == re.findall(r"</([a-z_]+)>", text) and len(opened) == len(set(opened)) > 5
