"""What an owner's file has done: his tools, sentences, memory, roles, and requests to his own server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from fakes.scene import Device, FakeScene
from test_cli import free_port
from test_intent_actions import is_one_of

from xiaozhi_persona.errors import ServiceUnavailable
from xiaozhi_persona.providers.intent.actions import own
from xiaozhi_persona.providers.intent.router import Router
from xiaozhi_persona.roles.casting import Casting
from xiaozhi_persona.settings import PathSettings, Settings


def of(folder: Path, text: str) -> Router:
    (folder / "own.yaml").write_text(text, encoding="utf-8")
    router = Router(folder)
    assert router.refresh() == []
    return router


LIGHTS = """
intents:
  开灯:
    sentences: ["打开{room}的灯"]
    do: {tool: self.lamp.on, arguments: {room: "{room}", level: 80}}
    say: "好，{room}的灯开了。"
  查灯:
    sentences: ["{room}的灯开着吗"]
    do: {tool: lamp.state}
    say: "{room}的灯{answer}。"
  问好: {sentences: ["跟大家问好"], do: {say: "大家好。"}}
  记账: {sentences: ["记账{what}"], do: {memory: "记住{what}"}}
  扮演: {sentences: ["请{who}出来"], do: {role: "{who}"}}
  volume_up: {sentences: ["嗨起来"]}
  volume_down: {sentences: ["嗨不动了"], say: "好，小声了。"}
lists:
  room: {living: [客厅, 大厅], bed: [卧室]}
  who: [小雨, 没有的人]
  what: any
"""


async def test_a_tool_with_its_arguments_and_what_is_said_then(tmp_path: Path) -> None:
    router = of(tmp_path, LIGHTS)
    scene = FakeScene({"self_lamp_on": "true", "lamp.state": '{"state": "开着"}'})
    assert await scene.say("麻烦打开客厅的灯好吗", router) == "好，living的灯开了。"
    assert scene.calls == [("self_lamp_on", {"room": "living", "level": 80})]
    assert await scene.say("卧室的灯开着吗", router) == "bed的灯开着。"


async def test_a_tool_that_is_not_there_or_fails_is_told(tmp_path: Path) -> None:
    router = of(tmp_path, LIGHTS)
    assert is_one_of(await FakeScene().say("打开客厅的灯", router), "no_tool", name="self.lamp.on")
    for answer in ("false", ServiceUnavailable("断了")):
        assert is_one_of(await FakeScene({"self.lamp.on": answer}).say("打开客厅的灯", router), "failed")


async def test_sentences_memory_and_roles(tmp_path: Path) -> None:
    router = of(tmp_path, LIGHTS)
    scene = FakeScene(casting=Casting(Settings(paths=PathSettings(data=str(tmp_path / "data")))))
    assert await scene.say("跟大家问好", router) == "大家好。"
    assert await scene.say("记账午饭三十块", router) == "好，我记住了。"
    assert scene.obeyed == ["记住午饭三十块"]
    await scene.say("请小雨出来", router)
    assert scene.casting.role(scene.device_id).name == "小雨"
    told = await scene.say("请没有的人出来", router)
    assert told and "没有" in told and scene.casting.role(scene.device_id).name == "小雨"


async def test_one_more_way_to_say_what_the_project_brings(tmp_path: Path) -> None:
    device, router = Device(), of(tmp_path, LIGHTS)
    told = await FakeScene(device.tools()).say("嗨起来", router)
    assert device.volume == 60 and told and "60" in told
    assert await FakeScene(device.tools()).say("嗨不动了", router) == "好，小声了。"
    assert device.volume == 50
    assert is_one_of(await FakeScene().say("嗨不动了", router), "cannot")  # no claimed success


class Air:
    """A server of the owner's."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self.answer: Any = web.json_response({"temperature": 21})
        self.url = ""
        self.hold: asyncio.Event | None = None

    async def serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.json() if request.can_read_body else None
        self.asked.append((request.method, request.raw_path, body))
        if self.hold:
            await self.hold.wait()
        answer: web.StreamResponse = self.answer
        return answer


@pytest.fixture
async def air() -> AsyncIterator[Air]:
    server = Air()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.serve)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    server.url = f"http://127.0.0.1:{port}"
    yield server
    await runner.cleanup()


def asks(folder: Path, url: str, more: str = "") -> Router:
    return of(
        folder,
        f"""
intents:
  空调:
    sentences: ["空调调到{{temp}}"]
    do: {{http: {{url: "{url}", body: {{to: "{{temp}}"}}{more}}}}}
    say: "好，空调{{temp}}度，现在{{answer}}度。"
  记:
    sentences: ["抄送{{what}}"]
    do: {{http: {{url: "{url}/{{what}}", method: GET}}}}
lists:
  temp: {{from: 16, to: 30}}
  what: any
""",
    )


async def test_a_request_with_values_whose_answer_is_said(tmp_path: Path, air: Air) -> None:
    router = asks(tmp_path, f"{air.url}/air")
    assert await FakeScene().say("空调调到二十六度五", router) == "好，空调26.5度，现在21度。"
    assert air.asked == [("POST", "/air", {"to": 26.5})]


async def test_what_is_said_cannot_change_where_a_request_goes(tmp_path: Path, air: Air) -> None:
    router = asks(tmp_path, air.url)
    assert is_one_of(await FakeScene().say("抄送x/../y?a=b#c@evil", router), "done")
    ((method, path, _),) = air.asked
    assert method == "GET" and path == "/x%2F..%2Fy%3Fa%3Db%23c%40evil"


@pytest.mark.parametrize("status", [500, 404, 302])
async def test_a_server_that_refuses_is_told_and_no_other_is_asked(
    tmp_path: Path, air: Air, status: int
) -> None:
    air.answer = web.Response(status=status, headers={"Location": f"{air.url}/elsewhere"})
    router = asks(tmp_path, f"{air.url}/air")
    assert is_one_of(await FakeScene().say("空调调到二十六度", router), "failed")
    assert len(air.asked) == 1


async def test_an_endless_answer_and_a_silent_server_end(
    tmp_path: Path, air: Air, monkeypatch: pytest.MonkeyPatch
) -> None:
    router = asks(tmp_path, f"{air.url}/air")
    air.answer = web.Response(body=b"x" * (own.MAX_ANSWER_BYTES + 1))
    assert is_one_of(await FakeScene().say("空调调到二十六度", router), "failed")
    air.hold = asyncio.Event()
    monkeypatch.setattr(own, "HTTP_TIMEOUT_S", 0.1)
    assert is_one_of(await FakeScene().say("空调调到二十六度", router), "no_answer")
    air.hold.set()


async def test_no_server_is_told(tmp_path: Path) -> None:
    router = asks(tmp_path, f"http://127.0.0.1:{free_port()}/air")
    assert is_one_of(await FakeScene().say("空调调到二十六度", router), "failed")
