"""What every benchmark shares: the machine, percentiles, one thread for numeric libraries, tables and JSON."""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import argparse
import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from xiaozhi_persona.commands.tables import print_table


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line
        ]
        model = names[0] if names else model
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """Return p50, p95 and the largest, rounded to 0.01."""
    p50, p95 = np.percentile(values, [50, 95])
    return {"p50": round(float(p50), 2), "p95": round(float(p95), 2), "max": round(float(max(values)), 2)}


def options(description: str | None) -> argparse.ArgumentParser:
    """Return a parser that has --json."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def show(as_json: bool, title: str, rows: dict[str, dict[str, Any]], **more: Any) -> None:
    """Print the figures: a line for each name, with the machine."""
    if as_json:
        print(json.dumps({"title": title, "machine": machine(), "figures": rows, **more}, ensure_ascii=False))
        return
    caption = ", ".join(f"{key}: {value}" for key, value in {**machine(), **more}.items())
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    cells = [[name, *(str(row.get(column, "")) for column in columns)] for name, row in rows.items()]
    print_table(["", *columns], cells, right=columns, title=title, caption=caption)
