"""Who may use the interfaces for other programs: this machine, and who shows the token; never a foreign web page.

Decided by the head of a request, before its body is read.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from aiohttp import web

from xiaozhi_persona.bridge.admission.addresses import Source, is_loopback, source_of
from xiaozhi_persona.bridge.admission.tokens import equal
from xiaozhi_persona.bridge.credentials import bare_token
from xiaozhi_persona.bridge.http.rates import Rates
from xiaozhi_persona.bridge.http.refusals import Refusal, is_api
from xiaozhi_persona.bridge.http_server import request_key
from xiaozhi_persona.bridge.origins import REFUSAL, Origins
from xiaozhi_persona.bridge.own_names import OwnNames
from xiaozhi_persona.device_ids import HTTP_OWNER, normal_id
from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.private_files import read_or_make
from xiaozhi_persona.settings import BridgeSettings

TOKEN_FILE = "http_token"
OWNER_HEADER = "X-Owner"
REQUESTS_A_MINUTE = 120
"""So many one address may send; this machine ten times as many."""
WRONG_TOKENS_A_MINUTE = 10
"""After so many no token from that address is looked at until the minute is over."""
MAX_CHAT_BYTES = 1024 * 1024
"""Chat programs send the whole conversation each time."""
MAX_RECORDING_BYTES = 25 * 1024 * 1024
"""What OpenAI's API takes."""

_FORM_BYTES = 64 * 1024
_MAX_RECORDINGS_COMING = 2
_SHORTEST_TOKEN = 16
_TOKEN = re.compile(r"[!-9;-~]+")
_OF_PROXIES = ("x-forwarded-", "forwarded", "x-real-ip", "via")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]{1,253})(?::\d{1,5})?")
_MOST_BYTES = {"/v1/chat/completions": MAX_CHAT_BYTES}
_RECORDINGS = "/v1/audio/transcriptions"


@dataclass(frozen=True)
class Caller:
    """A program that was let in."""

    has_token: bool
    named: str
    """The owner that it names by the header or behind the token, unchecked; "" for none."""

    def owner_id(self, user: str = "") -> str:
        """Return whose memory it uses; `user` is the one that its request names.

        Only who shows the token may name a device or a person. Who does not has memories of his own: one for each name.
        """
        named = normal_id(self.named or user)
        if self.has_token:
            return named or HTTP_OWNER
        return f"{HTTP_OWNER}:{named}" if named and named != HTTP_OWNER else HTTP_OWNER


_CALLER = request_key("caller", Caller)


def caller_of(request: web.Request) -> Caller:
    """Return who was let in with a request."""
    caller = request[_CALLER]
    assert isinstance(caller, Caller)
    return caller


