from __future__ import annotations

import runpy
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sertk.scoring.bootstrap import (
    Clusters,
    bootstrap_rows,
    clusters_of,
    effective_clusters,
    interval,
    p_value,
    resampled_totals,
    sums_by_cluster,
)
from sertk.scoring.metrics import macro_f1
from sertk.scoring.score import score
from sertk.scoring.sufficient_stats import confusion_rows
from sertk.scoring.truth import AlignedPredictions

COVERAGE = Path(__file__).parents[2] / "benchmarks" / "bootstrap_coverage.py"


def test_unknown_speakers_are_clusters_of_their_own() -> None:
    np.testing.assert_array_equal(clusters_of(("a", None, "b", "a", None)), [0, 1, 2, 0, 3])


def test_intervals_repeat_by_seed_and_differ_between_seeds(case: AlignedPredictions) -> None:
    first, again, other = (score(case, draws=200, seed=seed).metrics["macro_f1"] for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert first.value == other.value


def test_memory_chunks_do_not_change_the_draws(case: AlignedPredictions, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = resampled_totals(np.arange(12.0).reshape(6, 2), draws=50, seed=3)
    monkeypatch.setattr("sertk.scoring.bootstrap.CHUNK", 30)
    np.testing.assert_array_equal(resampled_totals(np.arange(12.0).reshape(6, 2), draws=50, seed=3), whole)


def test_speakers_are_drawn_whole() -> None:
    sums = np.diag([1.0, 10.0, 100.0])
    totals = resampled_totals(sums, draws=500, seed=0)
    times = totals / np.array([1, 10, 100])
    np.testing.assert_array_equal(times, times.round())
    np.testing.assert_array_equal(times.sum(axis=1), 3)
    np.testing.assert_allclose(times.mean(axis=0), 1, atol=0.15)


def test_the_fast_way_and_the_plain_way_give_the_same_interval(case: AlignedPredictions) -> None:
    clusters = clusters_of(case.truth.speakers)
    rows = confusion_rows(case.truth.consensus, case.predictions.predicted, 4)
    whole = rows.sum(axis=0)
    plain = bootstrap_rows(
        lambda chosen: float(macro_f1(rows[chosen].sum(axis=0), whole)), clusters, draws=2000, seed=5
    )
    sums = sums_by_cluster(rows, clusters)
    rests_on = Clusters.of(np.bincount(clusters).astype(float))
    drawn = macro_f1(resampled_totals(sums, draws=2000, seed=5), whole)
    fast = interval(float(macro_f1(whole, whole)), drawn, rests_on)
    assert plain == fast  # the same draws by the same seed


def test_the_interval_is_wider_where_few_speakers_say_most() -> None:
    drawn = np.random.default_rng(0).normal(0.5, 0.1, 4000)
    even = interval(0.5, drawn, Clusters.of(np.full(10, 50.0)))
    uneven = interval(0.5, drawn, Clusters.of(np.array([120.0] + [50.0] * 9)))
    many = interval(0.5, drawn, Clusters.of(np.full(5000, 1.0)))
    widths = [one.high - one.low for one in (many, even, uneven) if one.high is not None and one.low is not None]
    assert widths == sorted(widths)
    assert widths[0] == pytest.approx(2 * 1.96 * 0.1, rel=0.05)
    assert effective_clusters(np.full(10, 50.0)) == pytest.approx(10)


def test_the_p_value_agrees_with_the_interval() -> None:
    generator = np.random.default_rng(1)
    rests_on = Clusters.of(np.full(15, 20.0))
    for centre in np.linspace(-0.5, 0.5, 41):
        drawn = generator.normal(centre, 0.15, 2000)
        made, p = interval(centre, drawn, rests_on), p_value(drawn, rests_on)
        assert p is not None
        assert made.low is not None
        assert made.high is not None
        assert 0 < p <= 1
        if not 0.047 < p < 0.053:
            assert (p < 0.05) == (not made.low <= 0 <= made.high)


def test_identical_systems_differ_by_nothing() -> None:
    assert p_value(np.zeros(100), Clusters.of(np.full(5, 3.0))) == pytest.approx(1, abs=0.02)


def test_a_metric_undefined_in_some_draws_still_has_an_interval() -> None:
    drawn = np.concatenate([np.full(10, np.nan), np.linspace(0, 1, 91)])
    made = interval(0.5, drawn, Clusters.of(np.full(10, 1.0)))
    assert made.low is not None
    assert made.low < 0.05
    assert interval(0.5, np.full(10, np.nan), Clusters.of(np.full(10, 1.0))).low is None


def test_every_speaker_unknown_is_the_utterance_bootstrap(case: AlignedPredictions) -> None:
    free = replace(case, truth=replace(case.truth, speakers=(None,) * len(case)))
    result = score(free, draws=100)
    assert result.unknown_speakers == len(case)
    assert result.effective_clusters == pytest.approx(len(case))
    assert result.metrics["macro_f1"].low is not None


@pytest.mark.slow
def test_a_thousand_draws_on_32_000_utterances_take_less_than_a_second() -> None:
    generator = np.random.default_rng(0)
    truth, said = generator.integers(0, 8, (2, 32_000))
    clusters = generator.integers(0, 2_000, 32_000)
    seconds = []
    for _ in range(3):  # the best of three, in processor time: the machine may have other work
        begun = time.process_time()
        sums = sums_by_cluster(confusion_rows(truth, said, 8), clusters)
        drawn = macro_f1(resampled_totals(sums, draws=1000, seed=1), sums.sum(axis=0))
        seconds.append(time.process_time() - begun)
    assert min(seconds) < 1
    assert drawn.shape == (1000,)


@pytest.fixture(scope="module")
def benchmark() -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(COVERAGE.parent))
        return runpy.run_path(str(COVERAGE))


@pytest.mark.slow
@pytest.mark.parametrize("uneven", [0.0, 1.0])
def test_the_interval_covers_the_truth_where_the_naive_one_does_not(benchmark: dict[str, Any], uneven: float) -> None:
    world = benchmark["World"](speakers=40, uneven=uneven)
    found = benchmark["coverage"](world, data_sets=600, draws=600, seed=1)["macro_f1"]["coverage"]
    assert 0.92 <= found["speakers"] <= 0.98, found  # 93 to 97 with the noise of 600 data sets (.009)
    assert found["naive"] < 0.75, found


@pytest.mark.slow
def test_with_a_class_of_one_in_twenty_speakers_what_is_shown_covers_the_truth(benchmark: dict[str, Any]) -> None:
    found = benchmark["coverage"](benchmark["World"](speakers=20, rare=1), data_sets=600, draws=600, seed=1)
    assert 0.92 <= found["macro_f1"]["coverage"]["speakers"] <= 0.98, found["macro_f1"]
    assert found["macro_f1"]["shown"] == 1
    for name in ("uar", "balanced_macro_f1", "f1_of_last_class"):  # no resample tells how other speakers would be
        assert found[name]["coverage"]["speakers"] < 0.85, found[name]
        assert found[name]["shown"] == 0


@pytest.mark.slow
def test_four_speakers_are_too_few_for_an_interval(benchmark: dict[str, Any]) -> None:
    found = benchmark["coverage"](benchmark["World"](speakers=4), data_sets=600, draws=600, seed=1)["macro_f1"]
    assert found["coverage"]["speakers"] < 0.89, found
    assert found["shown"] == 0
