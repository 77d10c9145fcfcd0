"""What `sertk.score` gives: scores by system, as values, tables and JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sertk.reports.score_tables import classes_table, difference_table, groups_table, sized_systems_table
from sertk.scoring.as_json import score_as_dict
from sertk.scoring.balanced import balanced_draws
from sertk.scoring.compare import Comparison
from sertk.scoring.groups import Group
from sertk.scoring.remarks import remarks
from sertk.scoring.resample import RULE
from sertk.scoring.score import Score
from sertk.tables import Table


@dataclass(frozen=True)
class Scored:
    """Scores by system. groups: by system, where asked for. comparisons: each system less `other`, by system.

    up_to_date: the outputs, where all of them were; then nothing was scored.
    """

    splits: tuple[str, ...]
    labels: tuple[str, ...] = ()
    scores: Mapping[str, Score] = field(default_factory=dict)
    groups: Mapping[str, Sequence[Group]] = field(default_factory=dict)
    comparisons: Mapping[str, Comparison] = field(default_factory=dict)
    other: str = ""
    seed: int = 1
    fingerprint: str = ""
    up_to_date: tuple[Path, ...] = ()

    def tables(self) -> list[Table]:
        """The scores of all systems, then classes (of a single system), groups and differences."""
        tables = [sized_systems_table(self.scores, self.splits)]
        alone = next(iter(self.scores.values())) if len(self.scores) == 1 else None
        if alone is not None and alone.classes:
            tables.append(classes_table(alone, confusion=True))
        tables += [groups_table(name, groups) for name, groups in self.groups.items()]
        return tables + [difference_table(name, self.other, one) for name, one in self.comparisons.items()]

    def notes(self) -> list[str]:
        """How means are taken, what was left out, and what limits the figures."""
        notes = [RULE]
        for name, one in self.scores.items():
            for where, ids in one.missing.items():
                if ids:
                    first = ", ".join(ids[:3]) + ", ..." * (len(ids) > 3)
                    notes.append(f"{name}: {len(ids)} ids not {where}, left out: {first}")
            shown = remarks(one, by_class=len(self.scores) == 1)  # whose table has the classes
            notes += [f"{name}: {remark}" for remark in shown]
        return notes

    def as_dict(self) -> dict[str, Any]:
        """JSON values, as `sertk score --json` writes them."""
        systems: dict[str, Any] = {name: score_as_dict(one) for name, one in self.scores.items()}
        for name, one in self.scores.items():
            if one.consensus:
                systems[name]["balanced_draws"] = balanced_draws(one.confusion, seed=self.seed).as_dict()
            if name in self.groups:
                systems[name]["groups"] = [group.as_dict() for group in self.groups[name]]
            if name in self.comparisons:
                systems[name]["less"] = {"system": self.other, **self.comparisons[name].as_dict()}
        return {
            "split": [*self.splits],
            "labels": self.labels,
            "systems": systems,
            "fingerprint": self.fingerprint,
        }
