"""The tool self.camera.take_photo: a command takes the picture, the server's vision model looks at it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from xiaozhi_persona.bridge.client.mcp import Argument, Capabilities, Tool
from xiaozhi_persona.bridge.client.program import run_program
from xiaozhi_persona.errors import ServiceRejected, ServiceUnavailable, first_line
from xiaozhi_persona.language import tr

PICTURE_BYTES = 8 * 1024 * 1024
ANSWER_BYTES = 64 * 1024
_PICTURE_TIMEOUT_S = 10.0
_VISION_TIMEOUT_S = 19.0
_JPEG = b"\xff\xd8\xff"


class Camera:
    """A command that prints a JPEG, and the address to which the server wants pictures to be sent.

    The upload is the firmware's (main/boards/common/esp32_camera.cc): multipart with question and file.
    """

    def __init__(self, command: Sequence[str], device_id: str, client_id: str) -> None:
        self._command = command
        self._headers = {"Device-Id": device_id, "Client-Id": client_id}
        self._vision: tuple[str, str] | None = None

    def tool(self) -> Tool:
        """Return the tool."""
        return Tool(
            "self.camera.take_photo",
            "Takes a picture with the device's camera and tells what is on it. Call it whenever the user wants you to look"
            " at something. question: what the user wants to know of the picture.",
            self._take,
            [Argument("question")],
            timeout_s=_PICTURE_TIMEOUT_S + _VISION_TIMEOUT_S + 0.5,
            on_capabilities=self._learn,
        )

    def _learn(self, capabilities: Capabilities) -> None:
        vision = capabilities.get("vision")
        url, token = (vision.get("url"), vision.get("token")) if isinstance(vision, dict) else (None, None)
        self._vision = (
            (url, token if isinstance(token, str) else "") if isinstance(url, str) and url else None
        )

    async def _take(self, arguments: Mapping[str, Any]) -> str:
        if self._vision is None:
            raise ServiceRejected(
                tr("服务器没有给出看图的地址（vision），照片没有人看。请在服务器上设置视觉模型")
            )
        url, token = self._vision
        picture = await run_program(self._command, timeout_s=_PICTURE_TIMEOUT_S, max_bytes=PICTURE_BYTES)
        if not picture.startswith(_JPEG):
            raise ServiceUnavailable(
                tr("{name} 没有输出 JPEG 照片。它要把照片写到标准输出", name=self._command[0])
            )
        headers = {**self._headers, **({"Authorization": f"Bearer {token}"} if token else {})}
        try:
            async with (
                httpx.AsyncClient(timeout=_VISION_TIMEOUT_S, trust_env=False) as client,
                client.stream(
                    "POST",
                    url,
                    headers=headers,
                    data={"question": arguments["question"]},
                    files={"file": ("camera.jpg", picture, "image/jpeg")},
                ) as response,
            ):
                answer = b""
                async for piece in response.aiter_bytes():
                    answer += piece
                    if len(answer) > ANSWER_BYTES:
                        raise ServiceUnavailable(tr("{url} 的回答太长，没有用它", url=url))
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise ServiceUnavailable(
                tr("照片送不到 {url}（{reason}）", url=url, reason=first_line(exc))
            ) from exc
        if response.status_code != 200:
            raise ServiceUnavailable(
                tr("{url} 没有收下照片（HTTP {status}）", url=url, status=response.status_code)
            )
        return answer.decode(errors="replace")
