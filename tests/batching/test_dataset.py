from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from sertk.batching.collate import pad
from sertk.batching.dataset import feature_set
from sertk.data.labels import LabelSet
from sertk.data.manifest import Utterance
from sertk.errors import DataError, StoreError

LABELS = LabelSet(("Angry", "Happy"))
RANGES = {"valence": (1.0, 7.0)}


@dataclass(frozen=True)
class Frames:
    """Features in memory."""

    frames: Mapping[str, Tensor]

    @property
    def dim(self) -> int:
        return next(iter(self.frames.values())).shape[1]

    @property
    def lengths(self) -> dict[str, int]:
        return {id: len(frames) for id, frames in self.frames.items()}

    def __getitem__(self, id: str) -> Tensor:
        return self.frames[id]

    def __contains__(self, id: object) -> bool:
        return id in self.frames


def utterances() -> list[Utterance]:
    votes: dict[str, dict[str, float]] = {
        "a": {"Angry": 3},
        "b": {"Angry": 1, "Happy": 1},
        "c": {"Other": 2},
        "d": {"Happy": 4},
        "e": {"Happy": 2},
    }
    values = {"a": {"valence": 2.0}, "d": {"valence": 6.0}}
    return [Utterance(id=id, audio="", votes=v, attributes=values.get(id, {})) for id, v in votes.items()]


def sources() -> dict[str, Frames]:
    generator = torch.Generator().manual_seed(1)
    speech = {
        id: torch.randn(length, 3, generator=generator).half()
        for id, length in zip("abcd", (4, 2, 3, 5), strict=True)
    }
    text = {
        id: torch.randn(length, 2, generator=generator) for id, length in zip("abcde", (1, 6, 1, 1, 1), strict=True)
    }
    return {"speech": Frames(speech), "text": Frames(text)}


def test_utterances_are_joined_with_their_features_by_id() -> None:
    given = sources()
    data, _ = feature_set(utterances()[::-1], LABELS, RANGES, given, attributes=["valence"])
    assert data.table.ids == ("d", "b", "a")
    assert data.dims == {"speech": 3, "text": 2}
    assert data.table.frames.tolist() == [5, 6, 4]
    batch = data.batch([2, 0])
    assert batch.ids == ("a", "d")
    for name, source in given.items():
        for row, id in enumerate(batch.ids):
            torch.testing.assert_close(batch.features[name].sequence(row), source[id].float(), rtol=0, atol=0)
    assert batch.targets.emotion.tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert batch.targets.attributes.tolist() == [[2.0], [6.0]]


def test_features_come_as_padded_float32_and_the_store_is_not_changed() -> None:
    given = sources()
    before = {id: frames.clone() for id, frames in given["speech"].frames.items()}
    data, _ = feature_set(utterances(), LABELS, RANGES, given)
    speech = data.batch([0, 1]).features["speech"]
    assert speech.data.dtype == torch.float32
    assert speech.lengths.tolist() == [4, 2]
    assert not speech.data[1, 2:].any()
    speech.data.fill_(7)
    assert all(torch.equal(given["speech"][id], frames) for id, frames in before.items())


def test_what_cannot_be_used_is_left_out_and_listed() -> None:
    given = sources()
    given["text"].frames["b"] = torch.zeros(0, 2)
    data, faults = feature_set(utterances(), LABELS, RANGES, given)
    assert data.table.ids == ("a", "d")
    assert {fault.place: fault.message.split(":")[0] for fault in faults} == {
        "b": "has no features of text",
        "c": "has no soft target",
        "e": "has no features of speech",
    }


def test_nothing_left_is_an_error_that_says_why() -> None:
    with pytest.raises(
        DataError, match=r"none of 5 utterances.*5 lack features, 0 lack a target.*a has no features of"
    ):
        feature_set(utterances(), LABELS, RANGES, {"speech": Frames({"z": torch.zeros(1, 3)})})


def test_majority_targets_leave_out_utterances_without_agreement() -> None:
    agreed = Utterance(id="a", audio="", votes={"Angry": 2, "Happy": 1}, emotion="Angry")
    data, faults = feature_set([agreed, utterances()[1]], LABELS, RANGES, sources(), targets="majority")
    assert data.table.targets.tolist() == [[1.0, 0.0]]
    assert [fault.place for fault in faults] == ["b"]


def test_some_rows_make_a_set_of_their_own() -> None:
    data, _ = feature_set(utterances(), LABELS, RANGES, sources())
    taken = data.take([2, 0])
    assert taken.table.ids == ("d", "a")
    assert torch.equal(taken.batch([0]).features["speech"].data, data.batch([2]).features["speech"].data)


def test_batches_read_ahead_are_the_same_in_the_same_order() -> None:
    data, _ = feature_set(utterances(), LABELS, RANGES, sources())
    rows = [[0], [2, 1], [1], [0, 1, 2]]
    for chosen, batch in zip(rows, data.batches(rows), strict=True):
        alone = data.batch(chosen)
        assert batch.ids == alone.ids
        assert torch.equal(batch.features["speech"].data, alone.features["speech"].data)


def test_an_error_of_a_store_reaches_the_reader() -> None:
    class Damaged(Frames):
        def __getitem__(self, id: str) -> Tensor:
            if id == "b":
                raise StoreError("shard 3 is damaged")
            return self.frames[id]

    data, _ = feature_set(utterances(), LABELS, RANGES, {"speech": Damaged(sources()["speech"].frames)})
    batches = data.batches([[0], [1], [2]])
    assert next(batches).ids == ("a",)
    with pytest.raises(StoreError, match="shard 3"):
        next(batches)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_any_stored_type_is_padded_to_float32(dtype: torch.dtype) -> None:
    sequences = [torch.randn(length, 4).to(dtype) for length in (3, 1, 2)]
    padded = pad(sequences)
    assert padded.data.dtype == torch.float32
    for row, sequence in enumerate(sequences):
        assert torch.equal(padded.sequence(row), sequence.float())
