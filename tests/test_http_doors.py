"""Who may use the interfaces for other programs, over real sockets."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fakes.bridge import Rig, make_settings, running
from fakes.parts import make_parts

from xiaozhi_persona.bridge.admission.addresses import Source, source_of
from xiaozhi_persona.bridge.admission.admission import visitor_of
from xiaozhi_persona.bridge.credentials import Credentials
from xiaozhi_persona.bridge.http import doors as doors_module
from xiaozhi_persona.bridge.http.doors import REQUESTS_A_MINUTE, TOKEN_FILE, Caller
from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.settings import PathSettings, Settings

OTHERS = {"X-Forwarded-For": "192.168.1.7"}
"""As a proxy of this machine names another one in the local network."""


def settings_with(**bridge: Any) -> Settings:
    settings = make_settings()
    return settings.model_copy(update={"bridge": settings.bridge.model_copy(update=bridge)})


@pytest_asyncio.fixture
async def rig() -> AsyncIterator[Rig]:
    async with running(make_parts()) as rig:
        yield rig


async def ask(rig: Rig, path: str = "/v1/models", **more: Any) -> httpx.Response:
    async with httpx.AsyncClient(timeout=20) as http:
        method = "POST" if "json" in more or "content" in more else "GET"
        return await http.request(method, f"http://127.0.0.1:{rig.bridge.http_port}{path}", **more)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_this_machine_needs_no_token_whatever_key_its_programs_make_up(rig: Rig) -> None:
    for headers in ({}, bearer("sk-made-up"), bearer("sk:aa:bb:cc:dd:ee:ff")):
        answer = await ask(rig, headers=headers)
        assert answer.status_code == 200
    assert answer.json()["data"][0]["id"] == "default"


async def test_others_need_the_token(rig: Rig) -> None:
    for headers in ({}, bearer("wrong"), bearer(rig.bridge.api_token[:-1])):
        answer = await ask(rig, headers={**OTHERS, **headers})
        assert answer.status_code == 401
        told = answer.json()
        assert told["error"]["code"] == "invalid_api_key" and TOKEN_FILE in told["next_step"]
        assert rig.bridge.api_token not in answer.text
    assert (await ask(rig, headers={**OTHERS, **bearer(rig.bridge.api_token)})).status_code == 200
    named = bearer(rig.bridge.api_token + ":%E5%B0%8F%E6%98%8E")
    assert (await ask(rig, headers={**OTHERS, **named})).status_code == 200


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via", "x-forwarded-proto"])
async def test_who_comes_through_a_proxy_is_not_of_this_machine_whatever_it_says(
    rig: Rig, header: str
) -> None:
    assert (await ask(rig, headers={header: "127.0.0.1"})).status_code == 401


async def test_made_up_addresses_do_not_make_more_guesses(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors_module, "WRONG_TOKENS_A_MINUTE", 3)

    def from_a_neighbour(peer: Any, forwarded_for: Any, forwarded: Any) -> Source:
        return source_of(("192.168.1.66", 5), forwarded_for, forwarded)

    monkeypatch.setattr(doors_module, "source_of", from_a_neighbour)
    made_up = [{"X-Forwarded-For": f"10.0.0.{n}", **bearer(f"guess {n}")} for n in range(5)]
    assert [(await ask(rig, headers=one)).status_code for one in made_up] == [401, 401, 401, 429, 429]


async def test_an_open_bridge_lets_the_local_network_in_and_nobody_else() -> None:
    async with running(make_parts(), settings_with(api_access="open")) as rig:
        assert (await ask(rig, headers=OTHERS)).status_code == 200
        assert (await ask(rig, headers={"X-Forwarded-For": "8.8.8.8"})).status_code == 401
        assert (await ask(rig, headers={**OTHERS, "Origin": "https://evil.example"})).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Host": "evil.example"},
        {"Host": "evil.example:8003"},
        {"Host": ""},
        {"Host": "127.0.0.1@evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
@pytest.mark.parametrize("path", ["/v1/models", "/v1/audio/speech", "/api/say", "/api/nothing"])
async def test_a_foreign_page_reads_and_says_nothing_even_with_the_token(
    rig: Rig, path: str, headers: dict[str, str]
) -> None:
    body = {"json": {"input": "你好"}} if path != "/v1/models" else {}
    answer = await ask(rig, path, headers={**headers, **bearer(rig.bridge.api_token)}, **body)
    assert answer.status_code == 403 and set(answer.json()) == {"error", "next_step"}
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]
    assert rig.parts.synthesizer.asked == []  # type: ignore[attr-defined]


async def test_our_own_page_and_those_of_the_settings_may_ask() -> None:
    page = "http://192.168.1.9:3000"
    async with running(make_parts(), settings_with(allowed_origins=[page, "https://box.example"])) as rig:
        for origin in (page, f"http://127.0.0.1:{rig.bridge.http_port}"):
            answer = await ask(rig, headers={"Origin": origin, "Sec-Fetch-Site": "cross-site"})
            assert answer.status_code == 200 and answer.headers["Access-Control-Allow-Origin"] == origin
        wanted = {"input": "你好", "response_format": "pcm"}
        answer = await ask(rig, "/v1/audio/speech", headers={"Origin": page}, json=wanted)
        assert answer.headers["Access-Control-Allow-Origin"] == page  # of what is streamed, too
        for host in ("box.example", "localhost", "[::1]:8003", "192.168.7.7:8003"):
            assert (await ask(rig, headers={"Host": host})).status_code == 200


async def test_after_wrong_tokens_not_even_the_right_one_is_looked_at(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doors_module, "WRONG_TOKENS_A_MINUTE", 3)
    guessed = [(await ask(rig, headers={**OTHERS, **bearer(f"guess {n}")})).status_code for n in range(5)]
    assert guessed == [401, 401, 401, 429, 429]
    right = bearer(rig.bridge.api_token)
    assert (await ask(rig, headers={**OTHERS, **right})).status_code == 429
    assert (await ask(rig, headers={"X-Forwarded-For": "192.168.1.8", **right})).status_code == 200


async def test_an_address_may_ask_so_often_in_a_minute(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors_module, "REQUESTS_A_MINUTE", 3)
    headers = {**OTHERS, **bearer(rig.bridge.api_token)}
    assert [(await ask(rig, headers=headers)).status_code for _ in range(4)] == [200, 200, 200, 429]
    assert (await ask(rig)).status_code == 200
    assert REQUESTS_A_MINUTE > 3


async def test_the_token_is_kept_for_this_user_only_and_may_be_ones_own(tmp_path: Path) -> None:
    settings = make_settings().model_copy(update={"paths": PathSettings(data=str(tmp_path))})
    async with running(make_parts(), settings) as rig:
        first = rig.bridge.api_token
    file = tmp_path / TOKEN_FILE
    assert file.read_text() == first and len(first) >= 32
    if os.name == "posix":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    async with running(make_parts(), settings) as rig:
        assert rig.bridge.api_token == first
    file.write_text("my own token of some length\n".replace(" ", "-"))
    async with running(make_parts(), settings) as rig:
        assert rig.bridge.api_token == "my-own-token-of-some-length"
    for spoilt in ("", "short", "with a blank in it, it is none", "colon:colon:colon:colon"):
        file.write_text(spoilt)
        with pytest.raises(SettingsError, match=TOKEN_FILE):
            async with contextlib.AsyncExitStack() as stack:
                await stack.enter_async_context(running(make_parts(), settings))


def test_only_who_has_the_token_names_a_device() -> None:
    known, unknown = Caller(True, ""), Caller(False, "")
    assert known.owner_id() == unknown.owner_id() == "http"
    assert known.owner_id("AA-BB-CC-DD-EE-FF") == "aa:bb:cc:dd:ee:ff"
    assert unknown.owner_id("AA-BB-CC-DD-EE-FF") == "http:aa:bb:cc:dd:ee:ff"
    assert Caller(True, "小明").owner_id("other") == "小明"
    assert unknown.owner_id("http") == "http" and unknown.owner_id("a‖role") == "http:arole"


def test_no_device_is_known_by_the_id_of_programs() -> None:
    source = Source("192.168.1.2", "192.168.1.2", True)
    for name in ("http", "http:小明"):
        assert visitor_of(Credentials(device_id=name), source).id == ""
        assert visitor_of(Credentials(device_id=name, client_id="c"), source).id == "c"
    assert visitor_of(Credentials(device_id="https"), source).id == "https"


@pytest.mark.parametrize("path", ["/v1/nothing", "/api/nothing", "/v1/", "/api/say/%2e%2e%2fx"])
async def test_what_there_is_not_is_told_as_json(rig: Rig, path: str) -> None:
    answer = await ask(rig, path)
    assert answer.status_code == 404 and answer.json()["next_step"]


async def test_a_body_that_is_too_large_is_told_as_json(rig: Rig) -> None:
    answer = await ask(rig, "/v1/audio/speech", content=b"x" * (64 * 1024 + 1))
    assert answer.status_code == 413 and answer.json()["next_step"]
