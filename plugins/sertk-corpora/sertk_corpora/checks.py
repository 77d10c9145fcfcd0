"""What readers of this plugin check alike: counts, folds and their splits."""

from __future__ import annotations

from pathlib import Path

from sertk.data.corpora.report import CorpusReport
from sertk.errors import DataError, Fault


def check_count(
    folder: Path, title: str, what: str, found: int, wanted: int | None, report: CorpusReport, *, allow_partial: bool
) -> None:
    """Compare a count with the published one. Raises DataError for another, unless a part is allowed."""
    if wanted is None or found == wanted:
        return
    message = f"{found:,} {what}, {title} has {wanted:,}"
    if not allow_partial:
        raise DataError(
            f"{folder}: {message}: complete the copy, or read what is there with --allow-partial{_listed(report)}"
        )
    report.add("count", [Fault(what, message)])


def check_fold(title: str, fold: int, folds: int) -> None:
    """Raise DataError for a fold that there is not."""
    if not 1 <= fold <= folds:
        raise DataError(f"{title} has folds 1 to {folds}, there is no fold {fold}")


def split_of(part: int, fold: int, folds: int) -> str:
    """The split of a part of a cross-validation: its fold is tested on, the next one of three or more held out."""
    if part == fold:
        return "test"
    return "held_out" if folds > 2 and part == fold % folds + 1 else "train"


def _listed(report: CorpusReport) -> str:
    """The first fault of each kind, for an error that comes before the report is written."""
    lines = [
        f"{kind} {len(faults):,}: {faults[0].place} {faults[0].message}" for kind, faults in report.faults.items()
    ]
    return "".join(f"\n  {line}" for line in lines)
