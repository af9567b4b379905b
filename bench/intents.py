"""How well and how fast local intents are found: precision, recall, time of a sentence, of a long one, and of loading.

    python bench/intents.py [--sentences FILE.jsonl] [--role NAME ...]

FILE holds lines {"text", "lang", "intent", "slots"}; without one, the sentences of tests/data/intents.tsv, which the
templates were made to find, are counted. `fold 0` to `fold 4` are fifths, by a hash of the text.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from figures import options, show

from xiaozhi_persona.providers.intent.router import Router
from xiaozhi_persona.providers.intent.tables import bundled

OWN = Path(__file__).parents[1] / "tests" / "data" / "intents.tsv"
ROUNDS = 5


def sentences(file: Path | None) -> list[dict[str, Any]]:
    if file is not None:
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    rows = [line.split("\t") for line in OWN.read_text(encoding="utf-8").splitlines() if "\t" in line]
    return [{"text": text, "intent": None if name == "-" else name} for name, text in rows]


def score(router: Router, rows: Iterable[dict[str, Any]], roles: list[str]) -> dict[str, Any]:
    right = wrong = missed = slots = count = 0
    for row in rows:
        count += 1
        match = router.route(row["text"], {"role": roles})
        found = match.intent if match else None
        right += found is not None and found == row["intent"]
        wrong += found is not None and found != row["intent"]
        missed += row["intent"] is not None and found != row["intent"]
        slots += bool(match) and found == row["intent"] and match.slots != row.get("slots", match.slots)
    return {
        "sentences": count,
        "precision": round(right / max(1, right + wrong), 4),
        "recall": round(right / max(1, right + missed), 4),
        "wrong slots": slots,
    }


def percentile(values: list[float], part: float) -> float:
    return round(sorted(values)[min(len(values) - 1, int(part * len(values)))], 1)


def took_us(router: Router, text: str, roles: list[str]) -> float:
    began = time.thread_time()
    router.route(text, {"role": roles})
    return (time.thread_time() - began) * 1e6


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--sentences", type=Path, help="labelled sentences as JSON lines")
    parser.add_argument("--role", action="append", default=[], help="a role that there is; repeatable")
    arguments = parser.parse_args()
    roles = arguments.role or ["小智", "小雨", "Yuki", "ユキ"]
    rows = sentences(arguments.sentences)

    loads = []
    for _ in range(ROUNDS):
        bundled.cache_clear()
        began = time.thread_time()
        router = Router()
        loads.append((time.thread_time() - began) * 1000)
    cold = [took_us(router, row["text"], roles) for row in rows]
    router = Router()
    router.warm()
    warm = [min(took_us(router, row["text"], roles) for _ in range(ROUNDS)) for row in rows]
    long = min(took_us(router, "声音大一点" * 2000, roles) for _ in range(ROUNDS))

    figures: dict[str, dict[str, Any]] = {"all": score(router, rows, roles)}
    for fold in range(5):
        chosen = [
            row for row in rows if int(hashlib.sha256(row["text"].encode()).hexdigest(), 16) % 5 == fold
        ]
        figures[f"fold {fold}"] = score(router, chosen, roles)
    show(
        arguments.json,
        "Local intents",
        figures,
        load_ms=round(min(loads), 1),
        sentence_us={"p50": percentile(warm, 0.5), "p95": percentile(warm, 0.95), "max": percentile(warm, 1)},
        first_time_us={"p50": percentile(cold, 0.5), "p95": percentile(cold, 0.95)},
        ten_thousand_characters_us=round(long, 1),
        templates=sum(1 for _ in router.templates()),
    )


if __name__ == "__main__":
    main()
