"""Which web pages may talk to the bridge, over real sockets: ours and those of the settings, and no other."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fakes.bridge import Rig, make_settings, running
from fakes.parts import FakeMemory, make_parts
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from xiaozhi_persona.bridge.origins import Origins
from xiaozhi_persona.bridge.own_names import OwnNames
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.spine import Owner

PAGE = "http://127.0.0.1:8006"
FOREIGN = [
    "https://evil.example",
    "null",
    "http://127.0.0.1:8007",
    "https://127.0.0.1:8006",
    "http://127.0.0.1:8006.evil.example",
    "",
]


def settings_with(**bridge: Any) -> Settings:
    settings = make_settings()
    return settings.model_copy(update={"bridge": settings.bridge.model_copy(update=bridge)})


@pytest_asyncio.fixture
async def rig() -> AsyncIterator[Rig]:
    async with running(make_parts(), settings_with(allowed_origins=[PAGE + "/"], token="secret")) as rig:
        yield rig


def http(rig: Rig, path: str = "/xiaozhi/ota/") -> str:
    return f"http://127.0.0.1:{rig.bridge.http_port}{path}"


@pytest.mark.parametrize("origin", FOREIGN)
@pytest.mark.parametrize("path", ["/xiaozhi/ota/", "/health", "/nothing"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
async def test_a_foreign_page_gets_nothing_over_http(rig: Rig, method: str, path: str, origin: str) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.request(method, http(rig, path), headers={"Origin": origin})
    assert answer.status_code == 403
    assert "secret" not in answer.text and "allowed_origins" in answer.text
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize("origin", FOREIGN)
async def test_a_foreign_page_gets_no_websocket(
    rig: Rig, origin: str, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {"Device-Id": "aa:bb", "Authorization": "Bearer secret", "Origin": origin}
    for _ in range(2):
        with pytest.raises(InvalidStatus) as caught:
            async with connect(rig.url, additional_headers=headers):
                pass
        assert caught.value.response.status_code == 403
    assert caplog.text.count("allowed_origins") == 1 and repr(origin) in caplog.text


async def test_one_good_origin_does_not_carry_another(rig: Rig) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.get(http(rig), headers=[("Origin", PAGE), ("Origin", "https://evil.example")])
    assert answer.status_code == 403


async def test_an_allowed_page_is_told_so_and_no_star_is(rig: Rig) -> None:
    async with httpx.AsyncClient() as client:
        preflight = await client.options(
            http(rig), headers={"Origin": PAGE, "Access-Control-Request-Headers": "device-id,client-id"}
        )
        answer = await client.post(http(rig), headers={"Origin": PAGE}, content=b"{}")
        missing = await client.get(http(rig, "/nothing"), headers={"Origin": PAGE})
        device = await client.post(http(rig), content=b"{}")
    assert (preflight.status_code, answer.status_code, missing.status_code) == (204, 200, 404)
    assert preflight.headers["Access-Control-Allow-Headers"] == "device-id,client-id"
    for told in (preflight, answer, missing):
        assert told.headers["Access-Control-Allow-Origin"] == PAGE and told.headers["Vary"] == "Origin"
    assert "Access-Control-Allow-Origin" not in device.headers and device.headers["Vary"] == "Origin"
    assert device.status_code == 200


async def test_our_own_page_may_come_by_any_name_of_this_machine(rig: Rig) -> None:
    async with httpx.AsyncClient() as client:
        for name in ("127.0.0.1", "localhost", "[::1]"):
            origin = f"http://{name}:{rig.bridge.http_port}"
            assert (await client.get(http(rig), headers={"Origin": origin})).status_code == 200
        for origin in (
            f"http://user@127.0.0.1:{rig.bridge.http_port}",
            f"ftp://localhost:{rig.bridge.http_port}",
        ):
            assert (await client.get(http(rig), headers={"Origin": origin})).status_code == 403
    for port in (rig.bridge.http_port, rig.bridge.websocket_port):  # the latter from clients that are no page
        headers = {"Origin": f"http://127.0.0.1:{port}", "Authorization": "bearer secret"}
        async with connect(rig.url, additional_headers=headers):
            pass


def test_a_name_that_only_leads_here_is_no_page_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who owns the name may have shown his own page under it a moment ago (DNS rebinding)."""
    monkeypatch.setattr("xiaozhi_persona.bridge.own_names._look_up", lambda name: ["127.0.0.1"])
    origins = Origins([], OwnNames())
    origins.own_ports = {8003}
    assert not origins.allow(["http://evil.example:8003"])
    assert origins.allow(["http://localhost:8003"])
    assert not origins.allow(["http://localhost:8003/path"]) and not origins.allow(["file://"])
    assert Origins(["file://"], OwnNames()).allow(["file://"])  # what some libraries of devices send
    assert not origins.allow(["http://localhost:8003#"]) and not origins.allow(["http://localhost:x"])


async def test_ids_in_the_address_count_only_where_the_settings_say_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    memory = Watched(20)
    query = "?device-id=aa:bb:cc:dd:ee:ff&client-id=c&authorization=Bearer%20secret"
    async with running(make_parts(memory=memory), settings_with(token="secret")) as rig:
        for _ in range(2):
            with pytest.raises(InvalidStatus) as caught:
                async with connect(rig.url + query):
                    pass
            assert caught.value.response.status_code == 401
    assert caplog.text.count("bridge.ids_in_url") == 1
    assert "secret" not in caplog.text
    page = settings_with(token="secret", ids_in_url=True, allowed_origins=[PAGE])
    async with (
        running(make_parts(memory=memory), page) as rig,
        connect(rig.url + query, additional_headers={"Origin": PAGE}) as websocket,
    ):
        await websocket.send('{"type":"hello"}')
        assert json.loads(await websocket.recv())["type"] == "hello"
    assert memory.opened == ["aa:bb:cc:dd:ee:ff"]


class Watched(FakeMemory):
    """Notes whose memory is opened."""

    opened: list[str]

    def __init__(self, max_turns: int) -> None:
        super().__init__(max_turns)
        self.opened = []

    async def open(self, owner: Owner) -> None:
        self.opened.append(owner.id)


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER  ", ""])
@pytest.mark.parametrize("configured", ["abc", "Bearer abc"])
async def test_the_scheme_of_a_token_may_be_written_in_any_case(scheme: str, configured: str) -> None:
    async with running(make_parts(), settings_with(token=configured)) as rig:
        async with connect(rig.url, additional_headers={"Authorization": f"{scheme}abc"}):
            pass
        with pytest.raises(InvalidStatus):
            async with connect(rig.url, additional_headers={"Authorization": f"{scheme}abd"}):
                pass
