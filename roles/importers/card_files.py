"""Character cards of SillyTavern and others as files: JSON, JSON within a PNG, and CHARX.

Sources: character-card-spec-v2 and -v3 (tEXt chunks `chara` and `ccv3`, JSON in base64; CHARX, a ZIP with card.json);
Portable Network Graphics, third edition, 11.3.3 (tEXt, zTXt, iTXt). `ccv3` comes before `chara`. Nothing is unpacked to
disk, and nothing larger than MAX_CARD_BYTES is unpacked at all.
"""

from __future__ import annotations

import base64
import binascii
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.roles.importers.foreign_files import parse_json
from xiaozhi_persona.text_files import decode_text

CARD_SUFFIXES = (".png", ".apng", ".charx")
"""Files that may hold a card, beside JSON."""

MAX_CARD_BYTES = 8 << 20
"""The largest card: real ones with large lore books have 2 MB."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_KEYWORDS = ("ccv3", "chara")
_MAX_CHUNKS = 20_000


def read_card_file(file: Path) -> Any:
    """Return the parsed JSON of the card in a PNG or CHARX file. Raises SettingsError where there is none."""
    try:
        with file.open("rb") as data:
            source = _in_charx(data, file) if file.suffix.lower() == ".charx" else _in_png(data, file)
    except OSError as exc:
        raise SettingsError(
            tr("读不了 {file}（{strerror}）。请检查路径和权限。", file=file, strerror=exc.strerror)
        ) from exc
    return parse_json(decode_text(source, str(file)), str(file))[0]


def _in_png(data: BinaryIO, file: Path) -> bytes:
    if data.read(8) != _SIGNATURE:
        raise SettingsError(tr("{file} 不是 PNG。角色卡请导出成 PNG 或 JSON。", file=file))
    cards: dict[str, bytes] = {}
    for keyword, content in _texts(data, file):
        if keyword in _KEYWORDS:
            cards.setdefault(keyword, content)
    for keyword in _KEYWORDS:
        if card := cards.get(keyword):
            return _decoded(card, file)
    raise SettingsError(
        tr(
            "{file} 里没有角色卡，只是一张图（重新保存过的图会丢掉它）。请用原来的 PNG，或导出成 JSON。",
            file=file,
        )
    )


def _texts(data: BinaryIO, file: Path) -> Iterator[tuple[str, bytes]]:
    """Yield keyword, in small letters, and content of each text in a PNG, of those that could be a card. Raises SettingsError where it breaks off."""
    for _ in range(_MAX_CHUNKS):
        head = data.read(8)
        if len(head) < 8:
            return
        size, kind = struct.unpack(">I4s", head)
        if kind not in (b"tEXt", b"zTXt", b"iTXt") or size > MAX_CARD_BYTES:
            if kind == b"IEND":
                return
            data.seek(size + 4, 1)
            continue
        body = data.read(size)
        if len(body) < size:
            raise SettingsError(tr("{file} 不完整，没有下载完。请重新下载。", file=file))
        data.seek(4, 1)
        keyword, _, rest = body.partition(b"\0")
        content = _content(kind, rest)
        if content:
            yield keyword.decode("latin-1").strip().casefold(), content


def _content(kind: bytes, rest: bytes) -> bytes:
    if kind == b"tEXt":
        return rest
    if kind == b"zTXt":
        return _inflated(rest[1:])
    is_compressed, rest = rest[:1] == b"\1", rest[2:]
    _, _, rest = rest.partition(b"\0")
    _, _, content = rest.partition(b"\0")
    return _inflated(content) if is_compressed else content


def _inflated(data: bytes) -> bytes:
    """Return what was compressed, b"" for what is damaged or larger than a card."""
    inflater = zlib.decompressobj()
    try:
        content = inflater.decompress(data, MAX_CARD_BYTES)
    except zlib.error:
        return b""
    return b"" if inflater.unconsumed_tail else content


def _decoded(card: bytes, file: Path) -> bytes:
    """Return the JSON of a card: it is kept in base64; some programs write it as it is."""
    if card.lstrip()[:1] in (b"{", b"["):
        return card
    plain = b"".join(card.split()).translate(bytes.maketrans(b"-_", b"+/")).rstrip(b"=")
    try:
        return base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise SettingsError(tr("{file} 里的角色卡坏了。请用原来的 PNG，或导出成 JSON。", file=file)) from exc


def _in_charx(data: BinaryIO, file: Path) -> bytes:
    try:
        with zipfile.ZipFile(data) as archive, archive.open("card.json") as card:
            content = card.read(MAX_CARD_BYTES + 1)
    except (
        zipfile.BadZipFile,
        KeyError,
        NotImplementedError,
        RuntimeError,
        zlib.error,
        EOFError,
        ValueError,
    ) as exc:
        raise SettingsError(tr("{file} 里读不出 card.json。请导出成 PNG 或 JSON。", file=file)) from exc
    if len(content) > MAX_CARD_BYTES:
        raise SettingsError(tr("{file} 里的 card.json 太大，不像角色卡。", file=file))
    return content
