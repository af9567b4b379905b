"""Opens the websocket as the firmware does, and says in words why it did not open."""

from __future__ import annotations

import asyncio
import inspect
import socket
from typing import Any

import anyio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI
from websockets.uri import parse_uri

from xiaozhi_persona.errors import ServiceTimeout, ServiceUnavailable, SettingsError, own_command
from xiaozhi_persona.language import tr

PATH = "/xiaozhi/v1/"
"""Where both xiaozhi-esp32-server and our bridge serve devices."""

REACH_TIMEOUT_S = 3.0
"""Until TCP is connected."""
CONNECT_TIMEOUT_S = 10.0
"""Until the websocket is open."""
CLOSE_TIMEOUT_S = 1.0
"""Servers that do not answer a close frame are not waited for."""


class NotReached(ServiceUnavailable):
    """Nobody listens there, or nothing comes back from there."""


async def open_websocket(
    url: str, version: int, device_id: str, client_id: str, token: str, ping_s: float | None = None
) -> ClientConnection:
    """Connect with the firmware's headers: no compression, and no pings of our own unless every `ping_s`.

    Raises SettingsError for what is no websocket address, ServiceTimeout, NotReached and ServiceUnavailable (no
    websocket server, or refused: wrong path, wrong token).
    """
    headers = {"Protocol-Version": str(version), "Device-Id": device_id, "Client-Id": client_id}
    if token:
        headers["Authorization"] = token if " " in token else f"Bearer {token}"
    # Devices know no proxy. Before websockets 15 there is none to switch off.
    options: dict[str, Any] = {"proxy": None} if "proxy" in inspect.signature(connect).parameters else {}
    reached: socket.socket | None = None
    websocket: ClientConnection | None = None
    try:
        address = parse_uri(url)
        reached = await _reach(address.host, address.port)
        websocket = await connect(
            url,
            sock=reached,
            additional_headers=headers,
            user_agent_header=None,
            compression=None,
            ping_interval=ping_s,
            ping_timeout=ping_s,
            open_timeout=CONNECT_TIMEOUT_S,
            close_timeout=CLOSE_TIMEOUT_S,
            **options,
        )
        return websocket
    except (InvalidURI, ValueError) as exc:
        raise SettingsError(
            tr(
                "{url!r} 不是 WebSocket 地址，应像 ws://192.168.1.5:8000{PATH}；OTA 地址写在 --ota 后面",
                url=url,
                PATH=PATH,
            )
        ) from exc
    except InvalidStatus as exc:
        raise ServiceUnavailable(_refusal(url, exc.response.status_code)) from exc
    except InvalidHandshake as exc:
        raise ServiceUnavailable(
            tr("{url} 有服务在运行，但不是 WebSocket 服务。请检查端口，默认是 8000（8003 是 OTA）", url=url)
        ) from exc
    except (asyncio.TimeoutError, TimeoutError) as exc:
        raise ServiceTimeout(
            tr(
                "{url} 在 {CONNECT_TIMEOUT_S:.0f} 秒内没有应答。请检查地址、防火墙，以及两台机器是否在同一个网络",
                url=url,
                CONNECT_TIMEOUT_S=CONNECT_TIMEOUT_S,
            )
        ) from exc
    except (OSError, EOFError) as exc:
        raise NotReached(
            tr(
                "连不上 {url}（{exc}）。请确认服务已经启动（{command}），地址和端口没有写错",
                url=url,
                exc=exc,
                command=own_command("serve"),
            )
        ) from exc
    finally:
        if websocket is None and reached is not None:
            reached.close()


async def _reach(host: str, port: int) -> socket.socket:
    """Return a socket that is connected. Raises OSError and TimeoutError.

    It does not wait as long as a handshake may take: whoever answers at all does so soon, and there may be other servers.
    """
    loop = asyncio.get_running_loop()
    failure: OSError = OSError(tr("没有这个主机"))
    for family, kind, protocol, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        found = socket.socket(family, kind, protocol)
        found.setblocking(False)
        try:
            with anyio.fail_after(REACH_TIMEOUT_S):
                await loop.sock_connect(found, address)
            return found
        except OSError as exc:
            found.close()
            failure = exc
        except BaseException:
            found.close()
            raise
    raise failure


def _refusal(url: str, status: int) -> str:
    if status in (401, 403):
        return tr(
            "{url} 不接受这个令牌（HTTP {status}）。请用 --token 给出服务器设置的令牌", url=url, status=status
        )
    if status == 404:
        return tr(
            "{url} 没有这个路径（HTTP 404）。路径一般是 {PATH}，端口默认是 8000（8003 是 OTA）",
            url=url,
            PATH=PATH,
        )
    if status == 429:
        return tr("{url} 那里一分钟来了太多新设备（HTTP 429）。过一分钟再试", url=url)
    if status >= 500:
        return tr("{url} 的服务器出错（HTTP {status}）。请看服务器的日志", url=url, status=status)
    return tr(
        "{url} 不接受 WebSocket 连接（HTTP {status}）。请检查端口（默认 8000）和路径（一般是 {PATH}）",
        url=url,
        status=status,
        PATH=PATH,
    )
