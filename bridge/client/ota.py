"""Asks an OTA address where to connect, as the firmware does at every start.

Source: 78/xiaozhi-esp32 2.4.2, main/ota.cc and main/boards/common/board.cc.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from xiaozhi_persona.bridge.client.servers import Server
from xiaozhi_persona.errors import ServiceRejected, ServiceTimeout, ServiceUnavailable, first_line
from xiaozhi_persona.language import language, tr

TIMEOUT_S = 5.0
ANSWER_BYTES = 64 * 1024
_BOARD = "xiaozhi-persona"


@dataclass(frozen=True)
class OtaAnswer:
    """What an OTA address says."""

    server: Server
    activation: str = ""
    """What its user has to do before this device is served, with the code in it; "" for nothing."""


async def ask_ota(url: str, device_id: str, client_id: str) -> OtaAnswer:
    """Ask an OTA address. Raises ServiceUnavailable (not reached), ServiceTimeout and ServiceRejected (no use)."""
    import httpx  # takes a while to load, and most clients have no OTA address

    own_version = version("xiaozhi-persona")
    headers = {
        "Activation-Version": "1",
        "Device-Id": device_id,
        "Client-Id": client_id,
        "User-Agent": f"{_BOARD}/{own_version}",
        "Accept-Language": {"zh": "zh-CN", "en": "en-US"}[language()],
    }
    answer = b""
    try:
        async with (
            httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False, follow_redirects=True) as client,
            client.stream(
                "POST", url, headers=headers, json=_body(device_id, client_id, own_version)
            ) as response,
        ):
            async for piece in response.aiter_bytes():
                answer += piece
                if len(answer) > ANSWER_BYTES:
                    raise ServiceRejected(tr("{url} 的回答太长，不是 OTA 地址", url=url))
    except httpx.TimeoutException as exc:
        raise ServiceTimeout(
            tr("OTA {url} 在 {timeout_s:g} 秒内没有回答", url=url, timeout_s=TIMEOUT_S)
        ) from exc
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        raise ServiceUnavailable(
            tr("OTA {url} 连不上（{reason}）。请检查地址", url=url, reason=first_line(exc))
        ) from exc
    if response.status_code != 200:
        raise ServiceRejected(
            tr("OTA {url} 没有回答（HTTP {status}）。请检查路径", url=url, status=response.status_code)
        )
    return _read(url, answer)


def _read(url: str, answer: bytes) -> OtaAnswer:
    import json

    try:
        data = json.loads(answer)
        websocket = data["websocket"]
        found, token = websocket["url"], websocket.get("token", "")
        if not isinstance(found, str) or not found or not isinstance(token, str):
            raise TypeError
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise ServiceRejected(
            tr("OTA {url} 的回答里没有 websocket 地址。请检查服务器的设置", url=url)
        ) from exc
    return OtaAnswer(Server(found, token), _activation(data.get("activation")))


def _activation(told: Any) -> str:
    if not isinstance(told, dict):
        return ""
    parts = [str(told[key]).strip() for key in ("message", "code") if isinstance(told.get(key), str | int)]
    code = parts[-1] if "code" in told else ""
    return " ".join(parts[:1] if code and code in parts[0] else parts).replace("\n", " ")


def _body(device_id: str, client_id: str, own_version: str) -> dict[str, Any]:
    return {
        "version": 2,
        "language": {"zh": "zh-CN", "en": "en-US"}[language()],
        "mac_address": device_id,
        "uuid": client_id,
        "chip_model_name": platform.machine() or "unknown",
        "application": {"name": "xiaozhi-persona", "version": own_version},
        "board": {"type": _BOARD, "name": _BOARD, "mac": device_id},
    }
