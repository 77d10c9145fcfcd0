"""What was found out while a corpus was read: which files, how much of what, and all that is wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sertk.data.manifest import Utterance
from sertk.errors import Fault
from sertk.escapes import safe_json
from sertk.files import write_text
from sertk.tables import Table


@dataclass
class CorpusReport:
    """Filled while a corpus is read.

    files: what was read, relative to its folder. form: of the label files, and where labels come from.
    values_missing, ratings_missing: by attribute, rows of the consensus and of the raters without a readable value.
    own_words: primary votes for `Other`, most with free text. compared: how many consensus labels and attribute means
    could be drawn again from the raters, and how many came out the same. columns: of a table what each was read as,
    how many rows have it, and its first value. faults: by kind.
    """

    release: str | None = None
    made_up: bool = False
    form: str = ""
    files: list[str] = field(default_factory=list)
    consensus_rows: int = 0
    rater_rows: int = 0
    values_missing: dict[str, int] = field(default_factory=dict)
    ratings_missing: dict[str, int] = field(default_factory=dict)
    own_words: int = 0
    splits: dict[str, dict[str, float]] = field(default_factory=dict)
    columns: list[tuple[str, str, int, str]] = field(default_factory=list)
    compared: Counter[str] = field(default_factory=Counter)
    faults: dict[str, list[Fault]] = field(default_factory=dict)

    @property
    def consensus_agreement(self) -> float | None:
        """The share of consensus labels that the raters' primary votes give again."""
        return self._share("emotion", "utterances")

    @property
    def attribute_agreement(self) -> float | None:
        """The share of attribute values that are the mean of the raters'."""
        return self._share("attribute", "attributes")

    def add(self, kind: str, faults: Sequence[Fault]) -> None:
        """List faults of one kind."""
        if faults:
            self.faults.setdefault(kind, []).extend(faults)

    def add_ids(self, kind: str, ids: Iterable[str], message: str) -> None:
        """List the same fault of several utterances."""
        self.add(kind, [Fault(name, message) for name in ids])

    def count(self, utterances: Iterable[Utterance]) -> None:
        """Count utterances, known speakers and hours by split."""
        size: Counter[str] = Counter()
        seconds: Counter[str] = Counter()
        speakers: dict[str, set[str]] = {}
        for utterance in utterances:
            split = utterance.split or ""
            size[split] += 1
            seconds[split] += utterance.duration or 0.0  # type: ignore[assignment]
            speakers.setdefault(split, set()).update([utterance.speaker] if utterance.speaker else [])
        self.splits = {
            split: {"utterances": size[split], "speakers": len(speakers[split]), "hours": seconds[split] / 3600}
            for split in size
        }

    def table(self) -> Table:
        """The size of each split."""
        rows = [
            (name, round(part["utterances"]), round(part["speakers"]), f"{part['hours']:.2f}")
            for name, part in sorted(self.splits.items())
        ]
        return Table(("split", "utterances", "speakers", "hours"), rows)

    def columns_table(self) -> Table:
        """What each column was read as."""
        return Table(("column", "read as", "rows", "first"), self.columns, align="llrl")

    def lines(self) -> list[str]:
        """What was read, then how much of what, and how far the raters bear the consensus out."""
        of = "a part of release" if "count" in self.faults else "release"
        lines = [f"{of} {self.release}; {self.form}" if self.release else self.form]
        if self.rater_rows:
            missing = _missing(self.ratings_missing)
            lines.append(f"{self.rater_rows:,} raters' rows; {self.own_words:,} for Other{missing}")
        if self.values_missing:
            lines.append(f"{self.consensus_rows:,} rows of the consensus{_missing(self.values_missing)}")
        if self.consensus_agreement is not None:
            means = "" if self.attribute_agreement is None else f", their means in {self.attribute_agreement:.2%}"
            lines.append(f"the raters give the consensus again in {self.consensus_agreement:.2%}{means}")
        return lines

    def summary(self) -> dict[str, Any]:
        """All but the single faults, for JSON."""
        return {
            "release": self.release,
            "made_up": self.made_up,
            "form": self.form,
            "files": self.files,
            "consensus_rows": self.consensus_rows,
            "rater_rows": self.rater_rows,
            "values_missing": self.values_missing,
            "ratings_missing": self.ratings_missing,
            "own_words": self.own_words,
            "splits": self.splits,
            "columns": self.columns,
            "consensus_agreement": self.consensus_agreement,
            "attribute_agreement": self.attribute_agreement,
            "faults": {kind: len(faults) for kind, faults in self.faults.items()},
        }

    def write(self, path: Path) -> None:
        """Write JSON lines: the summary, then a fault a line."""
        write_faults(path, self.faults, self.summary())

    def _share(self, same: str, all_of: str) -> float | None:
        return self.compared[same] / self.compared[all_of] if self.compared[all_of] else None


def _missing(counts: Mapping[str, int]) -> str:
    return f"; without a value: {', '.join(f'{name} {count:,}' for name, count in counts.items())}" if counts else ""


def write_faults(path: Path, faults: Mapping[str, Sequence[Fault]], summary: Mapping[str, Any]) -> None:
    """Write a report as JSON lines: the summary, then a fault a line with its kind."""
    lines = [dict(summary)]
    for kind, listed in faults.items():
        lines += [{"kind": kind, "place": fault.place, "message": fault.message} for fault in listed]
    write_text(path, "".join(safe_json(line) + "\n" for line in lines))
