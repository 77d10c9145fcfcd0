"""What the verbs of `sertk data` write as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sertk.cli.output import say, table

if TYPE_CHECKING:
    from sertk.data.corpora.report import CorpusReport


def say_corpus(report: CorpusReport) -> None:
    """Say which release and files were found, how much of what, and how far the raters bear the consensus out."""
    of = "a part of release" if "count" in report.faults else "release"
    say(f"{of} {report.release}; {report.form}" if report.release else report.form)
    say(f"read  {', '.join(report.files)}")
    rows = [
        (name, f"{part['utterances']:,.0f}", f"{part['speakers']:,.0f}", f"{part['hours']:.2f}")
        for name, part in sorted(report.splits.items())
    ]
    table(("split", "utterances", "speakers", "hours"), rows, right=("utterances", "speakers", "hours"))
    if report.rater_rows:
        missing = _missing(report.ratings_missing)
        say(f"{report.rater_rows:,} raters' rows; {report.own_words:,} for Other{missing}")
    if report.values_missing:
        say(f"{report.consensus_rows:,} rows of the consensus{_missing(report.values_missing)}")
    if report.consensus_agreement is not None:
        means = "" if report.attribute_agreement is None else f", their means in {report.attribute_agreement:.2%}"
        say(f"the raters give the consensus again in {report.consensus_agreement:.2%}{means}")


def _missing(counts: dict[str, int]) -> str:
    return f"; without a value: {', '.join(f'{name} {count:,}' for name, count in counts.items())}" if counts else ""


def say_splits(splits: dict[str, Any]) -> None:
    """Two tables by split: sizes, and classes by consensus with their shares of the labelled."""
    sizes = ("utterances", "speakers", "hours", "shortest s", "median s", "longest s")
    rows = []
    for name, part in splits.items():
        seconds = [part["seconds"].get(key) for key in ("min", "median", "max")]
        rows.append((name, *map(_cell, (part["utterances"], part["speakers"], part["hours"], *seconds))))
    table(("split", *sizes), rows, right=sizes)
    say()
    classes = list(next(iter(splits.values()))["classes"]) if splits else []
    by_class = [(name, *(_share(part["classes"], name) for part in splits.values())) for name in classes]
    table(("class", *splits), by_class, right=list(splits))


def say_audit(report: dict[str, Any]) -> None:
    """The tables by split, the agreement of the raters, and what may be wrong."""
    from sertk.reports.audit_page import findings

    say_splits(report["splits"])
    say()
    names = list(report["agreement"]["attribute_alpha"])
    columns = ("rated", "votes each", "alpha", "entropy bits", *(f"alpha {name}" for name in names))
    parts = {"all": report["agreement"], **{name: part["agreement"] for name, part in report["splits"].items()}}
    keys = ("utterances", "votes_each", "alpha", "entropy_bits")
    rows = [
        (name, *(_cell(part[key]) for key in keys), *(_cell(part["attribute_alpha"][a]) for a in names))
        for name, part in parts.items()
    ]
    table(("agreement", *columns), rows, right=columns)
    say()
    for what, count, cases in findings(report):
        shown = "; ".join(cases[:3]) + ("; ..." if len(cases) > 3 else "")
        say(f"{count:,} {what}{f': {shown}' if count else ''}", style="red" if count else None)
    if report["recordings"] is None:
        say("the recordings were not read")


def _share(classes: dict[str, int], name: str) -> str:
    total = sum(classes.values())
    return f"{classes[name]:,} ({classes[name] / total:.1%})" if total else "-"


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.3f}"
