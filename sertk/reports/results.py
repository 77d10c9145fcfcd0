"""RESULTS.md: scores as a page of Markdown that says how they were made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sertk.reports.made_by import made_by
from sertk.scoring.bootstrap import LEVEL, Interval
from sertk.scoring.compare import Comparison
from sertk.scoring.names import metric_names
from sertk.scoring.remarks import remarks
from sertk.scoring.resample import RULE
from sertk.scoring.score import Score

COLUMNS = metric_names("accuracy", "js_divergence", "brier")


def results_markdown(
    scores: Mapping[str, Score],
    *,
    corpus: str,
    splits: Sequence[str],
    note: str,
    command: str,
    fingerprint: str,
    other: str = "",
    comparisons: Mapping[str, Comparison] | None = None,
) -> str:
    """One row a system with intervals, the floor that chance gives, paired differences, command and commit."""
    first = next(iter(scores.values()))
    shown = [name for name in COLUMNS if any(name in one.metrics for one in scores.values())]
    effective = f" (effectively {first.effective_clusters:.0f})" if first.speakers else ""
    method = next((score.method for score in scores.values() if score.method), "")
    lines = [
        f"# Results: {corpus}, {', '.join(splits)}",
        "",
        *([note, ""] if note else []),
        f"{first.utterances} utterances, {first.consensus} with a consensus, of {first.who}{effective}.",
        *([f"In brackets {LEVEL:.0%} intervals ({method})."] if method else []),
        f"{RULE[0].upper()}{RULE[1:]}. In balanced macro-F1 every class has the same weight.",
        "",
        *_table(["system", *(COLUMNS[name] for name in shown)], [_row(name, scores[name], shown) for name in scores]),
        "",
    ]
    if first.classes:
        lines += [_floor(first), ""]
    lines += [*_remarks(scores), ""]
    if comparisons:
        lines += [f"## Differences from {other}, paired over {next(iter(comparisons.values())).resampled}", ""]
        rows = [
            [name, COLUMNS[metric], _signed(one.metrics[metric].difference), _p(one.metrics[metric].p_value)]
            for name, one in comparisons.items()
            for metric in ("macro_f1", "uar")
            if metric in one.metrics
        ]
        lines += [*_table(["system", "metric", "difference", "p"], rows), ""]
    left = {name: sum(map(len, one.missing.values())) for name, one in scores.items()}
    for count in sorted(set(left.values()) - {0}):
        names = [name for name, other in left.items() if other == count]
        who = "Every system" if len(names) == len(left) > 1 else ", ".join(names)
        lines += [f"{who}: utterances left out because only the manifest or only the file has them: {count}.", ""]
    lines += ["## How it was made", "", "In the folder of this file:", "", "```", command, "```", ""]
    lines += [f"{made_by()}; inputs and options {fingerprint[:16]}.", f"<!-- {fingerprint} -->"]
    return "\n".join(lines) + "\n"


def _remarks(scores: Mapping[str, Score]) -> list[str]:
    """What limits the figures, each once: with the systems that it is about where it is not about all."""
    of: dict[str, list[str]] = {}
    for name, one in scores.items():
        for remark in remarks(one, by_class=False):
            of.setdefault(remark, []).append(name)
    return [
        f"* {remark[0].upper()}{remark[1:]}." if len(names) == len(scores) else f"* {', '.join(names)}: {remark}."
        for remark, names in of.items()
    ]


def _row(name: str, one: Score, shown: Sequence[str]) -> list[str]:
    return [name, *(_cell(one.metrics.get(metric)) for metric in shown)]


def _floor(one: Score) -> str:
    """What the answer that listens to nothing gets."""
    most = max(one.classes, key=lambda item: item.support)
    share = most.support / one.consensus
    present = sum(item.support > 0 for item in one.classes)
    macro = 2 * share / (1 + share) / present
    return (
        f"Always answering {most.name}: macro-F1 {macro:.3f}, micro-F1 {share:.3f}, UAR {1 / present:.3f}, "
        f"balanced macro-F1 {2 / (present + 1) / present:.3f}."
    )


def _cell(one: Interval | None) -> str:
    if one is None or one.value != one.value:
        return "–"
    return f"{one.value:.3f}" + ("" if one.low is None or one.high is None else f" [{one.low:.3f}, {one.high:.3f}]")


def _signed(one: Interval) -> str:
    return f"{one.value:+.3f}" + (
        "" if one.low is None or one.high is None else f" [{one.low:+.3f}, {one.high:+.3f}]"
    )


def _p(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [header, ["---", *("---:" for _ in header[1:])], *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
