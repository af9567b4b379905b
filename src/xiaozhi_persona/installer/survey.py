"""What stands in a folder of xiaozhi-esp32-server: where the server is, which version, what it reads its settings from."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.installer.host_contract import missing_in, parse, takes_sentence_id
from xiaozhi_persona.language import tr
from xiaozhi_persona.yaml_files import load_yaml, not_yaml

OLDEST = (0, 9, 1)
"""The first release whose bases the doors fit: conn.sample_rate and the encoder of the TTS base come with it."""

_PLACES = (".", "main/xiaozhi-server", "xiaozhi-server")
_VERSION_FILE = "config/logger.py"
_NUMBERS = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")


@dataclass(frozen=True)
class Host:
    """A xiaozhi-esp32-server that is new enough."""

    server: Path
    """The folder that holds its app.py, in which it runs."""
    version: str
    commit: str
    """The commit of its checkout, shortened; "" when it is not one."""
    uses_console: bool
    """Whether the settings come from the web console (manager-api); data/.config.yaml then only says where that is."""
    takes_sentence_id: bool
    """Whether audio tuples have a fourth member, the id of their turn."""
    missing: tuple[str, ...]
    """What it lacks of what the doors need, in Chinese; () when they fit."""

    @property
    def data(self) -> Path:
        """The folder of its settings and data, which its containers keep."""
        return self.server / "data"


def find_server(folder: Path) -> Path:
    """Return the folder with the host's app.py: `folder` may be the repository, its main/, or that folder itself.

    Raises SettingsError.
    """
    if not folder.is_dir():
        raise SettingsError(tr("没有文件夹 {folder}。请给出 xiaozhi-esp32-server 的文件夹。", folder=folder))
    for place in _PLACES:
        server = folder / place
        if (server / _VERSION_FILE).is_file() and (server / "core" / "providers").is_dir():
            return server
    raise SettingsError(
        tr(
            "{folder} 里没有小智服务端（找过 main/xiaozhi-server/{VERSION_FILE}）。"
            "请给出 xiaozhi-esp32-server 的文件夹。",
            folder=folder,
            VERSION_FILE=_VERSION_FILE,
        )
    )


def survey(folder: Path) -> Host:
    """Look at the host in `folder`. Raises SettingsError when there is none, or it is too old, or unreadable."""
    server = find_server(folder)
    version = _version(server)
    numbers = _NUMBERS.match(version)
    if not numbers or tuple(int(number or 0) for number in numbers.groups()) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise SettingsError(
            tr(
                "{server} 是小智服务端 {value}，要 {oldest} 或更新的。请先升级小智服务端，再运行一次。",
                server=server,
                value=version or tr("（版本不明）"),
                oldest=oldest,
            )
        )
    return Host(
        server=server,
        version=version,
        commit=_commit(server),
        uses_console=uses_console(read_settings(server / "data" / ".config.yaml")),
        takes_sentence_id=takes_sentence_id(server),
        missing=tuple(missing_in(server)),
    )


def uses_console(settings: Mapping[str, Any]) -> bool:
    """Whether settings of the host send it to the web console for all others."""
    console = settings.get("manager-api")
    return bool(isinstance(console, Mapping) and console.get("url"))


def read_settings(file: Path) -> dict[str, Any]:
    """Read a settings file of the host; {} when there is none or it is empty. Raises SettingsError with the place."""
    try:
        return parse_settings(file.read_bytes(), file)
    except FileNotFoundError:
        return {}
    except OSError as exc:
        raise SettingsError(
            tr("读不了 {file}（{strerror}）。请检查权限。", file=file, strerror=exc.strerror)
        ) from exc


def parse_settings(content: bytes, file: Path) -> dict[str, Any]:
    """Return the keys and values of a settings file of the host, which is UTF-8. Raises SettingsError with the place."""
    try:
        data = load_yaml(content.decode("utf-8-sig"))
    except UnicodeDecodeError as exc:
        raise SettingsError(
            tr("{file} 不是 UTF-8 编码，小智服务端也读不了它。请另存为 UTF-8。", file=file)
        ) from exc
    except yaml.YAMLError as exc:
        raise not_yaml(exc, file) from exc
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise SettingsError(
            tr(
                "{file} 的最外层应是“键: 值”，得到的是 {name}。请检查它。",
                file=file,
                name=type(data).__name__,
            )
        )
    return data


def _version(server: Path) -> str:
    """Return SERVER_VERSION of the host, "" when there is none."""
    for node in parse(server / _VERSION_FILE).body:
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "SERVER_VERSION" for target in node.targets
        ):
            return str(node.value.value) if isinstance(node.value, ast.Constant) else ""
    return ""


def _commit(server: Path) -> str:
    # A commit counts only where the host's files belong to it: the folder may lie in a repository of something else.
    commands = (["ls-files", "--error-unmatch", _VERSION_FILE], ["rev-parse", "--short", "HEAD"])
    output = ""
    for command in commands:
        try:
            done = subprocess.run(
                ["git", *command],
                cwd=server,
                capture_output=True,
                encoding="utf-8",
                errors="backslashreplace",
                timeout=10,
                check=True,
            )
        except (OSError, subprocess.SubprocessError):
            return ""
        output = done.stdout.strip()
    return output
