"""The host in Docker: what is written beside the user's compose file, and that it goes away again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.installer.docker import data_folder, install_docker, uninstall_docker
from xiaozhi_persona.providers.host.doors import DOORS

UPSTREAM = "ghcr.nju.edu.cn/xinnan-tech/xiaozhi-esp32-server"
SERVER = "/opt/xiaozhi-esp32-server"
VOLUMES = [
    f"./data:{SERVER}/data",
    f"./models/SenseVoiceSmall/model.pt:{SERVER}/models/SenseVoiceSmall/model.pt",
]


def compose(**server: Any) -> dict[str, Any]:
    """A compose file such as the host's."""
    service = {"image": f"{UPSTREAM}:server_latest", "ports": ["8000:8000"], "volumes": VOLUMES} | server
    return {"services": {"xiaozhi-esp32-server": {key: value for key, value in service.items() if value}}}


def with_console(**server: Any) -> dict[str, Any]:
    """A compose file such as the host's with the web console."""
    more = {
        "xiaozhi-esp32-server-web": {"image": f"{UPSTREAM}:web_latest"},
        "xiaozhi-esp32-server-db": {"image": "mysql:latest"},
        "xiaozhi-esp32-server-redis": {"image": "redis:8.0"},
    }
    return {"services": compose(**server)["services"] | more}


def write(folder: Path, content: dict[str, Any] | str, name: str = "docker-compose.yml") -> Path:
    text = content if isinstance(content, str) else yaml.safe_dump(content)
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_image_is_built_on_the_users_own(tmp_path: Path) -> None:
    write(tmp_path, compose(image=f"{UPSTREAM}:server_0.9.6"))
    install_docker(tmp_path, show_only=False)
    lines = (tmp_path / "xiaozhi-persona-docker" / "Dockerfile").read_text(encoding="utf-8").splitlines()
    instructions = [line.split(" ", 1)[0] for line in lines if not line.startswith(("#", " "))]
    assert instructions == ["FROM", "COPY", "RUN", "RUN"]
    assert f"FROM {UPSTREAM}:server_0.9.6" in lines
    assert lines[-1] == f"RUN xiaozhi-persona install --doors-only {SERVER}"


def test_the_recognizer_comes_into_the_image_when_it_is_asked_for_and_stays(tmp_path: Path) -> None:
    file = write(tmp_path, compose()) / "xiaozhi-persona-docker" / "Dockerfile"
    install_docker(tmp_path, show_only=False)
    assert '"/opt/xiaozhi-persona[espeak]"' in file.read_text(encoding="utf-8")
    assert "[asr,espeak]" in "\n".join(install_docker(tmp_path, show_only=True, asr=True))
    for asked in (True, False):
        install_docker(tmp_path, show_only=False, asr=asked)
        assert '"/opt/xiaozhi-persona[asr,espeak]"' in file.read_text(encoding="utf-8")


def test_the_override_changes_the_image_of_the_server_and_nothing_else(tmp_path: Path) -> None:
    write(tmp_path, with_console())
    install_docker(tmp_path, show_only=False)
    override = yaml.safe_load((tmp_path / "docker-compose.override.yml").read_text(encoding="utf-8"))
    (name,) = override["services"]
    service = override["services"][name]
    assert name == "xiaozhi-esp32-server" and not {"ports", "volumes", "environment"} & set(service)
    assert (
        service["image"] != f"{UPSTREAM}:server_latest"
    )  # the build must not take the name of the user's image
    assert (tmp_path / service["build"]["context"] / "Dockerfile").is_file()


def test_what_is_built_holds_the_whole_package_and_no_rubbish(tmp_path: Path) -> None:
    install_docker(write(tmp_path, compose()), show_only=False)
    source = tmp_path / "xiaozhi-persona-docker" / "source"
    assert (source / "setup.cfg").is_file() and (source / "pyproject.toml").is_file()
    assert (source / "src" / "xiaozhi_persona" / "cli.py").is_file()
    assert (source / "roles" / "packs" / "default" / "role.yaml").is_file()
    assert not [path for path in source.rglob("*") if path.name == "__pycache__" or path.suffix == ".pyc"]


def test_showing_writes_nothing(tmp_path: Path) -> None:
    write(tmp_path, compose())
    before = everything(tmp_path)
    shown = "\n".join(install_docker(tmp_path, show_only=True))
    assert "FROM" in shown and "pull_policy" in shown and everything(tmp_path) == before


def test_twice_is_once_and_removing_leaves_what_was_there(tmp_path: Path) -> None:
    write(tmp_path, compose())
    before = everything(tmp_path)
    install_docker(tmp_path, show_only=False)
    once = everything(tmp_path)
    install_docker(tmp_path, show_only=False)
    assert everything(tmp_path) == once
    uninstall_docker(tmp_path)
    assert everything(tmp_path) == before and not (tmp_path / "xiaozhi-persona-docker").exists()
    assert "没有" in uninstall_docker(tmp_path)[0]


@pytest.mark.parametrize("name", ["docker-compose.override.yml", "compose.override.yaml"])
def test_an_override_of_the_user_is_left_alone_and_the_merge_is_named(tmp_path: Path, name: str) -> None:
    write(tmp_path, compose())
    write(tmp_path, "services: {xiaozhi-esp32-server: {ports: ['9000:8000']}}\n", name)
    before = everything(tmp_path)
    with pytest.raises(SettingsError, match="pull_policy: build"):
        install_docker(tmp_path, show_only=False)
    uninstall_docker(tmp_path)
    assert everything(tmp_path) == before


