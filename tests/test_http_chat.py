"""/v1/chat/completions, over real HTTP: the role answers, with its memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any

import anyio
import httpx
import pytest
import pytest_asyncio
from fakes.bridge import Rig, running
from fakes.parts import FakeChatModel, FakeMemory, FakeSynthesizer, make_parts

from xiaozhi_persona.bridge.http import chat as chat_module
from xiaozhi_persona.errors import ServiceUnavailable
from xiaozhi_persona.memory.persona_memory import PersonaMemory
from xiaozhi_persona.settings import MemorySettings
from xiaozhi_persona.spine import Owner

OTHERS = {"X-Forwarded-For": "192.168.1.7"}


@pytest_asyncio.fixture
async def rig() -> AsyncIterator[Rig]:
    async with running(make_parts()) as rig:
        yield rig


def url(rig: Rig) -> str:
    return f"http://127.0.0.1:{rig.bridge.http_port}/v1/chat/completions"


def said(text: Any, **fields: Any) -> dict[str, Any]:
    return {"model": "default", "messages": [{"role": "user", "content": text}], **fields}


async def chat(rig: Rig, wanted: dict[str, Any], **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(timeout=60) as http:
        return await http.post(url(rig), json=wanted, headers=headers)


def kept(rig: Rig, owner_id: str) -> list[str]:
    memory = rig.parts.memory
    assert isinstance(memory, FakeMemory)
    return [turn.text for turn in memory._turns.get(owner_id, [])]


async def test_the_role_answers_without_tags_and_both_sides_are_remembered(rig: Rig) -> None:
    answer = (await chat(rig, said("你好"))).json()
    choice = answer["choices"][0]
    assert answer["object"] == "chat.completion" and answer["model"] == "default"
    assert choice == {
        "index": 0,
        "message": {"role": "assistant", "content": "你好呀。今天真好！"},
        "finish_reason": "stop",
    }
    assert kept(rig, "http")[0] == "你好" and "今天真好" in "".join(kept(rig, "http"))
    assert rig.parts.synthesizer.asked == []  # type: ignore[attr-defined]
    asked = rig.parts.chat_model.asked[-1]  # type: ignore[attr-defined]
    assert asked[0].role == "system" and asked[-1].content == "你好"


async def test_a_stream_says_each_sentence_with_its_face_and_ends(rig: Rig) -> None:
    answer = await chat(rig, said([{"type": "text", "text": "你好"}], stream=True))
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    events = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    assert events[-1] == "[DONE]"
    chunks = [json.loads(event)["choices"][0] for event in events[:-1]]
    assert [chunk["delta"].get("content") for chunk in chunks] == ["你好呀。", "今天真好！", None]
    assert [chunk["delta"].get("emotion") for chunk in chunks[:2]] == ["happy", "happy"]
    assert [chunk["finish_reason"] for chunk in chunks] == [None, None, "stop"]


async def test_sentences_of_letters_have_a_blank_between_them() -> None:
    async with running(make_parts(FakeChatModel("Hello there, my friend. ", "How are you today?"))) as rig:
        answer = (await chat(rig, said("hi"))).json()
    assert answer["choices"][0]["message"]["content"] == "Hello there, my friend. How are you today?"


async def test_only_the_last_message_counts_and_what_the_program_tells_goes_along(rig: Rig) -> None:
    await chat(rig, said("第一句"))
    messages = [
        {"role": "system", "content": "回答要短"},
        {"role": "user", "content": "别处说的"},
        {"role": "assistant", "content": "别处答的"},
        {"role": "user", "content": "第二句"},
    ]
    await chat(rig, {"messages": messages})
    asked = rig.parts.chat_model.asked[-1]  # type: ignore[attr-defined]
    assert asked[0].content.endswith("\n\n回答要短")
    texts = [message.content for message in asked[1:]]
    assert texts[0] == "第一句" and texts[-1] == "第二句" and "别处说的" not in texts


async def test_each_user_has_a_memory_and_only_the_token_opens_that_of_a_device(rig: Rig) -> None:
    device = "aa:bb:cc:dd:ee:ff"
    await chat(rig, said("没有令牌", user=device))
    await chat(rig, said("令牌不对"), **{"X-Owner": device, "Authorization": "Bearer sk-wrong"})
    assert kept(rig, device) == []
    assert kept(rig, f"http:{device}")[::2] == ["没有令牌", "令牌不对"]
    right = f"Bearer {rig.bridge.api_token}"
    await chat(rig, said("用 user", user="AA-BB-CC-DD-EE-FF"), Authorization=right)
    await chat(rig, said("用头"), **{"X-Owner": device, "Authorization": right}, **OTHERS)
    await chat(rig, said("用钥匙"), Authorization=f"{right}:{device}", **OTHERS)
    assert kept(rig, device)[::2] == ["用 user", "用头", "用钥匙"]
    await chat(rig, said("小明的"), **{"X-Owner": "%E5%B0%8F%E6%98%8E", "Authorization": right})
    assert kept(rig, "小明")[:1] == ["小明的"] and kept(rig, "http") == []


async def test_made_up_names_fill_no_disk(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_module, "NEW_OWNERS_A_MINUTE", 2)
    answers = [await chat(rig, said("你好", user=f"u{n}")) for n in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
    assert (await chat(rig, said("你好"))).status_code == 200
    right = f"Bearer {rig.bridge.api_token}"
    assert (await chat(rig, said("你好", user="u9"), Authorization=right)).status_code == 200


async def test_a_command_to_the_memory_is_obeyed_without_the_chat_model(rig: Rig) -> None:
    rig.parts.memory.commands = {"记住我叫小明": "好，我记住了。"}  # type: ignore[attr-defined]
    answer = (await chat(rig, said("记住我叫小明"))).json()
    assert answer["choices"][0]["message"]["content"] == "好，我记住了。"
    assert rig.parts.chat_model.asked == []  # type: ignore[attr-defined]


async def test_the_real_memory_answers_the_next_request(tmp_path: Any) -> None:
    memory = PersonaMemory(MemorySettings(), tmp_path / "memory")
    async with running(make_parts(memory=memory)) as rig:
        await chat(rig, said("我养了一只叫咪咪的猫"))
        await chat(rig, said("你好"))
        texts = [message.content for message in rig.parts.chat_model.asked[-1]]  # type: ignore[attr-defined]
        assert "我养了一只叫咪咪的猫" in texts
        recalled = await memory.recall(Owner("http"), "我的猫叫什么", datetime.now().astimezone())
        assert any("咪咪" in turn.text for turn in recalled.items) or "咪咪" in recalled.text
        await memory.aclose()


async def test_fifty_at_once_are_all_answered_and_nothing_is_left(rig: Rig) -> None:
    answers = await asyncio.gather(
        *(chat(rig, said(f"第 {n} 个", stream=bool(n % 2), user=f"u{n % 7}")) for n in range(50))
    )
    assert {answer.status_code for answer in answers} == {200}
    assert all("今天真好！" in answer.text for answer in answers)
    assert sum(len(kept(rig, f"http:u{n}")) for n in range(7)) >= 50
    await eventually(lambda: not running_turns())


@pytest.mark.parametrize("wants_stream", [False, True])
@pytest.mark.parametrize("begun", [False, True])
async def test_of_a_client_that_has_gone_nothing_is_left_running(wants_stream: bool, begun: bool) -> None:
    model = FakeChatModel(*(["你好呀，今天天气真不错。我"] if begun else []), asyncio.Event(), "后面的话。")
    async with running(make_parts(model)) as rig:
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.bridge.http_port)
        body = json.dumps(said("你好", stream=wants_stream)).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        if begun and wants_stream:
            assert "你好呀".encode() in await reader.readuntil("错。".encode())
        await asyncio.wait_for(model.began.wait(), 10)
        assert running_turns()
        writer.close()
        await eventually(lambda: model.closed == 1 and not running_turns())
        assert kept(rig, "http")[:1] == ["你好"]  # what was said is kept, whatever became of the answer


async def eventually(has_come: Callable[[], bool]) -> None:
    with anyio.fail_after(10):
        while not has_come():  # noqa: ASYNC110
            await asyncio.sleep(0)


def running_turns() -> set[str]:
    names = {task.get_name() for task in asyncio.all_tasks()}
    return {name for name in names if name.startswith(("speech-pipeline", "reply-"))}


async def test_a_chat_model_that_fails_is_an_error_with_the_next_step() -> None:
    async with running(make_parts(FakeChatModel(ServiceUnavailable("坏了")))) as rig:
        for wants_stream in (False, True):
            answer = await chat(rig, said("你好", stream=wants_stream))
            assert answer.status_code == 503
            assert "连不上" in answer.json()["error"]["message"] and answer.json()["next_step"]


async def test_a_voice_that_fails_does_not_keep_it_from_writing() -> None:
    async with running(make_parts(synthesizer=FakeSynthesizer(fails_on="好"))) as rig:
        assert (await chat(rig, said("你好"))).status_code == 200


@pytest.mark.parametrize(
    ("wanted", "status"),
    [
        ({}, 400),
        ({"messages": []}, 400),
        ({"messages": "你好"}, 400),
        ({"messages": [{"role": "assistant", "content": "你好"}]}, 400),
        ({"messages": [{"role": "user", "content": " "}]}, 400),
        ({"messages": [{"role": "user", "content": None}]}, 400),
        ({"messages": [{"role": "god", "content": "你好"}]}, 400),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}, 400),
        (said("你好", n=3), 400),
        (said("你好", model="nobody"), 404),
        (said("你好", model="../../etc"), 404),
        (said("你好", user=5), 400),
    ],
)
async def test_what_cannot_be_answered_is_refused_with_the_next_step(
    rig: Rig, wanted: dict[str, Any], status: int
) -> None:
    answer = await chat(rig, wanted)
    assert answer.status_code == status and answer.json()["next_step"]
    assert rig.parts.chat_model.asked == []  # type: ignore[attr-defined]


async def test_another_role_answers_as_itself(rig: Rig) -> None:
    roles = rig.parts.casting.roles()
    other = next(role_id for role_id in roles if role_id != "default")
    answer = (await chat(rig, said("你好", model=other))).json()
    assert answer["model"] == other
    prompt = rig.parts.chat_model.asked[-1][0].content  # type: ignore[attr-defined]
    assert rig.parts.casting.named(other).character_prompt() in prompt
    assert rig.parts.casting.role("aa:bb").id == "default"  # no device was switched


async def test_the_memory_knows_which_role_is_talked_with(tmp_path: Any) -> None:
    talked_at: list[str] = []

    def role_of(owner: Owner) -> tuple[str, None]:
        talked_at.append(owner.talks_at)
        return "", None

    memory = PersonaMemory(MemorySettings(), tmp_path / "memory", role_of=role_of)
    async with running(make_parts(memory=memory)) as rig:
        casting = rig.parts.casting
        other = next(role_id for role_id in casting.roles() if role_id != "default")
        await chat(rig, said("你好", model=other))
        assert talked_at and set(talked_at) == {casting.seat(casting.named(other))}
        assert casting.role(talked_at[0]) is casting.named(other)
        await memory.aclose()
