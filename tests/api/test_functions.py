"""The functions of the package do what the verbs do, and give what the verbs print."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import sertk
from sertk.cli import main
from sertk.data.manifest import Manifest
from sertk.ensemble.predictions import Predictions
from sertk.errors import DataError, EditedWarning, SertkError, UsageError

COMBINE = '[aggregator]\nuse = "soft_vote"\n[data]\nmanifest = "manifest.jsonl.gz"\n'


@pytest.fixture
def place(tiny_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the tiny experiment, as the working folder."""
    shutil.copytree(tiny_store, tmp_path / "tiny")
    monkeypatch.chdir(tmp_path / "tiny")
    return tmp_path / "tiny"


def test_a_model_is_trained_combined_predicted_and_scored(place: Path) -> None:
    rows: list[str] = []
    (first,) = sertk.train("experiment.toml", out="a", device="cpu", on_epoch=lambda name, row: rows.append(name))
    (second,) = sertk.train("experiment.toml", out="b", sets=["init_seed=7"], device="cpu")
    assert rows
    assert set(rows) == {"a"}
    assert not first.up_to_date
    assert all(0 <= value <= 1 for value in first.metrics.values())
    (again,) = sertk.train("experiment.toml", out="a", device="cpu")
    assert again.up_to_date

    Path("combine.toml").write_text(COMBINE)
    (vote,) = sertk.combine("combine.toml", [first.folder, second.folder], out="vote", device="cpu")
    assert (vote.aggregator, vote.members, vote.up_to_date) == ("soft_vote", 2, False)
    assert sertk.combine("combine.toml", {"a": "a", "b": "b"}, out="vote", device="cpu")[0].up_to_date

    split = next(u.split for u in Manifest.read(Path("manifest.jsonl.gz")) if u.split not in (None, "train"))
    assert split is not None
    (predicted,) = sertk.predict_corpus("vote", "manifest.jsonl.gz", split, output="p.csv", device="cpu")
    assert predicted.predictions is not None
    scored = sertk.score("p.csv", "manifest.jsonl.gz", split, draws=50, output="s.json")
    assert scored.scores["p"].utterances == len(predicted.predictions)
    assert sertk.score("p.csv", "manifest.jsonl.gz", split, draws=50, output="s.json").up_to_date == (Path("s.json"),)


def test_a_verb_and_its_function_write_the_same_bytes(place: Path) -> None:
    sertk.train("experiment.toml", out="by_function", device="cpu")
    assert main(["train", "experiment.toml", "--out", "by_verb", "--device", "cpu"]) == 0
    names = ["model.safetensors", "config.toml"]
    assert [(place / "by_verb" / n).read_bytes() for n in names] == [
        (place / "by_function" / n).read_bytes() for n in names
    ]


def test_arguments_that_do_not_go_together_are_refused_in_both(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError, match="--out FOLDER for one experiment file, or --into"):
        sertk.train(["experiment.toml", "experiment.toml"], out="a")
    assert main(["train", "experiment.toml", "experiment.toml", "--out", "a"]) == 2
    assert "--into FOLDER for several" in capsys.readouterr().err
    with pytest.raises(UsageError, match=r"\.csv or \.jsonl"):
        sertk.predict("a", "a.wav", output="a.txt")
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        sertk.trian  # noqa: B018


def test_an_edited_result_is_put_aside_with_a_warning(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sertk.train("experiment.toml", out="a", device="cpu")
    split = next(u.split for u in Manifest.read(Path("manifest.jsonl.gz")) if u.split not in (None, "train"))
    assert split is not None
    call = {"split": split, "output": "p.csv", "device": "cpu"}
    sertk.predict_corpus("a", "manifest.jsonl.gz", **call)
    Path("p.csv").write_text(Path("p.csv").read_text() + "\n")
    with pytest.warns(EditedWarning, match=r"p\.csv was edited since it was written: kept as p\.csv\.edited"):
        sertk.predict_corpus("a", "manifest.jsonl.gz", **call)
    Path("p.csv").write_text(Path("p.csv").read_text() + "\n")
    assert main(["predict", "a", "--manifest", "manifest.jsonl.gz", "--split", split, "--output", "p.csv"]) == 0
    assert "warning p.csv was edited since it was written" in capsys.readouterr().err


def test_every_function_is_there_and_documents_each_parameter() -> None:
    from inspect import signature

    for name in sertk.FUNCTIONS:
        function = getattr(sertk, name)
        assert name in sertk.__all__
        described = function.__doc__.partition("Parameters\n")[2].partition("Raises\n")[0]
        lines = [line.strip() for line in described.splitlines()]
        named = {word for line in lines for word in line.split(", ") if word.isidentifier()}
        assert set(signature(function).parameters) <= named, name


def test_predictions_go_to_a_frame_and_back(place: Path) -> None:
    sertk.train("experiment.toml", out="a", device="cpu")
    corpus = Manifest.read(Path("manifest.jsonl.gz"))
    split = next(u.split for u in corpus if u.split not in (None, "train"))
    assert split is not None
    (predicted,) = sertk.predict_corpus("a", "manifest.jsonl.gz", split, device="cpu")
    assert predicted.predictions is not None
    frame = predicted.predictions.to_frame()
    assert [*frame.columns[:2]] == ["id", "emotion"]
    back = Predictions.from_frame(frame)
    np.testing.assert_array_equal(back.emotion, predicted.predictions.emotion)
    assert repr(back).startswith(f"Predictions({len(back)} utterances; ")
    with pytest.raises(DataError, match="the frame, row 1: the id"):
        Predictions.from_frame(frame.assign(id=""))

    pandas = pytest.importorskip("pandas")
    names = corpus.labels.names
    labels = pandas.DataFrame(
        [
            {"id": u.id, "emotion": u.emotion, "speaker": u.speaker, "duration": u.duration, **u.attributes}
            | {name: u.votes.get(name, 0.0) for name in names}
            for u in corpus.split(split)
        ]
    )
    predicted.predictions.write(Path("p.csv"))
    by_files = sertk.score("p.csv", "manifest.jsonl.gz", split, draws=50).scores["p"]
    by_frames = sertk.score_frames(frame, labels, draws=50)
    for metric, value in by_files.metrics.items():
        assert by_frames.metrics[metric].value == pytest.approx(value.value, abs=1e-12), metric
    with pytest.raises(DataError, match="no column `id`"):
        sertk.score_frames(frame, labels.drop(columns="id"))
    with pytest.raises(DataError, match=f"votes for some classes only: no column for {names[0]}"):
        sertk.score_frames(frame, labels.drop(columns=names[0]))
    with pytest.raises(DataError, match="duration is not a number: 'long'"):
        sertk.score_frames(frame, labels.assign(duration="long"))


def test_what_one_model_predicted_is_kept_when_the_next_fails(place: Path) -> None:
    sertk.train("experiment.toml", out="a", device="cpu")
    shutil.copytree("a", "b")
    Path("b", "model.safetensors").write_bytes(b"damaged")
    split = next(u.split for u in Manifest.read(Path("manifest.jsonl.gz")) if u.split not in (None, "train"))
    assert split is not None
    done: list[Path | None] = []
    with pytest.raises(SertkError):
        sertk.predict_corpus(
            ["a", "b"],
            "manifest.jsonl.gz",
            split,
            into="p",
            device="cpu",
            on_result=lambda one: done.append(one.output),
        )
    assert done == [Path("p/a.csv")]
    assert Predictions.read(Path("p/a.csv"))
    (again,) = sertk.predict_corpus(["a"], "manifest.jsonl.gz", split, into="p", device="cpu")
    assert again.up_to_date
