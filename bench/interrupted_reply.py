"""How many replies after a cut one are noise at first, for a client that keeps one Opus decoder for the connection.

Wrong means by more than 3,000 of 32,767 against a fresh decoder.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import numpy as np
from figures import options, show

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from fakes.kept_decoder import cut_replies, spoken_replies

from xiaozhi_persona.audio.opus import decoder_reset

CUTS = 500


def main() -> None:
    arguments = options(__doc__).parse_args()
    replies = asyncio.run(spoken_replies())
    rows: dict[str, dict[str, Any]] = {}
    for rate_hz in (16000, 24000, 48000):
        for name, before in (("as they are", []), ("after decoder_reset()", [decoder_reset()])):
            wrong_ms = np.array(cut_replies(replies, before, rate_hz, CUTS))
            rows[f"{rate_hz} Hz, {name}"] = {
                "any": f"{np.mean(wrong_ms > 0):.1%}",
                ">= 20 ms": f"{np.mean(wrong_ms >= 20):.1%}",
                ">= 60 ms": f"{np.mean(wrong_ms >= 60):.1%}",
                "longest ms": round(float(wrong_ms.max()), 1),
            }
    show(arguments.json, f"Replies that are wrong after a cut, of {CUTS}", rows)


if __name__ == "__main__":
    main()
