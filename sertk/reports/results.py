"""RESULTS.md: scores as a page of Markdown that says how they were made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sertk.reports.made_by import made_by
from sertk.reports.score_tables import chance_sentences, p_value, systems_table
from sertk.scoring.bootstrap import LEVEL
from sertk.scoring.compare import Comparison
from sertk.scoring.names import metric_names
from sertk.scoring.remarks import remarks
from sertk.scoring.resample import RULE
from sertk.scoring.score import Score
from sertk.tables import Table, to_markdown

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
        to_markdown(systems_table(scores, COLUMNS)),
        "",
    ]
    if first.classes:
        lines += [*chance_sentences(first), ""]
    lines += [*_remarks(scores), ""]
    if comparisons:
        lines += [f"## Differences from {other}, paired over {next(iter(comparisons.values())).resampled}", ""]
        rows = [
            [name, COLUMNS[metric], one.metrics[metric].difference.signed(), p_value(one.metrics[metric].p_value)]
            for name, one in comparisons.items()
            for metric in ("macro_f1", "uar")
            if metric in one.metrics
        ]
        lines += [to_markdown(Table(("system", "metric", "difference", "p"), rows)), ""]
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
