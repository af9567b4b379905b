"""What is at the GPT-SoVITS addresses of the settings: reached or not and why, and which API it is."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import anyio
import httpx

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import later, tr
from xiaozhi_persona.providers.tts.gpt_sovits.dialect import Dialect, ask_dialect
from xiaozhi_persona.providers.tts.gpt_sovits.pool import ADDRESS_VARIABLE, base_url, separated
from xiaozhi_persona.providers.tts.synthesizer import SeenServer
from xiaozhi_persona.voice_settings import GptSovitsSettings

DEFAULT_PORT = 9880
"""Of api.py and of api_v2.py."""

PROBE_TIMEOUT_S = 3.0
"""How long /openapi.json may take; a server that speaks in mode 0 for somebody else answers nothing meanwhile."""

_KINDS = {
    "v1": "v1（api.py）",
    "v2": "v2（api_v2.py）",
    "pack": later("整合包（v2 的参数，在 /）"),
}

State = Literal["described", "undescribed", "silent", "closed", "unreachable", "no_name"]


@dataclass(frozen=True)
class Address:
    """An address as it is written in the settings, and what it was taken for."""

    written: str
    url: str
    """As base_url() gives it; "" for what is no address."""
    problem: str = ""


@dataclass(frozen=True)
class Found:
    """What is at an address."""

    url: str
    state: State
    """described: it is api.py or api_v2.py; undescribed: it answers, but does not tell what it is; silent: connected,
    no answer; closed: nothing listens at the port; unreachable: no connection for another reason; no_name: the host's
    name is not known."""
    dialect: Dialect | None = None
    reason: str = ""

    @property
    def is_reached(self) -> bool:
        """Whether a program listens there."""
        return self.state in ("described", "undescribed", "silent")

    @property
    def kind(self) -> str:
        """v1 (api.py), v2 (api_v2.py), pack (api_v2.py's names at /), or ""."""
        if self.dialect is None:
            return ""
        return "pack" if self.dialect.api == "v2" and self.dialect.path == "/" else self.dialect.api


def written_addresses(settings: GptSovitsSettings, environ: Mapping[str, str] | None = None) -> list[Address]:
    """Return the addresses of the settings, else of the environment, each taken by itself; never raises."""
    environ = os.environ if environ is None else environ
    texts = [text for text in settings.servers if text.strip()]
    texts = texts or separated(environ.get(ADDRESS_VARIABLE, ""))
    found: dict[str, Address] = {}
    for text in texts:
        try:
            address = Address(text, base_url(text))
        except SettingsError as exc:
            address = Address(text, "", str(exc))
        found.setdefault(address.url or text, address)
    return list(found.values())


async def seen_servers(settings: GptSovitsSettings) -> list[SeenServer]:
    """Return what is seen at the addresses of the settings, in their order."""
    written = written_addresses(settings)
    wait_s = settings.connect_timeout_s
    found = iter(await asyncio.gather(*(look_at(place.url, wait_s) for place in written if place.url)))
    weights = {"gpt": settings.gpt_weights, "sovits": settings.sovits_weights}
    seen = []
    for place in written:
        here = next(found) if place.url else None
        dialect = here.dialect if here else None
        chunks = dialect.api == "v2" and dialect.knows_chunks if dialect else None
        facts = {
            "api": here.kind or None if here else None,
            "chunked_modes": chunks,
            "weights": weights,
        }
        left = tr("最后换上的") if dialect and dialect.api == "v2" else tr("它启动时的")
        held = tr("、").join(filter(None, weights.values())) or left
        notes = {True: tr("会句内分块（方式 2、3）"), False: tr("不会句内分块"), None: ""}[chunks]
        seen.append(
            SeenServer(
                server=place.url or place.written,
                is_reached=bool(here and here.is_reached),
                kind=tr(_KINDS[here.kind]) if here and here.kind else "",
                more="\n".join(filter(None, [notes, tr("角色没有权重时用 {held}", held=held)])),
                facts=facts,
                failure=here.reason if here else place.problem,
            )
        )
    return seen


async def look_at(url: str, connect_timeout_s: float) -> Found:
    """Find out what is at a base address. Nothing is changed there."""
    where = httpx.URL(url)
    port = where.port or (443 if where.scheme == "https" else 80)
    loop = asyncio.get_running_loop()
    try:
        with anyio.fail_after(connect_timeout_s + PROBE_TIMEOUT_S):
            places = await loop.getaddrinfo(where.host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError) as exc:
        return Found(url, "no_name", reason=str(exc))
    failure: Exception | None = None
    for place in places[:4]:
        try:
            with anyio.fail_after(connect_timeout_s):
                _, writer = await asyncio.open_connection(str(place[4][0]), port)
        except (OSError, TimeoutError) as exc:
            failure = exc
            continue
        writer.close()
        return await _described(url, connect_timeout_s)
    if isinstance(failure, ConnectionRefusedError):
        return Found(url, "closed", reason=str(failure))
    is_late = isinstance(failure, TimeoutError)
    return Found(
        url,
        "unreachable",
        reason=tr("{connect_timeout_s:g} 秒没有接通", connect_timeout_s=connect_timeout_s)
        if is_late
        else str(failure),
    )


async def _described(url: str, connect_timeout_s: float) -> Found:
    timeout = httpx.Timeout(PROBE_TIMEOUT_S, connect=connect_timeout_s)
    try:
        async with httpx.AsyncClient(timeout=timeout, trust_env=False) as client:
            with anyio.fail_after(PROBE_TIMEOUT_S + connect_timeout_s):
                dialect, status = await ask_dialect(client, url)
    except (httpx.TimeoutException, TimeoutError):
        return Found(
            url, "silent", reason=tr("{PROBE_TIMEOUT_S:g} 秒没有回答", PROBE_TIMEOUT_S=PROBE_TIMEOUT_S)
        )
    except httpx.HTTPError as exc:
        return Found(url, "undescribed", reason=str(exc) or type(exc).__name__)
    if dialect is None:
        return Found(url, "undescribed", reason=tr("/openapi.json 回答 {status_code}", status_code=status))
    return Found(url, "described", dialect)
