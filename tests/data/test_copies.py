"""A changed copy counts as the recording that it was made of, wherever parts of a corpus are kept apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sertk.data.concerns import concerns
from sertk.data.copies import seen_in, shared_recordings, with_origins
from sertk.data.folds import divide
from sertk.data.labels import LabelSet
from sertk.data.manifest import Manifest, Utterance
from sertk.data.merging import merge
from sertk.errors import DataError

LABELS = LabelSet(("Sad", "Angry"), "SA")


def corpus(*utterances: Utterance, name: str = "mine") -> Manifest:
    return Manifest(name, LABELS, {}, utterances)


def utterance(id: str, source: str | None = None, **fields: str) -> Utterance:
    return Utterance(id, f"{id}.wav", source_id=source, emotion="Sad", **fields)


def test_a_manifest_keeps_whose_copy_an_utterance_is(tmp_path: Path) -> None:
    made = corpus(utterance("a"), utterance("b", "a"))
    made.write(tmp_path / "m.jsonl")
    assert [u.source_id for u in Manifest.read(tmp_path / "m.jsonl")] == [None, "a"]
    assert [u.origin for u in made] == ["a", "a"]
    with pytest.raises(DataError, match="source_id"):
        corpus(utterance("a", "line\nbreak")).write(tmp_path / "bad.jsonl")


def test_a_model_knows_the_original_of_a_copy_and_its_other_copies() -> None:
    made = corpus(utterance("a"), utterance("a~1", "a"), utterance("a~2", "a"), utterance("b"), utterance("b~1", "b"))
    assert with_origins(made, ["a~1"]) == {"a", "a~1"}
    assert seen_in(made, with_origins(made, ["a~1"])) == ["a", "a~1", "a~2"]
    assert seen_in(made, with_origins(made, ["a"])) == ["a", "a~1", "a~2"]


def test_copies_in_two_splits_are_a_leak_that_an_audit_names() -> None:
    rows = (utterance("a", split="train"), utterance("a~1", "a", split="test"), utterance("b", split="test"))
    assert shared_recordings(corpus(*rows), "train", "test") == ["a"]
    found = [one for one in concerns(corpus(*rows)) if "copies" in one.message]
    assert [(one.kind, one.cases) for one in found] == [("leakage", ("a",))]
    apart = (rows[0], replace(rows[1], split="train"), rows[2])
    assert not [one for one in concerns(corpus(*apart)) if "copies" in one.message]


def test_folds_by_recording_keep_copies_together() -> None:
    rows = [utterance(f"{n}{end}", f"{n}" if end else None) for n in range(9) for end in ("", "~1", "~2")]
    made = divide(corpus(*rows), 3, by_recording=True).manifest
    folds = {u.origin: {other.fold for other in made if other.origin == u.origin} for u in made}
    assert all(len(names) == 1 for names in folds.values())
    apart = [replace(u, fold=str(number % 2)) for number, u in enumerate(rows)]
    with pytest.raises(DataError, match="in several of the given folds"):
        divide(corpus(*apart), "given", by_recording=True)


def test_merged_copies_still_name_their_originals() -> None:
    made, _ = merge([corpus(utterance("a"), utterance("b", "a")), corpus(utterance("a"), name="other")])
    assert [(u.id, u.source_id) for u in made] == [("mine-a", None), ("mine-b", "mine-a"), ("other-a", None)]
