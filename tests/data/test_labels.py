from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sertk.data.labels import NO_AGREEMENT, LabelSet, consensus_index, soft_target
from sertk.data.manifest import Utterance
from sertk.data.targets import label_table
from sertk.errors import DataError, LabelError

EIGHT = LabelSet(("Angry", "Sad", "Happy", "Surprise", "Fear", "Disgust", "Contempt", "Neutral"), letters="ASHUFDCN")

RANGES = {"arousal": (1.0, 7.0), "valence": (1.0, 7.0)}


def said(key: str, **fields: object) -> Utterance:
    return Utterance(id=key, audio="a.wav", **fields)  # type: ignore[arg-type]


def test_the_order_of_a_label_set_is_its_own() -> None:
    turned = LabelSet(("Neutral", "Angry"), "NA")
    assert turned.index("Angry") == 1
    assert turned.letter("Neutral") == "N"
    assert EIGHT.index("Angry") == 0
    assert len(EIGHT) == 8


@pytest.mark.parametrize(
    ("names", "letters"),
    [(("Sad",), ""), (("Sad", "Sad"), ""), (("Sad", "Other"), ""), (("Sad", "Fear"), "S"), (("Sad", "Fear"), "SS")],
)
def test_a_label_set_that_cannot_be_is_refused(names: tuple[str, ...], letters: str) -> None:
    with pytest.raises(LabelError):
        LabelSet(names, letters)


def test_a_label_outside_the_set_gets_the_nearest() -> None:
    with pytest.raises(LabelError, match=r"no class 'Hapy'\. Did you mean 'Happy'"):
        EIGHT.index("Hapy")


def test_votes_become_shares() -> None:
    target = soft_target({"Sad": 3, "Happy": 1}, EIGHT)
    assert target is not None
    assert target[1] == 0.75
    assert target[2] == 0.25


def test_other_is_dropped_or_spread() -> None:
    dropped = soft_target({"Sad": 1, "Other": 1}, EIGHT)
    spread = soft_target({"Sad": 1, "Other": 1}, EIGHT, other="uniform")
    assert dropped is not None
    assert spread is not None
    assert dropped[1] == 1
    assert spread[1] == pytest.approx(0.5 + 0.5 / 8)
    assert spread[0] == pytest.approx(0.5 / 8)
    assert soft_target({"Other": 3}, EIGHT) is None
    assert soft_target({}, EIGHT) is None


@pytest.mark.parametrize("count", [-1, math.nan, math.inf])
def test_a_count_that_is_none_is_refused(count: float) -> None:
    with pytest.raises(LabelError, match="a count must be"):
        soft_target({"Sad": count}, EIGHT)


@given(st.dictionaries(st.sampled_from([*EIGHT.names, "Other"]), st.integers(0, 9)))
def test_targets_are_probabilities(votes: dict[str, int]) -> None:
    for other in ("drop", "uniform"):
        target = soft_target(votes, EIGHT, other=other)  # type: ignore[arg-type]
        assert target is None or (target.sum() == pytest.approx(1) and (target >= 0).all())


def test_no_agreement_is_no_class() -> None:
    assert consensus_index(None, EIGHT) == consensus_index("Other", EIGHT) == NO_AGREEMENT
    assert consensus_index("Neutral", EIGHT) == 7


def test_a_table_leaves_out_and_names_what_has_no_target() -> None:
    utterances = [
        said("voted", votes={"Sad": 1, "Fear": 1}, attributes={"valence": 2.5}, speaker="s1"),
        said("consensus", emotion="Happy"),
        said("nothing"),
        said("other", votes={"Other": 2}),
    ]
    table, left_out = label_table(utterances, EIGHT, RANGES, attributes=["valence", "arousal"])
    assert table.ids == ("voted", "consensus")
    assert left_out == ["nothing", "other"]
    assert table.targets.shape == (2, 8)
    assert table.targets[0, 1] == 0.5
    assert table.targets[1, 2] == 1
    assert table.consensus.tolist() == [NO_AGREEMENT, 2]
    assert table.attributes[0, 0] == 2.5
    assert np.isnan(table.attributes[0, 1])
    assert np.isnan(table.attributes[1]).all()
    assert table.attribute_names == ("valence", "arousal")
    assert table.speakers == ("s1", None)
    assert table.prior.sum() == pytest.approx(1)
    assert table.class_mass[2] == 1

    majority, left_out = label_table(utterances, EIGHT, RANGES, targets="majority")
    assert majority.ids == ("consensus",)
    assert left_out == ["voted", "nothing", "other"]
    assert majority.attributes.shape == (1, 0)


def test_rows_can_be_taken_in_any_order() -> None:
    utterances = [said(key, emotion=emotion) for key, emotion in (("a", "Sad"), ("b", "Fear"), ("c", "Neutral"))]
    table, _ = label_table(utterances, EIGHT, RANGES, frames={"a": 5, "b": 6, "c": 7})
    taken = table.take(np.array([2, 0]))
    assert taken.ids == ("c", "a")
    assert taken.frames.tolist() == [7, 5]
    assert taken.consensus.tolist() == [7, 1]
    assert len(taken) == 2


def test_an_empty_table_keeps_its_shape() -> None:
    table, left_out = label_table([], EIGHT, RANGES, attributes=["valence"])
    assert table.targets.shape == (0, 8)
    assert table.attributes.shape == (0, 1)
    assert left_out == []


def test_faults_name_the_utterance_and_the_attribute() -> None:
    with pytest.raises(LabelError, match="utterance x: there is no class 'Bored'"):
        label_table([said("x", votes={"Bored": 1})], EIGHT, RANGES)
    with pytest.raises(LabelError, match="utterance x: there is no class 'Bored'"):
        label_table([said("x", votes={"Sad": 1}, emotion="Bored")], EIGHT, RANGES)
    with pytest.raises(DataError, match=r"no attribute 'valense'\. Did you mean 'valence'"):
        label_table([], EIGHT, RANGES, attributes=["valense"])
