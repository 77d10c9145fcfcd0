from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from sertk.errors import DataError
from sertk.scoring.balanced import balanced_draws
from sertk.scoring.groups import groups
from sertk.scoring.metrics import balanced_macro_f1
from sertk.scoring.score import score
from sertk.scoring.truth import AlignedPredictions


def test_each_table_parts_the_consensus_utterances(case: AlignedPredictions) -> None:
    found = groups(case, draws=20)
    agreed = int((case.truth.consensus >= 0).sum())
    for by in ("gender", "duration", "agreement", "speaker"):
        assert sum(one.utterances for one in found if one.by == by) == agreed, by
    assert [one.name for one in found if one.by == "gender"] == ["Female", "Male"]
    thirds = [one.utterances for one in found if one.by == "duration"]
    assert len(thirds) == 3
    assert max(thirds) - min(thirds) < agreed / 5


def test_a_group_scores_as_its_utterances_alone(case: AlignedPredictions) -> None:
    women = np.array([gender == "Female" for gender in case.truth.genders]) & (case.truth.consensus >= 0)
    alone = score(case.take(np.flatnonzero(women)), draws=20)
    group = next(one for one in groups(case, draws=20) if one.name == "Female")
    assert group.speakers == alone.speakers
    for name in ("macro_f1", "uar", "accuracy", "ece", "mean_ccc"):
        assert group.metrics[name].value == pytest.approx(alone.metrics[name].value), name


def test_one_speaker_has_values_and_no_interval(case: AlignedPredictions) -> None:
    one = next(one for one in groups(case, draws=20) if one.by == "speaker")
    assert one.metrics["accuracy"].low is None
    assert one.speakers == 1


def test_unknown_genders_and_durations_leave_their_tables_out(case: AlignedPredictions) -> None:
    nothing = (None,) * len(case)
    blank = replace(case.truth, genders=nothing, speakers=nothing, seconds=np.full(len(case), np.nan))
    assert {one.by for one in groups(replace(case, truth=blank), draws=20)} == {"agreement"}


def test_groups_are_json(case: AlignedPredictions) -> None:
    json.dumps([one.as_dict() for one in groups(case, draws=20)], allow_nan=False)


def test_balanced_draws_repeat_by_seed_and_use_every_class_alike(case: AlignedPredictions) -> None:
    table = np.array(score(case, draws=10).confusion)
    one, again, other = (balanced_draws(table, draws=200, seed=seed) for seed in (1, 1, 2))
    assert one == again != other
    assert one.per_class == table.sum(axis=1).min()
    assert one.mean == pytest.approx(float(balanced_macro_f1(*[table.ravel().astype(float)] * 2)), abs=0.02)


def test_a_class_that_is_said_but_never_true_counts_in_every_balanced_draw() -> None:
    table = np.array([[10, 0, 0], [0, 199, 1], [0, 0, 0]])  # most draws of ten lack the one that is said to be Happy
    assert balanced_draws(table, draws=200).mean == pytest.approx(2 / 3, abs=0.01)


def test_balanced_classes_leave_nothing_to_draw() -> None:
    table = np.array([[8, 2, 0], [3, 7, 0], [0, 0, 0]])
    found = balanced_draws(table, draws=50)
    assert found.deviation == pytest.approx(0, abs=1e-12)
    assert found.mean == pytest.approx((16 / 21 + 14 / 19) / 2)
    with pytest.raises(DataError, match="balanced draws need"):
        balanced_draws(np.zeros((3, 3), dtype=int))
