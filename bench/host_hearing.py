"""Recognition inside the real xiaozhi-esp32-server: its own fun_local against our door, with one model, in one run.

Needs a checkout: XIAOZHI_SERVER_DIR (its main/xiaozhi-server) and XIAOZHI_SERVER_PYTHON (a Python with its packages,
torch and ours), as the tests of the doors do, and torch here to make the model: `python3 run.py test --torch` leaves
it in .venv. Each recognizer runs in a process of its own; nothing is set for the number of threads.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from figures import options, percentiles, show  # first: it sets the threads of numeric libraries

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from fakes.tiny_funasr import make_hearing
from hostkit import VERSIONS
from hostkit.real import importable, unpack

from xiaozhi_persona.providers.host.doors import DOORS

DOOR = next(door for door in DOORS if door.kind == "ASR")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
HOST = "fun_local"


def measure(section: dict[str, Any], utterances: int) -> dict[str, Any]:
    """Return what one_recognizer.py prints."""
    with tempfile.TemporaryDirectory() as folder:
        server = Path(folder) / "xiaozhi-server"
        unpack(server, VERSIONS[-1])
        (server / "data/.config.yaml").write_text("log:\n  log_level: ERROR\n", encoding="utf-8")
        (server / DOOR.path).write_text(DOOR.text(), encoding="utf-8")
        environment = {key: value for key, value in os.environ.items() if key not in THREADS}
        environment["PYTHONPATH"] = str(importable(Path(folder) / "site"))
        script = Path(__file__).with_name("one_recognizer.py").resolve()
        done = subprocess.run(
            [os.environ["XIAOZHI_SERVER_PYTHON"], str(script), json.dumps(section), str(utterances)],
            cwd=server,
            env=environment,
            capture_output=True,
            text=True,
        )
    if done.returncode:
        sys.exit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--utterances", type=int, default=1000)
    parser.add_argument("--model", type=Path, help="a folder for AutoModel instead of the tiny model")
    parser.add_argument("--onnx", help="a folder for funasr-onnx instead of the tiny model")
    arguments = parser.parse_args()
    if not (os.environ.get("XIAOZHI_SERVER_DIR") and os.environ.get("XIAOZHI_SERVER_PYTHON")):
        sys.exit("XIAOZHI_SERVER_DIR or XIAOZHI_SERVER_PYTHON is not set; see the top of this file")
    rows: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        model = str((arguments.model or make_hearing(Path(folder) / "model")).resolve())
        ours = {"type": "persona_funasr", "timeout_s": 60.0, "device": "cpu"}
        sections = {
            HOST: {"type": HOST, "model_dir": model, "output_dir": "tmp/"},
            "ours, funasr": {**ours, "engine": "funasr", "model_dir": model},
            "ours, funasr_onnx": {**ours, "engine": "funasr_onnx", "model_dir": arguments.onnx or ""},
        }
        found = {name: measure(section, arguments.utterances) for name, section in sections.items()}
    for name, figures in found.items():
        first, *others = figures["times_ms"]
        early, late = list(figures["rss_mb"].values())[0], list(figures["rss_mb"].values())[-1]
        rows |= {
            f"{name}: the host waits at its start, ms": {"p50": round(figures["made_ms"], 1)},
            f"{name}: ready after, ms": {"p50": round(figures["ready_ms"], 1)},
            f"{name}: first utterance, ms": {"p50": round(first, 1)},
            f"{name}: the others, ms": percentiles(others),
            f"{name}: CPU for each, ms": {"p50": round(figures["cpu_ms"], 1)},
            f"{name}: event loop held up, ms": {"max": round(figures["held_up_ms"], 1)},
            f"{name}: threads": {"p50": figures["threads"]},
            f"{name}: RSS after 100, MB": {"p50": early},
            f"{name}: RSS at the end, MB": {"p50": late},
        }
    same = {name: figures["heard"] == found[HOST]["heard"] for name, figures in found.items() if name != HOST}
    title = f"Recognition in xiaozhi-esp32-server {VERSIONS[-1]}"
    show(arguments.json, title, rows, utterances=arguments.utterances, hears_the_same=same)


if __name__ == "__main__":
    main()
