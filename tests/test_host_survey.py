"""What is found out about a host from its files."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from fakes.host_tree import write_host

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.installer.survey import survey


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=x", "-c", "user.email=x@x"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.mark.parametrize(("version", "expected"), [("0.9.1", False), ("0.9.3", True), ("1.0", True)])
def test_a_host_is_known_by_its_version_and_what_it_takes(
    tmp_path: Path, version: str, expected: bool
) -> None:
    server = write_host(tmp_path, version=version)
    if version == "1.0":
        file = server / "core/handle/sendAudioHandle.py"
        file.write_text(file.read_text().replace("text, )", "text, sentence_id=None)"))
    host = survey(tmp_path)
    assert (host.server, host.version, host.takes_sentence_id) == (server, version, expected)
    assert not host.missing and not host.uses_console and host.data == server / "data"


@pytest.mark.parametrize("version", ["0.8.11", "0.9.0", "dev", ""])
def test_an_old_or_unknown_version_is_refused_in_one_line(tmp_path: Path, version: str) -> None:
    write_host(tmp_path, version=version)
    with pytest.raises(SettingsError, match=r"0\.9\.1") as refused:
        survey(tmp_path)
    assert "\n" not in str(refused.value)


def test_the_commit_is_that_of_the_hosts_checkout_only(tmp_path: Path) -> None:
    write_host(tmp_path)
    git(tmp_path, "init")
    assert survey(tmp_path).commit == ""
    (tmp_path / "other.txt").write_text("x")
    git(tmp_path, "add", "other.txt")
    git(tmp_path, "commit", "-m", "something else")
    assert survey(tmp_path).commit == ""
    git(tmp_path, "add", "main")
    git(tmp_path, "commit", "-m", "the host")
    assert len(survey(tmp_path).commit) >= 7


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("manager-api: {url: http://x/}\n", True),
        ("manager-api:\n  url:\n", False),
        ("manager-api: 1\n", False),
    ],
)
def test_the_console_is_in_use_where_it_has_an_address(tmp_path: Path, settings: str, expected: bool) -> None:
    write_host(tmp_path, settings=settings)
    assert survey(tmp_path).uses_console is expected


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("core/providers/tts/base.py", "def to_tts(self, text)", "def to_tts(self, text, more)", "to_tts()"),
        ("core/providers/tts/base.py", "def to_tts(self, text)", "def to_tts(self)", "to_tts()"),
        ("core/providers/tts/base.py", "def to_tts(self, text)", "def to_tts(self, text, *, x)", "to_tts()"),
        ("core/providers/tts/base.py", "self.tts_text_queue", "self.text_queue", "tts_text_queue"),
        ("core/providers/tts/base.py", "class TTSProviderBase", "class Base", "TTSProviderBase"),
        ("core/providers/tts/dto/dto.py", "FIRST, MIDDLE, LAST", "FIRST, MIDDLE, END", "LAST"),
        ("core/connection.py", "self.sample_rate", "self.rate", "sample_rate"),
        ("core/utils/opus_encoder_utils.py", "reset_state", "reset", "reset_state()"),
        ("core/handle/sendAudioHandle.py", "audios, text", "audios", "sendAudioMessage"),
        (
            "core/providers/memory/base.py",
            "query_memory(self, query)",
            "query_memory(self)",
            "query_memory()",
        ),
        ("core/connection.py", "self.dialogue", "self.talk", "dialogue"),
        ("core/utils/dialogue.py", "def put", "def add", "put()"),
        (
            "plugins_func/register.py",
            "register_function(name, desc",
            "register_function(name",
            "register_function()",
        ),
        ("plugins_func/register.py", "SYSTEM_CTL", "SYSTEM", "SYSTEM_CTL"),
        ("core/providers/asr/base.py", "__init__(self)", "__init__(self, config)", "__init__()"),
        ("core/providers/asr/base.py", "save_audio_to_file", "save_audio", "save_audio_to_file()"),
        ("core/providers/asr/base.py", "decode_opus(opus_data)", "decode(opus_data)", "decode_opus()"),
        ("core/providers/asr/base.py", "decode_opus(opus_data)", "decode_opus(data, rate)", "decode_opus()"),
        (
            "core/providers/asr/base.py",
            "speech_to_text(self, opus",
            "recognize(self, opus",
            "speech_to_text()",
        ),
        ("core/providers/asr/dto/dto.py", "LOCAL", "OWN", "LOCAL"),
    ],
)
def test_what_the_host_lacks_is_named(tmp_path: Path, file: str, old: str, new: str, told: str) -> None:
    place = write_host(tmp_path, version="0.9.1") / file
    place.write_text(place.read_text().replace(old, new))
    (missing,) = survey(tmp_path).missing
    assert told in missing and file in missing


def test_parameters_that_have_defaults_are_no_hindrance(tmp_path: Path) -> None:
    base = write_host(tmp_path) / "core/providers/tts/base.py"
    base.write_text(
        base.read_text().replace("def to_tts(self, text)", "def to_tts(self, words, x=1, *, y=2)")
    )
    assert not survey(tmp_path).missing


@pytest.mark.parametrize("version", ["0.9.1", "0.9.5", "0.9.6"])
def test_a_decoder_is_needed_only_where_the_recognizer_is_given_opus(tmp_path: Path, version: str) -> None:
    base = write_host(tmp_path, version=version) / "core/providers/asr/base.py"
    assert ("decode_opus" in base.read_text()) == (version < "0.9.6")
    assert not survey(tmp_path).missing


def test_a_source_that_is_no_python_is_told(tmp_path: Path) -> None:
    (write_host(tmp_path) / "core/connection.py").write_text("def (")
    with pytest.raises(SettingsError, match="connection"):
        survey(tmp_path)


@pytest.mark.skipif(not os.environ.get("XIAOZHI_SERVER_DIR"), reason="XIAOZHI_SERVER_DIR is not set")
def test_the_real_host_has_what_the_doors_need() -> None:
    assert not survey(Path(os.environ["XIAOZHI_SERVER_DIR"])).missing
