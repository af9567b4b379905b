"""What a check of `doctor` has found: what was looked at, what is wrong, what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from xiaozhi_persona.errors import own_command
from xiaozhi_persona.language import tr

Status = Literal["ok", "warning", "error"]

_FIGURES = re.compile(r"\d+(\.\d+)?")
_MAX_NAMED = 3


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    status: Status
    what: str
    """What was looked at, such as 端口 8000."""
    found: str
    """What was found, on one line."""
    step: str = ""
    """The next step where something is wrong, on one line."""


def failed(what: str, exc: Exception, status: Status = "error") -> Check:
    """Return the check for an error of ours, whose message ends with the next step after its first full stop."""
    found, stop, step = " ".join(str(exc).split()).partition(tr("。"))
    return Check(
        status,
        what,
        found + stop,
        step or tr("照上面说的改好，再运行一次 {command}。", command=own_command("doctor")),
    )


def grouped(findings: Iterable[tuple[str, str, str]]) -> Iterator[tuple[str, str]]:
    """Bring findings together that say the same of several places.

    Each is (place, what was found, the next step), where figures in what was found may differ; yields what was found
    with the places, and the step of the first.
    """
    groups: dict[str, list[tuple[str, str, str]]] = {}
    for finding in findings:
        groups.setdefault(_FIGURES.sub("#", finding[1]), []).append(finding)
    for (place, found, step), *others in groups.values():
        if not others:
            yield tr("{place}：{found}", place=place, found=found), step
            continue
        places = tr("、").join([place, *(other[0] for other in others)][:_MAX_NAMED])
        yield (
            tr(
                "{found}（{places}{value} {value2} 处）",
                found=found,
                places=places,
                value=tr(" 等") if len(others) >= _MAX_NAMED else "",
                value2=len(others) + 1,
            ),
            step,
        )
