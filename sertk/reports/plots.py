"""Plots as inline SVG: a few shapes drawn by hand, coloured by the page's variables, with words for who cannot see.

Every function gives one `<svg role="img">` whose label says in words what the picture shows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape

ROW = 38
"""Height of a value with its name above it."""
CHARACTER = 6.6
"""Width of a letter of the 12-pixel type, about."""


@dataclass(frozen=True)
class Bar:
    """A value with its interval. strong: drawn in the accent colour."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    strong: bool = False


@dataclass(frozen=True)
class Line:
    """A curve. points: (x, y), in order."""

    name: str
    points: Sequence[tuple[float, float]]


def intervals_plot(label: str, bars: Sequence[Bar], *, axis: str) -> str:
    """A name and a value, and below them a dot with its interval as a line, on a shared axis."""
    width, height = 340.0, ROW * len(bars) + 40
    top = _ceiling(max(bar.value if bar.high is None else bar.high for bar in bars))
    low = math.floor(10 * min([0.0, *(bar.value if bar.low is None else bar.low for bar in bars)])) / 10

    def place(value: float) -> float:
        return 10 + (value - low) / (top - low) * (width - 20)

    shapes = []
    for tick in _ticks(low, top):
        x = place(tick)
        shapes.append(f'<line class="grid" x1="{x:.1f}" y1="4" x2="{x:.1f}" y2="{height - 36}"/>')
        shapes.append(_text(x, height - 22, f"{tick:g}", "middle"))
    shapes.append(_text(width / 2, height - 5, axis, "middle"))
    for row, bar in enumerate(bars):
        y = ROW * row + 26
        style = "accent" if bar.strong else "mark"
        shapes.append(_text(4, y - 9, _short(bar.name), "start"))
        shapes.append(_text(width - 4, y - 9, f"{bar.value:.3f}", "end"))
        if bar.low is not None and bar.high is not None:
            ends = f'x1="{place(bar.low):.1f}" x2="{place(bar.high):.1f}"'
            shapes.append(f'<line class="{style}" {ends} y1="{y}" y2="{y}"/>')
        shapes.append(f'<circle class="{style}" cx="{place(bar.value):.1f}" cy="{y}" r="4.5"/>')
    words = "; ".join(f"{bar.name} {_spoken(bar)}" for bar in bars)
    return _svg(f"{label}: {words}", width, height, shapes)


def confusion_plot(label: str, names: Sequence[str], table: Sequence[Sequence[int]], *, shares: bool) -> str:
    """A square a pair of classes, darker where more of the true class went; counts, or shares of each row."""
    cell, left = 46.0, 14 + CHARACTER * max(len(name) for name in names)
    size = left + cell * len(names) + 8
    height = 34 + cell * len(names) + left
    shapes = [_text(left + cell * len(names) / 2, 12, "predicted", "middle")]
    for row, (name, counts) in enumerate(zip(names, table, strict=True)):
        y = 24 + cell * row
        shapes.append(_text(left - 6, y + cell / 2 + 4, name, "end"))
        for column, count in enumerate(counts):
            share = count / total if (total := sum(counts)) else 0.0
            x = left + cell * column
            shown = (f"{share:.2f}".lstrip("0") if share < 1 else "1") if shares else str(count)
            square = f'x="{x}" y="{y}" width="{cell - 2}" height="{cell - 2}" fill-opacity="{share:.3f}"'
            hint = f"{escape(name)} taken for {escape(names[column])}: {count}"
            shapes.append(f'<rect class="cell" {square}><title>{hint}</title></rect>')
            inside = ' class="on"' if share > 0.5 else ""
            shapes.append(
                f'<text{inside} x="{x + cell / 2 - 1}" y="{y + cell / 2 + 4}" text-anchor="middle">{shown}</text>'
            )
    for column, name in enumerate(names):
        x, y = left + cell * (column + 0.5), 30 + cell * len(names)
        shapes.append(f'<text transform="translate({x + 4} {y}) rotate(-60)" text-anchor="end">{escape(name)}</text>')
    right = [
        f"{name} {counts[row]} of {sum(counts)}" for row, (name, counts) in enumerate(zip(names, table, strict=True))
    ]
    return _svg(f"{label}, rows true, columns predicted; right: {', '.join(right)}", size, height, shapes)


