"""What the difference of an arm to the full system is worth, over members, seeds and speakers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sertk.errors import DataError
from sertk.scoring.bootstrap import Clusters, Interval, clusters_of, interval
from sertk.scoring.resample import Speakers, resampled
from sertk.scoring.sufficient_stats import SufficientStats, sufficient_stats
from sertk.scoring.truth import AlignedPredictions
from sertk_lab.ablation.config import Expected

Array = NDArray[np.float64]
METHOD = "paired bootstrap over {resampled} and seeds"


@dataclass(frozen=True)
class Runs:
    """What one arm or system predicted. cases: for each seed those whose mean score is its score with that seed.

    expected: where the paper sees it beside the full system. paper: its score there. steps, parameters: of one model.
    """

    name: str
    cases: tuple[tuple[AlignedPredictions, ...], ...]
    expected: Expected = "lower"
    paper: float | None = None
    steps: int | None = None
    parameters: int | None = None


@dataclass(frozen=True)
class Row:
    """One line of the table. means, deviations: by metric; deviations over seeds, None for a single one.

    difference: to the full system in the first metric, None for that system itself. of_full: the loss in per cent of
    the full system's score; of_ablated: of the ablated one, as MEDUSA's tables have it. seen: in words.
    """

    name: str
    seeds: int
    models: int
    means: Mapping[str, float]
    deviations: Mapping[str, float | None]
    difference: Interval | None = None
    of_full: float | None = None
    of_ablated: float | None = None
    seen: str = ""
    paper: float | None = None
    paper_difference: float | None = None
    steps: int | None = None
    parameters: int | None = None


@dataclass(frozen=True)
class Table:
    """Rows, the full system first. metrics: the first is the one of the differences."""

    title: str
    metrics: tuple[str, ...]
    rows: tuple[Row, ...]
    utterances: int
    speakers: Speakers
    draws: int
    seed: int
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class _Drawn:
    """One metric of one arm: (S,) values and (S, draws) bootstrap values, and the speakers that it rests on."""

    values: Array
    drawn: Array
    clusters: Clusters


def table_of(
    title: str, full: Runs, others: Sequence[Runs], metrics: Sequence[str], *, draws: int = 1000, seed: int = 1
) -> Table:
    """Compare arms with the full system on the utterances that all of them predicted.

    In each draw speakers and seeds are drawn with replacement, the same ones for both systems, so that the interval
    is of what would come out with other speakers and other seeds. Raises DataError for a metric that these utterances
    do not give, arms of other seeds, or no common utterance.
    """
    runs = _common([full, *others])
    clusters = clusters_of(runs[0].cases[0][0].truth.speakers)
    count = len(full.cases)
    if any(len(one.cases) != count for one in runs):
        raise DataError(f"{title}: all arms need the same seeds, got {[len(one.cases) for one in runs]}")
    chosen = np.random.default_rng(seed).integers(0, count, size=(draws, count))  # seeds of each draw
    reference = _measure(runs[0], metrics, clusters, draws, seed)
    rows = [_row(runs[0], reference, metrics, None, full, chosen)]
    rows += [
        _row(one, _measure(one, metrics, clusters, draws, seed), metrics, reference, full, chosen) for one in runs[1:]
    ]
    truth = runs[0].cases[0][0].truth
    return Table(title, tuple(metrics), tuple(rows), len(truth), Speakers.of(truth.speakers), draws, seed)


def seen_in_words(expected: Expected, difference: Interval) -> str:
    """Whether the direction that the paper reports is seen here."""
    if difference.low is None or difference.high is None:
        return "not tested: too few speakers"
    if difference.low <= 0 <= difference.high:
        return "no difference seen: interval covers 0" if expected == "either" else "not seen here: interval covers 0"
    found = "lower" if difference.high < 0 else "higher"
    if expected == "either":
        return found
    return "seen" if found == expected else f"reversed: {found} here"


def _row(
    runs: Runs,
    found: Mapping[str, _Drawn],
    metrics: Sequence[str],
    reference: Mapping[str, _Drawn] | None,
    full: Runs,
    chosen: NDArray[np.int64],
) -> Row:
    means = {name: float(found[name].values.mean()) for name in metrics}
    count = len(runs.cases)
    row = {name: float(found[name].values.std(ddof=1)) if count > 1 else None for name in metrics}
    models = sum(len(cases) for cases in runs.cases)
    if reference is None:
        return Row(
            runs.name, count, models, means, row, paper=runs.paper, steps=runs.steps, parameters=runs.parameters
        )
    first = metrics[0]
    system, baseline = found[first], reference[first]
    value = float(system.values.mean() - baseline.values.mean())
    draws = np.arange(len(chosen))[:, None]
    drawn = (system.drawn - baseline.drawn).T[draws, chosen].mean(axis=1)  # (draws,)
    difference = interval(value, drawn, baseline.clusters)
    base, own = float(baseline.values.mean()), means[first]
    known = runs.paper is not None and full.paper is not None
    return Row(
        runs.name,
        count,
        models,
        means,
        row,
        difference=difference,
        of_full=100 * value / base if base else None,
        of_ablated=100 * value / own if own else None,
        seen=seen_in_words(runs.expected, difference),
        paper=runs.paper,
        paper_difference=runs.paper - full.paper if known and runs.paper and full.paper else None,
        steps=runs.steps,
        parameters=runs.parameters,
    )


def _measure(
    runs: Runs, metrics: Sequence[str], clusters: NDArray[np.int64], draws: int, seed: int
) -> dict[str, _Drawn]:
    """Each metric with each seed, the mean of its cases; every case on the same resampled speakers."""
    by_seed = [[_resampled(case, metrics, clusters, draws, seed) for case in cases] for cases in runs.cases]
    return {
        name: _Drawn(
            values=np.array([np.mean([one[name].values for one in cases]) for cases in by_seed]),
            drawn=np.stack([np.mean([one[name].drawn for one in cases], axis=0) for cases in by_seed]),
            clusters=by_seed[0][0][name].clusters,
        )
        for name in metrics
    }


def _resampled(
    case: AlignedPredictions, metrics: Sequence[str], clusters: NDArray[np.int64], draws: int, seed: int
) -> dict[str, _Drawn]:
    made = sufficient_stats(case)
    lacking = [name for name in metrics if name not in made.measures]
    if lacking:
        known = ", ".join(name for name in made.measures if not name.startswith("f1:"))
        raise DataError(f"there is no metric {', '.join(lacking)} of these utterances; they give {known}")
    measures = {name: made.measures[name] for name in metrics}
    kept = SufficientStats({measure.block: made.blocks[measure.block] for measure in measures.values()}, measures)
    values = kept.values()
    found = resampled(kept, clusters, draws=draws, seed=seed)
    return {name: _Drawn(np.array(values[name]), one.drawn, one.clusters) for name, one in found.items()}


def _common(runs: Sequence[Runs]) -> list[Runs]:
    """All cases cut to the utterances that every one has, in the order of the first."""
    cases = [case for one in runs for part in one.cases for case in part]
    shared = set(cases[0].truth.ids).intersection(*(case.truth.ids for case in cases[1:]))
    if not shared:
        raise DataError("no utterance was predicted by all")
    order = [id for id in cases[0].truth.ids if id in shared]

    def cut(case: AlignedPredictions) -> AlignedPredictions:
        row_of = {id: row for row, id in enumerate(case.truth.ids)}
        return case.take(np.array([row_of[id] for id in order], dtype=np.int64))

    return [
        Runs(
            one.name,
            tuple(tuple(cut(case) for case in part) for part in one.cases),
            one.expected,
            one.paper,
            one.steps,
            one.parameters,
        )
        for one in runs
    ]
