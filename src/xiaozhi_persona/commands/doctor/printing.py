"""The findings of `doctor`, printed as they come, or as JSON lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import asdict

import click

from xiaozhi_persona.checks import Check, Status
from xiaozhi_persona.commands.common import print_json
from xiaozhi_persona.language import tr

_MARKS: dict[Status, tuple[str, str]] = {
    "ok": ("✓", "green"),
    "warning": ("!", "yellow"),
    "error": ("✗", "red"),
}


async def print_checks(checks: AsyncIterator[Check], *, as_json: bool) -> int:
    """Print each check when it is known, and their sum; return how many are errors."""
    counts: Counter[Status] = Counter()
    async for check in checks:
        counts[check.status] += 1
        if as_json:
            print_json(asdict(check))
            continue
        mark, color = _MARKS[check.status]
        click.echo(
            tr(
                "{style} {what}：{found}",
                style=click.style(mark, fg=color),
                what=check.what,
                found=check.found,
            )
        )
        if check.step:
            click.echo(f"  → {check.step}")
    errors, warnings = counts["error"], counts["warning"]
    if as_json:
        print_json({"errors": errors, "warnings": warnings})
    else:
        click.echo(
            tr("{errors} 个要修（✗），{warnings} 处注意（!）", errors=errors, warnings=warnings)
            if errors or warnings
            else tr("都好")
        )
    return errors
