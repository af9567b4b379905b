"""The language of what a person reads: every message of the code stands in English too, and the right one is shown."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from messages_of_code import HAN, in_the_help, in_the_roles, in_the_settings, in_the_source, places

from xiaozhi_persona import language
from xiaozhi_persona.bridge.client.timeline import TurnEvent
from xiaozhi_persona.commands.talk.view import feeling
from xiaozhi_persona.config import load_settings, render, render_own
from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import in_language, set_language, tr, translate_record
from xiaozhi_persona.roles.role import load_role

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "src/xiaozhi_persona/locale/en.json"
ENGLISH: dict[str, str] = json.loads(FILE.read_text(encoding="utf-8"))
SYSTEM = ("LC_ALL", "LC_MESSAGES", "LANG")


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(language, "_language", language._language)
    yield


# The table.


def test_every_message_has_its_english() -> None:
    said = [*in_the_source(), *in_the_help(), *in_the_settings(), *in_the_roles()]
    missing = {text: where for text, where in said if HAN.search(text) and text not in ENGLISH}
    assert not missing


def test_nothing_stands_in_the_table_that_is_not_said() -> None:
    said = {text for text, _ in (*in_the_source(), *in_the_help(), *in_the_settings(), *in_the_roles())}
    assert set(ENGLISH) <= said


def test_a_text_has_the_same_places_in_both_languages() -> None:
    wrong = {text: english for text, english in ENGLISH.items() if places(text) != places(english)}
    assert not wrong


def test_the_table_is_sorted_so_that_two_changes_rarely_meet() -> None:
    assert list(ENGLISH) == sorted(ENGLISH)


# Which language.


@pytest.mark.parametrize(
    ("setting", "system", "expected"),
    [
        ("en", "zh_CN.UTF-8", "en"),
        ("zh", "en_US.UTF-8", "zh"),
        ("auto", "en_US.UTF-8", "en"),
        ("auto", "zh_CN.UTF-8", "zh"),
        ("auto", "C.UTF-8", "zh"),
        ("auto", "de_DE", "zh"),
        ("nonsense", "en_GB", "en"),
    ],
)
def test_the_setting_decides_and_else_the_system(
    setting: str, system: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in SYSTEM:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", system)
    set_language(setting)
    assert language.language() == expected


def test_a_text_without_english_stays_as_it_is() -> None:
    with in_language("en"):
        assert tr("没有这样的一句 {x}", x=1) == "没有这样的一句 1"
        assert tr("not Chinese") == "not Chinese"


def test_config_yaml_is_the_same_for_every_reader_and_the_users_file_is_in_his_language() -> None:
    with in_language("en"):
        assert render() == (ROOT / "config.yaml").read_text(encoding="utf-8")
        assert not HAN.search(render_own())
    with in_language("zh"):
        assert HAN.search(render_own())


def test_an_error_is_told_in_the_language_that_is_set() -> None:
    with in_language("en"), pytest.raises(SettingsError) as caught:
        load_role("nobody")
    assert "nobody" in str(caught.value) and not HAN.search(str(caught.value).replace("小雨", ""))


def test_a_wrong_setting_is_told_without_chinese_marks(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("bridge: {http_port: 0}", encoding="utf-8")
    with in_language("en"), pytest.raises(SettingsError) as caught:
        load_settings(tmp_path / "config.yaml")
    assert not HAN.search(str(caught.value))


@pytest.mark.parametrize(("setting", "shown"), [("zh", "（高兴）"), ("en", " (happy)")])
def test_the_feeling_of_a_sentence_is_named_as_the_reader_speaks(
    setting: language.Language, shown: str
) -> None:
    with in_language(setting):
        assert feeling(TurnEvent("sentence", 0, "好", "happy")) == shown
        assert feeling(TurnEvent("sentence", 0, "好", "")) == ""


def test_log_lines_are_translated_with_their_values() -> None:
    template = next(text for text in ENGLISH if "%s" in text)
    record = logging.LogRecord("x", logging.INFO, "", 0, template, (), None)
    with in_language("en"):
        assert translate_record(record) and record.msg == ENGLISH[template]
    with in_language("zh"):
        record = logging.LogRecord("x", logging.INFO, "", 0, template, (), None)
        assert translate_record(record) and record.msg == template


def program(folder: Path, *arguments: str, language_variable: str | None = "en") -> tuple[int, str]:
    """Run the program, in a process of its own as its help keeps a language; return the exit code and what it said."""
    environment = {name: value for name, value in os.environ.items() if name != language.VARIABLE}
    if language_variable is not None:
        environment[language.VARIABLE] = language_variable
    command = [sys.executable, "-m", "xiaozhi_persona", *arguments]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, timeout=60)
    return done.returncode, (done.stdout + done.stderr).decode("utf-8")


def test_the_settings_file_sets_it_before_anything_is_said(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/.config.yaml").write_text("language: en\nrole: nobody\n", encoding="utf-8")
    code, told = program(tmp_path, "roles", "check", language_variable=None)
    assert code == 2 and told.startswith("Error: ") and "nobody" in told


@pytest.mark.parametrize(
    "arguments", [["--help"], ["memory", "--help"], ["memory", "forget", "--help"], ["nonsense"]]
)
def test_help_and_wrong_use_are_all_english(arguments: list[str], tmp_path: Path) -> None:
    _, said = program(tmp_path, *arguments)
    assert said and not HAN.search(said)


def test_run_py_speaks_it_too(tmp_path: Path) -> None:
    environment = {**os.environ, language.VARIABLE: "en"}
    done = subprocess.run(
        [sys.executable, str(ROOT / "run.py"), "--help"], env=environment, cwd=tmp_path, capture_output=True
    )
    assert done.returncode == 0 and not HAN.search(done.stdout.decode("utf-8"))
