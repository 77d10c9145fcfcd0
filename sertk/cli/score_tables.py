"""The tables that `sertk score` prints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sertk.cli.output import say, table
from sertk.scoring.bootstrap import FEWEST, Interval
from sertk.scoring.compare import Comparison
from sertk.scoring.groups import Group
from sertk.scoring.names import metric_names
from sertk.scoring.remarks import remarks
from sertk.scoring.resample import ONE_BY_ONE, RULE
from sertk.scoring.score import Score

SHOWN = metric_names("balanced_macro_f1", "micro_f1")
"""The metrics of the table; `--json` and `--output` have all of them."""


def _number(one: Interval | None, *, signed: bool = False) -> str:
    if one is None or one.value != one.value:
        return "–"
    form = "+.3f" if signed else ".3f"
    bounds = "" if one.low is None or one.high is None else f" [{one.low:{form}}, {one.high:{form}}]"
    return f"{one.value:{form}}{bounds}"


def show_scores(scores: Mapping[str, Score], split: Sequence[str]) -> None:
    """One row per system, then what was left out."""
    shown = [name for name in SHOWN if any(name in one.metrics for one in scores.values())]
    rows = [
        (name, one.utterances, one.speakers or "unknown", *(_number(one.metrics.get(metric)) for metric in shown))
        for name, one in scores.items()
    ]
    columns = ("system", "utterances", "speakers", *(SHOWN[name] for name in shown))
    table(columns, rows, title=f"{', '.join(split)}, {_intervals(scores.values())}", right=columns[1:])
    say(RULE)
    for name, one in scores.items():
        for where, ids in one.missing.items():
            if ids:
                say(f"{name}: {len(ids)} ids not {where}, left out: {', '.join(ids[:3])}{', ...' * (len(ids) > 3)}")
        for remark in remarks(one, by_class=len(scores) == 1):  # whose classes are shown below
            say(f"{name}: {remark}")


def _intervals(scores: Iterable[Score]) -> str:
    """What the brackets are: intervals, and over what."""
    over = dict.fromkeys(one.resampled for one in scores if any(m.low is not None for m in one.metrics.values()))
    return f"with 95 % intervals over {', or '.join(over)}" if over else "without intervals"


def show_classes(one: Score) -> None:
    """Precision, recall and F1 by class beside the confusions."""
    if not one.classes:
        return
    say()
    clusters = "speakers" if one.speakers else ONE_BY_ONE
    columns = (
        "class",
        "precision",
        "recall",
        "F1",
        "support",
        clusters,
        "predicted",
        *(item.name for item in one.classes),
    )
    rows = [
        (
            item.name,
            _rate(item.precision),
            _rate(item.recall),
            _number(item.f1),
            item.support,
            item.clusters,
            item.predicted,
            *counts,
        )
        for item, counts in zip(one.classes, one.confusion, strict=True)
    ]
    table(columns, rows, title="by class; the last columns count what it was predicted as", right=columns[1:])


def show_groups(name: str, rows: Sequence[Group]) -> None:
    """One row per group."""
    say()
    shown = [metric for metric in SHOWN if any(metric in one.metrics for one in rows)]
    columns = ("by", "group", "utterances", "speakers", *(SHOWN[metric] for metric in shown))
    cells = [
        (
            one.by,
            one.name,
            one.utterances,
            one.speakers or "unknown",
            *(_number(one.metrics.get(metric)) for metric in shown),
        )
        for one in rows
    ]
    table(
        columns, cells, title=f"{name} by group; below {FEWEST:g} effective speakers no interval", right=columns[2:]
    )


def show_difference(name: str, other: str, comparison: Comparison) -> None:
    """One row per metric: both systems, the paired difference and its p-value."""
    say()
    rows = [
        (metric, f"{one.second:.3f}", f"{one.first:.3f}", _number(one.difference, signed=True), _p(one.p_value))
        for metric, one in comparison.metrics.items()
    ]
    columns = ("metric", name, other, "difference", "p")
    about = f"{comparison.utterances} utterances of {comparison.who}"
    title = f"{name} less {other}, paired over {comparison.resampled}, {about}"
    table(columns, rows, title=title, right=columns[1:])


def _rate(value: float) -> str:
    return "–" if value != value else f"{value:.3f}"


def _p(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"
