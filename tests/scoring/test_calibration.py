from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax

from sertk.data.labels import LabelSet
from sertk.ensemble.predictions import Predictions
from sertk.errors import DataError
from sertk.scoring.calibration import temperature_scaling, vector_scaling
from sertk.scoring.score import score
from sertk.scoring.truth import AlignedPredictions, Truth

LABELS = LabelSet(("a", "b", "c"))


def drawn(
    count: int, *, seed: int, scale: float = 1.0, bias: tuple[float, ...] = (0.0, 0.0, 0.0)
) -> AlignedPredictions:
    """Classes drawn from softmax(logits); the system says softmax((logits - bias) / scale)."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 1.5, (count, 3))
    true = (softmax(logits, axis=1).cumsum(axis=1) < generator.random((count, 1))).sum(axis=1)
    ids = tuple(str(row) for row in range(count))
    missing = np.full((count, 3), np.nan)
    none = (None,) * count
    truth = Truth(ids, LABELS, true, missing, missing[:, :0], (), none, none, missing[:, 0])
    said = softmax((logits - np.array(bias)) / scale, axis=1)
    return AlignedPredictions(truth, Predictions(ids, LABELS, said, missing[:, :0]))


@pytest.mark.parametrize("scale", [0.4, 1.0, 2.5])
def test_temperature_scaling_finds_the_temperature(scale: float) -> None:
    assert temperature_scaling(drawn(6000, seed=1, scale=scale)).temperature == pytest.approx(1 / scale, rel=0.06)


def test_vector_scaling_finds_the_bias() -> None:
    found = vector_scaling(drawn(6000, seed=1, bias=(1.0, 0.0, -1.0)))
    assert found.bias - found.bias.mean() == pytest.approx(np.array([1, 0, -1]), abs=0.12)
    assert found.scale == pytest.approx(np.ones(3), abs=0.12)


def test_calibration_lowers_the_error_on_other_utterances() -> None:
    held_out, test = (drawn(3000, seed=seed, scale=0.35) for seed in (1, 2))
    before = score(test, draws=10).metrics
    for fit in (temperature_scaling, vector_scaling):
        after = score(replace(test, predictions=fit(held_out)(test.predictions)), draws=10).metrics
        assert after["ece"].value < before["ece"].value / 3
        assert after["log_loss"].value < before["log_loss"].value


def test_temperature_never_changes_the_predicted_class() -> None:
    held_out, test = (drawn(500, seed=seed, scale=0.5) for seed in (1, 2))
    calibrated = temperature_scaling(held_out)(test.predictions)
    np.testing.assert_array_equal(calibrated.predicted, test.predictions.predicted)


def test_calibration_is_applied_by_class_name() -> None:
    held_out = drawn(2000, seed=1, bias=(1.0, 0.0, -1.0))
    calibrate = vector_scaling(held_out)
    turned = held_out.predictions.reordered(LabelSet(("c", "a", "b")))
    np.testing.assert_allclose(calibrate(turned).emotion, calibrate(held_out.predictions).emotion)


def test_held_out_data_without_an_error_or_a_class_stay_finite() -> None:
    case = drawn(100, seed=1)
    right = np.eye(3)[case.truth.consensus] * 0.8 + 0.2 / 3
    sure = replace(case, predictions=replace(case.predictions, emotion=right))
    assert 1 / 20.1 < temperature_scaling(sure).temperature < 0.1
    lacking = case.take(np.flatnonzero(case.truth.consensus != 2))
    fitted = vector_scaling(lacking)
    assert np.isfinite([*fitted.scale, *fitted.bias]).all()
    zeros = replace(case, predictions=replace(case.predictions, emotion=np.eye(3)[case.predictions.predicted]))
    assert np.isfinite(temperature_scaling(zeros)(case.predictions).emotion).all()


def test_held_out_data_without_a_consensus_are_refused() -> None:
    case = drawn(10, seed=1)
    blank = replace(case, truth=replace(case.truth, consensus=np.full(10, -1)))
    with pytest.raises(DataError, match="held-out utterances with a consensus"):
        temperature_scaling(blank)
