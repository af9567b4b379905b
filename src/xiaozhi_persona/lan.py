"""The addresses of this machine in the local network."""

from __future__ import annotations

from typing import NamedTuple

import ifaddr


class LanAddress(NamedTuple):
    """An IPv4 address of this machine, and the adapter that has it, as the system calls it for people."""

    ip: str
    adapter: str


def lan_addresses() -> list[LanAddress]:
    """Return the addresses by which devices in the local network may reach this machine, virtual adapters' included."""
    return [
        LanAddress(ip.ip, adapter.nice_name)
        for adapter in ifaddr.get_adapters()
        for ip in adapter.ips
        if isinstance(ip.ip, str) and not ip.ip.startswith(("127.", "169.254."))
    ]
