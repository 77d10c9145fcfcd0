from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy as scipy_entropy
from sklearn import metrics as reference

from sertk.data.manifest import Manifest
from sertk.ensemble.predictions import Predictions
from sertk.errors import DataError
from sertk.reports.results import results_markdown
from sertk.scoring.as_json import score_as_dict
from sertk.scoring.metrics import ccc
from sertk.scoring.score import Score, score
from sertk.scoring.sufficient_stats import attribute_rows, terciles
from sertk.scoring.truth import AlignedPredictions, align, truth_of


def test_class_metrics_are_those_of_scikit_learn(case: AlignedPredictions) -> None:
    result = score(case, draws=20)
    agreed = case.truth.consensus >= 0
    true, said = case.truth.consensus[agreed], case.predictions.predicted[agreed]
    chances = case.predictions.emotion[agreed]
    wanted = {
        "macro_f1": reference.f1_score(true, said, average="macro"),
        "micro_f1": reference.f1_score(true, said, average="micro"),
        "uar": reference.balanced_accuracy_score(true, said),
        "accuracy": reference.accuracy_score(true, said),
        "log_loss": reference.log_loss(true, chances / chances.sum(axis=1, keepdims=True)),
        "brier": np.square(chances - np.eye(4)[true]).sum(axis=1).mean(),
    }
    for name, value in wanted.items():
        assert result.metrics[name].value == pytest.approx(value, abs=1e-12), name
    per_class = reference.f1_score(true, said, average=None)
    np.testing.assert_allclose([one.f1.value for one in result.classes], per_class)
    np.testing.assert_array_equal(result.confusion, reference.confusion_matrix(true, said))
    assert result.consensus == agreed.sum() < result.utterances == len(case)


def test_vote_metrics_are_those_of_scipy(case: AlignedPredictions) -> None:
    result = score(case, draws=20)
    votes, said = case.truth.votes, case.predictions.emotion
    assert result.metrics["js_divergence"].value == pytest.approx(
        np.mean(jensenshannon(votes, said, base=2, axis=1) ** 2)
    )
    assert result.metrics["kl_divergence"].value == pytest.approx(np.mean(scipy_entropy(votes, said, axis=1)))
    assert result.voted == len(case)


def test_predicting_the_votes_is_perfect_against_the_votes(case: AlignedPredictions) -> None:
    result = score(replace(case, predictions=replace(case.predictions, emotion=case.truth.votes)), draws=20)
    assert result.metrics["soft_f1"].value == pytest.approx(1)
    assert result.metrics["js_divergence"].value == pytest.approx(0, abs=1e-12)
    assert result.metrics["kl_divergence"].value == pytest.approx(0, abs=1e-12)
    assert result.metrics["macro_f1"].value == 1


def test_expected_calibration_error_is_the_mean_gap_over_bins(case: AlignedPredictions) -> None:
    result = score(case, draws=20)
    gaps = [one.count * abs(one.confidence - one.accuracy) for one in result.reliability]
    assert sum(one.count for one in result.reliability) == result.consensus
    assert result.metrics["ece"].value == pytest.approx(sum(gaps) / result.consensus)
    assert all(one.low - 1e-9 <= one.confidence <= one.high + 1e-9 for one in result.reliability)


def test_certain_and_right_is_perfectly_calibrated(case: AlignedPredictions) -> None:
    sure = np.eye(4)[np.maximum(case.truth.consensus, 0)]
    result = score(replace(case, predictions=replace(case.predictions, emotion=sure)), draws=20)
    for name in ("ece", "brier", "log_loss"):
        assert result.metrics[name].value == pytest.approx(0, abs=1e-12), name


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        ([1, 2, 3], [1, 2, 3], 1.0),
        ([1, 2, 3], [3, 2, 1], -1.0),
        ([1, 2, 3], [2, 3, 4], 4 / 7),  # 2 * 2/3 / (2/3 + 2/3 + 1)
        ([1, 2, 3, np.nan, 5], [1, 2, 3, 9, np.nan], 1.0),
        ([1, 2, 3], [2, 2, 2], 0.0),
        ([2, 2], [2, 2], np.nan),
        ([np.nan], [1], np.nan),
    ],
)
def test_ccc_of_known_values(x: list[float], y: list[float], expected: float) -> None:
    value = ccc(attribute_rows(np.array(x, float), np.array(y, float)).sum(axis=0))
    assert float(value) == pytest.approx(expected, nan_ok=True)


def test_ccc_far_from_zero_keeps_its_digits() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(0, 1, 500)
    y = x + generator.normal(0, 1, 500)
    near, far = (float(ccc(attribute_rows(x + by, y + by).sum(axis=0))) for by in (0.0, 1e6))
    assert far == pytest.approx(near, abs=1e-6)


