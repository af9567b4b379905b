"""Text that people and other programs wrote: its encoding is told by its bytes, and nothing is ever guessed into U+FFFD.

UTF-8 with or without a mark, UTF-16 with its mark, GB18030 (also GBK, GB2312: what a Chinese Windows calls ANSI).
Anything else, and a file that is damaged, is refused.
"""

from __future__ import annotations

import codecs
import io
import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import later, tr

_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_PRIVATE_USE = range(0xE000, 0xF900)
_AT_ONCE_BYTES = 1 << 20


def read_text(file: Path) -> str:
    """Read a text file. Raises SettingsError when it is not there, cannot be read, or is not in a known encoding."""
    return decode_text(_bytes(file), str(file))


def decode_text(data: bytes, name: str) -> str:
    """Return the text of the bytes of `name`. Raises SettingsError that names it, with the line where it is damaged."""
    encoding = _encoding(data, name)
    text = data.decode(encoding)
    return text.removeprefix("\ufeff")


def file_lines(file: Path, advance: Callable[[int], None]) -> Iterator[str]:
    """Yield the lines of a file of any size; `advance` is told how many more bytes were read. Raises as read_text().

    The whole file is looked through before the first line is given.
    """
    encoding = "utf-8-sig" if _is_utf8(file) else _encoding(_bytes(file), str(file))
    with file.open("rb") as data, io.TextIOWrapper(data, encoding) as lines:
        before = 0
        for line in lines:
            advance(data.tell() - before)
            before = data.tell()
            yield line


def stream_lines(stream: BinaryIO, name: str) -> Iterator[str]:
    """Yield the lines of a pipe as they come, each in the encoding that its bytes tell. Raises as decode_text()."""
    first = stream.readline()
    if first.startswith(_UTF16_MARKS):
        yield from io.StringIO(decode_text(first + stream.read(), name))
        return
    for number, line in enumerate(itertools.chain([first], stream), 1):
        yield decode_text(line, tr("{name}第 {number} 行", name=name, number=number))


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError as exc:
        raise SettingsError(tr("没有这个文件：{file}。请检查路径。", file=file)) from exc
    except IsADirectoryError as exc:
        raise SettingsError(
            tr(
                "{file} 是文件夹，应是文件。请检查路径；"
                "Docker 在挂载的文件不存在时会造出这样的文件夹，那就删去它，写好文件再启动。",
                file=file,
            )
        ) from exc
    except (OSError, ValueError) as exc:
        reason = os.strerror(exc.errno) if isinstance(exc, OSError) and exc.errno else exc
        raise SettingsError(
            tr("读不了 {file}（{reason}）。请检查路径和权限。", file=file, reason=reason)
        ) from exc


def _is_utf8(file: Path) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with file.open("rb") as data:
            while piece := data.read(_AT_ONCE_BYTES):
                decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    except OSError:
        return False  # _bytes() says what is wrong
    return True


def _encoding(data: bytes, name: str) -> str:
    """Return in which encoding the bytes are, utf-8 without regard to a mark."""
    if data.startswith(_UTF16_MARKS):
        try:
            data.decode("utf-16")
        except UnicodeDecodeError as exc:
            raise SettingsError(
                tr(
                    "{name} 开头是 UTF-16 的标记，后面却不是（{reason}）。{advice}",
                    name=name,
                    reason=exc.reason,
                    advice=tr(_SAVE),
                )
            ) from exc
        return "utf-16"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as exc:
        damaged = exc
    else:
        return "utf-8"
    seen = data.decode("utf-8", "replace")
    # Bytes that are no UTF-8 hold hardly ever a character of three bytes by chance.
    if sum(char >= "\u0800" and char != "\ufffd" for char in seen) > seen.count("\ufffd"):
        line = data.count(b"\n", 0, damaged.start) + 1
        raise SettingsError(
            tr(
                "{name} 是 UTF-8 的，但第 {line} 行有坏了的字节。多半没有复制完整，请换一份好的。",
                name=name,
                line=line,
            )
        )
    try:
        text = data.decode("gb18030")
    except UnicodeDecodeError as exc:
        raise SettingsError(tr("{name} 的编码认不出来。{advice}", name=name, advice=tr(_SAVE))) from exc
    if not _is_likely(text):
        raise SettingsError(
            tr("{name} 的编码认不出来（不是 UTF-8，也不像 GB18030）。{advice}", name=name, advice=tr(_SAVE))
        )
    return "gb18030"


_SAVE = later("请用编辑器另存为 UTF-8。")


def _is_likely(text: str) -> bool:
    """Whether a text that could be read as GB18030 was meant so: other encodings give seldom characters."""
    wide = [char for char in text if char > "\x7f"]
    usual = sum(_is_gb2312(char) for char in wide)
    return usual * 2 >= len(wide) and not any(ord(char) in _PRIVATE_USE for char in wide)


def _is_gb2312(char: str) -> bool:
    try:
        char.encode("gb2312")
    except UnicodeEncodeError:
        return False
    return True
