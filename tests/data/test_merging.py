"""Merging corpora: ids, label sets, scales, places of recordings, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import sertk
from sertk.cli import main
from sertk.data.label_map import read_label_map
from sertk.data.labels import LabelSet
from sertk.data.manifest import Manifest, Utterance
from sertk.data.merging import merge
from sertk.ensemble.predictions import Predictions
from sertk.errors import DataError
from sertk.scoring.groups import groups
from sertk.scoring.truth import align, truth_of

LABELS = LabelSet(("Angry", "Happy"))
ONE = Utterance("u1", "u1.wav", speaker="s1", split="train", fold="1", emotion="Angry", attributes={"arousal": 4.0})


def corpus(name: str, *utterances: Utterance, labels: LabelSet = LABELS, **ranges: tuple[float, float]) -> Manifest:
    return Manifest(name, labels, ranges or {"arousal": (1.0, 7.0)}, utterances or (ONE,), folder=Path("/d") / name)


def test_ids_and_speakers_begin_with_their_corpus_and_the_rest_stays() -> None:
    merged, report = merge([corpus("a"), corpus("b", replace(ONE, language="de"))])
    assert [(u.id, u.speaker, u.corpus) for u in merged] == [("a-u1", "a-s1", "a"), ("b-u1", "b-s1", "b")]
    assert {(u.split, u.fold, u.emotion) for u in merged} == {("train", "1", "Angry")}
    assert merged.corpus == "a + b"
    assert [tuple(row)[:3] for row in report.table().rows] == [("a", "unknown", 1), ("b", "de", 1)]
    assert (report.remarks, report.faults) == ([], {})


def test_the_first_corpus_gives_the_order_of_the_same_classes() -> None:
    merged, _ = merge([corpus("a"), corpus("b", labels=LabelSet(("Happy", "Angry")))])
    assert merged.labels.names == ("Angry", "Happy")


def test_other_classes_need_a_map() -> None:
    other = corpus("b", replace(ONE, emotion="Wut"), labels=LabelSet(("Wut", "Freude", "Langeweile")))
    with pytest.raises(DataError, match=r"--map.* a: Angry, Happy; b: Wut, Freude, Langeweile"):
        merge([corpus("a"), other])
    merged, report = merge([corpus("a"), other], map=read_label_map("four"))
    assert [u.emotion for u in merged] == ["Angry", "Angry"]
    assert [one.corpus for one in report.maps] == ["a", "b"]


def test_attributes_are_converted_to_the_range_of_the_first_corpus_raters_too() -> None:
    rated = replace(ONE, attributes={"arousal": 0.0}, raters=({"arousal": 1.0, "worker": "w"},))
    merged, report = merge([corpus("a"), corpus("b", rated, arousal=(-1, 1), valence=(1, 5))])
    assert merged.utterances[1].attributes == {"arousal": 4.0}
    assert merged.utterances[1].raters == ({"arousal": 7.0, "worker": "w"},)
    assert merged.ranges == {"arousal": (1, 7), "valence": (1, 5)}
    assert report.remarks == ["arousal of b converted from -1 to 1 to 1 to 7", "no valence in a"]
    merged, _ = merge([corpus("a"), corpus("b", rated, arousal=(-1, 1))], scale=(0, 1))
    assert [u.attributes["arousal"] for u in merged] == [0.5, 0.5]


@pytest.mark.parametrize(
    ("manifests", "message"),
    [
        ([corpus("a")], "two manifests or more"),
        ([corpus("a"), corpus("a")], r"two corpora are called a: .*--names"),
        ([corpus("a"), corpus("b/c")], "'b/c' cannot begin ids"),
        ([corpus("a"), corpus("b", arousal=(8, 9))], "from 8 to 9 in b, from 1 to 7 before: these do not overlap"),
        ([corpus("a"), corpus("b", Arousal=(1, 7))], "b has the attribute 'Arousal' and another corpus 'arousal'"),
        ([corpus("a", replace(ONE, id="b-1")), corpus("a-b", replace(ONE, id="1"))], "the id a-b-1 occurs twice"),
    ],
)
def test_what_cannot_be_merged_is_refused(manifests: list[Manifest], message: str) -> None:
    with pytest.raises(DataError, match=message):
        merge(manifests)


def test_a_recording_in_two_corpora_and_splits_of_one_alone_are_reported() -> None:
    one, other = replace(ONE, audio="/x.wav"), replace(ONE, audio="/x.wav", split=None)
    merged, report = merge([corpus("a", one), corpus("a", other)], names=["a", "b"])
    assert len(merged) == 2
    assert [fault.place for fault in report.faults["recording in two corpora"]] == ["a-u1"]
    assert report.remarks == ["no split in b"]


@pytest.mark.parametrize("anchored", [True, False])
def test_recordings_are_found_and_relative_ones_move_with_their_manifest(
    anchored: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.chdir(place)
    for name in ("a", "b"):
        (place / name).mkdir()
        (place / name / "u1.wav").touch()
        folder = place / name if anchored else Path(name)
        replace(corpus(name), folder=Path(name)).based_in(folder).write(Path(name, "m.jsonl"))
    assert sertk.merge(["a/m.jsonl", "b/m.jsonl"], out="out/both.jsonl").utterances == 2
    read = Manifest.read(Path("out/both.jsonl"))
    assert all(read.audio_path(u).is_file() for u in read)
    place.rename(tmp_path / "there")
    read = Manifest.read(tmp_path / "there" / "out" / "both.jsonl")
    assert all(read.audio_path(u).is_file() for u in read) is not anchored


def test_the_verb_is_up_to_date_until_an_input_or_option_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        corpus(name).write(Path(f"{name}.jsonl"))
    words = ["data", "merge", "a.jsonl", "b.jsonl", "--out", "c.jsonl"]
    assert main(words) == 0
    assert "wrote  c.jsonl  2 utterances" in capsys.readouterr().out
    assert main(words) == 0
    assert capsys.readouterr().out == "up to date  c.jsonl\n"
    assert main(["why", "c.jsonl"]) == 0
    assert "up to date" in capsys.readouterr().out
    assert main([*words, "--names", "x, y", "--range", "0", "1"]) == 0
    assert [(u.id, u.attributes["arousal"]) for u in Manifest.read(Path("c.jsonl"))] == [("x-u1", 0.5), ("y-u1", 0.5)]
    corpus("b", replace(ONE, emotion="Happy")).write(Path("b.jsonl"))
    assert main(words) == 0
    assert Manifest.read(Path("c.jsonl")).utterances[1].emotion == "Happy"


def test_scores_by_group_have_a_table_by_corpus_of_several() -> None:
    many = [replace(ONE, id=f"u{n}", speaker=f"s{n}") for n in range(6)]
    merged, _ = merge([corpus("a", *many), corpus("b", *(replace(u, emotion="Happy") for u in many))])
    emotion = np.tile([0.9, 0.1], (12, 1))
    said = Predictions(tuple(u.id for u in merged), LABELS, emotion, np.empty((12, 0)), ())
    found = groups(align(truth_of(merged, merged.utterances), said), draws=9)
    right = {one.name: one.metrics["accuracy"].value for one in found if one.by == "corpus"}
    assert right == {"a": 1.0, "b": 0.0}
    alone = corpus("a", *many)
    said = Predictions(tuple(u.id for u in alone), LABELS, emotion[:6], np.empty((6, 0)), ())
    assert "corpus" not in {one.by for one in groups(align(truth_of(alone, alone.utterances), said), draws=9)}
