"""Recognition inside the real xiaozhi-esp32-server: its own fun_local against our door, with one model, in one run.

Needs a checkout: XIAOZHI_SERVER_DIR (its main/xiaozhi-server) and XIAOZHI_SERVER_PYTHON (a Python with its packages,
torch and ours), as the tests of the doors do, and torch here to make the model: `python3 run.py test --torch` leaves
it in .venv. The tiny model, or one as large as SenseVoiceSmall with random weights, for time and memory. Each recognizer runs in a process of its own; nothing is set for the number of threads.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from figures import options, percentiles, show  # first: it sets the threads of numeric libraries

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from fakes.tiny_funasr import export, make_hearing, make_sensevoice
from hostkit import VERSIONS
from hostkit.real import importable, unpack

from xiaozhi_persona.installer.door_files import door_text
from xiaozhi_persona.providers.host.doors import RECOGNIZER

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
HOST = next(iter(RECOGNIZER.same_keys))


def measure(section: dict[str, Any], utterances: int) -> dict[str, Any]:
    """Return what one_recognizer.py prints."""
    with tempfile.TemporaryDirectory() as folder:
        server = Path(folder) / "xiaozhi-server"
        unpack(server, VERSIONS[-1])
        (server / "data/.config.yaml").write_text("log:\n  log_level: ERROR\n", encoding="utf-8")
        (server / RECOGNIZER.path).write_text(door_text(RECOGNIZER), encoding="utf-8")
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
    parser.add_argument(
        "--full-size", action="store_true", help="a model of SenseVoiceSmall's size, not the tiny one"
    )
    arguments = parser.parse_args()
    if not (os.environ.get("XIAOZHI_SERVER_DIR") and os.environ.get("XIAOZHI_SERVER_PYTHON")):
        sys.exit("XIAOZHI_SERVER_DIR or XIAOZHI_SERVER_PYTHON is not set; see the top of this file")
    with tempfile.TemporaryDirectory() as folder:
        if arguments.full_size:
            logging.disable(logging.WARNING)  # the exporter tells of every node
            torch_model = make_sensevoice(Path(folder) / "model", full_size=True)
            onnx_model = str(export(torch_model, Path(folder) / "onnx", quantize=True))
        else:
            torch_model, onnx_model = make_hearing(Path(folder) / "model"), ""
        ours = {"type": RECOGNIZER.type, "timeout_s": 60.0, "device": "cpu"}
        sections = {
            HOST: {"type": HOST, "model_dir": str(torch_model), "output_dir": "tmp/"},
            "ours, funasr": {**ours, "engine": "funasr", "model_dir": str(torch_model)},
            "ours, funasr_onnx": {**ours, "engine": "funasr_onnx", "model_dir": onnx_model},
        }
        found = {name: measure(section, arguments.utterances) for name, section in sections.items()}
    rows: dict[str, dict[str, Any]] = {}
    for name, figures in found.items():
        first, *others = figures["times_ms"]
        usual = percentiles(others)
        rss = list(figures["rss_mb"].values())
        for row, value in {
            "the host waits at its start, ms": figures["made_ms"],
            "ready after, ms": figures["ready_ms"],
            "first utterance, ms": first,
            "the others, p50, ms": usual["p50"],
            "the others, p95, ms": usual["p95"],
            "CPU for each, ms": figures["cpu_ms"],
            "event loop held up at most, ms": figures["held_up_ms"],
            "threads": figures["threads"],
            "RSS after 100 utterances, MB": rss[0],
            "RSS at the end, MB": rss[-1],
        }.items():
            rows.setdefault(row, {})[name] = round(value, 1)
    more: dict[str, Any] = {"utterances": arguments.utterances}
    if not arguments.full_size:  # of random weights the words mean nothing
        more["hear_the_same"] = len({tuple(figures["heard"]) for figures in found.values()}) == 1
    title = f"Recognition in xiaozhi-esp32-server {VERSIONS[-1]}"
    show(arguments.json, title, rows, **more)


if __name__ == "__main__":
    main()