def test_an_override_into_which_ours_was_merged_is_used_as_it_is(tmp_path: Path) -> None:
    write(tmp_path, compose())
    ours = {"build": {"context": "./xiaozhi-persona-docker"}, "image": "mine", "ports": ["9000:8000"]}
    write(tmp_path, {"services": {"xiaozhi-esp32-server": ours}}, "docker-compose.override.yml")
    before = everything(tmp_path)
    install_docker(tmp_path, show_only=False)
    assert (tmp_path / "xiaozhi-persona-docker" / "Dockerfile").is_file()
    assert "请删去" in "\n".join(uninstall_docker(tmp_path)) and everything(tmp_path) == before


def test_a_folder_of_the_same_name_is_left_alone(tmp_path: Path) -> None:
    write(tmp_path, compose())
    (tmp_path / "xiaozhi-persona-docker").mkdir()
    (tmp_path / "xiaozhi-persona-docker" / "Dockerfile").write_text("FROM scratch\n", encoding="utf-8")
    before = everything(tmp_path)
    with pytest.raises(SettingsError, match="换个名字"):
        install_docker(tmp_path, show_only=False)
    uninstall_docker(tmp_path)
    assert everything(tmp_path) == before


def test_what_the_user_added_since_is_kept(tmp_path: Path) -> None:
    install_docker(write(tmp_path, compose()), show_only=False)
    override = tmp_path / "docker-compose.override.yml"
    edited = override.read_text(encoding="utf-8") + "    ports: ['9000:8000']\n"
    override.write_text(edited, encoding="utf-8")
    notes = tmp_path / "xiaozhi-persona-docker" / "notes.txt"
    notes.write_text("mine", encoding="utf-8")
    told = "\n".join(uninstall_docker(tmp_path))
    assert not override.exists() and "notes.txt" in told and notes.read_text(encoding="utf-8") == "mine"
    assert (tmp_path / "docker-compose.override.yml.old").read_text(encoding="utf-8") == edited


def test_an_installation_that_broke_off_is_completed(tmp_path: Path) -> None:
    write(tmp_path, compose())
    install_docker(tmp_path, show_only=False)
    whole = everything(tmp_path)
    (tmp_path / "docker-compose.override.yml").unlink()
    (tmp_path / "xiaozhi-persona-docker" / "source" / "setup.cfg").unlink()
    install_docker(tmp_path, show_only=False)
    assert everything(tmp_path) == whole


def test_the_file_for_the_console_is_named_in_the_command(tmp_path: Path) -> None:
    """Docker does not read docker-compose_all.yml by itself, nor the override when it is given with -f."""
    write(tmp_path, with_console(), "docker-compose_all.yml")
    told = "\n".join(install_docker(tmp_path, show_only=False))
    assert "docker compose -f docker-compose_all.yml -f docker-compose.override.yml up -d" in told


@pytest.mark.parametrize("url, command", [("http://web:8002/xiaozhi", " -f "), ("", "docker compose up -d")])
def test_of_both_files_the_settings_decide(tmp_path: Path, url: str, command: str) -> None:
    write(write(tmp_path, compose()), with_console(), "docker-compose_all.yml")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / ".config.yaml").write_text(f"manager-api: {{url: '{url}'}}\n", encoding="utf-8")
    assert command in "\n".join(install_docker(tmp_path, show_only=False))


@pytest.mark.parametrize(
    "content, wanted",
    [
        ({"services": {"web": {"image": "nginx"}}}, "检查给的文件夹"),
        ("services: [", "读不懂"),
        ("just words", "检查给的文件夹"),
        (compose(image=None, build="."), "Dockerfile"),
        (compose(image=UPSTREAM + ":server_${TAG}"), "变量"),
        (compose(volumes=[f".:{SERVER}"]), "xiaozhi-persona install"),
        (compose(volumes=[f"./gpt_sovits_v1.py:{SERVER}/{DOORS[0].path}:ro"]), "删去这一行"),
    ],
)
def test_what_cannot_work_is_told_and_nothing_is_written(tmp_path: Path, content: Any, wanted: str) -> None:
    write(tmp_path, content)
    before = everything(tmp_path)
    with pytest.raises(SettingsError, match=wanted):
        install_docker(tmp_path, show_only=False)
    assert everything(tmp_path) == before


def test_a_folder_without_a_compose_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="docker-compose.yml"):
        install_docker(tmp_path, show_only=False)


@pytest.mark.parametrize(
    "volume, folder",
    [
        (f"./data:{SERVER}/data", "data"),
        (f"./settings:{SERVER}/data:rw", "settings"),
        ({"type": "bind", "source": "./there", "target": f"{SERVER}/data"}, "there"),
    ],
)
def test_the_folder_of_the_settings_is_found(tmp_path: Path, volume: Any, folder: str) -> None:
    assert data_folder(write(tmp_path, compose(volumes=[volume]))) == tmp_path / folder


def test_a_folder_elsewhere_and_a_windows_path_are_taken_as_they_are(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    assert data_folder(write(tmp_path, compose(volumes=[f"{elsewhere}:{SERVER}/data"]))) == elsewhere
    windows = data_folder(write(tmp_path, compose(volumes=[f"C:/xiaozhi/data:{SERVER}/data"])))
    assert str(windows).endswith("C:/xiaozhi/data")


@pytest.mark.parametrize("volumes, wanted", [([f"kept:{SERVER}/data"], "./data"), (VOLUMES[1:], "volumes")])
def test_settings_that_are_nowhere_on_this_machine_are_told(
    tmp_path: Path, volumes: list[str], wanted: str
) -> None:
    with pytest.raises(SettingsError, match=wanted):
        data_folder(write(tmp_path, compose(volumes=volumes)))


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, compose())

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied", str(tmp_path))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(SettingsError, match="权限"):
        install_docker(tmp_path, show_only=False)