def reliability_plot(label: str, bins: Sequence[tuple[float, float, int]]) -> str:
    """Accuracy over confidence, a dot a bin, larger for more utterances; on the diagonal it is calibrated."""
    size, pad = 240.0, 34.0
    inner = size - pad - 18

    def at(confidence: float, accuracy: float) -> tuple[float, float]:
        return pad + confidence * inner, 10 + (1 - accuracy) * inner

    shapes = []
    for tick in (0.0, 0.5, 1.0):
        x, y = at(tick, tick)
        shapes.append(f'<line class="grid" x1="{x:.1f}" y1="10" x2="{x:.1f}" y2="{10 + inner}"/>')
        shapes.append(f'<line class="grid" x1="{pad}" y1="{y:.1f}" x2="{pad + inner}" y2="{y:.1f}"/>')
        shapes.append(_text(x, inner + 24, f"{tick:g}", "middle"))
        shapes.append(_text(pad - 5, y + 4, f"{tick:g}", "end"))
    shapes.append(_text(pad + inner / 2, size - 4, "confidence", "middle"))
    (x1, y1), (x2, y2) = at(0, 0), at(1, 1)
    shapes.append(f'<line class="dash" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>')
    most = max((count for _, _, count in bins), default=1)
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(c, a) for c, a, _ in bins))
    shapes.append(f'<polyline class="accent" points="{path}"/>')
    for confidence, accuracy, count in bins:
        x, y = at(confidence, accuracy)
        radius = 2 + 5 * math.sqrt(count / most)
        shapes.append(
            f'<circle class="accent" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"><title>{count}</title></circle>'
        )
    words = "; ".join(f"confidence {c:.2f}, right {a:.2f} of {n}" for c, a, n in bins)
    return _svg(f"{label}: {words}", size, size, shapes)


def curves_plot(label: str, lines: Sequence[Line], *, axis: str, marks: Sequence[tuple[float, str]] = ()) -> str:
    """Curves over epochs, named at their ends, without what is not finite. marks: (x, name) where a stage begins."""
    width, height, left, bottom = 430.0, 210.0, 46.0, 34.0
    lines = [replace(line, points=[point for point in line.points if math.isfinite(point[1])]) for line in lines]
    lines = [line for line in lines if line.points]
    if not lines:
        return ""
    values = [y for line in lines for _, y in line.points]
    across = [x for line in lines for x, _ in line.points]
    low, high = min(values), max(values)
    if low == high:
        low, high = low - 0.5, high + 0.5
    first, last = min(across), max(max(across), min(across) + 1)
    right = 20 + CHARACTER * max(len(line.name) for line in lines)

    def at(x: float, y: float) -> tuple[float, float]:
        return (
            left + (x - first) / (last - first) * (width - left - right),
            18 + (high - y) / (high - low) * (height - bottom - 18),
        )

    shapes = []
    for tick in _ticks(low, high):
        _, y = at(first, tick)
        shapes.append(f'<line class="grid" x1="{left}" y1="{y:.1f}" x2="{width - right}" y2="{y:.1f}"/>')
        shapes.append(_text(left - 5, y + 4, f"{tick:g}", "end"))
    for x, name in marks:
        px, _ = at(x, low)
        shapes.append(f'<line class="dash" x1="{px:.1f}" y1="14" x2="{px:.1f}" y2="{height - bottom}"/>')
        shapes.append(_text(px + 3, 12, name, "start"))
    for tick in sorted({first, last}):
        shapes.append(_text(at(tick, low)[0], height - 18, f"{tick:g}", "middle"))
    shapes.append(_text((left + width - right) / 2, height - 4, f"epoch ({axis})", "middle"))
    ends: list[tuple[float, float, int, str]] = []
    for number, line in enumerate(lines):
        points = [at(x, y) for x, y in line.points]
        if points:
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
            shapes.append(f'<polyline class="line{number % 4}" points="{path}"/>')
            ends.append((points[-1][1], points[-1][0], number % 4, line.name))
    floor = height - bottom + 12
    for y, x, style, name in sorted(ends, reverse=True):  # from below, each name above the one before
        floor = min(y, floor - 13)
        shapes.append(f'<text class="line{style}" x="{x + 5:.1f}" y="{floor + 4:.1f}">{escape(name)}</text>')
    words = "; ".join(f"{line.name} from {line.points[0][1]:.3f} to {line.points[-1][1]:.3f}" for line in lines)
    return _svg(f"{label}: {words}", width, height, shapes)


def _svg(label: str, width: float, height: float, shapes: Sequence[str]) -> str:
    body = "".join(shapes)
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    return f'<svg role="img" aria-label="{escape(label)}" {size}>{body}</svg>'


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _short(name: str) -> str:
    return name if len(name) <= 40 else name[:19] + "…" + name[-20:]


def _spoken(bar: Bar) -> str:
    between = "" if bar.low is None or bar.high is None else f" ({bar.low:.3f} to {bar.high:.3f})"
    return f"{bar.value:.3f}{between}"


def _ceiling(value: float) -> float:
    return max(0.1, min(math.ceil(value * 10) / 10, 1.0) if value <= 1 else math.ceil(value))


def _ticks(low: float, high: float) -> list[float]:
    """Four to eight round numbers between two others."""
    step = 10 ** math.floor(math.log10((high - low) / 2))
    while (high - low) / step > 8:
        step *= 2 if (high - low) / step <= 16 else 2.5
    first = math.ceil(low / step - 1e-9)
    return [round(number * step, 10) for number in range(first, math.floor(high / step + 1e-9) + 1)]
