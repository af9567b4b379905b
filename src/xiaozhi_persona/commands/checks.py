"""The findings of `doctor`: what was looked at, what is wrong, what to do; as a table or as JSON lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from xiaozhi_persona.commands.common import print_json
from xiaozhi_persona.errors import own_command

Status = Literal["ok", "warning", "error"]

_MARKS: dict[Status, tuple[str, str]] = {
    "ok": ("✓", "green"),
    "warning": ("!", "yellow"),
    "error": ("✗", "red"),
}


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
    found, stop, step = " ".join(str(exc).split()).partition("。")
    return Check(status, what, found + stop, step or f"照上面说的改好，再运行一次 {own_command('doctor')}。")


def print_checks(checks: Sequence[Check], *, as_json: bool) -> int:
    """Print all checks and their sum; return how many are errors."""
    errors, warnings = (sum(check.status == status for check in checks) for status in ("error", "warning"))
    if as_json:
        for check in checks:
            print_json(asdict(check))
        print_json({"errors": errors, "warnings": warnings})
        return errors
    table = Table("", "检查", "结果", show_lines=False)
    table.columns[1].overflow = table.columns[2].overflow = "fold"
    for check in checks:
        found = check.found + (f"\n→ {check.step}" if check.step else "")
        table.add_row(Text(*_MARKS[check.status]), Text(check.what), Text(found))
    Console().print(table)
    Console().print(f"{errors} 个要修（✗），{warnings} 处注意（!）" if errors or warnings else "都好")
    return errors
