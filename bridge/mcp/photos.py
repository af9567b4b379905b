"""Where devices send their photos: POST over HTTP, with a question; the vision model says what is to be seen.

Source of the form: 78/xiaozhi-esp32 2.4, main/boards/common/esp32_camera.cc (multipart, chunked; fields `question` and
`file`; any status but 200 loses the answer), py-xiaozhi 2.1. The answer is JSON, which the chat model reads as it is.
"""

from __future__ import annotations

import contextlib
import json
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from xiaozhi_persona.bridge.credentials import bare_token
from xiaozhi_persona.bridge.forms import form_parts
from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.language import tr
from xiaozhi_persona.providers.llm.vision import Picture, VisionModel

PHOTO_PATH = "/mcp/vision/explain"
MAX_PHOTO_BYTES = 5 * 1024 * 1024
_FORM_BYTES = 64 * 1024
"""What the form may have beside the photo."""
_MAX_PARTS = 8
_MAX_COMING = 8

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PhotoPass:
    """Lets one connected device send photos to this address, with this token."""

    url: str
    token: str
    withdraw: Callable[[], object]
    """Lets it count no more."""


class Photos:
    """Takes photos from the devices that have a pass; without a vision model nobody gets one."""

    def __init__(self, vision: VisionModel | None) -> None:
        self._vision = vision
        self._tokens: dict[str, bool] = {}  # with whether a photo of this device is being looked at
        self._coming: set[str] = set()  # the tokens of those that are being received

    async def admit(self, address: Callable[[], Awaitable[str]]) -> PhotoPass | None:
        """Return a pass for a device, to which `address` is how it reaches this server; None for no photos."""
        if self._vision is None:
            return None
        url, token = await address(), secrets.token_urlsafe(24)
        self._tokens[token] = False
        return PhotoPass(url, token, lambda: self._tokens.pop(token, None))

    @contextlib.contextmanager
    def room(self, request: web.Request) -> Iterator[int | None]:
        """Yield how many bytes the body of a request may have while it comes; None for as many as any other's.

        A device has room for one photo at a time, and a few devices at once.
        """
        token = _token(request)
        is_photo = request.path == PHOTO_PATH and token in self._tokens and token not in self._coming
        if not is_photo or len(self._coming) >= _MAX_COMING:
            yield None
            return
        self._coming.add(token)
        try:
            yield MAX_PHOTO_BYTES + _FORM_BYTES
        finally:
            self._coming.discard(token)

    async def explain(self, request: web.Request) -> web.Response:
        """Answer a photo with {"success": true, "response": what is to be seen}, or {"success": false, "message": why}."""
        token = _token(request)
        if self._vision is None or token not in self._tokens:
            return _failure(tr("没有这个令牌。重新连接设备。"), 401)
        if self._tokens[token]:
            return _failure(tr("上一张照片还没有看完。"))
        self._tokens[token] = True
        try:
            question, data = _form(await request.read(), request.headers.get("Content-Type", ""))
            text = await self._vision.look(Picture.of(data), question)
        except ValueError:
            return _failure(tr("这不是照片：要 JPEG、PNG、WebP、GIF 或 BMP。"))
        except PersonaError as exc:
            log.warning("%s", exc)
            return _failure(str(exc))
        finally:
            if token in self._tokens:
                self._tokens[token] = False
        return _answer({"success": True, "action": "RESPONSE", "response": text})


def _token(request: web.Request) -> str:
    return bare_token(request.headers.get("Authorization", ""))


def _answer(fields: dict[str, Any], status: int = 200) -> web.Response:
    # Devices hand the text on to the chat model as it is, which is to read letters and not escapes.
    text = json.dumps(fields, ensure_ascii=False)
    return web.Response(text=text, status=status, content_type="application/json")


def _failure(message: str, status: int = 200) -> web.Response:
    return _answer({"success": False, "message": message}, status)


def _form(body: bytes, content_type: str) -> tuple[str, bytes]:
    """Return the question and the photo of a form, "" and b"" for what is not in it. Raises ValueError for no form.

    The photo is the part that is a file: it is named `file` by the firmware, `image` by the host's web page.
    """
    question = photo = b""
    for part in form_parts(body, content_type, _MAX_PARTS):
        if part.is_file:
            photo = part.content
        elif part.name == "question":
            question = part.content
    return question.decode("utf-8", "replace"), photo
