"""Pictures: sent by devices over HTTP or found in the answers of tools, and looked at by the model that sees."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fakes.bridge import Rig, make_settings, running
from fakes.mcp_device import VOLUME, McpDevice, tool
from fakes.openai_server import OpenAiServer
from fakes.parts import ToolModel, make_parts
from hypothesis import given
from hypothesis import strategies as st

from xiaozhi_persona.bridge.mcp import photos
from xiaozhi_persona.errors import ServiceError, SettingsError
from xiaozhi_persona.mcp_settings import VisionSettings
from xiaozhi_persona.providers.llm.vision import Picture, VisionModel
from xiaozhi_persona.spine import ToolCall

JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 8 + b"\r\n--x\r\n\r\n\xff\xd9"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(200)
PHOTO = tool("self.camera.take_photo", question={"type": "string"})
DEVICE = "aa:bb:cc:dd:ee:01"


class Shooting:
    """A device with a camera, connected to a bridge with a model that sees."""

    def __init__(self, device: McpDevice, server: OpenAiServer, rig: Rig, model: ToolModel) -> None:
        self.device, self.server, self.rig, self.model = device, server, rig, model
        self.http = httpx.AsyncClient(trust_env=False, timeout=20)

    async def vision(self) -> dict[str, str]:
        """Where the device is to send its photos."""
        asked = await self.device.until_asked("initialize")
        found: dict[str, str] = asked["params"]["capabilities"]["vision"]
        return found

    async def send(self, photo: bytes = JPEG, question: str = "这是什么", **more: Any) -> httpx.Response:
        """Send a photo as the firmware does: multipart, chunked."""
        vision = await self.vision()
        boundary = "----ESP32_CAMERA_BOUNDARY"
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="question"\r\n\r\n{question}\r\n'.encode(),
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="camera.jpg"\r\n'
            "Content-Type: image/jpeg\r\n\r\n".encode(),
            photo,
            f"\r\n--{boundary}--\r\n".encode(),
        ]

        async def chunks() -> AsyncIterator[bytes]:
            for part in more.pop("parts", parts):
                yield part

        headers = {
            "Device-Id": DEVICE,
            "Client-Id": "c",
            "Authorization": f"Bearer {vision['token']}",
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            **more.pop("headers", {}),
        }
        return await self.http.post(vision["url"], content=chunks(), headers=headers)


@contextlib.asynccontextmanager
async def shooting(**vision: Any) -> AsyncIterator[Shooting]:
    model = ToolModel(["好的。"])
    async with OpenAiServer(reply="一只猫。") as server:
        parts = make_parts(model)
        parts.vision = VisionModel(VisionSettings(base_url=server.url, model="see", api_key="key", **vision))
        parts.closers.append(parts.vision.aclose)
        async with running(parts) as rig, McpDevice.open(rig.url, [VOLUME, PHOTO]) as device:
            await device.hello()
            shot = Shooting(device, server, rig, model)
            async with shot.http:
                yield shot


async def test_a_photo_that_the_chat_model_asks_for_is_taken_sent_and_told() -> None:
    async with shooting() as shot:
        sent: list[asyncio.Task[httpx.Response]] = []

        def take(params: dict[str, Any]) -> None:
            sent.append(asyncio.create_task(shot.send(question=params["arguments"]["question"])))

        shot.device.on_call = take
        shot.model.rounds = [
            [ToolCall("a", "self_camera_take_photo", '{"question": "这是什么"}')],
            ["是猫。"],
        ]
        asking = asyncio.create_task(shot.device.ask("看看这是什么"))
        asked = await shot.device.until_asked("tools/call")
        (sending,) = sent
        answer = await sending
        text = {"content": [{"type": "text", "text": answer.text}], "isError": False}
        await shot.device.answer(asked, {"result": text})
        assert await asking == "是猫。"
    assert "self_camera_take_photo" in shot.model.offered[0] and "一只猫。" in shot.model.told[0]
    assert answer.status_code == 200 and answer.json()["success"] is True
    (request,) = shot.server.requests
    assert request.headers["Authorization"] == "Bearer key" and request.body["model"] == "see"
    picture, question = request.messages[-1]["content"]
    assert question["text"] == "这是什么"  # type: ignore[index]
    url = picture["image_url"]["url"]  # type: ignore[index]
    assert url.startswith("data:image/jpeg;base64,") and base64.b64decode(url.partition(",")[2]) == JPEG


async def test_the_address_is_the_one_by_which_the_device_came() -> None:
    async with shooting() as shot:
        assert (await shot.vision())[
            "url"
        ] == f"http://127.0.0.1:{shot.rig.bridge.http_port}/mcp/vision/explain"
    for bridge, url in (
        ({"vision_url": "https://see.example/x"}, "https://see.example/x"),
        ({"websocket_url": "wss://box.example/xiaozhi/v1/"}, "http://box.example:"),
    ):
        settings = make_settings()
        settings = settings.model_copy(update={"bridge": settings.bridge.model_copy(update=bridge)})
        parts = make_parts()
        parts.vision = VisionModel(VisionSettings(base_url="http://127.0.0.1:9"))
        parts.closers.append(parts.vision.aclose)
        async with running(parts, settings) as rig, McpDevice.open(rig.url, []) as device:
            await device.hello()
            asked = await device.until_asked("initialize")
            assert asked["params"]["capabilities"]["vision"]["url"].startswith(url)


@pytest.mark.parametrize("token", ["x y", "wrong", None])
async def test_only_who_is_connected_and_has_its_token_may_send(token: str | None) -> None:
    async with shooting() as shot:
        if token is None:  # one that was right until the device left
            vision = await shot.vision()
            await shot.device.wire.websocket.close()
            while shot.rig.bridge._sessions:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            token = vision["token"]
        refused = await shot.send(headers={"Authorization": f"Bearer {token}"})
        large = await shot.send(bytes(200_000), headers={"Authorization": f"Bearer {token}"})
    assert refused.status_code == 401 and refused.json()["success"] is False and not shot.server.requests
    assert large.status_code == 413


async def test_what_is_no_photo_or_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photos, "MAX_PHOTO_BYTES", 100_000)
    async with shooting() as shot:
        for wrong in (
            await shot.send(b"hello"),
            await shot.send(b""),
            await shot.send(parts=[b"x" * 100]),
            await shot.send(parts=[b""]),
            await shot.send(headers={"Content-Type": "application/json"}),
            await shot.send(headers={"Content-Type": "multipart/form-data"}),
            await shot.send(headers={"Content-Type": "multipart/form-data; boundary=other"}),
        ):
            assert wrong.status_code == 200 and wrong.json()["success"] is False, wrong.text
        assert (await shot.send(JPEG + bytes(200_000))).status_code == 413
        assert not shot.server.requests
        assert (await shot.send(PNG + bytes(80_000))).json()["response"] == "一只猫。"


async def test_the_web_pages_form_is_understood() -> None:
    async with shooting() as shot:
        vision = await shot.vision()
        answer = await shot.http.post(
            vision["url"],
            data={"question": "几只"},
            files={"image": ("photo.jpg", JPEG, "image/jpeg")},
            headers={"Authorization": f"bearer {vision['token']}"},
        )
    assert answer.json()["response"] == "一只猫。"
    assert shot.server.requests[0].messages[-1]["content"][-1] == {"type": "text", "text": "几只"}  # type: ignore[comparison-overlap]


@pytest.mark.parametrize("body", [b"\n", b"\r\n", b"\r\n--x", b"--x\r\n", b"\r\n\r\n", b'name="'])
def test_no_form_takes_long(body: bytes) -> None:
    began_s = time.process_time()
    photos._form(body * (photos.MAX_PHOTO_BYTES // len(body)), "multipart/form-data; boundary=x")
    assert time.process_time() - began_s < 0.5


@given(st.binary(max_size=300), st.text(max_size=20), st.sampled_from(['"', ""]))
def test_a_form_is_read_to_the_byte(photo: bytes, question: str, quote: str) -> None:
    told = question.encode("utf-8", "replace")
    body = (
        b'--x\r\nContent-Disposition: form-data; name="question"\r\n\r\n' + told + b"\r\n--x\r\n"
        b'Content-Type: image/jpeg\r\nContent-Disposition: form-data; name="a"; filename="b"\r\n\r\n'
        + photo
        + b"\r\n--x--\r\n"
    )
    if b"\r\n--x" not in photo and b"\r\n--x" not in told:
        found = photos._form(body, f"Multipart/Form-Data; charset=utf-8; boundary={quote}x{quote}")
        assert found == (told.decode(), photo)


async def test_one_photo_of_a_device_is_looked_at_at_a_time() -> None:
    async with shooting() as shot:
        shot.server.next_modes = ["stall"]
        first = asyncio.create_task(shot.send())
        await asyncio.wait_for(shot.server.arrived.wait(), 10)
        assert (await shot.send()).json()["success"] is False
        shot.server.resume.set()
        assert (await first).json()["success"] is True
        assert (await shot.send()).json()["success"] is True


@pytest.mark.parametrize("mode", ["refuse", "drop", "stall", "empty", "break"])
async def test_a_model_that_fails_is_told_with_its_own_settings(mode: Any) -> None:
    async with shooting(timeout_s=2.0) as shot:
        shot.server.mode, shot.server.status = mode, 401
        failed = (await shot.send()).json()
    assert failed["success"] is False and "看图的模型" in failed["message"]
    assert "llm." not in failed["message"].replace("llm.vision.", "")


def test_wrong_settings_are_named_rightly() -> None:
    with pytest.raises(SettingsError, match=r"llm\.vision\.api_key"):
        VisionModel(VisionSettings(base_url="http://x", api_key="密钥"))
    for data in (b"", b"x", b"RIFF", b"<svg>"):
        with pytest.raises(ValueError, match="no picture"):
            Picture.of(data)


async def test_pictures_that_wait_are_bounded() -> None:
    async with OpenAiServer(mode="stall") as server:
        model = VisionModel(VisionSettings(base_url=server.url))
        async with contextlib.aclosing(model):
            looks = [asyncio.create_task(model.look(Picture.of(PNG))) for _ in range(12)]
            while len(server.requests) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            assert len(server.requests) == 2 and sum(look.done() for look in looks) == 4
            server.mode = "normal"
            server.resume.set()
            told = await asyncio.gather(*looks, return_exceptions=True)
    refused = [answer for answer in told if isinstance(answer, ServiceError)]
    assert len(refused) == 4 and all("太多" in str(exc) for exc in refused) and len(server.requests) == 8


@pytest.mark.parametrize("form", ["mcp", "firmware", "data url"])
async def test_a_picture_in_a_tools_answer_is_looked_at(form: str) -> None:
    data = base64.b64encode(PNG).decode()
    inner = {"type": "image", "mimeType": "image/png", "data": data}
    item = {
        "mcp": inner,
        "firmware": {"type": "image", "image": json.dumps(inner)},
        "data url": {"type": "image", "data": f"data:image/png;base64,{data}"},
    }[form]
    async with shooting() as shot:
        shot.device.on_call = lambda params: {
            "result": {"content": [item, {"type": "text", "text": "拍好了"}]}
        }
        shot.model.rounds = [[ToolCall("a", "self_camera_take_photo", '{"question": "几只"}')], ["一只。"]]
        assert await shot.device.ask("看看") == "一只。"
    assert shot.model.told == ["一只猫。\n拍好了"]
    assert shot.server.requests[0].messages[-1]["content"][-1] == {"type": "text", "text": "几只"}  # type: ignore[comparison-overlap]
