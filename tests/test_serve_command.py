"""`xiaozhi-persona serve`: what it prints for people before anything connects."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any

import ifaddr
import pytest

from xiaozhi_persona.commands import serve
from xiaozhi_persona.errors import STARTED_AS
from xiaozhi_persona.settings import Settings

BRIDGE: Any = SimpleNamespace(websocket_port=8000, http_port=8003, api_token="the-token")


def adapter(name: str, *addresses: object) -> SimpleNamespace:
    return SimpleNamespace(nice_name=name, ips=[SimpleNamespace(ip=address) for address in addresses])


WIFI = adapter("Intel(R) Wi-Fi 6", ("fe80::1", 0, 3), "192.168.1.5")
WSL = adapter("Hyper-V Virtual Ethernet Adapter", "172.20.0.1")
LOOPBACK = adapter("lo", "127.0.0.1", "169.254.3.4")


@pytest.mark.parametrize("adapters", [[], [LOOPBACK], [LOOPBACK, WIFI], [WIFI, WSL]])
def test_addresses_are_printed_with_their_adapters_where_there_are_several(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], adapters: list[SimpleNamespace]
) -> None:
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: adapters)
    serve._print_addresses(BRIDGE, Settings())
    shown = capsys.readouterr().out
    assert "[" not in shown and "LanAddress" not in shown
    expected = [ip for ip, there in (("192.168.1.5", WIFI), ("172.20.0.1", WSL)) if there in adapters]
    for ip in expected or ["127.0.0.1"]:
        assert f"http://{ip}:8003/xiaozhi/ota/" in shown
        assert f"ws://{ip}:8000/xiaozhi/v1/\n" in shown
    assert shown.count("OTA") == max(1, len(expected))
    for there in (WIFI, WSL):
        assert (f"网卡 {there.nice_name}" in shown) == (len(expected) > 1)


def test_one_address_that_was_chosen_is_the_only_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: [WIFI, WSL])
    monkeypatch.setenv(STARTED_AS, "python3 run.py")
    serve._print_addresses(BRIDGE, Settings.model_validate({"bridge": {"host": "10.0.0.7"}}))
    shown = capsys.readouterr().out
    assert (
        "python3 run.py talk ws://10.0.0.7:8000/" in shown and "192.168" not in shown and "网卡" not in shown
    )
    assert "bridge.host" not in shown


def test_an_address_that_no_device_can_reach_is_said_to_be_one(capsys: pytest.CaptureFixture[str]) -> None:
    serve._print_addresses(BRIDGE, Settings.model_validate({"bridge": {"host": "127.0.0.1"}}))
    assert "bridge.host 是 127.0.0.1：只有本机连得上" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("platform", "there", "command"),
    [
        ("linux", ["paplay", "ffplay"], "paplay '/my files/out/reply.wav'"),
        ("linux", ["aplay", "paplay"], "aplay '/my files/out/reply.wav'"),
        ("linux", [], ""),
        ("darwin", ["afplay", "aplay"], "afplay '/my files/out/reply.wav'"),
        ("win32", [], 'explorer "/my files/out/reply.wav"'),
    ],
)
def test_how_to_hear_the_reply_is_told_for_every_system(
    monkeypatch: pytest.MonkeyPatch, platform: str, there: list[str], command: str
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}" if name in there else None)
    reply: Any = PurePosixPath("/my files/out/reply.wav")
    assert serve._how_to_hear(reply) == command


def test_the_reply_lies_beside_the_settings(tmp_path: Path) -> None:
    assert Settings().at(tmp_path).path(serve.DEMO_REPLY) == tmp_path / "out" / "reply.wav"


def test_the_token_for_programs_is_printed_and_an_open_network_is_warned_of(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for access, warns in (("token", False), ("open", True)):
        settings = Settings.model_validate({"bridge": {"host": "192.168.1.5", "api_access": access}})
        serve._print_addresses(BRIDGE, settings)
        shown = capsys.readouterr().out
        assert "http://192.168.1.5:8003/v1  令牌 the-token" in shown
        assert shown.count("bridge.api_access") == warns
