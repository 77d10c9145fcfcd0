"""Compare two systems on the same utterances: paired bootstrap of the difference over speakers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sertk.errors import DataError
from sertk.scoring.bootstrap import LEVEL, Interval, clusters_of, interval, p_value
from sertk.scoring.resample import METHOD, RULE, Speakers, resampled
from sertk.scoring.sufficient_stats import sufficient_stats
from sertk.scoring.truth import AlignedPredictions


@dataclass(frozen=True)
class Difference:
    """One metric of two systems. difference: second less first, with its interval. p_value: of no difference."""

    first: float
    second: float
    difference: Interval
    p_value: float | None
    higher_is_better: bool


@dataclass(frozen=True)
class Comparison:
    """Two systems on their common utterances, metric by metric. unknown_speakers: utterances without a speaker."""

    metrics: Mapping[str, Difference]
    utterances: int
    speakers: int
    unknown_speakers: int
    draws: int
    seed: int

    @property
    def who(self) -> Speakers:
        """The speakers of the common utterances."""
        return Speakers(self.speakers, self.unknown_speakers)

    @property
    def resampled(self) -> str:
        """What was resampled, the same for both systems."""
        return self.who.resampled

    def as_dict(self) -> dict[str, Any]:
        """JSON values, with how intervals and p-values were made."""
        made = {"method": f"paired {METHOD}", "resampled": self.resampled, "classes": RULE, "level": LEVEL}
        rows = {
            name: {
                "first": one.first,
                "second": one.second,
                **{"difference": one.difference.value, "low": one.difference.low, "high": one.difference.high},
                "p_value": one.p_value,
                "higher_is_better": one.higher_is_better,
            }
            for name, one in self.metrics.items()
        }
        return {
            "metrics": rows,
            "utterances": self.utterances,
            "speakers": self.speakers,
            "interval": made | {"draws": self.draws, "seed": self.seed},
        }


def compare(first: AlignedPredictions, second: AlignedPredictions, *, draws: int = 1000, seed: int = 1) -> Comparison:
    """Give the difference second less first of every metric both have, on the utterances both predicted.

    Both systems are scored on the same resampled speakers in each draw, so what is common to them cancels.
    The p-value is two-sided and inverts the interval: below 0.05 where the 95 % interval leaves out 0.
    Raises DataError when they share no utterance.
    """
    first, second = common(first, second)
    clusters = clusters_of(first.truth.speakers)
    one, other = sufficient_stats(first), sufficient_stats(second)
    drawn_one = resampled(one, clusters, draws=draws, seed=seed)
    drawn_other = resampled(other, clusters, draws=draws, seed=seed)  # the same seed, the same speakers
    values_one, values_other = one.values(), other.values()
    metrics: dict[str, Difference] = {}
    for name, measure in one.measures.items():
        if (
            name not in values_other
            or name.startswith("f1:")
            or not np.isfinite(values_other[name] - values_one[name])
        ):
            continue
        drawn, rests_on = drawn_other[name].drawn - drawn_one[name].drawn, drawn_one[name].clusters
        difference = interval(values_other[name] - values_one[name], drawn, rests_on)
        metrics[name] = Difference(
            values_one[name], values_other[name], difference, p_value(drawn, rests_on), measure.higher_is_better
        )
    who = Speakers.of(first.truth.speakers)
    return Comparison(metrics, len(first), who.known, who.unknown, draws, seed)


def common(first: AlignedPredictions, second: AlignedPredictions) -> tuple[AlignedPredictions, AlignedPredictions]:
    """Two cases cut down to the utterances of both, in one order. Raises DataError when there are none."""
    shared = set(first.truth.ids) & set(second.truth.ids)
    if not shared:
        raise DataError("the two systems have no utterance in common")
    row_of = {name: row for row, name in enumerate(first.truth.ids)}
    rows = np.array([row for name, row in row_of.items() if name in shared], dtype=np.int64)
    cut = first.take(rows)
    return cut, replace(cut, predictions=second.predictions.subset(cut.truth.ids))
