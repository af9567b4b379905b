"""Text files and pipes: the encoding is told by the bytes, and what cannot be told is refused."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.text_files import decode_text, file_lines, read_text, stream_lines

TEXT = "你好，我叫小明，住在北京。\n今天天气很好！“高兴”——镕🙂\n"
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "gb18030"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_file_is_read_in_each_encoding_whole_and_line_by_line(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(TEXT.encode(encoding))
    assert read_text(file) == TEXT
    advanced: list[int] = []
    assert list(file_lines(file, advanced.append)) == TEXT.splitlines(keepends=True)
    assert sum(advanced) == file.stat().st_size


@pytest.mark.parametrize("mark, encoding", [(b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")])
def test_utf_16_of_either_order_is_known_by_its_mark(mark: bytes, encoding: str) -> None:
    assert decode_text(mark + TEXT.encode(encoding), "a") == TEXT


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_pipe_is_read_line_by_line(encoding: str) -> None:
    lines = stream_lines(io.BytesIO(TEXT.encode(encoding)), "标准输入")
    assert list(lines) == TEXT.splitlines(keepends=True)


def test_a_pipe_gives_a_line_before_the_next_one_has_come() -> None:
    reading, writing = os.pipe()
    with open(reading, "rb") as stream, open(writing, "wb", buffering=0) as writer:
        lines = stream_lines(stream, "标准输入")
        writer.write("你好\n".encode("gb18030"))
        assert next(lines) == "你好\n"


def test_traditional_characters_in_gbk_are_text() -> None:
    text = "你好，我叫小明，住在臺北。今天天氣很好，我們一起去公園走走吧！"
    assert decode_text(text.encode("gbk"), "a") == text


@pytest.mark.parametrize(
    "data",
    [
        "繁體中文的設定檔案，今天天氣很好".encode("big5"),
        "今日はいい天気です。".encode("shift_jis"),
        "café naïve déjà vu".encode("cp1252"),
        b"\xff\xfe\x00",
        b"\x80\x81\xff\xff",
    ],
)
def test_what_is_in_no_known_encoding_is_refused(data: bytes) -> None:
    with pytest.raises(SettingsError, match="a.txt.*UTF-8"):
        decode_text(data, "a.txt")


def test_a_damaged_utf_8_file_is_not_taken_for_another_encoding() -> None:
    data = TEXT.encode("utf-8")
    for at in range(len(data)):
        if data[at] > 127:
            with pytest.raises(SettingsError, match=r"第 [12] 行有坏了的字节"):
                decode_text(data[:at] + data[at + 1 :], "a.txt")


def test_files_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    for file in (tmp_path / "gone.txt", tmp_path):
        with pytest.raises(SettingsError, match="请检查路径"):
            read_text(file)
        with pytest.raises(SettingsError, match="请检查路径"):
            list(file_lines(file, lambda _: None))


@pytest.mark.parametrize("encoding", ["gbk", "cp1252", "ascii"])
def test_what_is_piped_is_utf_8_whatever_the_system_uses(tmp_path: Path, encoding: str) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    command = [sys.executable, "-m", "xiaozhi_persona"]
    for arguments in (["--help"], ["roles", "list"], ["roles", "show", "nobody"]):
        done = subprocess.run([*command, *arguments], capture_output=True, cwd=tmp_path, env=environment)
        said = (done.stdout + done.stderr).decode("utf-8")
        assert "角色" in said and "\ufffd" not in said and "Traceback" not in said


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
@pytest.mark.parametrize("encoding", ["gbk", "cp1252"])
def test_a_terminal_that_lacks_a_character_gets_the_nearest(tmp_path: Path, encoding: str) -> None:
    import pty

    master, slave = pty.openpty()
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    code = "from xiaozhi_persona.cli import _set_output_encoding as s; s(); print('✓ ✗ 好 🙂')"
    done = subprocess.run([sys.executable, "-c", code], stdout=slave, env=environment, cwd=tmp_path)
    os.close(slave)
    said = os.read(master, 100).decode(encoding)
    os.close(master)
    assert done.returncode == 0 and said.strip() == ("v x 好 ?" if encoding == "gbk" else "v x ? ?")
