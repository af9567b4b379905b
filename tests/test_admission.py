"""Who is served: decisions, codes, tokens and their file."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import errno
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xiaozhi_persona.bridge.admission import devices as devices_file
from xiaozhi_persona.bridge.admission.addresses import Source, source_of
from xiaozhi_persona.bridge.admission.admission import (
    NEW_IDS_A_MINUTE,
    Admission,
    Standing,
    Visitor,
    visitor_of,
)
from xiaozhi_persona.bridge.admission.devices import CODE_S, MAX_CODES, Devices, Waiting
from xiaozhi_persona.bridge.admission.tokens import SECRET_FILE, Tokens
from xiaozhi_persona.bridge.credentials import Credentials
from xiaozhi_persona.errors import PersonaError, SettingsError
from xiaozhi_persona.private_files import read_or_make
from xiaozhi_persona.settings import BridgeSettings

HOME = Source("192.168.1.20", "192.168.1.20", True)
AWAY = Source("93.184.216.34", "93.184.216.34", False)
MAC = "aa:bb:cc:dd:ee:0f"


def visitor(client: str = "mine", device_id: str = MAC, token: str = "", source: Source = HOME) -> Visitor:
    return visitor_of(Credentials(device_id, client, token), source)


class Clock:
    """The wall clock of the file."""

    def __init__(self) -> None:
        self.now_s = 1_800_000_000.0

    def time(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(devices_file, "time", clock)
    return clock


class House:
    """An admission with its file, which a command of another process opens as well."""

    def __init__(self, admission: Admission, folder: Path, codes: list[Waiting]) -> None:
        self.admission, self.folder, self.codes = admission, folder, codes
        self.remembered: set[str] = set()

    async def receive(self, visitor: Visitor, stage: Any = "enter") -> Standing:
        return await self.admission.receive(visitor, stage)

    async def speak(self, visitor: Visitor) -> Standing:
        await self.receive(visitor)
        return await self.receive(visitor, "speak")

    @contextlib.contextmanager
    def command(self) -> Iterator[Devices]:
        with contextlib.closing(Devices(self.folder)) as devices:
            yield devices

    def approve(self, code: str) -> None:
        with self.command() as devices:
            devices.approve(code)


@contextlib.asynccontextmanager
async def house(folder: Path, **settings: Any) -> AsyncIterator[House]:
    codes: list[Waiting] = []
    remembered: set[str] = set()
    admission = Admission(BridgeSettings(**settings), folder, remembered.__contains__, codes.append)
    home = House(admission, folder, codes)
    home.remembered = remembered
    try:
        yield home
    finally:
        await admission.aclose()


# In the local network.


async def test_a_new_device_of_the_house_is_served_at_once_and_bound_when_it_speaks(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        assert (await home.receive(visitor())).owner_id == MAC
        with home.command() as devices:
            assert [device.state for device in devices.everybody()] == ["new"]
        assert (await home.receive(visitor(), "speak")).owner_id == MAC
        with home.command() as devices:
            assert [(device.id, device.state) for device in devices.everybody()] == [(MAC, "bound")]
        assert not home.codes


@pytest.mark.parametrize("other", ["another", ""])
async def test_the_id_of_a_device_that_has_spoken_is_no_key_to_its_memory(
    tmp_path: Path, other: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with house(tmp_path) as home:
        await home.speak(visitor())
        apart = await home.speak(visitor(other))
        assert apart.owner_id not in (MAC, None, "") and apart.key == apart.owner_id
        assert apart.is_news
        # The same memory and the same code each time, which is told once.
        assert await home.speak(visitor(other)) == dataclasses.replace(apart, is_news=False)
        assert (await home.speak(visitor())).owner_id == MAC
        assert [waiting.code for waiting in home.codes] == [apart.code]
        assert caplog.text.count(apart.code) == 1 and str(apart.owner_id) in caplog.text
        home.approve(apart.code)
        if other:
            assert (await home.speak(visitor(other))).owner_id == MAC
            assert (await home.speak(visitor())).owner_id not in (MAC, None)


async def test_a_memory_from_before_is_bound_to_the_first_that_comes(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        home.remembered.add(MAC)
        first, second = visitor("first"), visitor("second")
        assert (await home.receive(first)).owner_id == MAC
        home.admission.leave(first)
        assert (await home.receive(second)).owner_id not in (MAC, None)


async def test_while_one_is_here_that_has_not_spoken_another_does_not_get_its_id(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        first, second = visitor("first"), visitor("second")
        await home.receive(first)
        await home.receive(first)  # connected again
        assert (await home.receive(second)).owner_id != MAC
        home.admission.leave(first)
        assert (await home.receive(second)).owner_id != MAC
        home.admission.leave(first)
        assert (await home.receive(second)).owner_id == MAC  # nobody ever said anything under it
        assert (await home.receive(first)).owner_id != MAC


async def test_who_comes_from_elsewhere_has_to_be_approved(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        stranger = await home.receive(visitor(source=AWAY))
        assert stranger.owner_id is None and len(stranger.code) == 6 and not stranger.token
        proxied = source_of(("192.168.1.1", 5), ["93.184.216.34"], [])
        assert (await home.receive(visitor("x", "b", source=proxied))).owner_id is None
        home.approve(stranger.code)
        assert (await home.receive(visitor(source=AWAY))).owner_id == MAC


async def test_who_says_nothing_has_nobodys_memory(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        assert (await home.receive(visitor("", ""))).owner_id == ""
        assert (await home.receive(visitor("", "", source=AWAY))) == Standing()
        assert (await home.receive(visitor("only-client", ""))).owner_id == "only-client"


# Paired.


async def test_paired_serves_who_was_approved_and_nobody_else(tmp_path: Path) -> None:
    async with house(tmp_path, admit="paired") as home:
        waiting = await home.receive(visitor(), "ask")
        assert waiting.owner_id is None and waiting.code == home.codes[0].code
        assert (await home.receive(visitor(), "ask")).code == waiting.code
        assert (await home.receive(visitor("", ""))) == Standing()
        home.approve(waiting.code)
        told = await home.receive(visitor(), "ask")
        assert told.owner_id == MAC and len(told.token) == 43
        assert (await home.receive(visitor("another"), "ask")).owner_id is None
        assert (await home.receive(visitor())).owner_id == MAC  # a client that never asks OTA
        assert (await home.receive(visitor("", token=told.token))).owner_id == MAC
        assert (await home.receive(visitor())).owner_id is None  # it has shown a token, and is known by it
        assert (
            await home.receive(visitor(), "ask")
        ).token == told.token  # OTA gives it again to the same client
        assert (await home.receive(visitor("", "b", token=told.token))).owner_id is None


async def test_a_forgotten_device_has_to_be_approved_again_and_its_token_is_dead(tmp_path: Path) -> None:
    for mode in ("paired", "lan"):
        async with house(tmp_path / mode, admit=mode) as home:
            code = (await home.receive(visitor(source=AWAY), "ask")).code
            home.approve(code)
            old = (await home.receive(visitor(), "ask")).token
            with home.command() as devices:
                devices.forget(MAC)
            for who in (visitor(), visitor(token=old), visitor("", token=old)):
                assert (await home.receive(who)).owner_id != MAC
            with home.command() as devices:
                again = next(waiting for waiting in devices.waiting() if waiting.client == visitor().client)
            home.approve(again.code)
            assert (await home.receive(visitor(), "ask")).token not in (old, "")


async def test_a_device_that_lost_its_client_id_is_approved_anew_and_the_old_token_dies(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, admit="paired") as home:
        home.approve((await home.receive(visitor("old"), "ask")).code)
        old = (await home.receive(visitor("old"), "ask")).token
        home.approve((await home.receive(visitor("new"), "ask")).code)
        assert (await home.receive(visitor("new"), "ask")).token not in (old, "")
        assert (await home.receive(visitor(token=old))).owner_id is None


async def test_open_serves_everybody_and_binds_nobody(tmp_path: Path) -> None:
    async with house(tmp_path, admit="open") as home:
        for client in ("a", "b"):
            assert (await home.speak(visitor(client, source=AWAY))).owner_id == MAC
        assert (await home.receive(visitor("", "", source=AWAY))).owner_id == ""
        for number in range(3 * NEW_IDS_A_MINUTE):
            assert not (await home.receive(visitor(device_id=f"d{number}"))).refusal
        assert not home.codes


async def test_the_shared_token_is_asked_for_in_every_mode_and_given_to_whom_the_mode_serves(
    tmp_path: Path,
) -> None:
    for mode in ("open", "lan", "paired"):
        async with house(tmp_path / mode, admit=mode, token="Bearer shared") as home:
            assert (await home.receive(visitor(), "knock")).refusal == "token"
            assert (await home.receive(visitor(token="wrong"), "knock")).refusal == "token"
            assert not (await home.receive(visitor(token="shared"), "knock")).refusal
            asked = await home.receive(visitor(), "ask")
            assert asked.token == ("" if mode == "paired" else "Bearer shared")
            assert (await home.receive(visitor("x", "b", source=AWAY), "ask")).token == (
                "Bearer shared" if mode == "open" else ""
            )
            if mode == "paired":
                home.approve(asked.code)
                own = (await home.receive(visitor(), "ask")).token
                assert not (await home.receive(visitor(token=own), "knock")).refusal


# Bounds.


@pytest.mark.parametrize("mode", ["lan", "paired"])
async def test_new_ids_of_one_address_are_bounded_and_known_ones_are_never_refused(
    tmp_path: Path, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with house(tmp_path, admit=mode) as home:
        for number in range(NEW_IDS_A_MINUTE):
            assert not (await home.receive(visitor(device_id=f"d{number}"))).refusal
        for number in range(20):
            assert (await home.receive(visitor(device_id=f"e{number}"))).refusal == "too_many"
        assert not (await home.receive(visitor(device_id="d3"))).refusal
        other = Source("192.168.1.21", "192.168.1.21", True)
        assert not (await home.receive(visitor(device_id="f", source=other))).refusal
        assert caplog.text.count("先不接") == 1


@pytest.mark.parametrize("mode", ["lan", "paired"])
async def test_new_clients_under_a_known_id_are_bounded_too(tmp_path: Path, mode: str) -> None:
    async with house(tmp_path, admit=mode) as home:
        await home.speak(visitor())
        refused = [(await home.speak(visitor(f"c{n}"))).refusal for n in range(2 * NEW_IDS_A_MINUTE)]
        assert refused.count("too_many") >= NEW_IDS_A_MINUTE
        assert not (await home.speak(visitor())).refusal and not (await home.speak(visitor("c0"))).refusal
        with home.command() as devices:
            assert len(devices.waiting()) <= NEW_IDS_A_MINUTE


async def test_who_was_approved_without_a_client_id_is_known_by_the_token_only(tmp_path: Path) -> None:
    for mode in ("lan", "paired"):
        async with house(tmp_path / mode, admit=mode) as home:
            bare = visitor("", source=AWAY)
            home.approve((await home.receive(bare)).code)
            assert (await home.receive(visitor(""))).owner_id != MAC
            token = await home.admission.token_of(MAC)
            assert (await home.receive(visitor("", token=token, source=AWAY))).owner_id == MAC


def test_the_file_forgets_who_never_said_anything_when_there_are_too_many(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices_file, "MAX_DEVICES", 5)
    with contextlib.closing(Devices(tmp_path)) as devices:
        devices.see("bound", "", None)
        devices.bind("bound", "c")
        for number in range(20):
            clock.now_s += 1
            devices.see(f"d{number}", "", None)
        assert {device.id for device in devices.everybody()} == {"bound", "d19", "d18", "d17", "d16"}


def test_codes_are_valid_for_a_while_after_they_were_asked_for(tmp_path: Path, clock: Clock) -> None:
    with contextlib.closing(Devices(tmp_path)) as devices:
        first, is_new = devices.code(MAC, "c", "")
        assert is_new and len(first.code) == 6 and first.code.isdecimal()
        clock.now_s += CODE_S - 1
        assert devices.code(MAC, "c", "")[0].code == first.code
        clock.now_s += CODE_S - 1
        assert [waiting.code for waiting in devices.waiting()] == [first.code]
        clock.now_s += 2
        assert devices.waiting() == []
        with pytest.raises(SettingsError, match="15 分钟"):
            devices.approve(first.code)
        assert devices.code(MAC, "c", "")[1]


def test_of_too_many_codes_those_go_that_nobody_asks_for(tmp_path: Path, clock: Clock) -> None:
    with contextlib.closing(Devices(tmp_path)) as devices:
        mine = devices.code(MAC, "c", "")[0].code
        for number in range(3 * MAX_CODES):
            clock.now_s += 1
            devices.code(f"d{number}", "c", "")
            assert devices.code(MAC, "c", "")[0].code == mine
        assert len(devices.waiting()) == MAX_CODES
        assert len({waiting.code for waiting in devices.waiting()}) == MAX_CODES
        assert devices.approve(f" {mine[:3]} {mine[3:]} ").id == MAC


# The files.


async def test_the_files_are_for_this_user_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        async with house(tmp_path / "data") as home:
            await home.speak(visitor())
            files = list((tmp_path / "data").iterdir())
            assert {file.name for file in files} >= {"secret", "devices.db"}
            assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    finally:
        os.umask(before)
    told = b"".join(file.read_bytes() for file in (tmp_path / "data").iterdir())
    assert b"mine" not in told  # of a Client-Id only a hash is kept


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 33])
def test_a_spoilt_secret_is_told_and_never_made_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / SECRET_FILE).write_bytes(content)
    with pytest.raises(SettingsError, match="坏了"):
        Tokens(tmp_path)
    assert (tmp_path / SECRET_FILE).read_bytes() == content


def test_a_secret_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / SECRET_FILE).mkdir()
    with pytest.raises(PersonaError, match="权限"):
        Tokens(tmp_path)
    assert (tmp_path / SECRET_FILE).is_dir()


def test_a_disk_without_links_keeps_the_secret_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")  # vfat, exFAT

    monkeypatch.setattr(os, "link", link)
    file = tmp_path / "secret"
    assert read_or_make(file, lambda: b"one") == b"one" == read_or_make(file, lambda: b"two")
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_processes_that_start_at_once_have_one_secret(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from xiaozhi_persona.bridge.admission.tokens import Tokens;"
        "print(Tokens(Path(sys.argv[1])).of('a', 0))"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    assert len({process.communicate(timeout=60)[0] for process in running}) == 1
    assert [file.name for file in tmp_path.iterdir()] == [SECRET_FILE]


def test_a_spoilt_file_of_devices_is_told(tmp_path: Path) -> None:
    (tmp_path / "devices.db").write_bytes(b"no database" * 1000)
    with pytest.raises(PersonaError, match=r"devices.db.*坏了"):
        Devices(tmp_path)


READONLY = """
import asyncio, sys
from pathlib import Path
from memory_kit import obey_permissions
from test_admission import house, visitor, AWAY

