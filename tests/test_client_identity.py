"""Which device a machine is: the same tomorrow, another one on another machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from xiaozhi_persona.bridge.client import identity
from xiaozhi_persona.bridge.client.identity import kept_device_id, machine_id


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """The MAC address that is read, to be changed."""
    now = {"node": 0x0123456789AB & ~(1 << 40)}
    monkeypatch.setattr("uuid.getnode", lambda: now["node"])
    return now


def test_the_id_stays_when_the_network_adapter_is_another_one(address, tmp_path):
    first = kept_device_id(tmp_path / "data")
    assert first == "00:23:45:67:89:ab" == machine_id()
    address["node"] = 0x02AAAAAAAAAA
    assert machine_id() != first
    assert kept_device_id(tmp_path / "data") == first


def test_a_data_folder_that_was_copied_makes_another_device(address, tmp_path, monkeypatch):
    first = kept_device_id(tmp_path)
    serial = tmp_path / "serial-number"
    serial.write_text("100000003d1d5e8a\0")
    monkeypatch.setattr(identity, "_MARKS", (str(serial),))
    address["node"] = 0x02AAAAAAAAAA
    second = kept_device_id(tmp_path)
    assert second == "02:aa:aa:aa:aa:aa" != first
    address["node"] = 0x02BBBBBBBBBB
    assert kept_device_id(tmp_path) == second


def test_an_id_that_somebody_wrote_counts(address, tmp_path):
    (tmp_path / "device-id").write_text("AA-BB-CC-DD-EE-FF\n")
    assert kept_device_id(tmp_path) == "aa:bb:cc:dd:ee:ff"


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xff\xfe", b"aa\nother machine\n"])
def test_a_file_that_holds_no_id_of_this_machine_does_no_harm(address, tmp_path, content):
    (tmp_path / "device-id").write_bytes(content)
    assert kept_device_id(tmp_path) == machine_id()


def test_where_nothing_can_be_kept_it_is_the_address(address, tmp_path):
    (tmp_path / "data").write_text("a file")
    assert kept_device_id(tmp_path / "data") == machine_id()


def test_without_any_mark_the_hosts_name_stands_for_it(address, tmp_path, monkeypatch):
    monkeypatch.setattr(identity, "_MARKS", (str(tmp_path / "nothing"), str(Path("/"))))
    assert kept_device_id(tmp_path) == kept_device_id(tmp_path)
