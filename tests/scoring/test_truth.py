from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sertk.data.labels import NO_AGREEMENT, LabelSet
from sertk.data.manifest import Manifest, Utterance
from sertk.ensemble.predictions import Predictions
from sertk.errors import DataError, LabelError
from sertk.scoring.as_json import score_as_dict
from sertk.scoring.score import score
from sertk.scoring.truth import align, truth_of

LABELS = LabelSet(("Sad", "Happy"))
MANIFEST = Manifest(
    "made-up",
    LABELS,
    {"arousal": (1, 7)},
    (
        Utterance(
            "a", "a.wav", speaker="x", votes={"Sad": 3, "Happy": 1}, emotion="Sad", attributes={"arousal": 2.0}
        ),
        Utterance("b", "b.wav", votes={"Other": 2}, emotion="Other", duration=2.5),
        Utterance("c", "c.wav", gender="Female", emotion="Happy"),
    ),
)


def test_labels_become_arrays_and_what_is_missing_stays_missing() -> None:
    truth = truth_of(MANIFEST, MANIFEST.utterances)
    np.testing.assert_array_equal(truth.consensus, [0, NO_AGREEMENT, 1])
    np.testing.assert_array_equal(truth.votes, [[0.75, 0.25], [np.nan] * 2, [np.nan] * 2])
    np.testing.assert_array_equal(truth.attributes, [[2], [np.nan], [np.nan]])
    np.testing.assert_array_equal(truth.seconds, [np.nan, 2.5, np.nan])
    assert truth.speakers == ("x", None, None)
    assert truth.genders == (None, None, "Female")


def test_predictions_are_matched_by_id_and_class_name_and_strangers_are_listed() -> None:
    turned = LabelSet(("Happy", "Sad"))
    said = Predictions(("z", "c", "a"), turned, np.array([[1, 0], [0.6, 0.4], [0.1, 0.9]]), np.zeros((3, 0)))
    case = align(truth_of(MANIFEST, MANIFEST.utterances), said)
    assert case.truth.ids == case.predictions.ids == ("a", "c")
    np.testing.assert_array_equal(case.predictions.emotion, [[0.9, 0.1], [0.4, 0.6]])
    assert (case.unknown, case.unpredicted) == (("z",), ("b",))


def test_predictions_of_a_folder_join_by_the_ids_that_their_paths_end_with() -> None:
    said = Predictions(("f/c.wav", "f/a.wav"), LABELS, np.array([[0.6, 0.4], [0.1, 0.9]]), np.zeros((2, 0)))
    case = align(truth_of(MANIFEST, MANIFEST.utterances), said)
    assert case.truth.ids == case.predictions.ids == ("a", "c")
    np.testing.assert_array_equal(case.predictions.emotion, [[0.1, 0.9], [0.6, 0.4]])
    assert score_as_dict(score(case, draws=20))["remarks"][0] == (
        "predicted ids are paths, joined by the ids that they end with (f/c.wav is c)"
    )


def test_ids_that_differ_in_blanks_or_case_alone_are_named() -> None:
    truth = truth_of(MANIFEST, MANIFEST.utterances)
    two = np.array([[0.6, 0.4], [0.1, 0.9]])
    with pytest.raises(DataError, match="' a' differs from 'a' only in spaces or case"):
        align(truth, Predictions((" a", "C"), LABELS, two, np.zeros((2, 0))))
    found = score_as_dict(score(align(truth, Predictions(("a", "C"), LABELS, two, np.zeros((2, 0)))), draws=20))
    assert found["missing"] == {"in the scored splits": ("C",), "in the predictions": ("b", "c")}
    assert found["remarks"][0].startswith(
        "1 of the ids that are not in the scored splits differ only in spaces or case"
    )


def test_what_cannot_be_aligned_is_refused() -> None:
    truth = truth_of(MANIFEST, MANIFEST.utterances)
    with pytest.raises(DataError, match="predicted are z"):
        align(truth, Predictions(("z",), LABELS, np.array([[1.0, 0.0]]), np.zeros((1, 0))))
    with pytest.raises(LabelError, match="asked for were Sad, Happy"):
        align(truth, Predictions(("a",), LabelSet(("Sad", "Joy")), np.array([[1.0, 0.0]]), np.zeros((1, 0))))
    with pytest.raises(DataError, match="twice"):
        truth_of(MANIFEST, [*MANIFEST.utterances, MANIFEST.utterances[0]])
    with pytest.raises(LabelError, match="utterance a: there is no class 'Sadd'"):
        truth_of(MANIFEST, [replace(MANIFEST.utterances[0], emotion="Sadd")])
