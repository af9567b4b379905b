"""Character cards as other programs write them: JSON of three versions, PNG with text chunks, CHARX."""

from __future__ import annotations

import base64
import json
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

FIELDS: dict[str, Any] = {
    "name": "阿澄",
    "description": "{{char}}住在灯塔里，每天给{{user}}写信。",
    "personality": "安静，爱数星星",
    "scenario": "台风前一夜的灯塔。",
    "first_mes": "*推开门* 【高兴】{{user}}，你来啦！",
    "mes_example": "<START>\n{{user}}: 你好\n{{char}}: 灯亮着，就不算晚。\n第二行。\n<START>\n{{char}}: 数到一百颗了。",
}
MORE: dict[str, Any] = {
    **FIELDS,
    "creator_notes": "玩得开心",
    "system_prompt": "{{original}}只说两句话。",
    "post_history_instructions": "别提台风。",
    "alternate_greetings": ["今天也在等你。", ""],
    "tags": ["灯塔"],
    "creator": "me",
    "character_version": "1",
    "extensions": {"depth_prompt": {"prompt": "她左手戴着表。", "depth": 4}},
    "character_book": {
        "entries": [
            {"keys": ["灯塔", "塔"], "content": "灯塔有{{random:三,四}}层。", "enabled": True},
            {"keys": ["关着"], "content": "不该有", "enabled": False},
            {"keys": [], "content": "{{char}}怕打雷。", "constant": True, "enabled": True},
            {
                "keys": ["/猫|狗/i"],
                "use_regex": True,
                "content": "@@depth 4\n岛上有一只猫。",
                "enabled": True,
            },
            {"keys": ["/(?:a+)+$/"], "content": "正则", "enabled": True},
        ]
    },
}


def v2(**changes: Any) -> dict[str, Any]:
    return {"spec": "chara_card_v2", "spec_version": "2.0", "data": {**MORE, **changes}}


def v3(**changes: Any) -> dict[str, Any]:
    return {
        "spec": "chara_card_v3",
        "spec_version": "3.0",
        "data": {**MORE, "assets": [{"type": "icon"}], **changes},
    }


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def encoded(card: Any) -> bytes:
    return base64.b64encode(json.dumps(card, ensure_ascii=False).encode())


def text_chunk(keyword: str, content: bytes, kind: str = "tEXt") -> bytes:
    name = keyword.encode("latin-1") + b"\0"
    if kind == "tEXt":
        return chunk(b"tEXt", name + content)
    if kind == "zTXt":
        return chunk(b"zTXt", name + b"\0" + zlib.compress(content))
    flag = b"\1\0" if kind == "iTXt+" else b"\0\0"
    return chunk(b"iTXt", name + flag + b"\0\0" + (zlib.compress(content) if kind == "iTXt+" else content))


def png(file: Path, *texts: bytes) -> Path:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    image = chunk(b"IDAT", zlib.compress(b"\0\0"))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + header + image + b"".join(texts) + chunk(b"IEND", b""))
    return file


def png_card(file: Path, card: Any, keyword: str = "chara", kind: str = "tEXt") -> Path:
    return png(file, text_chunk(keyword, encoded(card), kind))


def charx(file: Path, content: bytes, name: str = "card.json") -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
        archive.writestr("../../evil.txt", "no")
    return file
