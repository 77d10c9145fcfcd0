"""A cross-corpus matrix as tables, and as a picture that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from sertk.scoring.bootstrap import LEVEL
from sertk.scoring.names import METRIC_NAMES
from sertk.tables import Table, to_csv, to_markdown
from sertk_lab.across.cells import METRICS, Cell

SQUARE, PAD = 118.0, 14.0
LETTER = 7.2


def matrix_table(cells: Sequence[Cell], metric: str) -> Table:
    """Rows are trained on, columns tested on."""
    names = list(dict.fromkeys(cell.trained_on for cell in cells))
    by_pair = {(cell.trained_on, cell.tested_on): cell for cell in cells}
    rows = [(row, *(by_pair[row, column].metrics[metric] for column in names)) for row in names]
    return Table((f"{METRIC_NAMES[metric]}, trained on", *names), rows)


def cells_table(cells: Sequence[Cell]) -> Table:
    """One row per cell, with all that it rests on."""
    columns = ["trained on", "tested on", "utterances", "speakers", "classes", "chance"]
    rows = []
    for cell in cells:
        row = [cell.trained_on, cell.tested_on, cell.utterances, cell.speakers, " ".join(cell.classes)]
        row.append(f"{cell.chance:.3f}")
        for metric in METRICS:
            found = cell.metrics[metric]
            row += ["" if value is None else f"{value:.4f}" for value in (found.value, found.low, found.high)]
        rows.append(row)
    for metric in METRICS:
        columns += [metric, f"{metric} low", f"{metric} high"]
    return Table(columns, rows)


def markdown(cells: Sequence[Cell], *, title: str, notes: Sequence[str], made: Sequence[str]) -> str:
    """A page with a matrix per metric, and what each rests on."""
    lines = [
        f"# {title}",
        "",
        "Rows are trained on, columns tested on. Cells of one corpus are by cross-validation.",
        "",
    ]
    for metric in METRICS:
        lines += [to_markdown(matrix_table(cells, metric)), ""]
    lines += [
        f"In brackets {LEVEL:.0%} intervals over the tested speakers. Only classes that both corpora have count:",
        "",
        *(f"* {line}" for line in class_lines(cells)),
        *(f"* {note}" for note in notes),
        "",
        "![The matrix](crosscorpus.svg)",
        "",
        *made,
    ]
    return "\n".join(lines) + "\n"


def class_lines(cells: Sequence[Cell]) -> list[str]:
    """Which classes count in which cells, and what guessing gets there."""
    groups: dict[tuple[str, ...], list[Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.classes, []).append(cell)
    lines = []
    for classes, of in groups.items():
        where = "every cell" if len(groups) == 1 else ", ".join(f"{c.trained_on} on {c.tested_on}" for c in of)
        lines.append(f"{where}: {', '.join(classes)}; guessing has UAR {1 / len(classes):.3f}")
    return lines


def comma_separated(cells: Sequence[Cell]) -> str:
    """The cells as CSV."""
    return to_csv(cells_table(cells))


def picture(cells: Sequence[Cell], *, title: str) -> str:
    """The matrix as SVG: a square per cell and metric, darker the further it is above a guess."""
    names = list(dict.fromkeys(cell.trained_on for cell in cells))
    by_pair = {(cell.trained_on, cell.tested_on): cell for cell in cells}
    left = PAD + LETTER * max(len("trained on"), *(len(name) for name in names))
    wide = SQUARE * len(names)
    width, height = (left + wide + PAD) * len(METRICS), wide + 78
    shapes = []
    for number, metric in enumerate(METRICS):
        x0 = number * (left + wide + PAD)
        shapes.append(_text(x0 + left + wide / 2, 20, f"{METRIC_NAMES[metric]}, tested on", bold=True))
        for column, name in enumerate(names):
            shapes.append(_text(x0 + left + SQUARE * (column + 0.5), 44, name))
        for row, trained in enumerate(names):
            y = 54 + SQUARE * row
            shapes.append(_text(x0 + left - 8, y + SQUARE / 2 + 4, trained, anchor="end"))
            for column, tested in enumerate(names):
                shapes += _square(x0 + left + SQUARE * column, y, by_pair[trained, tested], metric)
    words = "; ".join(
        f"trained on {c.trained_on}, tested on {c.tested_on}: "
        + ", ".join(f"{METRIC_NAMES[m]} {c.metrics[m]}" for m in METRICS)
        for c in cells
    )
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="system-ui, sans-serif" font-size="13">'
        f"<title>{escape(title)}</title><desc>{escape(words)}</desc>"
        f'<rect width="100%" height="100%" fill="#fff"/>'
    )
    note = "rows: trained on; brackets: 95 % intervals over the tested speakers; framed: by cross-validation"
    return head + "".join(shapes) + _text(PAD, height - 8, note, anchor="start") + "</svg>\n"


def _square(x: float, y: float, cell: Cell, metric: str) -> list[str]:
    found = cell.metrics[metric]
    above = max(0.0, min(1.0, (found.value - cell.chance) / (1 - cell.chance)))
    ink = "#fff" if above > 0.55 else "#222"
    frame = ' stroke="#222" stroke-width="2"' if cell.within else ""
    size = SQUARE - 4
    shapes = [
        f'<rect x="{x + 1:.1f}" y="{y + 1:.1f}" width="{size}" height="{size}" fill="#1f5f8b" '
        f'fill-opacity="{0.08 + 0.85 * above:.3f}"{frame}/>',
        _text(x + size / 2, y + SQUARE / 2 - 4, f"{found.value:.3f}", ink=ink, bold=True),
    ]
    if found.low is not None and found.high is not None:
        shapes.append(_text(x + size / 2, y + SQUARE / 2 + 15, f"[{found.low:.3f}, {found.high:.3f}]", ink=ink))
    return shapes


def _text(x: float, y: float, words: str, *, anchor: str = "middle", ink: str = "#222", bold: bool = False) -> str:
    weight = ' font-weight="600"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{ink}"{weight}>{escape(words)}</text>'


def texts(cells: Sequence[Cell], *, title: str, notes: Sequence[str], made: Sequence[str]) -> Mapping[str, str]:
    """The files of a matrix, by name."""
    return {
        "crosscorpus.md": markdown(cells, title=title, notes=notes, made=made),
        "crosscorpus.csv": comma_separated(cells),
        "crosscorpus.svg": picture(cells, title=title),
    }
