"""OTA and health over real HTTP."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from fakes.bridge import Rig, make_settings, running
from fakes.parts import make_parts

from xiaozhi_persona.bridge.http_api import websocket_url
from xiaozhi_persona.bridge.own_names import lan_addresses


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


async def test_the_address_follows_the_host_by_which_the_device_came(rig: Rig) -> None:
    async with httpx.AsyncClient() as http:
        answer = await http.post(ota(rig), headers={"Host": "mybox.lan:8003"}, content=b"not json")
    assert answer.json()["websocket"]["url"] == f"ws://mybox.lan:{rig.bridge.websocket_port}/xiaozhi/v1/"


async def test_the_address_of_the_settings_wins() -> None:
    settings = make_settings()
    mine = {"websocket_url": "wss://example.org/xiaozhi/v1/", "token": "t", "binary_version": 3}
    settings = settings.model_copy(update={"bridge": settings.bridge.model_copy(update=mine)})
    async with running(make_parts(), settings) as rig, httpx.AsyncClient() as http:
        answer = await http.post(ota(rig), content=b"{}")
    assert answer.json()["websocket"] == {"url": "wss://example.org/xiaozhi/v1/", "token": "t", "version": 3}


def test_a_host_that_devices_cannot_parse_is_replaced() -> None:
    assert websocket_url("[::1]:8003", 8000).count(":") == 2
    own = next((address.ip for address in lan_addresses()), "127.0.0.1")
    assert websocket_url("evil host/x", 8000).startswith(f"ws://{own}:")


async def test_health_counts_the_devices(rig: Rig) -> None:
    url = f"http://127.0.0.1:{rig.bridge.http_port}/health"
    async with httpx.AsyncClient() as http, rig.device():
        data = (await http.get(url)).json()
    assert data["status"] == "ok" and data["devices"] == 1


async def test_what_is_not_there_is_not_found(rig: Rig) -> None:
    async with httpx.AsyncClient() as http:
        assert (await http.get(f"http://127.0.0.1:{rig.bridge.http_port}/nothing")).status_code == 404
