"""Connections that are made and not used: they end in time, they do not keep others out, and the log stays short."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpx
import pytest
from aiohttp import web
from fakes.bridge import Rig, make_settings, running
from fakes.parts import make_parts
from fakes.peer import SOON_S, Peer, peer
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from xiaozhi_persona.bridge import http_server, listening
from xiaozhi_persona.bridge.http_server import serve_http
from xiaozhi_persona.bridge.listening import Connections
from xiaozhi_persona.bridge.mcp.photos import Photos

HALF_HEAD = b"GET /xiaozhi/ota/ HTTP/1.1\r\nHost: x\r\nX-a: "
HEALTH = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"


@contextlib.asynccontextmanager
async def peers(count: int, port: int, data: bytes, host: str = "127.0.0.1") -> AsyncIterator[list[Peer]]:
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(peer(port, data, host)) for _ in range(count)]


def ports(rig: Rig) -> tuple[int, int]:
    return rig.bridge.websocket_port, rig.bridge.http_port


@contextlib.asynccontextmanager
async def serving(handler: Any) -> AsyncIterator[int]:
    """Serve one handler as the bridge serves its own."""
    app = web.Application()
    app.router.add_post("/", handler)
    connections = Connections(per_address=64)
    with connections.listen("127.0.0.1", 0) as listener:
        async with serve_http(app, listener, connections, (Photos(None).room,)):
            yield listener.getsockname()[1]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "REQUEST_TIMEOUT_S", 0.4)
    monkeypatch.setattr(http_server, "BODY_TIMEOUT_S", 0.4)
    monkeypatch.setattr(http_server, "KEEP_ALIVE_S", 0.4)


# Half-sent requests.


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("data", [b"", HALF_HEAD], ids=["nothing", "half"])
async def test_half_a_head_ends_in_time_on_both_ports(data: bytes) -> None:
    async with running(make_parts()) as rig:
        for port in ports(rig):
            async with peer(port, data) as half:
                assert not await half.receive()


@pytest.mark.usefixtures("quick")
async def test_dripping_bytes_do_not_put_the_end_off() -> None:
    async with running(make_parts()) as rig:
        for port in ports(rig):
            async with peer(port, HALF_HEAD) as half:
                await half.drip()


@pytest.mark.usefixtures("quick")
async def test_half_a_body_ends_in_time(caplog: pytest.LogCaptureFixture) -> None:
    async with running(make_parts()) as rig, peer(rig.bridge.http_port) as half:
        half.send(b"POST /xiaozhi/ota/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nab")
        await half.drip()
    assert "Traceback" not in caplog.text


async def test_a_body_that_is_too_large_is_refused() -> None:
    async with running(make_parts()) as rig, peer(rig.bridge.http_port) as large:
        large.send(
            b"POST /xiaozhi/ota/ HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n" + bytes(200_000)
        )
        assert b" 413 " in await large.receive()
        await large.receive_all()


@pytest.mark.usefixtures("quick")
async def test_a_kept_connection_serves_again_and_ends_when_idle() -> None:
    async with running(make_parts()) as rig, peer(rig.bridge.http_port) as kept:
        for _ in range(3):
            kept.send(HEALTH)
            assert b" 200 " in await kept.receive()
        assert not await kept.receive()


@pytest.mark.usefixtures("quick")
async def test_who_does_not_take_the_answer_is_ended() -> None:
    given_up = asyncio.Event()

    class Large(web.Response):
        async def write_eof(self, data: bytes = b"") -> None:
            try:
                await super().write_eof(data)
            finally:
                given_up.set()

    async def large(request: web.Request) -> web.Response:
        return Large(body=bytes(50_000_000))

    async with serving(large) as port:
        with socket.create_connection(("127.0.0.1", port)) as deaf:
            deaf.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
            with anyio.fail_after(SOON_S):
                await given_up.wait()


async def test_nothing_is_held_back_until_the_peer_acknowledges() -> None:
    async def handler(request: web.Request) -> web.Response:
        opened = request.transport.get_extra_info("socket") if request.transport else None
        return web.json_response(opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    async with serving(handler) as port, httpx.AsyncClient() as http:
        assert (await http.post(f"http://127.0.0.1:{port}/")).json()


@pytest.mark.usefixtures("quick")
async def test_a_long_answer_is_not_cut() -> None:
    may_end = asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        body = await request.read()
        await may_end.wait()
        return web.Response(body=body)

    async with serving(slow) as port, peer(port) as served:
        served.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab")
        async with peer(port, HALF_HEAD) as half, peer(port, HALF_HEAD) as later:
            assert not await half.receive()
            assert not await later.receive()
        async with peer(port, HALF_HEAD) as half:  # twice as long as any deadline
            assert not await half.receive()
        may_end.set()
        assert (await served.receive()).endswith(b"ab")


async def test_the_bridge_closes_at_once_whatever_is_half_sent() -> None:
    async with contextlib.AsyncExitStack() as stack:
        async with running(make_parts()) as rig:
            for port in ports(rig):
                await stack.enter_async_context(peers(3, port, HALF_HEAD))
                half = await stack.enter_async_context(
                    peer(port, b"POST /xiaozhi/ota/ HTTP/1.1\r\nHost: x\r\n")
                )
                half.send(b"Content-Length: 1000\r\n\r\nab")
            async with httpx.AsyncClient() as http:
                await http.get(f"http://127.0.0.1:{rig.bridge.http_port}/health")
            began_s = time.monotonic()
        assert time.monotonic() - began_s < 4


# Too many.


async def test_who_has_sent_no_request_gives_its_place_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "MAX_CONNECTIONS", 20)
    async with running(make_parts()) as rig, rig.device() as device:
        for port in ports(rig):
            async with peers(60, port, HALF_HEAD) as halves:
                assert not await halves[0].receive()
                async with rig.device(device_id="other") as other:
                    for one in (device, other):
                        one.type_text("在吗")
                        await one.reply(SOON_S)
                    assert await devices(rig) == 2


async def test_many_at_once_need_hardly_more_file_descriptors_than_may_be_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listening, "MAX_CONNECTIONS", 20)
    held: set[socket.socket] = set()
    most = 0

    class Watched(listening._Connection):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            held.add(self)
            nonlocal most
            most = max(most, len(held))

        def close(self) -> None:
            super().close()
            held.discard(self)

    monkeypatch.setattr(listening, "_Connection", Watched)
    async with running(make_parts()) as rig:
        with contextlib.ExitStack() as stack:
            for _ in range(90):  # they queue: the loop does not run meanwhile
                stack.enter_context(socket.create_connection(("127.0.0.1", rig.bridge.http_port)))
            assert await devices(rig) == 0
    assert 20 <= most <= 26


async def test_when_all_are_served_the_next_is_told_to_come_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "MAX_CONNECTIONS", 3)
    async with running(make_parts()) as rig:
        names = ("a", "b", "c")
        async with contextlib.AsyncExitStack() as stack:
            first, *_ = [await stack.enter_async_context(rig.device(device_id=name)) for name in names]
            for port in ports(rig):
                async with peer(port, HEALTH) as more:
                    assert (await more.receive_all()).startswith(b"HTTP/1.1 503 ")
            with pytest.raises(InvalidStatus, match="503"):
                async with connect(rig.url):
                    pass
            await first.close()
            assert await devices(rig) == 2
        async with rig.device():
            assert await devices(rig) == 1


async def test_an_address_has_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "is_loopback", lambda host: False)
    settings = make_settings()
    few = settings.bridge.model_copy(update={"connections_per_address": 4})
    settings = settings.model_copy(update={"bridge": few})
    async with running(make_parts(), settings) as rig, contextlib.AsyncExitStack() as stack:
        port = rig.bridge.websocket_port
        async with peers(10, port, HALF_HEAD, "127.0.0.2") as greedy, rig.device() as device:
            for one in greedy[:6]:
                assert not await one.receive()
            device.type_text("在吗")
            await device.reply(SOON_S)
            for name in ("b", "c", "d"):
                await stack.enter_async_context(rig.device(device_id=name))
            async with peer(port, HEALTH) as more:
                assert (await more.receive()).startswith(b"HTTP/1.1 503 ")
            greedy[9].send(b"\r\nUpgrade: none\r\n\r\n")  # its last four are still there
            assert await greedy[9].receive()


async def test_this_machine_has_no_share_since_a_proxy_speaks_for_all() -> None:
    settings = make_settings()
    few = settings.bridge.model_copy(update={"connections_per_address": 1})
    settings = settings.model_copy(update={"bridge": few})
    async with running(make_parts(), settings) as rig, rig.device(device_id="a"), rig.device(device_id="b"):
        assert await devices(rig) == 2


async def devices(rig: Rig) -> int:
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"http://127.0.0.1:{rig.bridge.http_port}/health")
    return int(answer.json()["devices"])


NO_DESCRIPTORS = """
import asyncio, logging, resource, socket, sys, time
from xiaozhi_persona.bridge.listening import Connections

