"""The ids of devices in one form: clients write the same MAC address in several ways."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import tr

MAX_LENGTH = 256
"""Characters. A MAC has 17, a UUID 36."""

ROLE_MARK = "‖"
"""Stands in the id of an owner before the role whose own memory it is. No device can call itself so."""

HTTP_OWNER = "http"
"""Whose memory programs use over HTTP that name nobody; followed by `:` and a name for those that are not trusted to
name a device. No device is known by such an id."""

_MAC = re.compile(r"(?:[0-9a-f]{2}[-:.]?){5}[0-9a-f]{2}")


def normal_id(text: str) -> str:
    """Return an id in the form in which it is compared and kept; "" for one of which nothing is left.

    A MAC address, in any case, with `-`, `:`, `.` or nothing between its digits, becomes aa:bb:cc:dd:ee:ff. Any other
    id keeps its letters (NFC), without what cannot be printed, without ROLE_MARK and without spaces around it.
    """
    text = "".join(
        c for c in unicodedata.normalize("NFC", text) if c.isprintable() and c != ROLE_MARK
    ).strip()[:MAX_LENGTH]
    plain = text.lower()
    if _MAC.fullmatch(plain):
        digits = "".join(filter(str.isalnum, plain))
        return ":".join(digits[i : i + 2] for i in range(0, 12, 2))
    return text


def is_http_owner(normal: str) -> bool:
    """Whether an id is that of a program over HTTP, in normal form."""
    return normal.partition(":")[0] == HTTP_OWNER


def spellings(normal: str) -> list[str]:
    """Return how clients may write an id beside its normal form: none for what is no MAC address."""
    if not _MAC.fullmatch(normal):
        return []
    digits = normal.replace(":", "")
    pairs, fours = normal.split(":"), [digits[i : i + 4] for i in range(0, 12, 4)]
    lower = [":".join(pairs), "-".join(pairs), ".".join(pairs), digits, ".".join(fours)]
    return [form for form in [*lower, *(text.upper() for text in lower)] if form != normal]


def same_key(keys: Iterable[Any], key: Any) -> Any:
    """Return the one of `keys` that names the same device as `key` in another spelling; `key` where there is none."""
    if not isinstance(key, str) or key in keys:
        return key
    normal = normal_id(key)
    return next((one for one in keys if isinstance(one, str) and normal_id(one) == normal), key)


def normal_keys(of_device: Mapping[str, str]) -> dict[str, str]:
    """Return a mapping of the settings with ids in one form. Raises SettingsError for a device that stands twice."""
    found: dict[str, str] = {}
    for written, value in of_device.items():
        if found.setdefault(normal_id(written), value) != value:
            raise SettingsError(
                tr(
                    "每台设备只能写一次，{normal_id} 写了两次，值还不一样。请删去一个",
                    normal_id=normal_id(written),
                )
            )
    return found
