"""What a tool has answered, as text: pictures in it are looked at by the vision model. No I/O of its own."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any

from xiaozhi_persona.errors import PersonaError, ServiceRejected
from xiaozhi_persona.language import tr
from xiaozhi_persona.providers.llm.vision import Picture, VisionModel

MAX_CHARACTERS = 8000
_MAX_PICTURES = 3
_DATA_URL = re.compile(r"data:[\w/+.-]{1,60};base64,[A-Za-z0-9+/=]{60,}")
"""A picture within a text, as the host's web page answers: nobody can read it, and what matters stands behind it."""


async def text_of(result: object, vision: VisionModel | None, question: str = "") -> str:
    """Return the text of a result of `tools/call`, in MCP's form. `question` is what is asked of pictures.

    Raises ServiceRejected when the tool says that it went wrong.
    """
    if not isinstance(result, dict):
        return _written(result)
    content = result.get("content")
    texts: list[str] = []
    pictures = 0
    for item in content if isinstance(content, list) else ():
        if not isinstance(item, dict):
            continue
        if item.get("type") == "image":
            pictures += 1
            if pictures <= _MAX_PICTURES:
                texts.append(await _looked_at(item, vision, question))
        elif isinstance(item.get("text"), str):
            texts.append(item["text"])
        elif isinstance(item.get("resource"), dict) and isinstance(item["resource"].get("text"), str):
            texts.append(item["resource"]["text"])
    if not isinstance(content, list):
        texts.append(_written(result))
    elif not texts and result.get("structuredContent") is not None:
        texts.append(_written(result["structuredContent"]))
    text = _DATA_URL.sub(tr("（图片数据）"), "\n".join(filter(None, texts)))[:MAX_CHARACTERS]
    if result.get("isError") is True:
        raise ServiceRejected(tr("工具说：{text}", text=text or tr("没有办成，没有说为什么")))
    return text or tr("办好了，工具没有说别的。")


async def _looked_at(item: Mapping[str, Any], vision: VisionModel | None, question: str) -> str:
    """Return what is to be seen in a picture; where that cannot be said, why."""
    picture = _picture_in(item)
    if picture is None:
        return tr("（一张读不懂的图片）")
    if vision is None:
        return tr("（一张图片。没有设置 llm.vision，看不了。）")
    try:
        return await vision.look(picture, question)
    except PersonaError as exc:
        return tr("（一张图片，没有看成：{exc}）", exc=exc)


def _picture_in(item: Mapping[str, Any]) -> Picture | None:
    """Read a picture in MCP's form, or in the firmware's, where `image` is the same as a JSON text."""
    inner = item.get("image")
    if isinstance(inner, str):
        try:
            inner = json.loads(inner)
        except (ValueError, RecursionError):
            return None
    data = (inner if isinstance(inner, dict) else item).get("data")
    if not isinstance(data, str):
        return None
    try:
        return Picture.of(base64.b64decode(data.rpartition(",")[2], validate=True))
    except (binascii.Error, ValueError):
        return None


def _written(value: object) -> str:
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return ""