def test_macro_f1_averages_over_classes_true_or_predicted_and_says_which(
    corpus: Manifest, case: AlignedPredictions
) -> None:
    truth = case.truth
    rows = np.flatnonzero((truth.consensus == 0) | (truth.consensus == 1))
    narrow = case.take(rows)
    sure = np.tile([0.1, 0.7, 0.2, 0.0], (len(rows), 1))
    sure[0] = [0.1, 0.2, 0.7, 0.0]
    result = score(replace(narrow, predictions=replace(narrow.predictions, emotion=sure)), draws=20)
    assert result.averaged_over == ("Angry", "Sad", "Happy")
    said = sure.argmax(axis=1)
    assert result.metrics["macro_f1"].value == pytest.approx(
        reference.f1_score(narrow.truth.consensus, said, average="macro")
    )
    absent = result.classes[3]
    assert (absent.support, absent.predicted) == (0, 0)
    assert np.isnan(absent.f1.value)


def test_entropy_strata_part_the_consensus_utterances(case: AlignedPredictions) -> None:
    result = score(case, draws=20)
    assert {name for name in result.metrics if "entropy" in name} == {
        f"macro_f1:{name}_entropy" for name in ("low", "mid", "high")
    }
    np.testing.assert_array_equal(terciles(np.array([3.0, 1, 2, np.nan, 1])), [2, 0, 1, -1, 0])


def test_the_order_of_classes_does_not_change_a_score(corpus: Manifest, case: AlignedPredictions) -> None:
    order = [2, 0, 3, 1]
    labels = replace(corpus.labels, names=tuple(corpus.labels.names[i] for i in order))
    said = case.predictions
    turned = Predictions(
        said.ids[::-1], labels, said.emotion[::-1][:, order], said.attributes[::-1], said.attribute_names
    )
    again = score(align(case.truth, turned), draws=20)
    assert again == score(case, draws=20)


def test_one_class_scores_without_a_warning(case: AlignedPredictions) -> None:
    one = case.take(np.flatnonzero(case.truth.consensus == 2))
    sure = np.tile([0.0, 0.0, 1.0, 0.0], (len(one), 1))
    result = score(replace(one, predictions=replace(one.predictions, emotion=sure)), draws=20)
    assert result.metrics["macro_f1"].value == 1
    assert result.averaged_over == ("Happy",)


def test_one_speaker_gives_values_without_intervals(case: AlignedPredictions) -> None:
    alone = replace(case, truth=replace(case.truth, speakers=("x",) * len(case)))
    result = score(alone, draws=20)
    assert result.speakers == 1
    assert all(one.low is one.high is None for one in result.metrics.values())
    assert result.metrics["macro_f1"].value > 0


def test_missing_attributes_are_left_out_of_their_coefficient(case: AlignedPredictions) -> None:
    attributes = case.truth.attributes.copy()
    attributes[:, 1] = np.nan
    attributes[::2, 0] = np.nan
    result = score(replace(case, truth=replace(case.truth, attributes=attributes)), draws=20)
    assert "ccc:arousal" in result.metrics
    assert not {"ccc:valence", "mean_ccc"} & set(result.metrics)


def test_nothing_to_score_against_is_refused(case: AlignedPredictions) -> None:
    blank = replace(
        case.truth,
        consensus=np.full(len(case), -1),
        votes=np.full_like(case.truth.votes, np.nan),
        attributes=np.full_like(case.truth.attributes, np.nan),
    )
    with pytest.raises(DataError, match="none of these utterances has a consensus"):
        score(replace(case, truth=blank))


def test_votes_alone_can_be_scored(case: AlignedPredictions) -> None:
    result = score(replace(case, truth=replace(case.truth, consensus=np.full(len(case), -1))), draws=20)
    assert "js_divergence" in result.metrics
    assert "macro_f1" not in result.metrics
    assert result.classes == result.reliability == ()


def test_a_score_is_json_without_nan(case: AlignedPredictions, make_system: Callable[..., Predictions]) -> None:
    one = case.take(np.flatnonzero(case.truth.consensus == 2))
    text = json.dumps(score_as_dict(score(one, draws=20)), allow_nan=False)
    assert json.loads(text)["interval"]["draws"] == 20


def test_truth_without_a_prediction_is_listed(corpus: Manifest, make_system: Callable[..., Predictions]) -> None:
    said = make_system(corpus)
    case = align(truth_of(corpus, corpus.split("test")), said.subset(said.ids[:200]))
    result = score(case, draws=20)
    assert len(result.missing["in the scored splits"]) == sum(u.split != "test" for u in corpus.utterances[:200])
    assert len(result.missing["in the predictions"]) == sum(u.split == "test" for u in corpus.utterances[200:])


def test_results_say_how_many_utterances_a_system_left_out(
    corpus: Manifest, make_system: Callable[..., Predictions]
) -> None:
    said = make_system(corpus).subset([utterance.id for utterance in corpus.split("test")])
    truth = truth_of(corpus, corpus.split("test"))
    whole, part = (score(align(truth, one), draws=20) for one in (said, said.subset(said.ids[3:])))

    def page(**scores: Score) -> str:
        return results_markdown(scores, corpus="made up", splits=["test"], note="", command="c", fingerprint="0" * 64)

    line = "{}: utterances left out because only the manifest or only the file has them: 3.\n"
    assert line.format("part") in page(whole=whole, part=part)
    assert line.format("Every system") in page(one=part, other=part)
    assert "left out" not in page(whole=whole)