class Doors:
    """Lets programs in. Used on one event loop."""

    def __init__(
        self, settings: BridgeSettings, data_dir: Path, origins: Origins, own_names: OwnNames
    ) -> None:
        """Read the token, made at the first start. Raises PersonaError with the next step. Blocks."""
        file = data_dir / TOKEN_FILE
        kept = read_or_make(file, lambda: secrets.token_urlsafe(24).encode())
        self.token = kept.decode("utf-8", "replace").strip()
        if len(self.token) < _SHORTEST_TOKEN or not _TOKEN.fullmatch(self.token):
            raise SettingsError(
                tr(
                    "{file} 里的令牌不能用：要至少 {shortest} 个字母、数字或符号，没有空格和冒号。"
                    "改好它，或删去它，重新启动会做一个新的。",
                    file=file,
                    shortest=_SHORTEST_TOKEN,
                )
            )
        self._is_open = settings.api_access == "open"
        self._origins = origins
        self._own_names = own_names
        self._page_hosts = {urlsplit(origin).hostname for origin in settings.allowed_origins}
        self._requests, self._wrong = Rates(), Rates()
        self._recordings_coming = 0

    @contextlib.contextmanager
    def room(self, request: web.BaseRequest) -> Iterator[int | None]:
        """Let a request for the interfaces in, and yield how many bytes its body may have while it comes; None for as
        many as any other's. Raises Refusal.
        """
        if not is_api(request) or request.method == "OPTIONS":
            yield None
            return
        request[_CALLER] = self._let_in(request)
        takes_recording = request.path == _RECORDINGS
        if takes_recording and self._recordings_coming >= _MAX_RECORDINGS_COMING:
            raise Refusal(
                request, 503, tr("正在收别的录音。"), tr("过一会儿再试。"), headers={"Retry-After": "5"}
            )
        self._recordings_coming += takes_recording
        try:
            yield MAX_RECORDING_BYTES + _FORM_BYTES if takes_recording else _MOST_BYTES.get(request.path)
        except web.HTTPRequestEntityTooLarge as exc:
            raise Refusal(request, 413, tr("发来的东西太大。"), tr("分成几次发，或缩短它。")) from exc
        finally:
            self._recordings_coming -= takes_recording

    def _let_in(self, request: web.BaseRequest) -> Caller:
        """Raises Refusal."""
        source, is_ours = _source(request), _is_of_this_machine(request)
        # Only a proxy on this machine is believed whom it speaks for: others may write any number of addresses.
        address = source.address if is_loopback(source.peer) else source.peer
        most = REQUESTS_A_MINUTE * (10 if is_ours else 1)
        if self._requests.count(address) > most:
            raise _too_many(request)
        self._check_page(request)
        key, _, named = bare_token(request.headers.get("Authorization", "")).partition(":")
        has_token = False
        if self._wrong.counted(address) < WRONG_TOKENS_A_MINUTE:
            has_token = equal(key, self.token)
        if not (has_token or is_ours or (self._is_open and source.is_local)):
            if key and self._wrong.count(address) > WRONG_TOKENS_A_MINUTE:
                raise _too_many(request)
            raise Refusal(
                request,
                401,
                tr("令牌不对。") if key else tr("要令牌。"),
                tr(
                    "令牌在服务启动时打印，也在数据文件夹的 {file} 里；写在请求头里：Authorization: Bearer 令牌",
                    file=TOKEN_FILE,
                ),
                code="invalid_api_key",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return Caller(
            has_token, unquote(request.headers.get(OWNER_HEADER, "") or (named if has_token else ""))
        )

    def _check_page(self, request: web.BaseRequest) -> None:
        """Refuse what a foreign web page has a browser ask.

        Its scripts name it as Origin; where it asks without (a picture, a link), newer browsers say by Sec-Fetch-Site
        that it is another one's (Fetch Metadata, W3C); one that has its own name lead here (DNS rebinding) is known by
        the Host.
        """
        pages = request.headers.getall("Origin", [])
        is_cross = request.headers.get("Sec-Fetch-Site", "none").lower() not in ("none", "same-origin")
        if not self._origins.allow(pages) or (is_cross and not pages):
            raise Refusal(request, 403, tr("不让这个网页用。"), tr(REFUSAL).strip())
        hosts = request.headers.getall("Host", [])
        match = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if match is None or not self._is_our_host(match[1].strip("[]").lower()):
            raise Refusal(
                request,
                403,
                tr("地址里的主机名不是本机的。"),
                tr("用 IP 地址或本机的名字访问；经过代理的，把代理的网址写进 bridge.allowed_origins。"),
            )

    def _is_our_host(self, host: str) -> bool:
        """Whether it is a name that nobody else can lead here; an address is none that is looked up."""
        with contextlib.suppress(ValueError):
            return bool(ipaddress.ip_address(host))
        return host in self._page_hosts or self._own_names.is_certain(host)


def _source(request: web.BaseRequest) -> Source:
    transport = request.transport
    return source_of(
        transport and transport.get_extra_info("peername"),
        request.headers.getall("X-Forwarded-For", []),
        request.headers.getall("Forwarded", []),
    )


def _is_of_this_machine(request: web.BaseRequest) -> bool:
    """Whether a program on this machine asks, and no proxy for somebody else."""
    by_proxy = any(name.lower().startswith(_OF_PROXIES) for name in request.headers)
    return is_loopback(_source(request).peer) and not by_proxy


def _too_many(request: web.BaseRequest) -> Refusal:
    return Refusal(
        request, 429, tr("这个地址问得太多。"), tr("过一分钟再试。"), headers={"Retry-After": "60"}
    )
