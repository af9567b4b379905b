"""Which MCP servers the owner has: those of the settings, and those of the file in the form that the host reads.

Source of the form: xinnan-tech/xiaozhi-esp32-server, main/xiaozhi-server/mcp_server_settings.json (command, args, env;
url, headers, transport; what else stands there is for people), which other programs' `mcpServers` share.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import ValidationError

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.mcp_settings import McpServerSettings
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.text_files import read_text
from xiaozhi_persona.yaml_files import explain

FILE_NAME = ".mcp_server_settings.json"

_KEYS = ("command", "args", "env", "url", "headers")
_TRANSPORTS = {
    "sse": "sse",
    "http": "streamable-http",
    "streamable-http": "streamable-http",
    "streamable_http": "streamable-http",
    "streamableHttp": "streamable-http",
}


def own_servers(settings: Settings) -> tuple[dict[str, McpServerSettings], list[str]]:
    """Return the servers by name, those of the settings before those of the file, and what is wrong with the file."""
    file = settings.data_dir / FILE_NAME
    found = dict(settings.mcp.servers)
    if not file.is_file():
        return found, []
    try:
        data = json.loads(read_text(file))
    except (ValueError, RecursionError) as exc:
        return found, [tr("{file} 不是有效的 JSON：{exc}。检查逗号和引号，注释要删去。", file=file, exc=exc)]
    except SettingsError as exc:
        return found, [str(exc)]
    written = data.get("mcpServers") if isinstance(data, dict) else None
    if not isinstance(written, dict):
        return found, [
            tr("{file} 里没有 mcpServers。照小智服务端的 mcp_server_settings.json 写。", file=file)
        ]
    troubles = []
    for name, entry in written.items():
        if name in found or (isinstance(entry, dict) and entry.get("disabled") is True):
            continue
        try:
            found[name] = McpServerSettings.model_validate(_as_ours(entry))
        except ValidationError as exc:
            told = (
                explain(exc.errors()[0], McpServerSettings)
                if exc.errors()[0]["loc"]
                else exc.errors()[0]["msg"]
            )
            troubles.append(tr("{file} 的 {name}：{told}", file=file, name=name, told=told))
    return found, troubles


def _as_ours(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    ours = {key: entry[key] for key in _KEYS if entry.get(key)}
    if "command" in ours:
        ours.pop("url", None)  # the host takes the command where both stand
    transport = _TRANSPORTS.get(str(entry.get("transport") or entry.get("type")))
    if transport and "url" in ours:
        ours["transport"] = transport
    if token := entry.get("API_ACCESS_TOKEN"):  # of the host's older files
        ours["headers"] = {"Authorization": f"Bearer {token}", **ours.get("headers", {})}
    return ours
