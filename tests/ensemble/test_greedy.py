from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sertk.checkpoint import Checkpoint
from sertk.data.manifest import Manifest
from sertk.ensemble.combine import combine
from sertk.ensemble.members import infer_rows
from sertk.ensemble.predictions import Predictions
from sertk.errors import EnsembleError
from sertk.inference.stores import predict_stores

from .conftest import CPU, combination


def test_members_are_weighted_by_how_often_they_were_taken(
    tiny_store: Path, stores: dict[str, Path], models: dict[str, Path], tmp_path: Path
) -> None:
    asked = combination(tiny_store, "greedy", rounds=5)
    made = combine(asked, stores, tmp_path / "greedy", device=CPU)[""]
    taken = made.card.notes["taken"]
    assert set(taken) == set(stores)
    assert 1 <= sum(taken.values()) <= 5
    development = Manifest.read(tiny_store / "manifest.jsonl.gz").split("development")
    said = predict_stores(made, development, device=CPU)[0]
    one_by_one = {
        name: infer_rows(Checkpoint.load(path), [u.id for u in development], CPU) for name, path in models.items()
    }
    for id, found in zip(said.ids, said.emotion, strict=True):
        parts = [taken[name] * one_by_one[name][id][0, :3].numpy() for name in models]
        np.testing.assert_allclose(found, sum(parts) / sum(taken.values()), atol=1e-5)


def test_a_member_that_knows_the_answers_is_taken_alone(
    tiny_store: Path, stores: dict[str, Path], tmp_path: Path
) -> None:
    manifest = Manifest.read(tiny_store / "manifest.jsonl.gz")
    known = [u for u in manifest if u.emotion in manifest.labels.names]
    right = np.eye(len(manifest.labels))[[manifest.labels.index(str(u.emotion)) for u in known]]
    file = tmp_path / "oracle.csv"
    Predictions(tuple(u.id for u in known), manifest.labels, right, np.empty((len(known), 0))).write(file)
    asked = combination(tiny_store, "greedy", powers=[0.0, 1.0])
    made = combine(asked, {**stores, "oracle": file}, tmp_path / "greedy", device=CPU)[""]
    assert made.card.notes["taken"] == {**dict.fromkeys(stores, 0), "oracle": 1}
    assert made.card.notes["score"] == 1.0
    assert made.card.notes["power"] == 0.0  # of equals the lower


def test_utterances_that_members_were_trained_on_are_refused(
    tiny_store: Path, stores: dict[str, Path], tmp_path: Path
) -> None:
    asked = combination(tiny_store, "greedy").model_copy(update={"fit": "train"})
    with pytest.raises(EnsembleError, match="were in the training of a member"):
        combine(asked, stores, tmp_path / "greedy", device=CPU)
