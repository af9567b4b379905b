"""The user's own settings: where they stand, what they win over, how they are written, and that an update leaves them alone."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from xiaozhi_persona import settings_files
from xiaozhi_persona.cli import main
from xiaozhi_persona.commands.common import edited_settings
from xiaozhi_persona.config import load_settings, render, render_own
from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.roles.role import role_of_settings
from xiaozhi_persona.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
OWN = Path("data/.config.yaml")

Run = Callable[..., str]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command; returns what it printed, its errors too."""

    def runs(*arguments: str, code: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["xiaozhi-persona", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        captured = capsys.readouterr()
        assert end.value.code == code, captured
        return captured.out + captured.err

    return runs


def write(path: Path | str, text: str) -> Path:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


# Which files count.


def test_the_users_file_wins_key_by_key() -> None:
    write("config.yaml", "role: a\nbridge: {http_port: 1, token: kept}\nmemory: {owners: {x: 一, y: 二}}")
    write(OWN, "bridge: {http_port: 2}\nmemory: {owners: {y: 三}}")
    settings = load_settings(None, {})
    assert (settings.role, settings.bridge.http_port, settings.bridge.token) == ("a", 2, "kept")
    assert settings.memory.owners == {"x": "一", "y": "三"}
    assert load_settings(None, {"XZP_BRIDGE__HTTP_PORT": "3"}).bridge.http_port == 3


def test_the_users_file_alone_is_enough_and_paths_start_beside_config_yaml(folder: Path) -> None:
    write(OWN, "paths: {data: store}")
    assert load_settings(None, {}).data_dir == folder / "store"
    assert settings_files.find_files().own == OWN  # paths.data does not move it


@pytest.mark.parametrize("name", ["config.yaml", "data/.config.yaml"])
def test_either_file_may_be_named(folder: Path, name: str) -> None:
    write("config.yaml", "role: a\nbridge: {token: t}")
    write(OWN, "role: b")
    settings = load_settings(folder / name, {})
    assert (settings.role, settings.bridge.token, settings.data_dir) == ("b", "t", folder / "data")


def test_a_file_of_another_name_counts_alone() -> None:
    write(OWN, "role: b")
    assert load_settings(write("other.yaml", "bridge: {token: t}"), {}).role == "default"


def test_mistakes_name_the_file_they_stand_in() -> None:
    write("config.yaml", "bridge: {http_port: 0}\nlog: {level: info}")
    write(OWN, "log: {level: loud}\nllm: {api_key: '${NO_KEY}'}")
    with pytest.raises(SettingsError, match=r"data/\.config\.yaml：llm\.api_key 用到环境变量"):
        load_settings(None, {})
    with pytest.raises(SettingsError) as caught:
        load_settings(None, {"NO_KEY": ""})
    places = dict(line.split("：", 1) for line in str(caught.value).splitlines())
    assert "bridge.http_port" in places["config.yaml"] and "log.level" in places[str(OWN)]


@pytest.mark.skipif(sys.platform == "win32", reason="there a folder reads as a file that may not be read")
@pytest.mark.parametrize("name", ["config.yaml", "data/.config.yaml"])
def test_a_folder_that_docker_made_in_place_of_a_file_is_named_and_not_passed_over(
    folder: Path, name: str
) -> None:
    (folder / name).mkdir(parents=True)
    with pytest.raises(SettingsError, match=rf"{name} 是文件夹"):
        load_settings()


def test_in_the_hosts_folder_its_files_are_named_and_left_alone(run: Run) -> None:
    write("config.yaml", "server: {port: 1}\nselected_module:\n  TTS: EdgeTTS\n")
    write(OWN, "selected_module:\n  TTS: PersonaVoice\n")
    assert load_settings(None, {}) == Settings()
    told = run("roles", "list")
    assert "config.yaml 是小智服务端的设置" in told and f"{OWN} 是小智服务端的设置" in told
    assert "小智服务端" in run("set", "role", "xiaoyu", code=2)
    assert yaml.safe_load(OWN.read_text(encoding="utf-8")) == {"selected_module": {"TTS": "PersonaVoice"}}


def test_outside_of_the_project_its_settings_are_found(
    folder: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.delenv(settings_files.PROJECT_VARIABLE)
    monkeypatch.setattr(settings_files, "project_folder", lambda: folder / "project")
    assert "用默认设置" in run("roles", "list")
    write("project/config.yaml", "role: default")
    write("project" / OWN, "bridge: {token: own}")
    assert "默认设置" not in run("roles", "list")
    settings = load_settings(None, {})
    assert settings.bridge.token == "own" and settings.data_dir == folder / "project/data"
    write("config.yaml", "bridge: {token: here}")
    assert load_settings(None, {}).bridge.token == "here"


def test_the_project_is_known_where_it_is_installed_to_be_edited() -> None:
    code = "from xiaozhi_persona.settings_files import project_folder; print(project_folder())"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert (Path(told.strip()) / "setup.cfg").is_file()


# Writing them.


def test_init_writes_examples_that_set_nothing_and_never_overwrites(run: Run) -> None:
    assert str(OWN) in run("init")
    assert load_settings(None, {}).model_dump() == Settings().model_dump()
    if sys.platform != "win32":
        assert stat.S_IMODE(OWN.stat().st_mode) == 0o600  # it will hold the keys of services
    write(OWN, "role: mine")
    assert "没有改动" in run("init")
    assert OWN.read_text(encoding="utf-8") == "role: mine"


def test_the_examples_are_right_once_their_marks_are_removed() -> None:
    _, *blocks = render_own().split("\n\n")
    text = "\n".join(line.removeprefix("# ") for block in blocks for line in block.splitlines())
    assert set(yaml.safe_load(text)) == {"role", "llm", "asr", "tts", "gpt_sovits"}
    assert load_settings(write("other.yaml", text), {}).model_dump() == Settings().model_dump()


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("role", "true", "true"),
        ("bridge.http_port", "9003", 9003),
        ("memory.embedder", "off", "off"),
        ("llm.api_key", "sk: '1' #2", "sk: '1' #2"),
        ("gpt_sovits.servers", "[http://a:1, http://b:2]", ["http://a:1", "http://b:2"]),
        ("memory.owners.aa:bb:cc:dd:ee:ff", "小明", "小明"),
        ("paths.data", "D:\\小智\\data", "D:\\小智\\data"),
    ],
)
def test_set_writes_one_setting(run: Run, key: str, text: str, value: Any) -> None:
    run("init")
    run("set", "llm.model", "before")
    shown = run("set", key, text)
    assert str(OWN) in shown and f"{key}: {value}" in shown
    run("set", "asr.workers", "2")
    found: Any = load_settings(None, {}).model_dump()
    assert (found["llm"]["model"], found["asr"]["workers"]) == ("before", 2)
    for part in key.split("."):
        found = found[part]
    assert found == value
    assert json.loads(run("set", key, "--json"))["settings"] == {key: value}


def test_set_keeps_comments_and_order(run: Run) -> None:
    write(OWN, "# 我的\nllm:\n  model: a  # 便宜的\n\nrole: default # 先用它\n")
    run("set", "llm.model", "b")
    assert OWN.read_text(encoding="utf-8") == "# 我的\nllm:\n  model: b  # 便宜的\n\nrole: default # 先用它\n"


@pytest.mark.parametrize(
    "before", ["[http://a:1]  # 旧的", "\n  - http://a:1\n  # 备用\n  - http://b:1", "\n    - http://a:1"]
)
def test_a_list_can_be_set_again_however_it_is_written(run: Run, before: str) -> None:
    write(OWN, f"gpt_sovits:\n  # 书房\n  servers: {before}\n  streaming_mode: fast\nrole: default\n")
    run("set", "gpt_sovits.servers", "[http://c:1, http://d:1]")
    settings = load_settings(None, {})
    assert settings.gpt_sovits.servers == ["http://c:1", "http://d:1"]
    assert settings.gpt_sovits.streaming_mode == "fast" and "# 书房" in OWN.read_text(encoding="utf-8")
    run("set", "gpt_sovits.servers", "[]")
    assert load_settings(None, {}).gpt_sovits.servers == []


def test_what_else_counts_is_told_when_a_setting_is_written(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("set", "memory.owners", "{a: 甲}")
    assert "原来的也还在：a、b" in run("set", "memory.owners", "{b: 乙}")
    run("set", "role_of_device.AA-BB-CC-DD-EE-FF", "xiaoyu")  # read in another form
    assert "xiaoyu" in run("set", "role_of_device.AA-BB-CC-DD-EE-FF")
    monkeypatch.setenv("XZP_LLM__MODEL", "other")
    assert "环境变量 XZP_LLM__MODEL 优先" in run("set", "llm.model", "mine")


def test_a_key_that_is_to_come_from_the_environment_is_written_before_it_is_missed(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    told = run("set", "llm.api_key", "${NO_SUCH_KEY}", code=2)
    assert "写在" in told and "没有设置它" in told
    assert "${NO_SUCH_KEY}" in OWN.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["llm.modle", "x"], "没有 llm.modle"),
        (["llm.modle"], "没有 llm.modle"),
        (["bridge.http_port", "0"], "1 到 65535"),
        (["bridge.http_port", "[1"], "读不懂"),
        (["bridge", "1"], "bridge 的值 1"),
        ([], "set 键 值"),
        (["role", "x", "--move"], "set 键 值"),
        (["role", "x", "--config", "other.yaml"], "单独有效"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_written(run: Run, arguments: list[str], told: str) -> None:
    write("other.yaml", "role: default")
    assert told in run("set", *arguments, code=2)
    assert not OWN.exists()


def test_a_form_that_cannot_be_changed_for_sure_is_left_to_its_writer(run: Run) -> None:
    text = "llm: &a {model: x}\nasr: *a\n"
    write(OWN, text)
    assert "自己在里面写上" in run("set", "llm.model", "b", code=2)
    assert OWN.read_text(encoding="utf-8") == text


# An edited config.yaml, and updates.


def test_what_was_written_into_config_yaml_is_told_and_moved_by_one_command(
    folder: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.setattr(settings_files, "project_folder", lambda: folder)
    edited = (
        render().replace("http_port: 8003", "http_port: 9003").replace("owners: {}", "owners: {a: 甲, b: 乙}")
    )
    write("config.yaml", edited)
    write(OWN, "memory: {owners: {b: 丙}}\nrole: xiaoyu")
    before = load_settings(None, {}).model_dump()
    assert edited_settings(None) == ["bridge.http_port", "memory.owners"]
    assert "bridge.http_port: 9003" in run("set", "--move")
    assert Path("config.yaml").read_text(encoding="utf-8") == render()
    assert Path("data/config.yaml.bak").read_text(encoding="utf-8") == edited
    assert load_settings(None, {}).model_dump() == before
    assert edited_settings(None) == [] and "没有要搬的" in run("set", "--move")
    write("config.yaml", render().replace("http_port: 8003", "http_port: 9005"))
    assert "恢复了原样" in run("set", "--move") and load_settings(None, {}).bridge.http_port == 9003
    assert Path("config.yaml").read_text(encoding="utf-8") == render()

    entry = render().replace("owners: {}", "owners: {b: 丁}")
    write("config.yaml", entry)  # what is there already is not said to be moved
    assert "恢复了原样" in run("set", "--move") and load_settings(None, {}).memory.owners["b"] == "丙"


def test_a_device_in_another_spelling_is_the_same_entry(run: Run) -> None:
    write("config.yaml", "role_of_device: {'AA-BB-CC-DD-EE-FF': default}")
    write(OWN, "role_of_device: {'aa:bb:cc:dd:ee:ff': xiaoyu}\nmemory: {owners: {'AABBCCDDEEFF': 甲}}")
    assert load_settings(None, {}).role_of_device == {"aa:bb:cc:dd:ee:ff": "xiaoyu"}
    run("set", "memory.owners.aa:bb:cc:dd:ee:ff", "乙")
    run("set", "role_of_device.aabbccddeeff", "default")
    settings = load_settings(None, {})
    assert settings.memory.owners == {"aa:bb:cc:dd:ee:ff": "乙"}
    assert settings.role_of_device == {"aa:bb:cc:dd:ee:ff": "default"}
    assert len(yaml.safe_load(OWN.read_text(encoding="utf-8"))["memory"]["owners"]) == 1


@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
def test_an_update_leaves_the_users_settings_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    def git(*arguments: str, at: Path) -> str:
        command = ["git", "-c", "user.name=x", "-c", "user.email=x@x", *arguments]
        done = subprocess.run(command, cwd=at, capture_output=True, text=True, check=True)
        return done.stdout + done.stderr

    upstream, checkout = folder / "upstream", folder / "checkout"
    sheet = Path("roles/packs/xiaoyu/role.yaml")
    for file in (Path(".gitignore"), Path("config.yaml"), sheet):
        (upstream / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, upstream / file)
    git("init", "-q", at=upstream)
    git("add", ".", at=upstream)
    git("commit", "-qm", "one", at=upstream)
    git("clone", "-q", str(upstream), str(checkout), at=folder)
    monkeypatch.chdir(checkout)
    run("set", "role", "xiaoyu")
    run("voices", "send", "xiaoyu", "--to", "D:\\voices")
    for file in (Path("config.yaml"), sheet):
        with (upstream / file).open("a", encoding="utf-8") as output:
            output.write("# 新的一行\n")
    git("commit", "-qam", "two", at=upstream)
    assert "Fast-forward" in git("pull", at=checkout)
    assert git("status", "--porcelain", at=checkout) == ""
    settings = load_settings(None, {})
    assert settings.role == "xiaoyu" and settings.gpt_sovits.server_dirs == {"xiaoyu": "D:\\voices\\xiaoyu"}


# A voice on another machine.


@pytest.mark.parametrize(
    ("to", "there"), [("D:\\voices", "D:\\voices\\xiaoyu"), ("/srv/voices/", "/srv/voices/xiaoyu")]
)
def test_a_role_is_packed_for_the_machine_that_speaks(run: Run, to: str, there: str) -> None:
    told = run("voices", "send", "xiaoyu", "--to", to)
    assert there in told and "api_v2.py" in told and "xiaoyu-voices.zip" in told
    role = role_of_settings(load_settings(None, {}), "xiaoyu")
    with zipfile.ZipFile("out/xiaoyu-voices.zip") as archive:
        inside = set(archive.namelist())
    for clip in role.clips:
        assert clip.file
        path = clip.file.relative_to(role.folder).as_posix()
        assert f"xiaoyu/{path}" in inside and f"xiaoyu/{path[:-4]}.txt" in inside
        assert clip.reference.path.replace("\\", "/") == f"{there}/{path}".replace("\\", "/")
    again = run("voices", "send", "xiaoyu")  # the folder is known by now
    assert there in again


def test_a_role_with_a_dot_in_its_name_can_be_sent(run: Run) -> None:
    shutil.copytree(ROOT / "roles/packs/xiaoyu", "data/roles/v1.5")
    run("voices", "send", "v1.5", "--to", "/srv/voices")
    assert load_settings(None, {}).gpt_sovits.server_dirs == {"v1.5": "/srv/voices/v1.5"}


def test_what_cannot_be_sent_is_told(run: Run) -> None:
    assert "完整的路径" in run("voices", "send", "xiaoyu", "--to", "voices", code=2)
    assert "没有参考音频" in run("voices", "send", "default", "--to", "/x", code=2)
    write("blocked", "")
    assert "--out" in run("voices", "send", "xiaoyu", "--to", "/x", "--out", "blocked/a.zip", code=2)
    assert not OWN.exists()
