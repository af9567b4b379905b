"""A device that stays connected: whatever becomes of the servers, the network and the clocks, it comes back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import pytest
from aiohttp import web
from fakes.xiaozhi_server import FakeXiaozhi, Session, answer_every_turn, tone

from xiaozhi_persona.bridge.client import staying
from xiaozhi_persona.bridge.client.connection import DeviceConnection
from xiaozhi_persona.bridge.client.handshake import NotReached
from xiaozhi_persona.bridge.client.ota import OtaAnswer, ask_ota
from xiaozhi_persona.bridge.client.servers import Server, Servers
from xiaozhi_persona.bridge.client.staying import Backoff, LinkEvent, stay_connected
from xiaozhi_persona.bridge.messages import CONNECTED_AGAIN
from xiaozhi_persona.errors import ServiceError, ServiceRejected, ServiceUnavailable, SettingsError


def connect(server: Server) -> AbstractAsyncContextManager[DeviceConnection]:
    return DeviceConnection.open(server.url, token=server.token, hello_timeout_s=0.5)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def url_of(port: int) -> str:
    return f"ws://127.0.0.1:{port}/xiaozhi/v1/"


class Life:
    """A device that stays connected and asks one question after the other, as a task."""

    def __init__(self, *servers: Server, turns: int = 1, backoff: Backoff | None = None) -> None:
        self.events: list[LinkEvent] = []
        self.turns = 0
        self._wanted = turns
        self._changed = asyncio.Event()
        self.ending = asyncio.create_task(
            stay_connected(Servers(servers), connect, self._converse, self._note, backoff), name="life"
        )

    async def _converse(self, device: DeviceConnection) -> None:
        while self.turns < self._wanted:
            device.type_text("你好")
            await device.reply(10)
            self.turns += 1

    def _note(self, event: LinkEvent) -> None:
        self.events.append(event)
        self._changed.set()

    @property
    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await asyncio.wait_for(self._changed.wait(), 20)

    async def end(self) -> None:
        await asyncio.wait_for(self.ending, 20)

    async def stop(self) -> None:
        self.ending.cancel()
        await asyncio.wait({self.ending})


# The waits.


def test_waits_grow_and_are_never_in_step():
    lowest, highest = Backoff(lambda: 0.0), Backoff(lambda: 1.0)
    refused = [highest.next_s(True) for _ in range(12)]
    assert refused[:4] == [0.1, 0.2, 0.4, 0.8] and refused[-1] == 30.0
    assert [lowest.next_s(True) for _ in range(12)] == [wait / 2 for wait in refused]


def test_a_closed_port_is_tried_again_within_a_second_however_long_it_has_been_closed():
    backoff = Backoff(lambda: 1.0)
    assert max(backoff.next_s(False) for _ in range(5000)) < 1.0
    # The first answer of a server that has just started may be a refusal: it is asked again soon.
    assert backoff.next_s(True) == 0.1


# Several servers.


async def test_the_first_server_that_answers_is_taken():
    async with FakeXiaozhi(hello=None) as silent, FakeXiaozhi() as good, FakeXiaozhi() as spare:
        life = Life(Server(url_of(free_port())), Server(silent.url), Server(good.url), Server(spare.url))
        await life.end()
        assert [event.text for event in life.events] == [good.url]
        assert len(good.sessions) == 1 and not spare.sessions


async def test_a_server_that_is_passed_over_again_and_again_is_told_once(caplog):
    away, last = url_of(free_port()), url_of(free_port())
    life = Life(Server(away), Server(last), backoff=Backoff(lambda: 0.0))
    await asyncio.sleep(0.5)  # several rounds
    await life.stop()
    assert [away in record.getMessage() for record in caplog.records] == [True]


async def test_after_a_loss_it_begins_with_the_first_again():
    port = free_port()

    async def one_answer(session: Session) -> None:
        await session.turn()
        await session.answer()
        await gate.wait()
        session.websocket.transport.abort()

    gate = asyncio.Event()
    async with FakeXiaozhi(one_answer) as second:
        life = Life(Server(url_of(port)), Server(second.url), turns=2)
        await life.until(lambda: life.kinds == ["connected"])
        async with FakeXiaozhi(port=port) as first:
            gate.set()
            await life.end()
            assert [event.text for event in life.events if event.kind == "connected"] == [
                second.url,
                first.url,
            ]


async def test_each_server_has_its_token():
    async with FakeXiaozhi(token="one") as first, FakeXiaozhi(token="two") as second:
        life = Life(Server(first.url, "wrong"), Server(second.url, "two"))
        await life.end()
        assert life.events[0].text == second.url


async def test_what_is_no_address_ends_it():
    with pytest.raises(SettingsError):
        await Life(Server("http//nothing")).end()


# A server that goes and comes.


async def test_a_server_killed_in_mid_sentence_is_found_again_within_a_second_of_its_return():
    async def die(session: Session) -> None:
        await session.turn()
        await session.send("tts", state="start")
        await session.send_audio(tone(0.3, 24000))
        session.websocket.transport.abort()

    port = free_port()
    async with FakeXiaozhi(die, port=port):
        life = Life(Server(url_of(port)))
        await life.until(lambda: "lost" in life.kinds)
    async with FakeXiaozhi(port=port):
        back = time.monotonic()
        await life.until(lambda: life.kinds[-1] == "connected")
        assert time.monotonic() - back < 1.0 + 0.5  # half a second is the machine's
        await life.end()
    assert life.turns == 1
    assert life.kinds[:2] == ["connected", "lost"]


async def test_offline_is_told_once_and_only_after_a_while(monkeypatch):
    monkeypatch.setattr(staying, "OFFLINE_AFTER_S", 0.2)
    port = free_port()
    life = Life(Server(url_of(port)), backoff=Backoff(lambda: 0.0))
    began = time.monotonic()
    await life.until(lambda: bool(life.events))
    assert time.monotonic() - began >= 0.2
    async with FakeXiaozhi(port=port):
        await life.end()
    assert life.kinds == ["offline", "connected"]
    assert str(port) in life.events[0].text


async def test_a_connection_that_ends_without_an_error_is_opened_again():
    async def close(session: Session) -> None:
        await session.websocket.close(1000, "nobody spoke")

    async def wait_for_the_end(device: DeviceConnection) -> None:
        with contextlib.suppress(ServiceError):
            await device.until(lambda: device.closed, 10)

    events: list[LinkEvent] = []
    async with FakeXiaozhi(close) as server:
        staying_on = asyncio.create_task(
            stay_connected(Servers([Server(server.url)]), connect, wait_for_the_end, events.append)
        )
        while len(server.sessions) < 3:
            await asyncio.wait_for(server.until_closed(), 10)
            await asyncio.sleep(0)
        staying_on.cancel()
        await asyncio.wait({staying_on})
    assert "1000 nobody spoke" in next(event.text for event in events if event.kind == "lost")


async def test_a_hello_that_comes_too_late_is_tried_again():
    async with FakeXiaozhi(hello_delay_s=0.7) as server:
        life = Life(Server(server.url))
        await server.until_closed()
        server.hello_delay_s = 0.0
        await life.end()
        assert life.kinds == ["connected"]
        assert len(server.sessions) >= 2


async def test_the_same_device_connected_elsewhere_ends_it_instead_of_a_fight():
    async def throw_out(session: Session) -> None:
        await session.turn()
        await session.websocket.close(1000, CONNECTED_AGAIN)

    async with FakeXiaozhi(throw_out) as server:
        with pytest.raises(SettingsError, match="--device-id"):
            await Life(Server(server.url)).end()
        assert len(server.sessions) == 1


async def test_it_can_be_stopped_while_it_waits_and_while_it_talks():
    life = Life(Server(url_of(free_port())))
    await asyncio.sleep(0)
    await life.stop()
    async with FakeXiaozhi(hold) as server:
        life = Life(Server(server.url))
        await server.connected()
        await life.stop()


async def hold(session: Session) -> None:
    await asyncio.Event().wait()


# The network.


class Proxy:
    """Passes bytes on, or holds them back."""

    def __init__(self, port: int) -> None:
        self._to = port
        self.flows = asyncio.Event()
        self.flows.set()
        self._tasks: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        try:
            yield url_of(server.sockets[0].getsockname()[1])
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
        ways = [self._pass(reader, far_writer), self._pass(far_reader, writer)]
        self._tasks |= {asyncio.create_task(way, name="proxy") for way in ways}

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                await self.flows.wait()
                writer.write(data)
        except OSError:
            pass
        finally:
            writer.close()


def port_of(server: FakeXiaozhi) -> int:
    return int(server.url.split(":")[2].split("/")[0])


async def test_a_network_that_stalls_in_mid_reply_costs_a_pause_and_no_connection():
    proxy: Proxy

    async def stall(session: Session) -> None:
        await session.turn()
        await session.send("tts", state="start")
        await session.send_audio(tone(0.3, 24000))
        proxy.flows.clear()
        asyncio.get_running_loop().call_later(1.0, proxy.flows.set)
        await session.send_audio(tone(0.3, 24000))
        await session.send("tts", state="stop")

    async with FakeXiaozhi(stall) as server:
        proxy = Proxy(port_of(server))
        async with proxy.serving() as url:
            life = Life(Server(url))
            await life.end()
    assert life.kinds == ["connected"]
    assert life.turns == 1


async def test_a_server_that_answers_no_ping_any_more_is_given_up():
    async with FakeXiaozhi(answer_every_turn) as server:
        proxy = Proxy(port_of(server))
        async with proxy.serving() as url, DeviceConnection.open(url, ping_s=0.2) as device:
            proxy.flows.clear()
            with pytest.raises(ServiceUnavailable):
                await device.until(lambda: False, 10)
            proxy.flows.set()


async def test_a_machine_that_has_slept_connects_anew_at_once(monkeypatch):
    asleep = [0.0]
    monkeypatch.setattr(staying, "_asleep_s", lambda: asleep[0])
    monkeypatch.setattr(staying, "_TICK_S", 0.01)
    async with FakeXiaozhi(hold) as server:
        life = Life(Server(server.url))
        await life.until(lambda: life.kinds == ["connected"])
        asleep[0] = 3600.0
        server.script = answer_every_turn
        await life.end()
        assert life.kinds == ["connected", "lost", "connected"]


async def test_a_clock_that_is_set_in_the_middle_changes_nothing(monkeypatch):
    """A Raspberry Pi has no clock of its own: it is years off until the network has told it."""
    now = [1.7e9]
    monkeypatch.setattr(time, "time", lambda: now[0])
    port = free_port()
    life = Life(Server(url_of(port)), turns=2)
    now[0] += 1e8
    async with FakeXiaozhi(port=port):
        await life.end()
        now[0] -= 2e8
    assert life.kinds == ["connected"]


async def test_an_address_where_nothing_comes_back_is_left_soon(monkeypatch):
    monkeypatch.setattr("xiaozhi_persona.bridge.client.handshake.REACH_TIMEOUT_S", 0.2)
    with socket.socket() as full:  # a queue of connections that nobody accepts
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        waiting = []
        for _ in range(3):
            waiting.append(socket.socket())
            waiting[-1].setblocking(False)
            waiting[-1].connect_ex(("127.0.0.1", port))
        began = time.monotonic()
        with pytest.raises(ServiceError):
            async with connect(Server(url_of(port))):
                pass
        assert time.monotonic() - began < 5
        for one in waiting:
            one.close()


async def test_a_name_that_does_not_exist_is_not_reached():
    with pytest.raises(NotReached):
        async with connect(Server("ws://no.such.host.invalid/xiaozhi/v1/")):
            pass


# OTA.


class FakeOta:
    """An OTA address that keeps what it was asked."""

    def __init__(self) -> None:
        self.answer: object = {}
        self.status = 200
        self.asked: list[tuple[dict[str, str], dict[str, object]]] = []
        self.url = ""

    async def check(self, request: web.Request) -> web.Response:
        self.asked.append((dict(request.headers), await request.json()))
        text = self.answer if isinstance(self.answer, str) else json.dumps(self.answer)
        return web.Response(status=self.status, text=text)


@pytest.fixture
async def ota() -> AsyncIterator[FakeOta]:
    fake = FakeOta()
    app = web.Application()
    app.router.add_post("/xiaozhi/ota/", fake.check)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}/xiaozhi/ota/"
    yield fake
    await runner.cleanup()


async def test_ota_is_asked_as_the_firmware_asks(ota):
    ota.answer = {"websocket": {"url": "ws://x/", "token": "t"}, "server_time": {"timestamp": 1}}
    assert await ask_ota(ota.url, "aa:bb:cc:dd:ee:ff", "client") == OtaAnswer(Server("ws://x/", "t"))
    headers, body = ota.asked[0]
    assert headers["Device-Id"] == "aa:bb:cc:dd:ee:ff"
    assert headers["Client-Id"] == "client"
    assert headers["Accept-Language"] == "zh-CN"
    assert body["mac_address"] == "aa:bb:cc:dd:ee:ff" and body["uuid"] == "client"


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"message": "请在服务器上批准\n123456", "code": "123456"}, "请在服务器上批准 123456"),
        ({"message": "xiaozhi.me", "code": "123456"}, "xiaozhi.me 123456"),
        ({"code": 123456}, "123456"),
        ({}, ""),
        ("soon", ""),
    ],
)
async def test_what_a_new_device_has_to_do_is_passed_on(ota, told, said):
    ota.answer = {"websocket": {"url": "ws://x/"}, "activation": told}
    assert (await ask_ota(ota.url, "a", "b")).activation == said


@pytest.mark.parametrize(
    "answer",
    ["", "[]", "{", '{"mqtt": {}}', '{"websocket": []}', '{"websocket": {"url": 7}}', '{"websocket": {"url": ""}}',
     '{"websocket": {"url": "ws://x/", "token": 7}}', "[" * 50_000, "x" * 100_000],
)  # fmt: skip
async def test_an_answer_of_no_use_is_refused(ota, answer):
    ota.answer = answer
    with pytest.raises(ServiceRejected):
        await ask_ota(ota.url, "a", "b")


async def test_an_ota_address_that_is_none_is_told(ota):
    ota.status = 404
    with pytest.raises(ServiceRejected, match="404"):
        await ask_ota(ota.url, "a", "b")
    for url in ("http://127.0.0.1:1/", "127.0.0.1", "http://[::1"):
        with pytest.raises(ServiceUnavailable):
            await ask_ota(url, "a", "b")


async def test_the_address_that_ota_named_counts_while_ota_is_away():
    now = [Server("ws://one/")]

    async def ask() -> Server:
        if not now:
            raise ServiceUnavailable("away")
        return now[0]

    servers = Servers([Server("ws://fixed/")], ask)
    assert [s.url for s in await servers.in_order()] == ["ws://one/", "ws://fixed/"]
    now[0] = Server("ws://two/")
    assert (await servers.in_order())[0].url == "ws://one/"  # asked just before
    servers._asked_at -= 60
    assert (await servers.in_order())[0].url == "ws://two/"
    servers._asked_at -= 60
    now.clear()
    assert (await servers.in_order())[0].url == "ws://two/"
    with pytest.raises(ServiceUnavailable):
        await Servers([], ask).in_order()
