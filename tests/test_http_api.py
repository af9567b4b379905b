"""OTA and health over real HTTP."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from fakes.bridge import Rig, make_settings, running
from fakes.parts import make_parts

from xiaozhi_persona.lan import lan_addresses


@pytest_asyncio.fixture
async def rig() -> AsyncIterator[Rig]:
    async with running(make_parts()) as rig:
        yield rig


def ota(rig: Rig) -> str:
    return f"http://127.0.0.1:{rig.bridge.http_port}/xiaozhi/ota/"


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_ota_says_where_to_connect_and_what_time_it_is(rig: Rig, method: str) -> None:
    async with httpx.AsyncClient() as http:
        answer = await http.request(method, ota(rig), headers={"Device-Id": "aa:bb"}, content=b"{}")
    assert answer.status_code == 200
    data = answer.json()
    assert set(data) == {"websocket", "server_time"}  # no mqtt, no firmware: both would harm the device
    assert data["websocket"] == {"url": rig.url, "token": "", "version": 1}
    assert abs(data["server_time"]["timestamp"] / 1000 - time.time()) < 5
    assert -14 * 60 <= data["server_time"]["timezone_offset"] <= 14 * 60


async def told(rig: Rig, host: str) -> str:
    async with httpx.AsyncClient() as http:
        answer = await http.post(ota(rig), headers={"Host": host}, content=b"not json")
    url = str(answer.json()["websocket"]["url"])
    assert url.startswith("ws://") and url.endswith(f":{rig.bridge.websocket_port}/xiaozhi/v1/")
    return url[5:].rpartition(":")[0]


async def test_the_address_follows_a_host_that_is_ours(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    leads = {"mybox.lan": ["127.0.0.1"], "box6.lan": ["fe80::1", "::1"]}
    monkeypatch.setattr("xiaozhi_persona.bridge.own_names._look_up", lambda name: leads.get(name, []))
    for host in (
        "localhost",
        "127.0.0.1",
        "mybox.lan",
        "box6.lan",
        *(found.ip for found in lan_addresses()[:1]),
    ):
        assert await told(rig, f"{host}:8003") == host
    assert await told(rig, "localhost") == "localhost"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:1",
        "[::1]:8003",
        "a@evil.example",
        'x" onload',
        "127.0.0.1/x",
        "..",
        "-",
        "203.0.113.9",
    ],
)
async def test_a_host_that_is_not_ours_is_replaced_by_the_address_that_was_reached(
    rig: Rig, host: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("xiaozhi_persona.bridge.own_names._look_up", lambda name: ["203.0.113.9"])
    for _ in range(2):
        assert await told(rig, host) == "127.0.0.1"
    assert caplog.text.count("bridge.websocket_url") == 1


async def test_a_resolver_that_does_not_answer_holds_up_nobody(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, asked = threading.Event(), []

    def look_up(name: str) -> list[str]:
        asked.append(name)
        answer.wait(10)
        return ["127.0.0.1"]

    monkeypatch.setattr("xiaozhi_persona.bridge.own_names._look_up", look_up)
    monkeypatch.setattr("xiaozhi_persona.bridge.own_names._LOOK_UP_S", 0.05)
    try:
        for number in range(6):
            assert await asyncio.wait_for(told(rig, f"{number}.lan"), 5) == "127.0.0.1"
    finally:
        answer.set()
    assert asked == ["0.lan", "1.lan"]  # no more than two wait for it


async def test_the_address_of_the_settings_wins() -> None:
    settings = make_settings()
    mine = {"websocket_url": "wss://example.org/xiaozhi/v1/", "token": "t", "binary_version": 3}
    settings = settings.model_copy(update={"bridge": settings.bridge.model_copy(update=mine)})
    async with running(make_parts(), settings) as rig, httpx.AsyncClient() as http:
        answer = await http.post(ota(rig), content=b"{}")
    assert answer.json()["websocket"] == {"url": "wss://example.org/xiaozhi/v1/", "token": "t", "version": 3}


async def test_health_counts_the_devices(rig: Rig) -> None:
    url = f"http://127.0.0.1:{rig.bridge.http_port}/health"
    async with httpx.AsyncClient() as http, rig.device():
        data = (await http.get(url)).json()
    assert data["status"] == "ok" and data["devices"] == 1


async def test_what_is_not_there_is_not_found(rig: Rig) -> None:
    async with httpx.AsyncClient() as http:
        assert (await http.get(f"http://127.0.0.1:{rig.bridge.http_port}/nothing")).status_code == 404
