"""Which host names and addresses are this machine's."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import time
from collections import OrderedDict

import ifaddr

_LOOK_UP_S = 1.0
_MAX_LOOK_UPS = 2
_KNOWN_S = 60.0
_MAX_KNOWN = 64
_ADDRESSES_KNOWN_S = 10.0


class OwnNames:
    """Tells whether a name is this machine's. Used on one event loop."""

    def __init__(self) -> None:
        name = socket.gethostname().lower()
        self._names = {"localhost", name, name.partition(".")[0], f"{name.partition('.')[0]}.local"}
        self._addresses: frozenset[str] = frozenset()
        self._addresses_read_at_s = -_ADDRESSES_KNOWN_S
        self._known: OrderedDict[str, tuple[bool, float]] = OrderedDict()
        self._looking_up: set[asyncio.Future[list[str]]] = set()

    def is_certain(self, name: str) -> bool:
        """Whether it is an address of ours, or what this machine calls itself: nobody else decides over these.

        (A name that merely leads here may be anybody's: with it, a page of the internet would pass for ours.)
        """
        name = name.lower().rstrip(".")
        if name in self._names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or str(address) in self._own_addresses()

    async def is_ours(self, name: str) -> bool:
        """Whether it is certain, or leads to an address of ours. Asks the resolver for a second at most."""
        if self.is_certain(name):
            return True
        known = self._known.get(name)
        if known and time.monotonic() - known[1] < _KNOWN_S:
            return known[0]
        if len(self._looking_up) >= _MAX_LOOK_UPS:
            return False
        found = await self._leads_here(name)
        self._known[name] = found, time.monotonic()
        self._known.move_to_end(name)
        if len(self._known) > _MAX_KNOWN:
            self._known.popitem(last=False)
        return found

    async def _leads_here(self, name: str) -> bool:
        looking = asyncio.get_running_loop().run_in_executor(None, _look_up, name)
        self._looking_up.add(looking)  # until the resolver lets go of the thread, which may be later
        looking.add_done_callback(self._looking_up.discard)
        done, _ = await asyncio.wait({looking}, timeout=_LOOK_UP_S)
        return bool(done) and any(self.is_certain(address) for address in looking.result())

    def _own_addresses(self) -> frozenset[str]:
        if time.monotonic() - self._addresses_read_at_s >= _ADDRESSES_KNOWN_S:
            self._addresses = frozenset(_interface_addresses())
            self._addresses_read_at_s = time.monotonic()
        return self._addresses


def _interface_addresses() -> list[str]:
    return [
        ip.ip if isinstance(ip.ip, str) else ip.ip[0]
        for adapter in ifaddr.get_adapters()
        for ip in adapter.ips
    ]


def _look_up(name: str) -> list[str]:
    """Return the addresses of a name, none when it has none. Blocks."""
    try:
        return [str(found[4][0]) for found in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError):
        return []
