"""The service that runs `talk`: its unit is what systemd takes, word for word, and where none can be it says so."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from xiaozhi_persona.cli import xiaozhi_persona
from xiaozhi_persona.commands.talk import service
from xiaozhi_persona.errors import PersonaError, SettingsError

URL = "ws://192.168.1.5:8000/xiaozhi/v1/"


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A systemctl that notes what it is asked, and a home; returns the notes."""
    notes, programs = tmp_path / "notes", tmp_path / "bin"
    programs.mkdir()
    systemctl = programs / "systemctl"
    systemctl.write_text(
        f'#!/bin/sh\necho "$@" >> "{notes}"\n[ ! -e "{tmp_path}/refuses" ] || exec ls /no/bus\n'
    )
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("SUDO_USER", raising=False)
    monkeypatch.setattr(service, "_BOOTED", tmp_path)
    monkeypatch.chdir(tmp_path)
    return notes


def run(*words: str) -> Result:
    return CliRunner().invoke(xiaozhi_persona, ["talk", *words])


def unit() -> str:
    return service.unit_file().read_text(encoding="utf-8")


def test_installing_writes_the_unit_and_starts_it(systemd):
    done = run("install-service", URL, "--mode", "realtime", "--tool", "self.on=lamp 'a b'")
    assert done.exit_code == 0, done.output
    words = f'"{sys.executable}" "-m" "xiaozhi_persona" "talk" "{URL}" "--mode" "realtime" "--tool" "self.on=lamp \'a b\'" "--mic"'
    assert f"ExecStart={words}\n" in unit()
    assert f"WorkingDirectory={Path.cwd()}\n" in unit()
    assert stat.S_IMODE(service.unit_file().stat().st_mode) == 0o600
    asked = [line.removeprefix("--user ") for line in systemd.read_text().splitlines()]
    assert asked == ["show-environment", "daemon-reload", f"enable {service.UNIT}", f"restart {service.UNIT}"]
    assert "journalctl" in done.output
    assert "enable-linger" in done.output


def test_installing_again_takes_the_new_words_and_uninstalling_leaves_nothing(systemd):
    run("install-service", URL)
    assert run("install-service", URL + "2", "--debug").exit_code == 0
    assert f'"{URL}2" "--mic" "--debug"' in unit()
    done = run("uninstall-service", "--json")
    assert json.loads(done.stdout) == {"unit": str(service.unit_file()), "removed": True}
    assert not service.unit_file().exists()
    assert f"disable --now {service.UNIT}" in systemd.read_text()
    again = run("uninstall-service")
    assert again.exit_code == 0 and str(service.unit_file()) in again.output


@pytest.mark.parametrize(
    "words",
    [
        ["--text", "你好"],
        ["--wav", "a.wav"],
        ["--save", "a.wav"],
        ["--no-mic"],
        ["--list-devices"],
        ["--mode", "manual"],
        ["--mode", "auto", "--wav", "a.wav", "--button", "17"],
        ["--tool", "x"],
        ["--camera", "'"],
        ["--led", "1,2"],
    ],
)
def test_words_that_make_no_service_are_refused_before_anything_is_written(systemd, words):
    done = run("install-service", URL, *words)
    assert isinstance(done.exception, SettingsError)
    assert not service.unit_file().exists()


@pytest.mark.parametrize("button", [["--button", "17"], ["--key", "playpause"]])
def test_push_to_talk_is_a_service_with_a_button(systemd, button):
    done = run("install-service", URL, "--mode", "manual", *button)
    assert done.exit_code == 0, done.output
    assert f'"--mode" "manual" "{button[0]}" "{button[1]}" "--mic"' in unit()


def test_an_option_that_talk_has_not_is_refused(systemd):
    done = run("install-service", URL, "--loud")
    assert done.exit_code == 2 and "--loud" in done.output


def test_without_systemd_nothing_is_written(systemd, monkeypatch, tmp_path):
    monkeypatch.setattr(service, "_BOOTED", tmp_path / "nothing")
    assert "systemd" in str(run("install-service", URL).exception)
    assert "systemd" in str(run("uninstall-service").exception)
    assert not service.unit_file().exists()


def test_with_sudo_it_says_to_leave_sudo_out(systemd, monkeypatch):
    monkeypatch.setenv("SUDO_USER", "pi")
    assert "sudo" in str(run("install-service", URL).exception)


def test_a_systemd_that_refuses_is_told_with_its_words(systemd, tmp_path):
    (tmp_path / "refuses").touch()
    said = str(run("install-service", URL).exception)
    assert "/no/bus" in said and "enable-linger" in said
    assert not service.unit_file().exists()


def test_a_folder_for_units_that_cannot_be_written_is_told(systemd, tmp_path):
    (tmp_path / "config").write_text("a file where a folder should be")
    done = run("install-service", URL)
    assert isinstance(done.exception, PersonaError)
    assert str(service.unit_file()) in str(done.exception)


def test_a_line_break_cannot_add_a_line_to_the_unit(systemd):
    done = run("install-service", URL, "--token", "x\nExecStartPre=/bin/true")
    assert isinstance(done.exception, SettingsError)
    assert not service.unit_file().exists()


ODD = ["a b", 'qu"ote', "back\\slash", "100%", "$HOME", "${HOME}", "%h", "'", ";", "#", "中文", ""]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_takes_the_unit(tmp_path):
    file = tmp_path / service.UNIT
    text = service.unit_text([sys.executable, "-m", "x", *ODD], tmp_path, {"XZP_A": 'b c "%h" $d \\'})
    file.write_text(text, encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", str(file)],
        capture_output=True,
        text=True,
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
        timeout=60,
    )
    assert service.UNIT not in done.stderr, done.stderr
    assert done.returncode == 0, done.stderr