async def main(folder):
    async with house(folder) as home:
        print((await home.receive(visitor("paired", source=AWAY))).owner_id)
        print((await home.speak(visitor("new", "b"))).owner_id)
        print((await home.receive(visitor("thief", "b"))).owner_id == "b")

obey_permissions()
asyncio.run(main(Path(sys.argv[1])))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="drops the rights of root")
async def test_where_nothing_can_be_written_known_devices_are_known_and_new_ones_until_the_end(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    async with house(data) as home:
        home.approve((await home.receive(visitor("paired", source=AWAY))).code)
        # As after a kill: what was written last lies in the log beside the file.
        for name in ("devices.db", "devices.db-wal", "secret"):
            (tmp_path / name).write_bytes((data / name).read_bytes())
    for name in ("devices.db", "devices.db-wal", "secret"):
        (data / name).write_bytes((tmp_path / name).read_bytes())
        (data / name).chmod(0o400)
    data.chmod(0o500)
    (tmp_path / "empty").mkdir(mode=0o500)
    for folder, paired in ((data, MAC), (tmp_path / "empty", None)):
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", READONLY, str(folder)],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
            capture_output=True,
            encoding="utf-8",
            timeout=60,
        )
        assert done.stdout.split() == [str(paired), "b", "False"], done.stderr
        assert "权限" in done.stderr


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left"), sqlite3.OperationalError("disk I/O error")]
)
async def test_a_full_disk_does_not_keep_the_bridge_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async with house(tmp_path) as home:
        home.approve((await home.receive(visitor("paired", source=AWAY))).code)
    opened = os.open

    def full(path: str, *more: int, **where: Any) -> int:
        if Path(path) == tmp_path / devices_file.FILE:
            raise error
        return opened(path, *more, **where)

    monkeypatch.setattr(devices_file.os, "open", full)
    async with house(tmp_path) as home:
        assert (await home.receive(visitor("paired", source=AWAY))).owner_id == MAC
    with pytest.raises(PersonaError, match="用不了"):
        Devices(tmp_path)


