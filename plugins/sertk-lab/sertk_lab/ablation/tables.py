"""An ablation's tables as text: cells for the terminal, Markdown, CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from sertk.reports.results import COLUMNS
from sertk.scoring.bootstrap import LEVEL
from sertk.scoring.resample import RULE
from sertk_lab.ablation.statistics import METHOD, Row, Table

OF_FULL = "% of full"
OF_ABLATED = "% of ablated"


def columns(table: Table) -> list[str]:
    """The heads of `cells`."""
    heads = ["system", *(COLUMNS.get(name, name) for name in table.metrics)]
    heads += ["difference", OF_FULL, OF_ABLATED, "paper's direction"]
    if any(row.paper is not None for row in table.rows):
        heads += ["paper", "paper's difference"]
    if any(row.steps is not None for row in table.rows):
        heads += ["steps", "parameters"]
    return heads


def cells(table: Table) -> list[list[str]]:
    """The table as text, row by row."""
    heads = columns(table)
    rows = []
    for row in table.rows:
        line = [row.name, *(_mean(row, name) for name in table.metrics)]
        line += [_difference(row), _signed(row.of_full, 1), _signed(row.of_ablated, 1), row.seen]
        if "paper" in heads:
            line += ["" if row.paper is None else f"{row.paper:.3f}", _signed(row.paper_difference, 3)]
        if "steps" in heads:
            line += ["" if value is None else f"{value:,}" for value in (row.steps, row.parameters)]
        rows.append(line)
    return rows


def legend(table: Table) -> list[str]:
    """What the columns mean and how the numbers were made, a sentence a line."""
    first, metric = table.rows[0], COLUMNS.get(table.metrics[0], table.metrics[0])
    seeds = (
        "one seed, so that intervals are of these models and not of the method"
        if first.seeds == 1
        else f"{first.seeds} seeds, mean ± standard deviation over them"
    )
    return [
        f"{table.utterances} utterances of {table.speakers}; {seeds}.",
        f"difference: to {first.name} in {metric}, with its {LEVEL:.0%} interval "
        f"({METHOD.format(resampled=table.speakers.resampled)}, {table.draws} draws, seed {table.seed}).",
        f"{RULE[0].upper()}{RULE[1:]}.",
        f"{OF_FULL}: the difference divided by the score of {first.name}; {OF_ABLATED}: divided by the ablated "
        f"score, as the paper's tables have it.",
        *table.notes,
    ]


def markdown(tables: Sequence[Table], *, head: str, made: Sequence[str]) -> str:
    """All tables as a page. made: lines that say how."""
    lines = [f"# {head}", ""]
    for table in tables:
        heads = columns(table)
        body = [heads, ["---", *("---:" for _ in heads[1:])], *cells(table)]
        lines += [f"## {table.title}", ""]
        lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in body]
        lines += ["", *(f"* {line}" for line in legend(table)), ""]
    return "\n".join([*lines, "## How it was made", "", *made, ""])


def comma_separated(tables: Sequence[Table]) -> str:
    """All rows of all tables as CSV, unrounded."""
    metrics = list(dict.fromkeys(name for table in tables for name in table.metrics))
    heads = ["table", "system", "seeds", "models"]
    heads += [f"{name}_{what}" for name in metrics for what in ("mean", "deviation")]
    heads += ["difference", "low", "high", "percent_of_full", "percent_of_ablated", "seen"]
    heads += ["paper", "paper_difference", "steps", "parameters"]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(heads)
    for table in tables:
        for row in table.rows:
            scores = [part.get(name) for name in metrics for part in (row.means, row.deviations)]
            found = row.difference
            bounds = [None, None, None] if found is None else [found.value, found.low, found.high]
            words = [row.of_full, row.of_ablated, row.seen]
            rest = [row.paper, row.paper_difference, row.steps, row.parameters]
            values = [table.title, row.name, row.seeds, row.models, *scores, *bounds, *words, *rest]
            writer.writerow(["" if value is None else value for value in values])
    return out.getvalue()


def _mean(row: Row, metric: str) -> str:
    deviation = row.deviations[metric]
    return f"{row.means[metric]:.3f}" + ("" if deviation is None else f" ± {deviation:.3f}")


def _difference(row: Row) -> str:
    found = row.difference
    if found is None:
        return ""
    bounds = "" if found.low is None or found.high is None else f" [{found.low:+.3f}, {found.high:+.3f}]"
    return f"{found.value:+.3f}{bounds}"


def _signed(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:+.{digits}f}"
