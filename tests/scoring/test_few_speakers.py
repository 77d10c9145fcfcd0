"""Figures that rest on few speakers, or on none known: what is shown in the place of an interval, and what is said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as reference

from sertk.data.manifest import Manifest
from sertk.ensemble.predictions import Predictions
from sertk.reports.gather import Part, Report, System
from sertk.reports.page import render
from sertk.reports.results import results_markdown
from sertk.scoring.as_json import score_as_dict
from sertk.scoring.bootstrap import bootstrap_rows, clusters_of
from sertk.scoring.compare import compare
from sertk.scoring.groups import groups
from sertk.scoring.resample import resampled
from sertk.scoring.score import Score, score
from sertk.scoring.sufficient_stats import sufficient_stats
from sertk.scoring.truth import AlignedPredictions, align, truth_of

SPEAKERS = tuple(f"s{number}" for number in range(20))


def with_speakers(case: AlignedPredictions, speakers: tuple[str | None, ...]) -> AlignedPredictions:
    """The case with its speakers replaced, in turn."""
    every = tuple(speakers[row % len(speakers)] for row in range(len(case)))
    return replace(case, truth=replace(case.truth, speakers=every))


def with_answers(case: AlignedPredictions, predicted: np.ndarray) -> AlignedPredictions:
    """The case of a system that is sure of these classes."""
    return replace(case, predictions=replace(case.predictions, emotion=np.eye(len(case.truth.labels))[predicted]))


@pytest.fixture
def rare(case: AlignedPredictions) -> AlignedPredictions:
    """Twenty speakers, whose Neutral occurs with the first alone; the system answers three in four rightly, and says
    Neutral of the first speaker's utterances only."""
    agreed = case.take(np.flatnonzero(case.truth.consensus >= 0))
    speakers = np.arange(len(agreed)) % 20
    true = np.where((speakers == 0) & (np.arange(len(agreed)) % 40 == 0), 3, agreed.truth.consensus % 3)
    generator = np.random.default_rng(3)
    wrong = generator.random(len(true)) < 0.25
    said = np.where(wrong & (true != 3), (true + 1) % 3, true)
    named = replace(agreed.truth, consensus=true, speakers=tuple(SPEAKERS[one] for one in speakers))
    return with_answers(replace(agreed, truth=named), said)


def plain_interval(
    case: AlignedPredictions, metric: Callable[[np.ndarray, np.ndarray], float], draws: int
) -> tuple[float, float]:
    """Quantiles of a metric of true and predicted classes, computed afresh on the rows of every resample."""
    true, said = case.truth.consensus, case.predictions.predicted
    found = bootstrap_rows(
        lambda rows: metric(true[rows], said[rows]), clusters_of(case.truth.speakers), draws=draws, seed=7
    )
    assert found.low is not None
    assert found.high is not None
    return found.low, found.high


def test_macro_f1_of_a_resample_is_scikit_learns_over_the_classes_of_the_whole(rare: AlignedPredictions) -> None:
    classes = range(4)
    one = score(rare, draws=400, seed=7).metrics["macro_f1"]
    low, high = plain_interval(
        rare,
        lambda true, said: reference.f1_score(true, said, labels=classes, average="macro", zero_division=0),
        draws=400,
    )
    assert (one.low, one.high) == (pytest.approx(low), pytest.approx(high))


@pytest.mark.parametrize("metric", ["macro_f1", "uar", "balanced_macro_f1"])
def test_no_resample_leaves_a_class_out_of_a_mean(rare: AlignedPredictions, metric: str) -> None:
    clusters = clusters_of(rare.truth.speakers)
    drawn = resampled(sufficient_stats(rare), clusters, draws=500, seed=1)[metric].drawn
    whole = sufficient_stats(rare).values()[metric]
    assert np.isfinite(drawn).all()
    assert np.mean(drawn < whole - 0.15) == pytest.approx(0.95**20, abs=0.06)  # the speaker is not drawn
    assert drawn.max() < whole + 0.1


def test_a_class_that_the_system_never_says_does_not_lift_the_interval(rare: AlignedPredictions) -> None:
    said = rare.predictions.predicted.copy()
    said[said == 3] = 0
    one = score(with_answers(rare, said), draws=1000).metrics["macro_f1"]
    assert one.low is not None
    assert one.high is not None
    assert one.low < one.value < one.high < one.value + 0.06  # was + .2: the mean of three classes in place of four


def test_a_class_of_one_speaker_has_no_interval_and_is_named(rare: AlignedPredictions) -> None:
    result = score(rare, draws=50)
    neutral = result.classes[3]
    assert (neutral.clusters, neutral.effective_clusters) == (1, 1.0)
    assert neutral.f1.low is neutral.f1.high is None
    assert result.classes[0].f1.low is not None
    assert result.metrics["uar"].low is result.metrics["balanced_macro_f1"].low is None
    assert result.metrics["macro_f1"].low is not None
    told = " ".join(score_as_dict(result)["remarks"])
    assert "no interval of the F1 of Neutral (1 speaker)" in told
    assert "no interval of UAR and balanced macro-F1, which depend on Neutral (1 speaker)" in told


