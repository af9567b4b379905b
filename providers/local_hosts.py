"""Which hosts are in the house: the proxy of the environment is not for them."""

from __future__ import annotations

import ipaddress


def is_local(host: str) -> bool:
    """Return whether a host is this machine or in its own network, as far as its name or address tells."""
    if host == "localhost" or host.endswith(".local"):
        return True
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return False
