"""From `serve` to listening, and the memory of the idle bridge, with the embedded parts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from figures import options, percentiles, show


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    seconds, megabytes = [], []
    for _ in range(arguments.runs):
        listening_s, rss_mb = _start()
        seconds.append(listening_s)
        megabytes.append(rss_mb)
    rows = {"start to listening, s": percentiles(seconds), "idle RSS, MB": percentiles(megabytes)}
    show(arguments.json, "serve with the embedded parts", rows, runs=arguments.runs)


def _start() -> tuple[float, float]:
    free = {
        "XZP_BRIDGE__WEBSOCKET_PORT": "18765",
        "XZP_BRIDGE__HTTP_PORT": "18766",
        "XZP_BRIDGE__HOST": "127.0.0.1",
    }
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "xiaozhi_persona", "serve", "--json"],
            cwd=folder,
            env={**os.environ, **free},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            listening_s = time.perf_counter() - started
            json.loads(line)
            status = Path(f"/proc/{process.pid}/status").read_text()
            rss_kb = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
            return listening_s, rss_kb / 1024
        finally:
            process.terminate()
            process.wait(10)


if __name__ == "__main__":
    main()