async def main():
    logging.basicConfig(stream=sys.stderr)
    listener = Connections(64).listen("127.0.0.1", 0)
    client = socket.socket(), socket.socket(), socket.socket()
    async def echo(reader, writer):
        writer.write(await reader.read(100))
        writer.close()
    async with await asyncio.start_server(echo, sock=listener):
        address = listener.getsockname()
        loop = asyncio.get_running_loop()
        hungry = [open("/dev/null")]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hungry[0].fileno() + 1,) * 2)
        for one in client[:2]:
            one.setblocking(False)
            await loop.sock_connect(one, address)
            print(await loop.sock_recv(one, 12))
        used_s = time.process_time()
        await asyncio.sleep(0.2)
        print(time.process_time() - used_s < 0.1)
        hungry.pop().close()
        client[2].setblocking(False)
        await loop.sock_connect(client[2], address)
        await loop.sock_sendall(client[2], b"again")
        print(await loop.sock_recv(client[2], 12))
asyncio.run(main())
"""


def test_without_a_file_descriptor_left_it_refuses_and_goes_on() -> None:
    done = subprocess.run([sys.executable, "-c", NO_DESCRIPTORS], capture_output=True, text=True, timeout=60)
    assert done.stdout.split("\n")[:4] == ["b'HTTP/1.1 503'"] * 2 + ["True", "b'again'"], done.stderr
    assert "Traceback" not in done.stderr and len(done.stderr.splitlines()) == 2


# Malformed requests.

REQUESTS = {
    "outside": b"GET /../../../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
    "outside, escaped": b"GET /xiaozhi/ota/..%2f..%2fetc HTTP/1.1\r\nHost: x\r\n\r\n",
    "trace": b"TRACE /xiaozhi/ota/ HTTP/1.1\r\nHost: x\r\n\r\n",
    "delete": b"DELETE /health HTTP/1.1\r\nHost: x\r\n\r\n",
    "no host": b"GET /nothing HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /nothing HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "no http": b"\x00\x01\x02\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(200)) + b"\r\n\r\n",
    "large field": b"GET /nothing HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 20000 + b"\r\n\r\n",
    "large line": b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "many fields": b"GET /nothing HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 5000 + b"\r\n",
    "two lengths": b"POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "negative length": b"POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "bad chunk": b"POST /nothing HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "control character": b"GET /nothing HTTP/1.1\r\nHost: x\r\nA: b\x0bc\r\n\r\n",
    "line break in the path": b"GET /health%0d%0aX:1 HTTP/1.1\r\nHost: x\r\n\r\n",
    "unknown expectation": b"GET /nothing HTTP/1.1\r\nHost: x\r\nExpect: wonders\r\n\r\n",
    "upgrade to nothing": b"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nabc",
    "body for a websocket": b"POST /xiaozhi/v1/ HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
}


@pytest.mark.usefixtures("quick")
async def test_a_malformed_request_is_refused_in_silence(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with running(make_parts()) as rig:
        caplog.clear()
        for port in ports(rig):
            for name, request in REQUESTS.items():
                async with peer(port, request) as malformed:
                    answer = await malformed.receive()
                    assert not answer or answer.startswith((b"HTTP/1.0 4", b"HTTP/1.1 4")), name
                    await malformed.receive_all()
        assert await devices(rig) == 0
    muted = "websockets.server"  # by the command
    assert not [r for r in caplog.records if r.levelno > logging.INFO and r.name != muted]
