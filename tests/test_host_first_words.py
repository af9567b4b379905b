"""In the host, too, it speaks first where it may, and the host's model knows what it said."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from hostkit import Llm
from test_host_intents import INTENTS, ONE, OURS, newest, with_intents
from test_hostkit import until

from xiaozhi_persona.providers.intent import first_words

CONFIG = {
    **INTENTS,
    "selected_module": {"Intent": "persona_intent", "Memory": "persona_memory"},
    "Memory": {"persona_memory": {"type": "persona_memory"}},
}
SPEAKS = {name: text + "speak_first: {enabled: true, hours: 0-24}\n" for name, text in OURS.items()}


async def test_a_birthday_is_brought_up_over_the_open_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_words, "LOOK_EVERY_S", 0.1)
    monkeypatch.setattr(first_words, "QUIET_S", 0.5)
    llm, today = Llm("好的。"), datetime.now()
    async with with_intents(newest, tmp_path, llm, CONFIG, files=SPEAKS) as server:
        if server.real:
            pytest.skip("the real host runs in a process of its own, with the waits that are real")
        async with server.connect(ONE) as device:
            reply = await device.say(f"我的生日是{today.month}月{today.day}日")
            await until(lambda: "今天是你的生日" in "".join(reply.sentences))
            await until(lambda: reply.events.count("tts stop") == 2)
            await device.say("你怎么知道的")
    dialogue = [(m["role"], m.get("content")) for m in llm.requests[-1].dialogue]
    assert ("assistant", "今天是你的生日，生日快乐！") in dialogue