def test_a_difference_in_recall_is_not_tested_on_one_speaker(rare: AlignedPredictions) -> None:
    other = with_answers(rare, (rare.predictions.predicted + (np.arange(len(rare)) % 5 == 0)) % 4)
    metrics = compare(rare, other, draws=50).metrics
    assert metrics["uar"].p_value is metrics["uar"].difference.low is None
    assert metrics["macro_f1"].p_value is not None


def test_a_group_is_judged_by_its_own_classes(rare: AlignedPredictions) -> None:
    genders = tuple(
        "Female" if name == "s0" else ("Male", "Male", "X")[row % 3] for row, name in enumerate(rare.truth.speakers)
    )
    rows = {one.name: one for one in groups(replace(rare, truth=replace(rare.truth, genders=genders)), draws=50)}
    assert rows["Male"].metrics["uar"].low is not None  # who says no Neutral
    assert rows["Female"].metrics["uar"].low is None


@pytest.mark.parametrize(("count", "given"), [(1, False), (2, False), (4, False), (5, True), (12, True)])
def test_below_five_effective_speakers_there_is_no_interval(
    case: AlignedPredictions, count: int, given: bool
) -> None:
    few = with_speakers(case.take(np.arange(0, 180)), SPEAKERS[:count])
    result = score(few, draws=50)
    assert result.effective_clusters == pytest.approx(count)
    assert (result.metrics["js_divergence"].low is not None) == given
    assert any(one.startswith("no intervals: ") for one in score_as_dict(result)["remarks"]) == (not given)
    if not given:
        assert all(one.low is one.high is None for one in result.metrics.values())
        assert all(one.f1.low is None for one in result.classes)


def test_five_speakers_of_whom_one_says_most_are_too_few(case: AlignedPredictions) -> None:
    speakers = tuple(SPEAKERS[0] if row % 10 else SPEAKERS[row // 10 % 5] for row in range(len(case)))
    result = score(replace(case, truth=replace(case.truth, speakers=speakers)), draws=50)
    assert result.speakers == 5
    assert result.effective_clusters < 2
    assert result.metrics["macro_f1"].low is None
    assert (
        "no intervals: 5 speakers, effectively 1.2 (an interval needs 5 effective speakers)"
        in score_as_dict(result)["remarks"]
    )


def test_where_no_speaker_is_known_every_output_says_that_utterances_are_resampled(
    corpus: Manifest, case: AlignedPredictions
) -> None:
    result = score(with_speakers(case, (None,)), draws=50)
    told = score_as_dict(result)
    assert told["interval"]["resampled"] == "utterances"
    assert "no speaker is known, so utterances are resampled one by one" in told["remarks"][0]
    for page in (markdown(result), html(corpus, result)):
        assert "over utterances" in page
        assert "utterances are resampled one by one" in page
        assert "over speakers" not in page
        assert "0 speakers" not in page
    assert compare(with_speakers(case, (None,)), with_speakers(case, (None,)), draws=20).resampled == "utterances"


def test_speakers_that_are_known_in_part_are_counted(case: AlignedPredictions) -> None:
    result = score(with_speakers(case, (*SPEAKERS[:9], None)), draws=50)
    assert result.resampled == f"speakers and {result.unknown_speakers} utterances of unknown speakers"
    assert (
        f"{result.unknown_speakers} of {len(case)} utterances have no known speaker"
        in score_as_dict(result)["remarks"][0]
    )


def test_pages_say_why_there_are_no_intervals(corpus: Manifest, case: AlignedPredictions) -> None:
    result = score(with_speakers(case, SPEAKERS[:2]), draws=50)
    sentence = "o intervals: 2 speakers, effectively 2 (an interval needs 5 effective speakers)."
    for page in (markdown(result), html(corpus, result)):
        assert sentence in page
        assert "95%" not in page
        assert "[" not in page.partition("effectively 2")[2].partition("How it was made")[0]
    assert f"| system | {result.metrics['macro_f1'].value:.3f} |" in markdown(result)


def test_pages_say_which_classes_are_averaged_over(corpus: Manifest, case: AlignedPredictions) -> None:
    result = score(case, draws=50)
    sentence = "eans over classes use the same classes in every resample; a class that a resample lacks counts as 0"
    for page in (markdown(result), html(corpus, result)):
        assert sentence in page
    assert score_as_dict(result)["interval"]["classes"].startswith("means over classes")


def test_an_attribute_of_few_speakers_has_no_interval(
    corpus: Manifest, make_system: Callable[..., Predictions]
) -> None:
    rated = [
        one if one.speaker in ("s1", "s2", "s3") else replace(one, attributes={"arousal": one.attributes["arousal"]})
        for one in corpus
    ]
    sparse = corpus.with_utterances(rated)
    result = score(align(truth_of(sparse, sparse.split("test")), make_system(corpus, split="test")), draws=50)
    assert result.metrics["ccc:valence"].low is None
    assert result.metrics["ccc:arousal"].low is not None
    assert (
        "no interval of ccc:valence: too few speakers have it (an interval needs 5 effective speakers)"
        in (score_as_dict(result)["remarks"])
    )


def markdown(result: Score) -> str:
    return results_markdown(
        {"system": result}, corpus="made up", splits=["test"], note="", command="c", fingerprint="0" * 64
    )


def html(corpus: Manifest, result: Score) -> str:
    part = Part("test", (System("system", result),), "system", (), (), ())
    return render(Report("made up", corpus, "0" * 64, (part,), ()))
