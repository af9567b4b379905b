"""The token of each device: nobody can make one without the secret, which never leaves this machine."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from pathlib import Path

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.private_files import read_or_make

SECRET_FILE = "secret"
_SECRET_BYTES = 32


class Tokens:
    """Makes and checks tokens: HMAC-SHA256 of a device's id and generation, as 43 characters that fit into a URL."""

    def __init__(self, data_dir: Path) -> None:
        """Read the secret, made at the first start. Raises PersonaError; a spoilt secret is never made anew."""
        file = data_dir / SECRET_FILE
        self._secret = read_or_make(file, lambda: secrets.token_bytes(_SECRET_BYTES))
        if len(self._secret) != _SECRET_BYTES:
            raise SettingsError(
                tr(
                    "{file} 坏了（应有 {SECRET_BYTES} 字节，现有 {count}）。"
                    "从备份恢复它；没有备份就删去它，重新启动，已配对的设备重启后会拿到新的令牌。",
                    file=file,
                    SECRET_BYTES=_SECRET_BYTES,
                    count=len(self._secret),
                )
            )

    def of(self, device_id: str, generation: int) -> str:
        """Return the token of a device. Every forgetting begins a new generation, for which the old token is wrong."""
        told = f"xiaozhi-persona device {generation} {device_id}".encode()
        mac = hmac.new(self._secret, told, hashlib.sha256).digest()
        return base64.urlsafe_b64encode(mac).decode().rstrip("=")

    def is_valid(self, token: str, device_id: str, generation: int) -> bool:
        """Whether it is the token of this device, compared in constant time."""
        return equal(token, self.of(device_id, generation))


def equal(given: str, right: str) -> bool:
    """Compare secrets in constant time."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), right.encode("utf-8", "surrogatepass"))


def client_hash(client_id: str) -> str:
    """Return what is kept of a Client-Id, which only the device knows; "" for none."""
    client_id = client_id.strip()
    return hashlib.sha256(client_id.encode("utf-8", "surrogatepass")).hexdigest()[:32] if client_id else ""
