"""One device, however it writes its id: in the bridge, in the host, in the settings, in the commands, on the disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fakes.bridge import running
from fakes.parts import FakeChatModel, FakeMemory, make_parts
from fakes.wire import answer_to
from hypothesis import given
from hypothesis import strategies as st
from memory_kit import memory, turn
from websockets.asyncio.client import connect

from xiaozhi_persona.cli import xiaozhi_persona
from xiaozhi_persona.config import load_settings
from xiaozhi_persona.device_ids import MAX_LENGTH, normal_id, spellings
from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.memory import diary
from xiaozhi_persona.memory.facts import reading
from xiaozhi_persona.memory.owners import Owners
from xiaozhi_persona.memory.store import owner_folder
from xiaozhi_persona.providers.host.sections import role_of
from xiaozhi_persona.spine import Owner

MAC = "aa:bb:cc:dd:ee:0f"
WAYS = [
    "AA:BB:CC:DD:EE:0F",
    "AA-BB-CC-DD-EE-0F",
    "aabbccddee0f",
    "AABB.CCDD.EE0F",
    " aa:bb:cc:dd:ee:0f\n",
    MAC,
]


@pytest.mark.parametrize("way", WAYS)
def test_a_mac_has_one_form(way: str) -> None:
    assert normal_id(way) == MAC


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("", ""),
        (" \t", ""),
        ("小明的 设备", "小明的 设备"),
        ("Demo", "Demo"),
        ("a\x00b\u202e", "ab"),
        ("e\u0301", "é"),
        ("aa:bb", "aa:bb"),
        ("aa:bb:cc:dd:ee:fg", "aa:bb:cc:dd:ee:fg"),
        ("aa::bb:cc:dd:ee:ff", "aa::bb:cc:dd:ee:ff"),
        ("5C4F2F0E-0D7B-4C57-9D5E-0A6F0E3B7A11", "5C4F2F0E-0D7B-4C57-9D5E-0A6F0E3B7A11"),
    ],
)
def test_other_ids_keep_their_letters(text: str, normal: str) -> None:
    assert normal_id(text) == normal and spellings(normal) == []


@given(st.text(max_size=2 * MAX_LENGTH))
def test_the_form_of_a_form_is_itself(text: str) -> None:
    normal = normal_id(text)
    assert normal_id(normal) == normal and len(normal) <= MAX_LENGTH


def test_every_other_spelling_leads_back() -> None:
    assert len(set(spellings(MAC))) == 9 and MAC not in spellings(MAC)
    assert {normal_id(way) for way in spellings(MAC)} == {MAC}


# The bridge.


class Watched(FakeMemory):
    """Notes whose memory is opened, and whose words are kept."""

    def __init__(self) -> None:
        super().__init__(20)
        self.opened: list[str] = []

    async def open(self, owner: Owner) -> None:
        self.opened.append(owner.id)


async def opened(headers: dict[str, str], hello: dict[str, Any]) -> list[str]:
    watched = Watched()
    async with (
        running(make_parts(memory=watched)) as rig,
        connect(rig.url, additional_headers=headers) as websocket,
    ):
        for _ in range(2):  # a second hello is answered, and changes nothing
            await websocket.send(json.dumps({"type": "hello", **hello}))
            await websocket.recv()
        await answer_to(websocket, "在吗")
    return watched.opened


@pytest.mark.parametrize("way", WAYS[:4])
@pytest.mark.parametrize("where", ["header", "device_id", "device_mac"])
async def test_the_bridge_knows_a_device_by_its_header_or_its_hello(where: str, way: str) -> None:
    headers, hello = ({"Device-Id": way}, {}) if where == "header" else ({"Client-Id": "x"}, {where: way})
    assert await opened(headers, hello) == [MAC]


async def test_the_header_counts_before_the_hello_and_both_before_the_client_id() -> None:
    assert await opened({"Device-Id": MAC, "Client-Id": "x"}, {"device_id": "other"}) == [MAC]
    assert await opened({"Client-Id": "x"}, {"device_id": 5, "device_mac": None}) == ["x"]


async def test_who_has_no_name_is_served_and_nothing_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "xiaozhi_persona")
    chat, watched = FakeChatModel("好。"), Watched()
    async with running(make_parts(chat, memory=watched)) as rig:
        for text in ("我对花生过敏", "我对什么过敏"):
            async with connect(rig.url) as websocket:
                await websocket.send('{"type":"hello"}')
                await websocket.recv()
                assert await answer_to(websocket, text) == "好。"
                assert "没有记忆" in await answer_to(websocket, "记住我的车停在三楼")
                await answer_to(websocket, "还在吗")
    assert watched.opened == [] and not watched.knows(Owner(""))
    for asked in chat.asked[2:]:
        assert not any("花生" in message.content for message in asked)
    assert [m.content for m in chat.asked[1][1:]] == ["我对花生过敏", "好。", "还在吗"]  # within a connection
    assert "没有报上编号" in caplog.text and "花生" not in caplog.text


async def test_a_device_that_writes_its_id_otherwise_ends_its_old_connection() -> None:
    async with running(make_parts()) as rig, connect(rig.url, additional_headers={"Device-Id": MAC}) as old:
        await old.send('{"type":"hello"}')
        await old.recv()
        async with connect(rig.url) as new:
            await new.send(json.dumps({"type": "hello", "device_id": WAYS[1]}))
            await new.recv()
            await old.wait_closed()
            assert old.close_reason == "connected again"
            await answer_to(new, "在吗")


# The settings and the host.


def test_the_settings_know_a_device_in_every_form(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(
        "role_of_device: {'AA-BB-CC-DD-EE-0F': default}\n"
        "memory: {owners: {AABBCCDDEE0F: 小明, other: 'AA-BB-CC-DD-EE-0F'}}\n",
        encoding="utf-8",
    )
    settings = load_settings(file, {})
    assert settings.role_of_device == {MAC: "default"}
    assert [settings.memory.owner_of(way) for way in WAYS] == ["小明"] * len(WAYS)
    assert settings.memory.owner_of("other") == MAC and settings.memory.owner_of("小明") == "小明"
    assert role_of({"role_of_device": {"AABBCCDDEE0F": "x"}}) == {"role_of_device": {MAC: "x"}}


def test_a_device_that_stands_twice_is_told(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("memory: {owners: {AABBCCDDEE0F: 小明, 'aa:bb:cc:dd:ee:0f': 小红}}\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="memory.owners.*aa:bb:cc:dd:ee:0f 写了两次"):
        load_settings(file, {})


# What lies on the disk.


def remembered(root: Path, owner_id: str) -> list[str]:
    owners = Owners(root)
    try:
        with owners.use(owner_id) as store:
            return [entry.text for entry in diary.everything(store.reader)]
    finally:
        owners.close()


def test_what_was_kept_under_other_spellings_is_found_again(tmp_path: Path) -> None:
    with memory(tmp_path, WAYS[0]) as store:
        store.append([turn("我叫王小明", "2025-08-18 10:00:00")])
    assert remembered(tmp_path, MAC) == ["我叫王小明"]
    assert [folder.name for folder in tmp_path.iterdir()] == [owner_folder(tmp_path, MAC).name]
    with memory(tmp_path, WAYS[1]) as store:  # by an older version that still runs
        store.append([turn("我叫王大明", "2025-08-17 10:00:00"), turn("我住在上海", "2025-08-19 10:00:00")])
        store.put_aside_for_later([turn("我喜欢苹果", "2025-08-19 11:00:00")])
        store.set_off_record(True)
    assert set(remembered(tmp_path, MAC)) == {"我叫王小明", "我叫王大明", "我住在上海", "我喜欢苹果"}
    assert [folder.name for folder in tmp_path.iterdir()] == [owner_folder(tmp_path, MAC).name]
    with memory(tmp_path, MAC) as store:
        held = {fact.value for fact in reading.everything(store.reader) if fact.valid_to_ms is None}
        assert held == {"王小明", "上海", "苹果"}  # of two names, the one that was told last
        assert store.off_record


def test_what_cannot_be_moved_stays_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with memory(tmp_path, WAYS[0]) as store:
        store.append([turn("我叫王小明")])

    def refuse(*_: object) -> None:
        raise PermissionError("只能读")

    monkeypatch.setattr("xiaozhi_persona.memory.spellings.os.replace", refuse)
    assert remembered(tmp_path, MAC) == ["我叫王小明"]
    assert owner_folder(tmp_path, WAYS[0]).exists() and "只能读" in caplog.text


def test_a_merge_that_breaks_off_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for way, text in ((WAYS[0], "我叫王小明"), (MAC, "我住在上海")):
        with memory(tmp_path, way) as store:
            store.append([turn(text)])
    with monkeypatch.context() as broken:
        broken.setattr("xiaozhi_persona.memory.spellings.delete_owner", lambda folder: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            remembered(tmp_path, MAC)
    assert sorted(remembered(tmp_path, MAC)) == ["我住在上海", "我叫王小明"]
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("way", WAYS[:4])
def test_the_commands_take_every_spelling(tmp_path: Path, way: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("memory: {dir: memory}\n", encoding="utf-8")
    with memory(tmp_path / "memory", WAYS[1]) as store:
        store.append([turn("我叫王小明")])
    done = CliRunner().invoke(
        xiaozhi_persona, ["memory", "facts", "--owner", way, "--config", str(file)], catch_exceptions=False
    )
    assert done.exit_code == 0 and "王小明" in done.output
