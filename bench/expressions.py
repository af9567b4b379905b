"""A longer search for texts on which a regular expression of ours takes time that grows faster than the text.

It tries what tests/test_expressions.py tries, with other texts in each round, for as many minutes as it is given.
Exit code 1 when it found one.
"""

from __future__ import annotations

import itertools
import sys
import time
from pathlib import Path

from figures import options, show

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from expressions import all_expressions, slowest

_TEXTS = 200
"""How many are tried on an expression in a round."""


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    arguments = parser.parse_args()
    ends = time.monotonic() + arguments.minutes * 60
    found = {}
    tried = 0
    for seed in itertools.count(1):
        for expression in all_expressions():
            if time.monotonic() > ends:
                show(
                    arguments.json,
                    "Texts that take too long",
                    found,
                    expressions_tried=tried,
                    rounds=seed - 1,
                )
                sys.exit(1 if found else 0)
            tried += 1
            if slow := slowest(expression, seed, _TEXTS):
                name = f"{expression.module.partition('.')[2]}.{expression.name} {expression.compiled.pattern[:40]}"
                found[name] = slow._asdict()


if __name__ == "__main__":
    main()