async def test_a_file_that_another_program_holds_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices_file, "_BUSY_MS", 50)
    async with house(tmp_path) as home:
        with (
            home.command() as devices,
            devices._transaction(),
            pytest.raises(PersonaError, match="另一个程序"),
        ):
            await home.receive(visitor())
        assert (await home.receive(visitor())).owner_id == MAC


async def test_many_decide_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xiaozhi_persona.bridge.admission.admission.NEW_IDS_A_MINUTE", 100)
    async with house(tmp_path) as home:
        clients = [visitor(f"c{number}") for number in range(50)]
        owners = await asyncio.gather(*(home.receive(one, "enter") for one in clients))
        assert sum(standing.owner_id == MAC for standing in owners) == 1
        assert len({standing.owner_id for standing in owners}) == 50


# Where it comes from.


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "forwarded", "is_local"),
    [
        ("192.168.1.2", [], [], True),
        ("127.0.0.1", [], [], True),
        ("fe80::1%eth0", [], [], True),
        ("::ffff:10.0.0.1", [], [], True),
        ("169.254.3.4", [], [], True),
        ("fd00::1", [], [], True),
        ("8.8.8.8", [], [], False),
        ("::ffff:8.8.8.8", [], [], False),
        ("100.64.0.1", [], [], False),
        ("8.8.8.8", ["192.168.1.2"], [], False),
        ("127.0.0.1", ["8.8.8.8"], [], False),
        ("127.0.0.1", ["192.168.1.2, 8.8.8.8"], [], False),
        ("127.0.0.1", ["8.8.8.8, 192.168.1.2"], [], True),
        ("127.0.0.1", ["192.168.1.2:4000"], [], True),
        ("127.0.0.1", [], ['for="[2606:4700::1]:4711";proto=http'], False),
        ("127.0.0.1", [], ["for=192.168.1.2, For=8.8.8.8;by=x"], False),
        ("127.0.0.1", ["8.8.8.8"], ["for=192.168.1.2"], False),
        ("127.0.0.1", ["192.168.1.2"], ["for=8.8.8.8"], False),
        ("127.0.0.1", [], ["by=x"], True),
        ("127.0.0.1", ["unknown"], [], False),
        ("127.0.0.1", [], ["for=_hidden"], False),
        ("", [], [], False),
    ],
)
def test_where_a_request_comes_from(
    peer: str, forwarded_for: list[str], forwarded: list[str], is_local: bool
) -> None:
    assert source_of((peer, 1), forwarded_for, forwarded).is_local is is_local


@given(st.lists(st.text(max_size=30), max_size=3), st.lists(st.text(max_size=30), max_size=3))
def test_headers_of_any_kind_are_read(forwarded_for: list[str], forwarded: list[str]) -> None:
    source = source_of(("192.168.1.2", 1), forwarded_for, forwarded)
    assert len(source.address) <= 64 and source.peer == "192.168.1.2"
