from __future__ import annotations

import numpy as np
import pytest

from sertk.data.labels import LabelSet
from sertk.ensemble.by_ending import nearly, under_ids
from sertk.ensemble.predictions import Predictions
from sertk.errors import DataError

LABELS = LabelSet(("Sad", "Happy"))


def predictions(*ids: str) -> Predictions:
    shares = np.linspace(0.1, 0.9, len(ids))
    return Predictions(ids, LABELS, np.column_stack([shares, 1 - shares]), np.zeros((len(ids), 0)))


@pytest.mark.parametrize(
    ("path", "id"),
    [
        ("clips/a.wav", "a"),
        ("/data/clips/a.FLAC", "a"),
        ("C:\\clips\\a.wav", "a"),
        ("./s1/a.wav", "s1/a"),
        ("corpus/s1/a.wav", "s1/a.wav"),
        ("a.wav", "a"),
        ("clips/a.wav", "a.wav"),
        ("clips/a.b.wav", "a.b"),
    ],
)
def test_a_path_is_taken_for_the_id_that_it_ends_with(path: str, id: str) -> None:
    joined, how = under_ids(predictions(path, "clips/else.wav"), [id, "b", "c"])
    assert joined.ids == (id, "clips/else.wav")
    np.testing.assert_array_equal(joined.emotion, predictions(path, "clips/else.wav").emotion)
    assert how == f"predicted ids are paths, joined by the ids that they end with ({path} is {id})"


@pytest.mark.parametrize(
    ("path", "id"),
    [("clips/ba.wav", "a"), ("clips/a.1", "a"), ("s2/a.wav", "s1/a"), ("a.wav", "s1/a"), ("clips/A.wav", "a")],
)
def test_a_path_that_ends_otherwise_is_no_match(path: str, id: str) -> None:
    joined, how = under_ids(predictions(path), [id])
    assert (joined.ids, how) == ((path,), "")


def test_ids_that_are_the_manifests_are_left_as_they_are() -> None:
    joined, how = under_ids(predictions("a", "clips/b.wav"), ["a", "b"])
    assert (joined.ids, how) == (("a", "clips/b.wav"), "")


def test_what_could_be_two_things_is_refused() -> None:
    with pytest.raises(DataError, match=r"'s1/a\.wav' and 's2/a\.wav' both end with the id 'a'"):
        under_ids(predictions("s1/a.wav", "s2/a.wav"), ["a"])
    with pytest.raises(DataError, match=r"'s1/a\.wav' ends with the ids 'a' and 's1/a'"):
        under_ids(predictions("s1/a.wav"), ["s1/a", "a"])


def test_ids_that_differ_in_blanks_case_or_composition_alone_are_found() -> None:
    assert nearly([" u1", "U2", "e\u0301", "u9"], ["u1", "u2", "\u00e9", "u3"]) == [
        (" u1", "u1"),
        ("U2", "u2"),
        ("e\u0301", "\u00e9"),
    ]
