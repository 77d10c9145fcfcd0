"""How often a 95 % interval of a mean over classes covers the truth when speakers differ.

Each data set is a fresh draw of speakers from a known population: their own mixture of classes, their own
confusions, their own number of utterances; in some worlds a few of them alone have the last class. The truth is the
metric over that whole population. An honest 95 % interval covers it in 93 to 97 of 100 data sets. `speakers` is the
kind that `sertk score` reports; the others are what it was chosen against. `shown` is the share of data sets in which
`sertk score` gives the interval: it gives none where too few speakers have a class.

    python benchmarks/bootstrap_coverage.py --output benchmarks/results/bootstrap_coverage.json
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from common.results import keep, machine
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, softmax, stdtrit

from sertk.scoring.bootstrap import FEWEST, Clusters, effective_clusters, expanded_percentile, resampled_totals
from sertk.scoring.metrics import (
    Metric,
    balanced,
    balanced_macro_f1,
    class_f1,
    class_recall,
    class_support,
    macro_f1,
    uar,
)
from sertk.scoring.sufficient_stats import TOO_FEW_OF_A_CLASS

Array = NDArray[np.float64]
Bounds = tuple[float, float]
PRIOR = np.array([0.55, 0.20, 0.15, 0.10])
"""A long tail of four classes."""
CLASSES = len(PRIOR)
LEANING = np.array([0.8, 0.0, 0.0, -0.2])
"""What the system says more often than others, in logits."""
POPULATION = 400_000


@dataclass(frozen=True)
class World:
    """A population of speakers.

    effect: standard deviation of their effects, in logits. uneven: that of log size. rare: how many of the speakers
    have the last class; None for all. skill: logits by which the right class is ahead. blind: the system never says
    the last class.
    """

    speakers: int
    effect: float = 0.8
    utterances: int = 60
    uneven: float = 0.0
    rare: int | None = None
    skill: float = 1.6
    blind: bool = False

    def draw(
        self, generator: np.random.Generator, count: int, has_last: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int64], Array]:
        """Sizes (S,) and the chance of each confusion (S, C * C) of speakers. has_last: who has the last class."""
        sizes = generator.lognormal(np.log(self.utterances) - self.uneven**2 / 2, self.uneven, count)
        mixture = generator.gamma(4.0, size=(count, CLASSES)) * PRIOR
        mixture[~has_last, -1] = 0
        logits = np.eye(CLASSES) * self.skill + LEANING
        logits = logits + generator.normal(0, self.effect, (count, 1, CLASSES))  # what the system hears in a voice
        logits = logits + generator.normal(0, self.effect / 2, (count, CLASSES, CLASSES))
        logits += np.eye(CLASSES) * generator.normal(0, self.effect, (count, 1, 1))  # how clearly somebody speaks
        if self.blind:
            logits[:, :, -1] = -np.inf
        chances = mixture[:, :, None] / mixture.sum(axis=1)[:, None, None] * softmax(logits, axis=-1)
        return np.maximum(5, sizes).astype(np.int64), chances.reshape(count, -1)

    def population(self) -> Array:
        """(C * C,) confusions of the whole population, in which `rare` of `speakers` have the last class."""
        generator = np.random.default_rng(99)
        share = 1.0 if self.rare is None else self.rare / self.speakers
        sizes, chances = self.draw(generator, POPULATION, generator.random(POPULATION) < share)
        return np.asarray(sizes @ chances)

    def data_set(self, generator: np.random.Generator) -> tuple[Array, Array]:
        """Confusions by speaker (S, C * C) and sizes (S,) of a sample in which the last class occurs."""
        has_last = np.ones(self.speakers, dtype=bool)
        while True:
            if self.rare is not None:
                has_last = generator.permutation(self.speakers) < self.rare
            sizes, chances = self.draw(generator, self.speakers, has_last)
            sums = generator.multinomial(sizes, chances).astype(np.float64)
            if class_support(sums)[:, -1].any():
                return sums, sizes.astype(np.float64)


def f1_of_last(sums: Array, whole: Array) -> Array:
    """F1 of the class that few may have; 0 where it is neither true nor said."""
    return np.nan_to_num(class_f1(sums)[..., -1])


METRICS: dict[str, tuple[Metric, Callable[[Array], Array]]] = {
    "macro_f1": (macro_f1, class_f1),
    "uar": (uar, class_recall),
    "balanced_macro_f1": (balanced_macro_f1, lambda sums: class_f1(balanced(sums))),
    "f1_of_last_class": (f1_of_last, lambda sums: class_f1(sums)[..., -1:]),
}
"""Each as `sertk score` has it, and the values of the classes that it is the mean of, NaN where there is none."""


def shown(sums: Array, clusters: Clusters) -> dict[str, bool]:
    """Whether `sertk score` gives an interval of each metric."""
    support = class_support(sums)  # (S, C)
    each = [effective_clusters(support[:, index]) for index in range(CLASSES)]
    averaged = clusters.enough and min(each) > TOO_FEW_OF_A_CLASS + 1e-9
    last = clusters.enough and each[-1] >= FEWEST
    return {"macro_f1": clusters.enough, "uar": averaged, "balanced_macro_f1": averaged, "f1_of_last_class": last}


def intervals(sums: Array, clusters: Clusters, *, draws: int, seed: int) -> dict[str, dict[str, Bounds]]:
    """Interval by metric and method, of one data set given as confusions by speaker, (S, C * C)."""
    whole, totals = sums.sum(axis=0), resampled_totals(sums, draws=draws, seed=seed)
    generator = np.random.default_rng(seed)
    singly = generator.multinomial(round(whole.sum()), whole / whole.sum(), draws).astype(np.float64)
    return {
        name: {"speakers": expanded_percentile(metric(totals, whole), clusters)}
        | others(by_class, sums, totals, singly, clusters, generator)
        for name, (metric, by_class) in METRICS.items()
    }


def others(
    by_class: Callable[[Array], Array],
    sums: Array,
    totals: Array,
    singly: Array,
    clusters: Clusters,
    generator: np.random.Generator,
) -> dict[str, Bounds]:
    """What the interval was chosen against. totals, singly: (draws, C * C) of resampled speakers, of utterances."""
    whole = sums.sum(axis=0)

    def value_of(confusions: Array) -> Array:
        return np.asarray(np.nan_to_num(by_class(confusions)).mean(axis=-1))

    value, drawn, each = float(value_of(whole)), value_of(totals), by_class(totals)
    lacking = np.isnan(each) | (class_support(totals) == 0)[:, -each.shape[1] :]  # (draws, C)
    left_out = value_of(whole - sums)  # each without one speaker
    factor, freedom = clusters.levels()
    reach = float(stdtrit(freedom, 0.975))
    jackknife = float(np.sqrt((clusters.count - 1) / clusters.count * np.square(left_out - left_out.mean()).sum()))
    deviation = float(drawn.std()) * factor
    some = np.isfinite(each).any(axis=1)
    kept = drawn[~lacking.any(axis=1)]
    return {
        "naive": _quantiles(value_of(singly)),
        "percentile": _quantiles(drawn),
        "bca": _quantiles(drawn, bca_levels(left_out, value, drawn)),
        "student": (value - reach * deviation, value + reach * deviation),
        "jackknife": (value - reach * jackknife, value + reach * jackknife),
        "classes_left_out": expanded_percentile(np.nanmean(each[some], axis=1), clusters),
        "resamples_left_out": expanded_percentile(kept, clusters) if len(kept) else (value, value),
        "smoothed": expanded_percentile(value_of(totals + 0.5), clusters),
        "unknown_uniform": expanded_percentile(
            np.where(lacking, generator.random(each.shape), np.nan_to_num(each)).mean(axis=1), clusters
        ),
    }


def bca_levels(left_out: Array, value: float, drawn: Array) -> Bounds:
    """Levels of the bias-corrected and accelerated interval (Efron 1987), with the jackknife over speakers."""
    away = left_out.mean() - left_out
    spread = (away**2).sum() ** 1.5
    acceleration = (away**3).sum() / (6 * spread) if spread > 0 else 0.0
    bias = ndtri(np.clip((drawn < value).mean(), 0.001, 0.999))
    reach = bias + np.array([-1.959964, 1.959964])
    low, high = ndtr(bias + reach / (1 - acceleration * reach))
    return float(low), float(high)


def coverage(world: World, *, data_sets: int, draws: int, seed: int) -> dict[str, Any]:
    """By metric: the truth, and of each method coverage and mean width.

    shown: the share of data sets in which `sertk score` gives the interval; covered_where_shown: among those.
    """
    whole, generator = world.population(), np.random.default_rng(seed)
    truth = {name: float(metric(whole, whole)) for name, (metric, _) in METRICS.items()}
    hits: dict[tuple[str, str], int] = {}
    widths: dict[tuple[str, str], float] = {}
    given, right = dict.fromkeys(METRICS, 0), dict.fromkeys(METRICS, 0)
    for number in range(data_sets):
        sums, sizes = world.data_set(generator)
        clusters = Clusters.of(sizes)
        is_given = shown(sums, clusters)
        for name, methods in intervals(sums, clusters, draws=draws, seed=number).items():
            for method, (low, high) in methods.items():
                key = name, method
                hits[key] = hits.get(key, 0) + (low <= truth[name] <= high)
                widths[key] = widths.get(key, 0.0) + high - low
            low, high = methods["speakers"]
            given[name] += is_given[name]
            right[name] += is_given[name] and low <= truth[name] <= high
    return {
        name: {
            "truth": truth[name],
            "shown": given[name] / data_sets,
            "covered_where_shown": right[name] / given[name] if given[name] else None,
            "coverage": {method: count / data_sets for (metric, method), count in hits.items() if metric == name},
            "width": {method: total / data_sets for (metric, method), total in widths.items() if metric == name},
        }
        for name in METRICS
    }


def worlds(speakers: list[int]) -> list[World]:
    """All that are measured: speakers alike and unlike, few speakers, and a class that few speakers have."""
    unlike = [(0.0, 0.0), (0.4, 0.5), (0.8, 0.0), (0.8, 0.5), (0.8, 1.0)]
    result = [World(count, effect=effect, uneven=uneven) for effect, uneven in unlike for count in speakers]
    result += [World(count, uneven=uneven) for uneven in (0.0, 0.5) for count in (2, 3, 4, 5, 6)]
    for skill in (1.6, 5.0):
        result += [World(20, effect=0.4, uneven=0.5, rare=1, skill=skill)]
        result += [World(20, uneven=uneven, rare=rare, skill=skill) for rare in (1, 2, 3, 5) for uneven in (0.0, 1.0)]
    return [*result, World(20, rare=1, blind=True)]


def main() -> None:
    """Print the table and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-sets", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--speakers", type=int, nargs="+", default=[10, 20, 40, 90])
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    print(f"coverage of 95 % intervals, {arguments.data_sets} data sets each")
    rows, begun = [], time.process_time()
    for world in worlds(arguments.speakers):
        by_metric = coverage(world, data_sets=arguments.data_sets, draws=arguments.draws, seed=arguments.seed)
        generator = np.random.default_rng(0)
        effective = float(np.mean([effective_clusters(world.data_set(generator)[1]) for _ in range(200)]))
        rows.append({**asdict(world), "effective_speakers": effective, "metrics": by_metric})
        print(_line(world, effective, by_metric), flush=True)
    result = {"arguments": vars(arguments), "machine": machine(), "cpu_seconds": time.process_time() - begun}
    keep(arguments.output, {**result, "rows": rows})


def _line(world: World, effective: float, by_metric: dict[str, Any]) -> str:
    last = "" if world.rare is None else f"  last class of {world.rare}" + ", never said" * world.blind
    methods = "  ".join(f"{method} {share:.3f}" for method, share in by_metric["macro_f1"]["coverage"].items())
    further = "  ".join(
        f"{name} {values['coverage']['speakers']:.3f} (shown {values['shown']:.0%})"
        for name, values in by_metric.items()
        if name != "macro_f1"
    )
    return (
        f"speakers {world.speakers:3} (effective {effective:5.1f})  effect {world.effect}  uneven {world.uneven}  "
        f"skill {world.skill}{last}\n    macro_f1 (shown {by_metric['macro_f1']['shown']:.0%}): {methods}\n"
        f"    {further}"
    )


def _quantiles(drawn: Array, levels: Bounds = (0.025, 0.975)) -> Bounds:
    low, high = np.quantile(drawn, levels)
    return float(low), float(high)


if __name__ == "__main__":
    main()
