"""Which device this machine is: ids that are made once and kept."""

from __future__ import annotations

import logging
import platform
import uuid
from pathlib import Path

from xiaozhi_persona.device_ids import normal_id
from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.private_files import read_or_make

log = logging.getLogger(__name__)

_MARKS = ("/sys/firmware/devicetree/base/serial-number", "/etc/machine-id")
"""What is another one on every machine: the number of a Raspberry Pi, which differs where a memory card was copied."""


def machine_id() -> str:
    """Return this machine's MAC address as devices write it: lower case, with colons.

    Where none can be read, one that follows from the host name.
    """
    node = uuid.getnode()
    if node >> 40 & 1:  # the multicast bit marks a number that was drawn for this process only
        node = uuid.uuid5(uuid.NAMESPACE_DNS, platform.node()).int & 0xFFFFFFFFFF | 0x02 << 40
    digits = f"{node:012x}"
    return ":".join(digits[i : i + 2] for i in range(0, 12, 2))


def kept_device_id(data_dir: Path) -> str:
    """Return the device id of this machine: made once from its MAC address, since that may be another one tomorrow, when
    a network adapter is plugged in or takes a random address.

    Beside it stands which machine it was made on: a data folder that was copied to another machine does not make two
    devices one. A file that holds nothing but an id counts everywhere. Where nothing can be kept it is the MAC address.
    """
    file, mark = data_dir / "device-id", _machine_mark()
    try:
        for _ in range(2):
            made = read_or_make(file, lambda: f"{machine_id()}\n{mark}\n".encode()).decode()
            kept, _, made_on = made.strip().partition("\n")
            if normal_id(kept) and made_on in ("", mark):
                return normal_id(kept)
            file.unlink(missing_ok=True)
    except (PersonaError, OSError, UnicodeDecodeError) as exc:
        log.warning("%s", exc)
    return machine_id()


def kept_client_id(data_dir: Path) -> str:
    """Return the Client-Id of this machine: drawn once, since servers take it for proof of which device it is.

    Where it cannot be kept, it is another one at the next start; "" where it cannot be read.
    """
    try:
        return read_or_make(data_dir / "client-id", lambda: str(uuid.uuid4()).encode()).decode().strip()
    except (PersonaError, UnicodeDecodeError) as exc:
        log.warning("%s", exc)
        return ""


def _machine_mark() -> str:
    for file in map(Path, _MARKS):
        try:
            if mark := file.read_text(encoding="utf-8").strip("\0\n "):
                return mark
        except (OSError, UnicodeDecodeError):
            pass
    return platform.node() or "-"
