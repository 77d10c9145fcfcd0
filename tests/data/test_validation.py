from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sertk.data.labels import LabelSet
from sertk.data.manifest import Manifest, Utterance
from sertk.data.validation import fix, shared_speakers, validate

EIGHT = LabelSet(("Angry", "Sad", "Happy", "Surprise", "Fear", "Disgust", "Contempt", "Neutral"), letters="ASHUFDCN")


def made(*rows: dict[str, Any], folder: Path = Path()) -> Manifest:
    utterances = tuple(Utterance(**{"id": "a", "audio": "a.wav", **row}) for row in rows)
    return Manifest("c", EIGHT, {"valence": (1.0, 7.0)}, utterances, folder=folder)


def test_a_sound_manifest_has_no_faults() -> None:
    sound = made(
        {"votes": {"Sad": 2, "Other": 1}, "emotion": "Sad", "attributes": {"valence": 7}},
        {"id": "b", "emotion": "Other", "start": 0.5, "duration": 0.1},
        {"id": "c", "emotion": None},
    )
    assert validate(sound) == []
    assert fix(sound) == (sound, [])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"emotion": "Hapy"}, "there is no class 'Hapy'. Did you mean 'Happy'?"),
        ({"votes": {"Bored": 1}}, "there is no class 'Bored'"),
        ({"votes": {"Sad": -1}}, "a count must be a finite number"),
        ({"votes": {"Sad": float("nan")}}, "a count must be a finite number"),
        ({"votes": {"Sad": float("inf")}}, "a count must be a finite number"),
        ({"start": -0.1}, "start -0.1 s must be >= 0"),
        ({"start": float("nan")}, "must be >= 0"),
        ({"duration": 0.0}, "duration 0.0 s > 0"),
        ({"duration": float("inf")}, "duration inf s > 0"),
        ({"audio": "../a.wav"}, "leaves the folder"),
        ({"split": ""}, "the split is empty"),
        ({"speaker": "a\u2028b"}, r"the speaker 'a\u2028b' has a line break or control character (\u2028)"),
    ],
)
def test_what_cannot_be_used_is_found_and_dropped(row: dict[str, Any], message: str) -> None:
    broken = made(row, {"id": "good"})
    (fault,) = validate(broken)
    assert fault.place == "a"
    assert message in fault.message
    kept, dropped = fix(broken)
    assert [u.id for u in kept] == ["good"]
    assert len(dropped) == 1
    assert dropped[0].message.endswith("utterance dropped")
    assert validate(kept) == []


@pytest.mark.parametrize("id", ["", "__metadata__", "b\nc", "b\u2028c", "\x85"])
def test_an_id_that_would_break_files_is_found_and_dropped(id: str) -> None:
    broken = made({"id": "a"}, {"id": id}, {"id": "c"})
    (fault,) = validate(broken)
    assert fault.place == id
    assert "the id " in fault.message
    kept, dropped = fix(broken)
    assert [u.id for u in kept] == ["a", "c"]
    assert [fault.place for fault in dropped] == [id]


@pytest.mark.parametrize("value", [0.99, 7.01, float("nan"), float("inf")])
def test_an_attribute_out_of_range_is_removed_and_its_utterance_stays(value: float) -> None:
    broken = made({"attributes": {"valence": value}, "emotion": "Sad"})
    assert "outside 1 to 7" in validate(broken)[0].message
    kept, dropped = fix(broken)
    assert kept.utterances[0].attributes == {}
    assert kept.utterances[0].emotion == "Sad"
    assert dropped[0].message.endswith("value removed")


def test_an_attribute_without_a_range_gets_the_nearest_name() -> None:
    (fault,) = validate(made({"attributes": {"valense": 3.0}}))
    assert fault.message == "attribute 'valense' is not in the header. Did you mean 'valence'?"


def test_an_id_twice_is_found_and_the_first_kept() -> None:
    broken = made({"emotion": "Sad"}, {"emotion": "Happy"}, {"emotion": "Fear"})
    assert [fault.place for fault in validate(broken)] == ["a", "a"]
    kept, dropped = fix(broken)
    assert [u.emotion for u in kept] == ["Sad"]
    assert len(dropped) == 2


def test_all_faults_come_at_once() -> None:
    broken = made({"emotion": "Hapy", "start": -1.0, "attributes": {"valence": 9.0}}, {"id": "b", "emotion": "X"})
    assert [fault.place for fault in validate(broken)] == ["a", "a", "a", "b"]


def test_missing_recordings_are_found_only_when_asked_for(tmp_path: Path) -> None:
    (tmp_path / "b.wav").write_bytes(b"")
    broken = made({}, {"id": "b", "audio": "b.wav"}, folder=tmp_path)
    assert validate(broken) == []
    assert [(f.place, "there is no recording" in f.message) for f in validate(broken, audio=True)] == [("a", True)]
    assert [u.id for u in fix(broken, audio=True)[0]] == ["b"]


def test_speakers_of_both_splits_are_named_and_unknown_ones_not_counted() -> None:
    rows = [("train", "s1"), ("train", "s2"), ("train", None), ("dev", "s2"), ("dev", None), ("dev", "s3")]
    shared = made(*({"id": str(n), "split": split, "speaker": who} for n, (split, who) in enumerate(rows)))
    assert shared_speakers(shared, "train", "dev") == ["s2"]
