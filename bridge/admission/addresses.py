"""Whether a request comes from the local network."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any, NamedTuple


class Source(NamedTuple):
    """Where a request comes from."""

    peer: str
    """The address of the other end of the connection."""
    address: str
    """The address before the last proxy, where one says so; else the peer's."""
    is_local: bool
    """Whether both lie in the local network: private, loopback or link-local."""


def source_of(peer_address: Any, forwarded_for: Sequence[str], forwarded: Sequence[str]) -> Source:
    """Return where a request comes from, by the socket's other end and the headers X-Forwarded-For and Forwarded.

    Source of the headers' form: RFC 7239.
    """
    peer = str(peer_address[0]) if isinstance(peer_address, tuple) and peer_address else ""
    pairs = (pair.partition("=") for pair in _last(forwarded).split(";"))
    hops = [_last(forwarded_for), *(value for key, _, value in pairs if key.strip().lower() == "for")]
    # Each proxy writes one of the two headers only: the other one may be the client's own.
    before = [_bare(hop) for hop in hops if hop.strip()]
    address = next((hop for hop in before if not _is_local(hop)), before[0] if before else peer)
    return Source(peer, address[:64], _is_local(peer) and _is_local(address))


def _last(values: Sequence[str]) -> str:
    return ",".join(values).rpartition(",")[2]


def _bare(hop: str) -> str:
    """Return an address without quotes, brackets and port."""
    hop = hop.strip().strip('"')
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def _is_local(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address.is_private or address.is_loopback or address.is_link_local
