"""Scores of groups of utterances: by gender, by speaker, by duration, by how far the raters agreed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sertk.scoring.bootstrap import Interval, clusters_of
from sertk.scoring.resample import intervals
from sertk.scoring.sufficient_stats import StatMetric, SufficientStats, sufficient_stats, terciles
from sertk.scoring.truth import AlignedPredictions

METRICS = ("macro_f1", "uar", "accuracy", "ece", "mean_ccc")
"""What a table by group shows, where the labels allow it."""


@dataclass(frozen=True)
class Group:
    """One row of a table by group. A group of one speaker has values without intervals."""

    by: str
    name: str
    utterances: int
    speakers: int
    metrics: dict[str, Interval]

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        metrics = {name: one.as_dict() for name, one in self.metrics.items()}
        return {**vars(self), "metrics": metrics}


def groups(aligned: AlignedPredictions, *, draws: int = 1000, seed: int = 1) -> tuple[Group, ...]:
    """Score every group of each of the tables that has an utterance with a consensus.

    duration: terciles in seconds. agreement: share of the votes for the most voted class: all, more than half, less.
    """
    made, truth = sufficient_stats(aligned), aligned.truth
    clusters = clusters_of(truth.speakers)
    agreed = truth.consensus >= 0
    rows: list[Group] = []
    for by, names in memberships(aligned).items():
        members: dict[str, list[int]] = {}
        for row in np.flatnonzero(agreed):
            if (name := names[row]) is not None:
                members.setdefault(name, []).append(int(row))
        for name in sorted(members, key=_order):
            chosen = np.array(members[name])
            _, inside = np.unique(clusters[chosen], return_inverse=True)
            scores = intervals(_part(made, chosen), inside, draws=draws, seed=seed)
            speakers = len({truth.speakers[row] for row in chosen} - {None})
            rows.append(Group(by, name, len(chosen), speakers, scores))
    return tuple(rows)


def memberships(aligned: AlignedPredictions) -> dict[str, tuple[str | None, ...]]:
    """For each table the (N,) names of the group of each utterance, None where it is not known."""
    truth = aligned.truth
    thirds = terciles(truth.seconds)
    named = {index: _seconds(truth.seconds[thirds == index]) for index in range(3) if (thirds == index).any()}
    votes = truth.votes.max(axis=1, initial=-np.inf)
    agreement = [None if np.isnan(top) else _agreement(float(top)) for top in votes]
    return {
        **({"corpus": truth.corpora} if truth.corpora else {}),
        "gender": truth.genders,
        "duration": tuple(named.get(int(third)) for third in thirds),
        "agreement": tuple(agreement),
        "speaker": truth.speakers,
    }


def _part(made: SufficientStats, chosen: NDArray[np.int64]) -> SufficientStats:
    """The statistics of some utterances, with only the metrics that the table shows."""
    measures: dict[str, StatMetric] = {name: made.measures[name] for name in METRICS if name in made.measures}
    needed = {measure.block for measure in measures.values()}
    return SufficientStats({name: made.blocks[name][chosen] for name in needed}, measures)


def _agreement(top: float) -> str:
    if top >= 1 - 1e-9:
        return "1 all raters"
    return "2 more than half" if top > 0.5 else "3 half or less"


def _seconds(values: NDArray[np.float64]) -> str:
    return f"{values.min():.2f} to {values.max():.2f} s"


def _order(name: str) -> tuple[float, str]:
    try:
        return float(name.split()[0]), name
    except ValueError:
        return float("inf"), name
