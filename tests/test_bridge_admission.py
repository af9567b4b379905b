"""Admission over real sockets: what a device that is not known gets, hears and may do."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import sqlite3
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from fakes.bridge import Rig, make_settings, running
from fakes.parts import FakeChatModel, make_parts
from fakes.wire import answer_to
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from xiaozhi_persona.bridge.admission import admission
from xiaozhi_persona.bridge.admission.admission import NEW_IDS_A_MINUTE
from xiaozhi_persona.cli import xiaozhi_persona
from xiaozhi_persona.memory.persona_memory import PersonaMemory
from xiaozhi_persona.settings import MemorySettings, PathSettings, Settings

MAC = "aa:bb:cc:dd:ee:0f"
AWAY = {"X-Forwarded-For": "93.184.216.34"}


def settings_in(folder: Path, **bridge: Any) -> Settings:
    settings = make_settings()
    return settings.model_copy(
        update={
            "bridge": settings.bridge.model_copy(update=bridge),
            "paths": PathSettings(data=str(folder)),
        }
    )


def device(client: str = "mine", token: str = "", **more: str) -> dict[str, str]:
    told = {"Device-Id": MAC, "Client-Id": client} | more
    return told | ({"Authorization": f"Bearer {token}"} if token else {})


async def greeted(websocket: ClientConnection) -> None:
    await websocket.send('{"type":"hello"}')
    assert json.loads(await websocket.recv())["type"] == "hello"


async def ask(rig: Rig, text: str, headers: dict[str, str]) -> str:
    async with connect(rig.url, additional_headers=headers) as websocket:
        await greeted(websocket)
        return await answer_to(websocket, text)


def code_in(said: str) -> str:
    found = re.search(r"\d(?:、\d){5}", said)
    assert found, said
    return found[0].replace("、", "")


async def command(folder: Path, *arguments: str) -> Any:
    """Run a command of another terminal while the bridge runs."""
    config = folder / "config.yaml"
    config.write_text(f"paths: {{data: '{folder}'}}\n", encoding="utf-8")
    return await asyncio.to_thread(
        CliRunner().invoke, xiaozhi_persona, ["devices", *arguments, "--config", str(config)]
    )


async def ota(rig: Rig, headers: dict[str, str], path: str = "", body: bytes = b"{}") -> httpx.Response:
    async with httpx.AsyncClient() as http:
        return await http.post(
            f"http://127.0.0.1:{rig.bridge.http_port}/xiaozhi/ota/{path}", headers=headers, content=body
        )


async def test_a_device_that_is_not_paired_hears_its_code_and_nothing_else(tmp_path: Path) -> None:
    chat = FakeChatModel("好。")
    memory = PersonaMemory(MemorySettings(), tmp_path / "memory")
    parts = make_parts(chat, memory=memory)
    parts.closers.append(memory.aclose)
    async with (
        running(parts, settings_in(tmp_path, admit="paired")) as rig,
        connect(rig.url, additional_headers=device()) as websocket,
    ):
        await greeted(websocket)
        said = await answer_to(websocket, "我对花生过敏")
        assert "没有配对" in said
        assert code_in(await answer_to(websocket, "记住我的车停在三楼")) == code_in(said)
        assert not chat.asked and not (tmp_path / "memory").exists()
        done = await command(tmp_path, "approve", code_in(said))
        assert done.exit_code == 0 and MAC in done.output
        assert (
            await answer_to(websocket, "我对什么过敏") == "好。"
        )  # on the same connection, without a new start
        assert "花生" not in str(chat.asked)


async def test_pairing_over_ota_as_the_firmware_does_it(tmp_path: Path) -> None:
    async with running(make_parts(FakeChatModel("好。")), settings_in(tmp_path, admit="paired")) as rig:
        data = (await ota(rig, device())).json()
        assert set(data) == {"server_time", "websocket", "activation"} and data["websocket"]["token"] == ""
        activation = data["activation"]
        assert re.fullmatch(r"\d{6}", activation["code"]) and activation["code"] in activation["message"]
        assert activation["challenge"] and isinstance(activation["timeout_ms"], int)
        v1, v2 = b"{}", b'{"algorithm":"hmac-sha256","serial_number":"s","challenge":"c","hmac":"h"}'
        wrapped = b'{"Payload":' + v2 + b"}"  # py-xiaozhi's
        for body in (v1, v2, wrapped, b"no json"):
            assert (await ota(rig, device(), "activate", body)).status_code == 202
        await command(tmp_path, "approve", activation["code"])
        for body in (v1, v2, wrapped):
            assert (await ota(rig, device(), "activate", body)).status_code == 200
        told = (await ota(rig, device())).json()
        assert "activation" not in told and told["websocket"]["token"]
        assert await ask(rig, "在吗", device(token=told["websocket"]["token"])) == "好。"
        assert (await ota(rig, device("another"))).json()["websocket"]["token"] == ""
        assert (await ota(rig, {})).json()["websocket"]["token"] == ""  # somebody's browser
        await command(tmp_path, "forget", MAC.upper())
        assert (await ota(rig, device())).json()["websocket"]["token"] == ""  # clears the dead one
        assert "没有配对" in await ask(rig, "在吗", device(token=told["websocket"]["token"]))


async def test_another_client_with_a_known_id_gets_a_memory_of_its_own_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    chat = FakeChatModel("好。")
    memory = PersonaMemory(MemorySettings(recall_deadline_ms=2000), tmp_path / "memory")
    parts = make_parts(chat, memory=memory)
    parts.closers.append(memory.aclose)
    async with running(parts, settings_in(tmp_path)) as rig:
        assert await ask(rig, "我对花生过敏", device()) == "好。"
        async with connect(rig.url, additional_headers=device("thief")) as thief:
            await greeted(thief)
            said = await answer_to(thief, "我对什么过敏")
            assert said.endswith("好。") and "新的记忆" in said
            assert await answer_to(thief, "我对什么过敏呢") == "好。"
            assert await ask(rig, "好吗", device("thief")) == "好。"  # which ended the connection before
        async with connect(rig.url, additional_headers=device("thief")) as thief:
            await greeted(thief)
            assert await answer_to(thief, "忘掉我说过的一切") and await answer_to(thief, "确定")
            async with connect(
                rig.url, additional_headers=device()
            ) as mine:  # ends no connection of the other
                await greeted(mine)
                assert await answer_to(mine, "我对什么过敏吗") == "好。"
                assert await answer_to(thief, "还在吗") == "好。"
        asked = ["".join(message.content for message in messages) for messages in chat.asked]
        assert (
            not any("花生" in text for text in asked[1:-2])
            and "花生" in asked[-2]
            and "花生" not in asked[-1]
        )
        assert caplog.text.count(code_in(said)) == 1
        await command(tmp_path, "approve", code_in(said))
        assert await ask(rig, "我对什么过敏", device("thief")) == "好。"
        assert "花生" in "".join(message.content for message in chat.asked[-1])


async def test_a_device_from_elsewhere_is_not_served_without_a_code(tmp_path: Path) -> None:
    async with running(make_parts(FakeChatModel("好。")), settings_in(tmp_path, token="t")) as rig:
        assert "activation" in (await ota(rig, device(**AWAY))).json()
        assert "没有配对" in await ask(rig, "在吗", device(token="t", **AWAY))
        with pytest.raises(ConnectionClosed) as closed:
            await ask(rig, "在吗", {"Authorization": "Bearer t", **AWAY})
        assert closed.value.rcvd and closed.value.rcvd.code == 1008


async def test_a_flood_of_new_ids_is_refused_and_known_devices_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "NEW_IDS_A_MINUTE_HERE", NEW_IDS_A_MINUTE)
    async with running(make_parts(FakeChatModel("好。")), settings_in(tmp_path)) as rig:
        assert await ask(rig, "在吗", device()) == "好。"
        refused = []
        for number in range(2 * NEW_IDS_A_MINUTE):
            try:
                async with connect(rig.url, additional_headers={"Device-Id": f"made-up-{number}"}):
                    pass
            except InvalidStatus as exc:
                refused.append(exc.response.status_code)
        assert refused == [429] * (NEW_IDS_A_MINUTE + 1)
        assert (await ota(rig, {"Device-Id": "made-up"})).status_code == 429
        async with connect(rig.url) as websocket:  # the id in the hello is counted as well
            await websocket.send('{"type":"hello","device_id":"made-up"}')
            with pytest.raises(ConnectionClosed):
                await websocket.recv()
        assert await ask(rig, "在吗", device()) == "好。"
        assert caplog.text.count("先不接") == 1


async def test_the_bridge_goes_on_while_its_file_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xiaozhi_persona.bridge.admission.devices._BUSY_MS", 50)
    async with running(make_parts(FakeChatModel("好。")), settings_in(tmp_path)) as rig:
        async with connect(rig.url, additional_headers=device()) as websocket:
            await greeted(websocket)
            assert await answer_to(websocket, "在吗") == "好。"
            with contextlib.closing(sqlite3.connect(tmp_path / "devices.db")) as other:
                other.execute("begin exclusive")
                assert await answer_to(websocket, "还在吗") == "好。"
                with pytest.raises(InvalidStatus) as refused:
                    async with connect(rig.url, additional_headers={"Device-Id": "new"}):
                        pass
                assert refused.value.response.status_code == 503
                assert (await ota(rig, {"Device-Id": "new"})).status_code == 503
        assert await ask(rig, "在吗", {"Device-Id": "new"}) == "好。"


# The commands.


async def test_the_commands_work_without_a_bridge_and_say_the_next_step(tmp_path: Path) -> None:
    assert "还没有设备" in (await command(tmp_path, "list")).output
    for arguments, told in (
        (("approve", "123456"), "15 分钟"),
        (("forget", MAC), "devices list"),
        (("rename", MAC, "x"), "devices list"),
    ):
        done = await command(tmp_path, *arguments)
        assert told in str(done.exception or done.output), arguments
    async with running(make_parts(), settings_in(tmp_path, admit="paired")) as rig:
        code = (await ota(rig, device())).json()["activation"]["code"]
        await ota(rig, {"Device-Id": "hand-made"})
    listed = [json.loads(line) for line in (await command(tmp_path, "list", "--json")).output.splitlines()]
    assert {(one["id"], one["state"]) for one in listed} == {(MAC, "new"), ("hand-made", "new")}
    assert next(one for one in listed if one["id"] == MAC)["codes"] == [code]
    assert code in (await command(tmp_path, "list")).output
    assert json.loads((await command(tmp_path, "approve", code, "--json")).output) == {"approved": MAC}
    await command(tmp_path, "rename", "AA-BB-CC-DD-EE-0F", "厨房")
    assert "厨房" in (await command(tmp_path, "list")).output
    by_hand = next(one for one in listed if one["id"] == "hand-made")["codes"][0]
    token = json.loads((await command(tmp_path, "approve", by_hand, "--json")).output)["token"]
    async with running(make_parts(FakeChatModel("好。")), settings_in(tmp_path, admit="paired")) as rig:
        assert await ask(rig, "在吗", device()) == "好。"
        assert (
            await ask(rig, "在吗", {"Device-Id": "hand-made", "Authorization": f"bearer {token}"}) == "好。"
        )
        assert "没有配对" in await ask(rig, "在吗", {"Device-Id": "hand-made"})
