"""The first sound of a reply inside the real xiaozhi-esp32-server: our door against its own gpt_sovits_v2, in one run.

Needs a checkout: XIAOZHI_SERVER_DIR (its main/xiaozhi-server) and XIAOZHI_SERVER_PYTHON (a Python with its packages
and ours), as the tests of the doors do. The chat model writes two sentences, two characters every 30 ms after 200 ms;
the GPT-SoVITS server makes sound at `--rtf` of its length. Every reply is another one, so that no cache helps.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from figures import options, percentiles, show  # first: it sets the threads of numeric libraries

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from fakes.sovits_server import FakeSovits
from hostkit import VERSIONS, Llm, Request, host

from xiaozhi_persona.installer.door_files import door_text
from xiaozhi_persona.providers.host.doors import DEFAULT_VOICE, DOORS

BUILT_IN, OURS = next(iter(DEFAULT_VOICE.same_keys)), DEFAULT_VOICE.type
DIGITS = "零一二三四五六七八九"
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


async def measure(kind: str, turns: int, rtf: float, folder: Path) -> dict[str, list[float]]:
    """Run `turns` turns with one provider, after one that warms up. Times in ms, CPU in ms a turn."""
    asked = 0

    def reply(request: Request) -> str:
        nonlocal asked
        asked += 1
        number = DIGITS[asked // 10 % 10] + DIGITS[asked % 10]
        return f"今天天气晴朗气温{number}度。这样的天气很适合出门散步{number}次。"

    figures: dict[str, list[float]] = {"first_sound": [], "tts_part": [], "cpu": [], "threads": []}
    async with FakeSovits(rtf=rtf) as sovits:
        section = {"type": kind, "url": f"{sovits.url}/tts", "text_lang": "zh", "ref_audio_path": "ref.wav"}
        section |= {"prompt_text": "测试", "prompt_lang": "zh", "streaming_mode": False}
        files = {str(door.path): door_text(door) for door in DOORS}
        llm = Llm(reply, piece_chars=2, first_s=0.2, piece_s=0.03)
        starting = host(VERSIONS[-1], folder, tts=section, files=files, llm=llm)
        async with starting as server, server.connect() as device:
            await device.say("热身")
            for _ in range(turns):
                before = _cpu_ms(server)
                begin = len(sovits.requests)
                answer = await device.say("今天天气怎么样")
                assert answer.stopped and answer.first_audio_s, answer.events
                figures["first_sound"].append(answer.first_audio_s * 1000)
                came_s = sovits.requests[begin].at_s - answer.sent_at
                figures["tts_part"].append((answer.first_audio_s - came_s) * 1000)
                figures["cpu"].append(_cpu_ms(server) - before)
                figures["threads"].append(len(os.listdir(f"/proc/{_pid(server)}/task")))
    return figures


def _pid(server: Any) -> int:
    return int(server.process.pid)


def _cpu_ms(server: Any) -> float:
    """Return the processor time of the host's process and its children so far."""
    fields = Path(f"/proc/{_pid(server)}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) * 1000 / TICKS_PER_S


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--turns", type=int, default=10)
    parser.add_argument("--rtf", type=float, default=0.3)
    arguments = parser.parse_args()
    if not os.environ.get("XIAOZHI_SERVER_DIR"):
        sys.exit("XIAOZHI_SERVER_DIR is not set: the folder main/xiaozhi-server of a checkout")
    rows, medians = {}, {}
    for kind in (BUILT_IN, OURS):
        with tempfile.TemporaryDirectory() as folder:
            found = asyncio.run(measure(kind, arguments.turns, arguments.rtf, Path(folder)))
        medians[kind] = {name: percentiles(values)["p50"] for name, values in found.items()}
        rows |= {f"{kind} {name}": percentiles(values) for name, values in found.items()}
    ratios = {name: round(medians[OURS][name] / medians[BUILT_IN][name], 2) for name in medians[OURS]}
    title = f"First sound in xiaozhi-esp32-server {VERSIONS[-1]} (ms, threads), rtf {arguments.rtf:g}"
    show(arguments.json, title, rows, ratio_ours_to_built_in=ratios)


if __name__ == "__main__":
    main()
