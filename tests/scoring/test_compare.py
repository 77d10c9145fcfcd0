from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from sertk.errors import DataError
from sertk.scoring.compare import compare
from sertk.scoring.score import score
from sertk.scoring.truth import AlignedPredictions


def test_a_system_that_knows_more_is_clearly_better(case: AlignedPredictions, other: AlignedPredictions) -> None:
    found = compare(case, other, draws=500)
    better = found.metrics["macro_f1"]
    assert better.difference.value == pytest.approx(better.second - better.first)
    assert better.difference.low is not None
    assert better.difference.low > 0
    assert better.p_value is not None
    assert better.p_value < 0.01
    assert found.metrics["js_divergence"].difference.value < 0
    assert not found.metrics["js_divergence"].higher_is_better


def test_a_system_beside_itself_shows_no_difference(case: AlignedPredictions) -> None:
    same = compare(case, case, draws=200).metrics["macro_f1"]
    assert (same.difference.value, same.difference.low, same.difference.high) == (0, 0, 0)
    assert same.p_value == pytest.approx(1, abs=0.01)


def test_turning_the_comparison_round_turns_the_signs(case: AlignedPredictions, other: AlignedPredictions) -> None:
    there, back = (compare(*pair, draws=300).metrics["uar"] for pair in ((case, other), (other, case)))
    assert there.difference.low == pytest.approx(-back.difference.high)  # type: ignore[operator]
    assert there.p_value == pytest.approx(back.p_value)


def test_pairing_makes_the_interval_narrower_than_the_two_alone(case: AlignedPredictions) -> None:
    nudged = case.predictions.emotion + np.random.default_rng(3).uniform(0, 0.1, case.predictions.emotion.shape)
    near = replace(case, predictions=replace(case.predictions, emotion=nudged / nudged.sum(axis=1, keepdims=True)))
    alone = score(case, draws=500).metrics["macro_f1"]
    paired = compare(case, near, draws=500).metrics["macro_f1"].difference
    assert paired.high - paired.low < 0.6 * (alone.high - alone.low)  # type: ignore[operator]


def test_only_common_utterances_are_compared(case: AlignedPredictions, other: AlignedPredictions) -> None:
    part = other.take(np.arange(20, 120)[::-1])
    found = compare(case, part, draws=100)
    assert found.utterances == 100
    assert found.metrics["accuracy"].second == score(part, draws=10).metrics["accuracy"].value


def test_systems_without_a_common_utterance_are_refused(case: AlignedPredictions, other: AlignedPredictions) -> None:
    with pytest.raises(DataError, match="no utterance in common"):
        compare(case.take(np.arange(10)), other.take(np.arange(10, 20)))


def test_a_comparison_is_json(case: AlignedPredictions, other: AlignedPredictions) -> None:
    made = json.loads(json.dumps(compare(case, other, draws=50).as_dict(), allow_nan=False))
    assert set(made["metrics"]["macro_f1"]) >= {"first", "second", "difference", "low", "high", "p_value"}
