"""The servers of the settings: the least busy one first, a failing one set aside and tried again later."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence

import anyio
import httpx

from xiaozhi_persona.errors import ServiceError, ServiceUnavailable, SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.providers.tts.failures import DOWN
from xiaozhi_persona.providers.tts.gpt_sovits.server import Server
from xiaozhi_persona.providers.tts.gpt_sovits.utterance import Weights
from xiaozhi_persona.voice_settings import GptSovitsSettings

_log = logging.getLogger(__name__)

ADDRESS_VARIABLE = "TTS_SERVICE_URL_GPTSoVITS"
"""Read where the settings name no server; several addresses are separated by commas or blanks."""

KEEP_ALIVE_S = 4.0
"""How long an unused connection is kept: shorter than the 5 s after which uvicorn closes it, so that none is found dead."""


class ServerPool:
    """The servers, with the one HTTP client that they share. Made for one event loop."""

    def __init__(self, settings: GptSovitsSettings) -> None:
        """Raises SettingsError when there is no address, or one that is none."""
        self._retry_after_s = settings.retry_after_s
        urls = addresses(settings)
        self._client = httpx.AsyncClient(
            # Reading has its deadlines in server.py and speech.py, since one per read would let a trickle go on for ever.
            timeout=httpx.Timeout(None, connect=settings.connect_timeout_s),
            limits=httpx.Limits(keepalive_expiry=KEEP_ALIVE_S),
            headers={"Accept-Encoding": "identity"},
            # The proxy of the environment is for the internet, not for a server in the house.
            trust_env=False,
            # Loading the certificates takes 20 ms, and most servers are plain HTTP.
            verify=any(url.startswith("https:") for url in urls),
        )
        self.servers = [Server(url, self._client, settings) for url in urls]

    def choose(self, weights: Weights, avoid: Server | None = None) -> Server:
        """Return the server to ask: least busy, then one that holds these weights, then the first in the settings.

        `avoid` has just failed: it is taken only when there is no other. Raises ServiceUnavailable when all are set
        aside, or the pool is closed.
        """
        if self._client.is_closed:
            raise ServiceUnavailable(tr("和语音合成的连接已经关闭，请重新启动。"))
        now = anyio.current_time()
        usable = [server for server in self.servers if server.aside_until <= now]
        others = [server for server in usable if server is not avoid]
        if not others and avoid:
            return avoid
        if not others:
            soonest = min(self.servers, key=lambda server: server.aside_until)
            reason = str(soonest.last_failure).rstrip("。.")
            raise ServiceUnavailable(
                tr(
                    "{reason}。GPT-SoVITS 暂时不用，{value:.0f} 秒后再试。",
                    reason=reason,
                    value=soonest.aside_until - now,
                )
            )
        return min(others, key=lambda server: (server.load, not server.weights.has(weights)))

    def failed(self, server: Server, failure: ServiceError) -> None:
        """Set the server aside when it failed as a whole, not only at this sentence."""
        if isinstance(failure, DOWN):
            server.last_failure = failure
            server.aside_until = anyio.current_time() + self._retry_after_s

    def worked(self, server: Server) -> None:
        """It spoke: it is back if it was away."""
        if server.last_failure:
            _log.info("GPT-SoVITS %s 又好了", server.place)
        server.last_failure = None
        server.aside_until = 0.0

    async def aclose(self) -> None:
        """Close the connections and end what still goes on here."""
        for server in self.servers:
            await server.aclose()
        await self._client.aclose()


def addresses(settings: GptSovitsSettings, environ: Mapping[str, str] | None = None) -> Sequence[str]:
    """Return the base addresses of the settings, else of the environment. Raises SettingsError."""
    environ = os.environ if environ is None else environ
    texts = [text for text in settings.servers if text.strip()]
    texts = texts or separated(environ.get(ADDRESS_VARIABLE, ""))
    urls = list(dict.fromkeys(base_url(text) for text in texts if text.strip()))
    if not urls:
        raise SettingsError(
            tr(
                "没有 GPT-SoVITS 的地址。"
                "在 gpt_sovits.servers 里写上，如 [http://192.168.1.9:9880]，或设环境变量 {ADDRESS_VARIABLE}。",
                ADDRESS_VARIABLE=ADDRESS_VARIABLE,
            )
        )
    return urls


def separated(text: str) -> list[str]:
    """Return the addresses that stand in one text, between commas, semicolons or blanks."""
    return text.replace(",", " ").replace(";", " ").split()


def base_url(text: str) -> str:
    """Return the address without the path of an endpoint, as `http://host:port`. Raises SettingsError.

    Users write it with and without http://, and with /tts, for which other programs ask.
    """
    address = text.strip()
    if "://" not in address:
        address = "http://" + address
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL as exc:
        raise SettingsError(
            tr(
                "gpt_sovits.servers 里的 {value!r} 不是有效的地址（{exc}）。应如 http://192.168.1.9:9880",
                value=text,
                exc=exc,
            )
        ) from exc
    is_usable = url.scheme in ("http", "https") and url.host and 0 < (url.port or 80) < 65536
    if not is_usable or any(map(str.isspace, address)):
        raise SettingsError(
            tr("gpt_sovits.servers 里的 {value!r} 不是有效的地址。应如 http://192.168.1.9:9880", value=text)
        )
    path = url.path.rstrip("/")
    while path.endswith("/tts"):
        path = path.removesuffix("/tts").rstrip("/")
    return str(url.copy_with(path=path or "/", query=None, fragment=None)).rstrip("/")
