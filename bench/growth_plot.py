"""How the cost of the memory grows with its size: as bars in the terminal, and as an SVG, a panel for each kind."""

from __future__ import annotations

import math
from typing import Any

KINDS = {
    "a day": "问某一天",
    "a day and words": "问某一天，带词",
    "last month": "问上个月",
    "a fact": "问事实",
    "rare words": "问少见的词",
    "common words": "只有常见的词",
    "append": "记下一句",
}
_COLUMNS = 4
_WIDTH, _HEIGHT = 200, 170  # of a panel, with its labels
_LEFT, _TOP, _RIGHT, _BOTTOM = 34, 30, 12, 26  # around the lines of a panel
# Seen as an image, it follows the reader's system: dark on light, or light on dark; the page shows through.
_STYLE = """
  text { font: 11px system-ui, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif; fill: #59636e; }
  .name { font-size: 13px; font-weight: 600; fill: #1f2328; }
  .end { text-anchor: end; }
  .middle { text-anchor: middle; }
  .grid { stroke: #d1d9e0; }
  .p50, .p95 { fill: none; stroke: #0969da; stroke-width: 2; stroke-linejoin: round; }
  .p95 { stroke: #bc4c00; stroke-dasharray: 5 3; }
  .at50 { fill: #0969da; }
  .at95 { fill: #bc4c00; }
  @media (prefers-color-scheme: dark) {
    text { fill: #9198a1; }
    .name { fill: #f0f6fc; }
    .grid { stroke: #3d444d; }
    .p50 { stroke: #4493f8; }
    .p95 { stroke: #f0883e; }
    .at50 { fill: #4493f8; }
    .at95 { fill: #f0883e; }
  }
"""


def print_growth(speed: dict[str, dict[str, Any]]) -> None:
    """Print how each figure grows with the number of turns: a bar for each size, the p50 of the wall time."""
    shown = {name: row["wall p50"] for name, row in speed.items() if "wall p50" in row}
    kinds = dict.fromkeys(name.partition(": ")[2] for name in shown)
    for kind in kinds:
        print(kind)
        of_kind = {name.partition(": ")[0]: ms for name, ms in shown.items() if name.endswith(f": {kind}")}
        for turns, ms in of_kind.items():
            bar = "█" * max(1, round(40 * ms / max([*of_kind.values(), 0.01])))
            print(f"{turns:>11} {bar} {ms:g} ms")


def growth_svg(speed: dict[str, dict[str, Any]]) -> str:
    """Return an SVG of p50 and p95 (wall, milliseconds) by turns, which grow tenfold from tick to tick.

    The rows of `speed` are named "10,000: a day" and so on; all panels share their scale.
    """
    panels: dict[str, dict[int, tuple[float, float]]] = {kind: {} for kind in KINDS}
    for name, row in speed.items():
        turns, _, kind = name.partition(": ")
        if kind in panels:
            panels[kind][int(turns.replace(",", ""))] = (row["wall p50"], row["wall p95"])
    most = max(p95 for points in panels.values() for _, p95 in points.values())
    top = math.ceil(most * 2) / 2
    width, height = _COLUMNS * _WIDTH, math.ceil((len(panels) + 1) / _COLUMNS) * _HEIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'role="img">',
        "<title>记忆越大要多久：一句提问或一次写入的毫秒数</title>",
        f"<style>{_STYLE}</style>",
    ]
    for number, (kind, points) in enumerate(panels.items()):
        parts += _panel(KINDS[kind], points, top, *_corner(number))
    return "\n".join([*parts, *_legend(*_corner(len(panels))), "</svg>", ""])


def _corner(number: int) -> tuple[int, int]:
    return number % _COLUMNS * _WIDTH, number // _COLUMNS * _HEIGHT


def _panel(
    label: str, points: dict[int, tuple[float, float]], top: float, left: int, upper: int
) -> list[str]:
    x0, x1 = left + _LEFT, left + _WIDTH - _RIGHT
    y0, y1 = upper + _HEIGHT - _BOTTOM, upper + _TOP
    sizes = sorted(points)
    decades = math.log10(sizes[-1] / sizes[0]) or 1.0

    def x(turns: int) -> float:
        return round(x0 + 10 + (x1 - x0 - 34) * math.log10(turns / sizes[0]) / decades, 1)

    def y(ms: float) -> float:
        return round(y0 - (y0 - y1) * ms / top, 1)

    parts = [f'<text class="name" x="{x0}" y="{upper + 17}">{label}</text>']
    for ms in (0.0, top / 2, top):
        parts.append(f'<path class="grid" d="M{x0} {y(ms)}H{x1 - 22}"/>')
        parts.append(f'<text class="end" x="{x0 - 5}" y="{y(ms) + 4}">{ms:g}</text>')
    for turns in sizes:
        parts.append(f'<text class="middle" x="{x(turns)}" y="{y0 + 16}">{_in_ten_thousands(turns)}</text>')
    for place, name in ((1, "95"), (0, "50")):
        line = " ".join(f"{x(turns)},{y(points[turns][place])}" for turns in sizes)
        parts.append(f'<polyline class="p{name}" points="{line}"/>')
        parts += [
            f'<circle class="at{name}" cx="{x(turns)}" cy="{y(points[turns][place])}" r="2.5"/>'
            for turns in sizes
        ]
    p50, p95 = points[sizes[-1]]  # written beside their points, the one above the other
    y50 = y(p50) + 4
    y95 = min(y(p95) + 4, y50 - 11)
    for ms, height, name in ((p50, y50, "50"), (p95, y95, "95")):
        parts.append(f'<text class="at{name}" x="{x(sizes[-1]) + 5}" y="{height:g}">{ms:.2f}</text>')
    return parts


def _legend(left: int, upper: int) -> list[str]:
    x = left + _LEFT
    lines = (("p50", "p50：中位数"), ("p95", "p95：百次里 95 次不超过"))
    parts = []
    for number, (name, meaning) in enumerate(lines):
        y = upper + 50 + 24 * number
        parts.append(f'<path class="{name}" d="M{x} {y}h26"/>')
        parts.append(f'<text x="{x + 34}" y="{y + 4}">{meaning}</text>')
    parts.append(f'<text x="{x}" y="{upper + 104}">纵：毫秒，每格同一尺度</text>')
    parts.append(f'<text x="{x}" y="{upper + 124}">横：记下的句数，每格十倍</text>')
    return parts


def _in_ten_thousands(turns: int) -> str:
    return f"{turns / 10_000:g} 万" if turns >= 10_000 else f"{turns:,}"
