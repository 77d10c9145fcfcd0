"""`sertk crosscorpus`: a matrix of what models of one corpus are worth on each."""

from __future__ import annotations

import csv
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sertk_lab.across.cells import cell, classes_of, with_its_classes
from sertk_lab.across.run import cross_corpora
from sklearn.metrics import f1_score, recall_score

from sertk.cli import main
from sertk.data.labels import LabelSet
from sertk.data.manifest import Manifest, Utterance
from sertk.ensemble.predictions import Predictions
from sertk.errors import DataError, UsageError

LABELS = LabelSet(("angry", "bored", "happy", "sad"))


@pytest.fixture
def predicted() -> tuple[Manifest, Predictions]:
    rng = np.random.default_rng(3)
    true = rng.integers(0, 4, 200)
    utterances = [
        Utterance(f"u{n}", f"u{n}.wav", speaker=f"s{n % 8}", emotion=LABELS.names[c], votes={"angry": 1.0})
        for n, c in enumerate(true)
    ]
    chances = rng.dirichlet(np.ones(4), 200) + np.eye(4)[true] * 0.5
    chances /= chances.sum(axis=1, keepdims=True)
    ids = tuple(u.id for u in utterances)
    return Manifest("x", LABELS, {}, tuple(utterances)), Predictions(ids, LABELS, chances, np.zeros((200, 0)))


def test_a_cell_counts_the_common_classes_alone(predicted: tuple[Manifest, Predictions]) -> None:
    manifest, predictions = predicted
    common = ("angry", "happy", "sad")
    found = cell("a", "b", predictions, manifest, common)
    columns = [LABELS.index(name) for name in common]
    kept = np.array([u.emotion in common for u in manifest])
    true = [common.index(u.emotion or "") for u in manifest if u.emotion in common]
    answers = predictions.emotion[kept][:, columns].argmax(axis=1)
    assert found.utterances == kept.sum()
    assert found.classes == common
    assert found.metrics["uar"].value == pytest.approx(recall_score(true, answers, average="macro"))
    assert found.metrics["macro_f1"].value == pytest.approx(f1_score(true, answers, average="macro"))
    assert found.metrics["uar"].low is not None
    assert found.chance == pytest.approx(1 / 3)


def test_corpora_with_one_class_in_common_are_refused(predicted: tuple[Manifest, Predictions]) -> None:
    manifest, predictions = predicted
    with pytest.raises(DataError, match=r"a and b have 1 class in common \(sad\).*--map"):
        cell("a", "b", predictions, manifest, ("sad",))


def test_classes_that_nobody_has_are_none(predicted: tuple[Manifest, Predictions]) -> None:
    manifest, _ = predicted
    without = manifest.with_utterances([u for u in manifest if u.emotion != "bored"])
    assert classes_of(without) == ("angry", "happy", "sad")


def test_votes_for_classes_that_a_corpus_lacks_are_votes_outside() -> None:
    given = {"angry": 2.0, "bored": 3.0, "Other": 1.0}
    utterances = (Utterance("a", "a.wav", emotion="angry", votes=given), Utterance("b", "b.wav", emotion="sad"))
    made = with_its_classes(Manifest("x", LABELS, {}, utterances))
    assert made.labels.names == ("angry", "sad")
    assert made.utterances[0].votes == {"angry": 2.0, "Other": 4.0}
    whole = Manifest("x", LabelSet(("angry", "sad")), {}, utterances)
    assert with_its_classes(whole) is whole


def test_one_corpus_is_no_matrix(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="two manifests or more"):
        cross_corpora([tmp_path / "a.jsonl"], tmp_path / "out")


def test_each_corpus_has_a_name_of_its_own(tmp_path: Path) -> None:
    paths = [tmp_path / "one" / "manifest.jsonl.gz", tmp_path / "two" / "manifest.jsonl.gz"]
    with pytest.raises(UsageError, match="are both called 'manifest"):
        cross_corpora(paths, tmp_path / "out")


@pytest.mark.slow
def test_two_corpora_give_four_cells_with_intervals_and_a_picture(
    tmp_path: Path, write_corpus: Callable[..., Manifest], capsys: pytest.CaptureFixture[str]
) -> None:
    words = []
    for name, seed in (("one", 1), ("two", 2)):
        corpus = write_corpus(tmp_path / "audio" / name, seed=seed)
        if name == "two":  # a class that the other lacks
            corpus = replace(corpus, labels=LabelSet(("angry", "fear", "happy", "sad")))
            corpus = corpus.with_utterances(
                replace(u, emotion="fear") if u.id.endswith("sad_0") else u for u in corpus
            )
        corpus.write(tmp_path / f"{name}.jsonl.gz")
        words.append(str(tmp_path / f"{name}.jsonl.gz"))
    out = tmp_path / "matrix"
    call = ["crosscorpus", *words, "--map", "six", "--out", str(out), "--features", "logmel", "--folds", "3"]
    assert main(call) == 0
    capsys.readouterr()
    with open(out / "crosscorpus.csv", encoding="utf-8", newline="") as file:
        rows = {(row["trained on"], row["tested on"]): row for row in csv.DictReader(file)}
    assert len(rows) == 4
    assert rows["one", "two"]["classes"] == rows["two", "one"]["classes"] == "Angry Happy Sad"
    assert rows["two", "two"]["classes"] == "Angry Fear Happy Sad"
    assert rows["one", "two"]["utterances"] == "66"
    assert float(rows["one", "two"]["uar"]) > 0.5
    assert float(rows["one", "two"]["uar low"]) < float(rows["one", "two"]["uar"])
    page = (out / "crosscorpus.md").read_text()
    assert "one on one, one on two, two on one: Angry, Happy, Sad; guessing has UAR 0.333" in page
    picture = ElementTree.parse(out / "crosscorpus.svg").getroot()
    assert len(picture.findall("{http://www.w3.org/2000/svg}rect")) == 1 + 8
    assert main(call) == 0
    assert f"up to date  {out}" in capsys.readouterr().out
