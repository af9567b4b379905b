"""Decides who is served: `bridge.admit` of the settings, the tokens, and the file of the known devices.

Used by everything that lets a device in. Nothing here blocks the event loop: the file is in a thread of its own, which
decides for one request after the other.
"""

from __future__ import annotations

import asyncio
import http
import logging
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from xiaozhi_persona.bridge.admission.addresses import Source, is_loopback
from xiaozhi_persona.bridge.admission.devices import Device, Devices, Waiting
from xiaozhi_persona.bridge.admission.tokens import Tokens, client_hash, equal
from xiaozhi_persona.bridge.credentials import Credentials, bare_token
from xiaozhi_persona.device_ids import is_http_owner, normal_id
from xiaozhi_persona.language import later
from xiaozhi_persona.settings import BridgeSettings

log = logging.getLogger(__name__)

NEW_IDS_A_MINUTE = 10
"""So many new ids, or new clients under ids that are known, one address may bring in a minute."""
NEW_IDS_A_MINUTE_HERE = 600
"""As many this machine itself may: a reverse proxy on it speaks for everybody."""
_MAX_KEPT = 1000

Stage = Literal["knock", "enter", "speak", "ask"]
"""knock: the handshake; enter: the hello; speak: it says something, which is to be remembered; ask: over HTTP."""


REFUSALS = {
    "token": (http.HTTPStatus.UNAUTHORIZED, later("令牌不对，见 data/.config.yaml 的 bridge.token\n")),
    "too_many": (http.HTTPStatus.TOO_MANY_REQUESTS, later("新设备来得太多，过一分钟再试\n")),
}
"""What a refused visitor is told over HTTP."""


@dataclass(frozen=True)
class Visitor:
    """Who asks to be served, as he says himself; `id` and `client` in the form in which they are compared."""

    id: str
    client: str
    token: str
    source: Source


@dataclass(frozen=True)
class Standing:
    """What was decided about a visitor."""

    owner_id: str | None = None
    """Whose memory he uses: his id; another one where he cannot prove that it is his; "" for nobody's. None: he is not served."""
    key: str = ""
    """The same for two connections of which the later one ends the former; "" for one that ends none."""
    code: str = ""
    """What the owner of this machine is to approve, "" where there is nothing."""
    token: str = ""
    """What OTA gives him."""
    is_news: bool = False
    """Whether he is to hear the code before what he is answered: once for each code."""
    refusal: Literal["", "token", "too_many"] = ""
    """Why not even the code is told."""


def visitor_of(given: Credentials, source: Source, id_in_hello: str = "") -> Visitor:
    """Return who asks: known by his Device-Id, in the headers or the hello, else by his Client-Id."""
    names = map(normal_id, (given.device_id, id_in_hello, given.client_id))
    device_id = next((name for name in names if name and not is_http_owner(name)), "")
    return Visitor(device_id, client_hash(given.client_id), given.token, source)


