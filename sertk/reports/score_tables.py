"""Scores as tables, for the terminal, RESULTS.md and the report alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sertk.scoring.bootstrap import FEWEST
from sertk.scoring.chance import chance
from sertk.scoring.compare import Comparison
from sertk.scoring.groups import Group
from sertk.scoring.names import metric_names
from sertk.scoring.resample import ONE_BY_ONE
from sertk.scoring.score import Score
from sertk.tables import Table

ON_TERMINAL = metric_names("balanced_macro_f1", "micro_f1")
"""The metrics that a terminal shows; JSON has all of them."""


def systems_table(scores: Mapping[str, Score], metrics: Mapping[str, str], *, strong: str | None = None) -> Table:
    """One row per system. metrics: what to show, each with its heading. strong: the system to emphasise."""
    shown = [name for name in metrics if any(name in one.metrics for one in scores.values())]
    rows = [(name, *(one.metrics.get(metric) for metric in shown)) for name, one in scores.items()]
    number = None if strong is None else [*scores].index(strong)
    return Table(("system", *(metrics[name] for name in shown)), rows, strong=number)


def sized_systems_table(scores: Mapping[str, Score], splits: Sequence[str]) -> Table:
    """One row per system with its numbers of utterances and speakers, and the metrics of the terminal."""
    plain = systems_table(scores, ON_TERMINAL)
    rows = [
        (row[0], one.utterances, one.speakers or "unknown", *row[1:])
        for row, one in zip(plain.rows, scores.values(), strict=True)
    ]
    columns = (plain.columns[0], "utterances", "speakers", *plain.columns[1:])
    return Table(columns, rows, title=f"{', '.join(splits)}, {_intervals(scores.values())}")


def classes_table(one: Score, *, confusion: bool = False) -> Table:
    """Precision, recall and F1 by class. confusion: also columns with what the class was predicted as."""
    clusters = "speakers" if one.speakers else ONE_BY_ONE
    columns = ["class", "precision", "recall", "F1", "support", clusters, "predicted"]
    rows = [
        [item.name, item.precision, item.recall, item.f1, item.support, item.clusters, item.predicted]
        for item in one.classes
    ]
    if not confusion:
        return Table(columns, rows)
    rows = [[*row, *map(int, counts)] for row, counts in zip(rows, one.confusion, strict=True)]
    title = "by class; the last columns count what it was predicted as"
    return Table([*columns, *(item.name for item in one.classes)], rows, title)


def groups_table(name: str, groups: Sequence[Group]) -> Table:
    """One row per group of utterances of one system."""
    shown = [metric for metric in ON_TERMINAL if any(metric in one.metrics for one in groups)]
    columns = ("by", "group", "utterances", "speakers", *(ON_TERMINAL[metric] for metric in shown))
    rows = [
        (
            *(one.by, one.name, one.utterances, one.speakers or "unknown"),
            *(one.metrics.get(metric) for metric in shown),
        )
        for one in groups
    ]
    return Table(columns, rows, f"{name} by group; below {FEWEST:g} effective speakers no interval", align="llr")


def difference_table(name: str, other: str, comparison: Comparison) -> Table:
    """One row per metric: both systems, the paired difference and its p-value."""
    rows = [
        (metric, one.second, one.first, one.difference.signed(), p_value(one.p_value))
        for metric, one in comparison.metrics.items()
    ]
    about = f"{comparison.utterances} utterances of {comparison.who}"
    title = f"{name} less {other}, paired over {comparison.resampled}, {about}"
    return Table(("metric", name, other, "difference", "p"), rows, title)


def chance_sentences(one: Score) -> list[str]:
    """What a system gets that listens to nothing, on the utterances that another was scored on."""
    if not one.classes:
        return []
    return chance([item.name for item in one.classes], [item.support for item in one.classes]).sentences()


def p_value(value: float | None) -> str | None:
    """A p-value with three digits; `< 0.001` for a smaller one."""
    return "< 0.001" if value is not None and value < 0.001 else None if value is None else f"{value:.3f}"


def _intervals(scores: Iterable[Score]) -> str:
    """What the brackets are: intervals, and over what."""
    over = dict.fromkeys(one.resampled for one in scores if any(m.low is not None for m in one.metrics.values()))
    return f"with 95 % intervals over {', or '.join(over)}" if over else "without intervals"
