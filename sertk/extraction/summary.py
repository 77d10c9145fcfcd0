"""What became of the stores of an extraction, in a line or two each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sertk.features.card import read_card
from sertk.features.extract import ExtractReport
from sertk.features.task import TargetReport
from sertk.progress import duration


def summary_lines(parts: Sequence[ExtractReport]) -> Iterator[str]:
    """The stores of one pass, over all the processes that shared it; `up to date  FOLDER` where nothing was done."""
    for targets in zip(*(part.targets for part in parts), strict=True):
        folder = targets[0].folder
        for difference in {t.renewed for t in targets} - {""}:
            yield f"{folder}  {difference}: extracted again"
        written, changed, kept = (sum(getattr(t, name) for t in targets) for name in ("written", "changed", "kept"))
        if written + changed == 0 and all(part.up_to_date for part in parts):
            yield f"up to date  {folder}"
            continue
        instead = f"  changed {changed}" if changed else ""
        yield f"{folder}  written {written}{instead}  kept {kept}{_remarks(targets)}"
    seconds, elapsed = sum(part.seconds for part in parts), max(part.elapsed for part in parts)
    if seconds:
        rate = seconds / max(elapsed, 1e-9)
        yield f"{duration(seconds)} of audio in {duration(elapsed)}: {rate:.1f} times real time"


def _remarks(targets: Sequence[TargetReport]) -> str:
    """What else became of a store, over all parts."""
    unchecked, failures = sum(t.unchecked for t in targets), sum(len(t.failed) for t in targets)
    halvings, again = sum(t.halvings for t in targets), [name for t in targets for name in t.repaired]
    error = read_card(targets[0].folder).error
    return "".join(
        [
            f" ({unchecked} of them unchecked: their recordings cannot be read)" if unchecked else "",
            f"  failed {failures}, see report.jsonl" if failures else "",
            f"  batch halved {halvings} times for memory" if halvings else "",
            f"  made again {', '.join(again)}" if again else "",
            f"  within {error:.1e} of float32" if error is not None else "",
        ]
    )