class Admission:
    """Open from its making to `aclose`."""

    def __init__(
        self,
        settings: BridgeSettings,
        data_dir: Path,
        has_memory: Callable[[str], bool],
        on_code: Callable[[Waiting], None] = lambda waiting: None,
    ) -> None:
        """Open the file of the devices and the secret. Raises PersonaError with the next step.

        `has_memory` tells whether something was remembered of a device. `on_code` is called, in a thread, when
        somebody new waits to be approved.
        """
        self._mode = settings.admit
        self._shared_token = settings.token
        self._has_memory = has_memory
        self._on_code = on_code
        self._tokens = Tokens(data_dir)
        self._devices = Devices(data_dir, copy_if_unwritable=True)
        self._thread = ThreadPoolExecutor(1, "admission")
        # Used in that thread only.
        # The client that an unbound id belongs to while it is here, with how many connections.
        self._inside: dict[str, tuple[str, int]] = {}
        self._new_at_s: OrderedDict[str, deque[float]] = OrderedDict()  # by address
        self._seen: OrderedDict[tuple[str, str], None] = OrderedDict()  # ids with their clients that were new
        self._told: OrderedDict[tuple[str, str], None] = OrderedDict()  # where a code was told, with the code
        self._told_many_at_s = float("-inf")

    async def aclose(self) -> None:
        """Close the file."""
        await asyncio.to_thread(self._thread.shutdown)
        self._devices.close()

    async def receive(self, visitor: Visitor, stage: Stage) -> Standing:
        """Decide about a visitor. One who enters leaves by `leave`. Raises PersonaError when the file cannot be used."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._receive, visitor, stage)

    def leave(self, visitor: Visitor) -> None:
        """Note that the connection of one who entered has ended."""
        self._thread.submit(self._leave, visitor)

    async def token_of(self, device_id: str) -> str:
        """Return the token of a device, for one of our own that needs no approval."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._token_of, device_id)

    # In the thread.

    def _token_of(self, device_id: str) -> str:
        known = self._devices.get(device_id)
        return self._tokens.of(device_id, known.generation if known else 0)

    def _receive(self, visitor: Visitor, stage: Stage) -> Standing:
        known = self._devices.get(visitor.id) if visitor.id else None
        generation = known.generation if known else 0
        has_token = bool(
            visitor.token and visitor.id and self._tokens.is_valid(visitor.token, visitor.id, generation)
        )
        shared = bare_token(self._shared_token)
        if stage != "ask" and shared and not has_token and not equal(visitor.token, shared):
            return Standing(refusal="token")
        if not visitor.id:
            served = self._mode == "open" or (self._mode == "lan" and visitor.source.is_local)
            return Standing("", token=self._shared_token) if served else Standing()
        if has_token:
            if known:
                self._devices.see(visitor.id, visitor.source.address, known)
                self._devices.note_token(visitor.id)
            return Standing(visitor.id, visitor.id, token=visitor.token)
        if not known and self._mode != "open" and self._are_too_many(visitor):
            return Standing(refusal="too_many")
        self._devices.see(visitor.id, visitor.source.address, known)
        is_paired = known and known.state == "paired" and visitor.client and known.client == visitor.client
        if is_paired and (stage == "ask" or self._mode != "paired" or not (known and known.token_used)):
            return Standing(visitor.id, visitor.id, token=self._tokens.of(visitor.id, generation))
        if self._mode == "open":
            return Standing(visitor.id, visitor.id, token=self._shared_token)
        is_guest = self._mode == "lan" and visitor.source.is_local
        if is_guest and self._is_first(visitor, known, stage):
            return Standing(visitor.id, visitor.id, token=self._shared_token)
        if self._are_too_many(visitor):  # clients that one id is made up for
            return Standing(refusal="too_many")
        owner_id, code = _owner_apart(visitor), self._code(visitor)
        if not is_guest:
            return Standing(None, owner_id, code)
        if _is_new(self._told, ("log", code), None):
            log.warning(
                "设备 %s 从 %s 连接，但 Client-Id 不是原来的：先用另一份记忆 %s。是同一台，就批准配对码 %s。",
                visitor.id,
                visitor.source.address,
                owner_id,
                code,
            )
        is_news = stage == "speak" and _is_new(self._told, ("voice", code), None)
        return Standing(owner_id, owner_id, code, self._shared_token, is_news=is_news)

    def _is_first(self, visitor: Visitor, known: Device | None, stage: Stage) -> bool:
        """Whether an id is this client's: bound to it, or to nobody while no other client is here under that id."""
        if known and known.state != "new":
            return known.state == "bound" and known.client == visitor.client
        client, count = self._inside.get(visitor.id, (visitor.client, 0))
        if client != visitor.client:
            return False
        if stage == "enter":
            self._inside[visitor.id] = client, count + 1
        if stage == "speak" or (stage == "enter" and self._has_memory(visitor.id)):
            self._devices.bind(visitor.id, visitor.client)
        return True

    def _leave(self, visitor: Visitor) -> None:
        client, count = self._inside.get(visitor.id, ("", 0))
        if count and client == visitor.client:
            if count > 1:
                self._inside[visitor.id] = client, count - 1
            else:
                del self._inside[visitor.id]

    def _code(self, visitor: Visitor) -> str:
        waiting, is_new = self._devices.code(visitor.id, visitor.client, visitor.source.address)
        if is_new:
            self._on_code(waiting)
        return waiting.code

    def _are_too_many(self, visitor: Visitor) -> bool:
        """Whether an address has brought too many new ids or clients; else count this one, if it is new."""
        pair, address = (visitor.id, visitor.client), visitor.source.peer
        if pair in self._seen:
            self._seen.move_to_end(pair)
            return False
        now_s = time.monotonic()
        most = NEW_IDS_A_MINUTE_HERE if is_loopback(address) else NEW_IDS_A_MINUTE
        _is_new(self._new_at_s, address, deque(maxlen=most))
        times = self._new_at_s[address]
        if len(times) == most and now_s - times[0] < 60:
            if now_s - self._told_many_at_s >= 60:
                self._told_many_at_s = now_s
                log.warning("从 %s 一分钟来了 %d 台以上的新设备，再来的先不接。", address, most)
            return True
        times.append(now_s)
        _is_new(self._seen, pair, None)
        return False


def _is_new(kept: OrderedDict[Any, Any], key: object, value: object) -> bool:
    """Keep a key with its value, where it is new; the oldest goes when there are too many."""
    if key in kept:
        kept.move_to_end(key)
        return False
    kept[key] = value
    if len(kept) > _MAX_KEPT:
        kept.popitem(last=False)
    return True


def _owner_apart(visitor: Visitor) -> str:
    """Return the owner for a client that cannot prove that an id is its own: another one for each client."""
    return f"{visitor.id}~{visitor.client[:12] or 'none'}"
