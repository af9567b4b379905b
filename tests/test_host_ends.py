"""The end of the host's process: what was heard is written, what hangs is not waited for, nothing is complained of."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from memory_kit import memory

from xiaozhi_persona.memory import diary
from xiaozhi_persona.memory.store import FILE
from xiaozhi_persona.settings import Settings

DEVICE = "aa:bb:cc:00:00:01"

_HOST = """
import asyncio, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xiaozhi_persona.providers.host.conversation import HostConversation
from xiaozhi_persona.providers.host.loop import at_close, background_loop, submit
from xiaozhi_persona.providers.host.memories import shared_memory
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.spine import Owner
from xiaozhi_persona.text.emotions import built_in_names

shared = shared_memory(Settings().at(Path(sys.argv[1])))
talk = HostConversation(shared.memory, Owner(sys.argv[2]), background_loop(), built_in_names())
background_loop().call_soon_threadsafe(shared.conversations.add, talk)
submit(shared.memory.open(talk.owner)).result(10)
"""


def end(root: Path, last_words: str, first: str = "") -> tuple[str, float]:
    """Let a process begin and end with these lines; return what it wrote to the terminal, and how long its end took."""
    told = "print(time.time(), flush=True)"
    process = subprocess.run(
        [sys.executable, "-c", f"{first}\n{_HOST}\n{last_words}\n{told}", str(root), DEVICE],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert process.returncode == 0, process.stderr
    return process.stderr, time.time() - float(process.stdout)


def written(root: Path) -> list[str]:
    with memory(Settings().at(root).memory_dir, DEVICE) as store:
        return [said.text for said in diary.latest(store.reader, 10)]


def test_what_was_heard_just_before_the_end_is_written(tmp_path: Path) -> None:
    words = (
        'talk.heard("user", "我叫小明"); talk.heard("assistant", "好的。"); talk.heard("user", "我住在杭州")'
    )
    complaints, _ = end(tmp_path, words)
    assert complaints == ""
    files = {path.name for path in Settings().at(tmp_path).memory_dir.rglob("*.db*")}
    assert files == {FILE}  # all in the one file, which somebody may copy
    assert written(tmp_path) == ["我叫小明", "好的。", "我住在杭州"]


def test_what_could_not_be_written_before_is_written_at_the_end(tmp_path: Path) -> None:
    """The disk was full, and has room again."""
    words = """
from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.memory.store import OwnerStore
append = OwnerStore.append
def full(store, turns): raise PersonaError("磁盘满了")
OwnerStore.append = full
submit(talk.ask("我叫小明")).result(10)
OwnerStore.append = append
"""
    complaints, _ = end(tmp_path, words)
    assert complaints.count("磁盘满了") == 1
    assert written(tmp_path) == ["我叫小明"]


def test_a_thread_of_the_host_that_outlives_the_memory_is_not_complained_of(tmp_path: Path) -> None:
    """The model still answers when the process is to end: the host waits for the thread that reads the answer."""
    words = """
ending = threading.Event()
threading._register_atexit(ending.set)  # the first to run
def chat():
    assert ending.wait(10)
    time.sleep(0.3)
    talk.heard("assistant", "很久很久以前。")
    submit(talk.finish()).result(10)
talk.heard("user", "讲个故事")
host = ThreadPoolExecutor(1)
host.submit(chat)
"""
    complaints, _ = end(tmp_path, words)
    assert complaints == ""
    assert written(tmp_path) == ["讲个故事"]


@pytest.mark.parametrize(
    "hanging",
    ["submit(asyncio.sleep(60))", "at_close(lambda: asyncio.to_thread(time.sleep, 60))"],
    ids=["a reply", "a model that is being read"],
)
def test_what_has_nothing_to_write_is_not_waited_for(tmp_path: Path, hanging: str) -> None:
    complaints, seconds = end(tmp_path, f'{hanging}\ntalk.heard("user", "我叫小明")')
    assert complaints == ""
    assert seconds < 2
    assert written(tmp_path) == ["我叫小明"]


def test_a_reply_that_is_spoken_at_the_end_is_broken_off(tmp_path: Path) -> None:
    """It works in threads, which take no work any more soon after."""
    words = """
async def speak():
    while True:
        await asyncio.to_thread(time.sleep, 0.01)
def told(speaking):
    if not speaking.cancelled():
        print(speaking.exception(), file=sys.stderr)
submit(speak()).add_done_callback(told)
"""
    complaints, seconds = end(tmp_path, words)
    assert complaints == ""
    assert seconds < 2


def test_a_folder_that_can_be_written_to_again_gets_what_was_said_meanwhile(tmp_path: Path) -> None:
    with memory(Settings().at(tmp_path).memory_dir, DEVICE) as store:
        folder = store.folder
    first = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from memory_kit import obey_permissions
obey_permissions()  # of this thread, and of those that it starts
def let_write(may):
    folder = Path({str(folder)!r})
    for path in [*folder.iterdir(), folder]:
        path.chmod(0o755 if may else 0o555)
let_write(False)
"""
    words = """
submit(talk.ask("我叫小明")).result(10)
submit(talk.finish()).result(10)
let_write(True)
submit(talk.ask("我住在杭州")).result(10)
"""
    complaints, _ = end(tmp_path, words, first)
    assert complaints.count("只能读") == 1
    assert written(tmp_path) == ["我叫小明", "我住在杭州"]
