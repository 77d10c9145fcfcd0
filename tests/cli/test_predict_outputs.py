"""`sertk predict`: names of its files, what is up to date, and what is never replaced."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sertk.cli import main
from sertk.config.files import load_experiment
from sertk.data.manifest import Manifest
from sertk.ensemble.predictions import Predictions
from sertk.experiment import run
from sertk.features.store import FeatureStore, StoreWriter
from sertk.inference.provenance import provenance
from sertk.outputs import names_of
from sertk.provenance import changes, read_record

Predict = Callable[..., str]


@pytest.fixture(scope="module")
def trained(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models, `members/one` and `members/two`, on the tiny corpus by relative paths."""
    folder = tmp_path_factory.mktemp("predict") / "site"
    shutil.copytree(tiny_store, folder)
    text = (folder / "experiment.toml").read_text().replace(f"{tiny_store}/", "")
    (folder / "experiment.toml").write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, seed in (("one", 1), ("two", 2)):
            sets = [f"seed={seed}", "stage.full.epochs=1", "stage.second.epochs=1"]
            run(load_experiment(Path("experiment.toml"), sets), folder / "members" / name)
    return folder


@pytest.fixture
def site(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = Path(shutil.copytree(trained, tmp_path / "site"))
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def predict(capsys: pytest.CaptureFixture[str]) -> Predict:
    """Call the verb; give what it says, on whichever stream."""

    def call(*words: str, status: int = 0) -> str:
        capsys.readouterr()
        assert main(["predict", *words, "--device", "cpu"]) == status
        said = capsys.readouterr()
        return said.out + said.err

    return call


ON = ("--manifest", "manifest.jsonl.gz", "--split", "development")


def test_files_are_named_after_the_last_parts_of_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "exp").mkdir()
    monkeypatch.chdir(tmp_path / "exp")
    inside = ["members/x", "ensembles/meta/seed-1", "./members/y", f"{tmp_path}/exp/ensembles/soup", "a/../members/z"]
    assert names_of([Path(path) for path in inside]) == [
        "members-x",
        "ensembles-meta-seed-1",
        "members-y",
        "ensembles-soup",
        "z",
    ]
    assert names_of([Path("/abs/model"), Path("../model2"), Path("..")]) == ["model", "model2", tmp_path.name]
    assert names_of([Path("/a/x/model"), Path("/b/x/model"), Path("members/model")]) == [
        "a-x-model",
        "b-x-model",
        "members-model",
    ]
    assert names_of([Path(), Path("/"), Path("/a/m"), Path("/a/m")])[:2] == ["exp", "model"]


def test_predictions_of_models_anywhere_come_into_the_folder(site: Path, predict: Predict, tmp_path: Path) -> None:
    """Fault 2.3: the path of a model never leads out of the folder."""
    for name in ("a", "b"):
        shutil.copytree(site / "members/one", tmp_path / name / "model")
    models = ["members/one", str(tmp_path / "a/model"), str(tmp_path / "b/model")]
    predict(*models, *ON, "--into", "out")
    names = sorted(path.name for path in (site / "out").glob("*.csv"))
    assert names == ["a-model.csv", "b-model.csv", "members-one.csv"]
    assert "same place" in predict("members/one", "members/one", *ON, "--into", "twice", status=1)
    assert not (site / "twice").exists()


def test_a_split_is_predicted_again_when_what_is_read_changes(site: Path, predict: Predict) -> None:
    words = ("members/one", "members/two", *ON, "--into", "out")
    assert predict(*words).count("predictions") == 2
    assert predict(*words).splitlines() == ["up to date  out/members-one.csv", "up to date  out/members-two.csv"]
    assert predict(*words, "--force").count("predictions") == 2
    corpus = Manifest.read(site / "manifest.jsonl.gz")
    relabelled = [replace(u, emotion=None, votes={}, attributes={}, speaker=None) for u in corpus]
    corpus.with_utterances(relabelled).write(site / "manifest.jsonl.gz")
    assert predict(*words).count("up to date") == 2  # a model sees no label
    corpus.with_utterances(relabelled[:-1]).write(site / "manifest.jsonl.gz")
    kept = [utterance.split == "development" for utterance in relabelled[-1:]]
    assert predict(*words).count("up to date") == (0 if kept[0] else 2)

    store = FeatureStore.open(site / "features/speech")
    frames = {id: store[id].clone() for id in store}
    shutil.rmtree(site / "features/speech")
    with StoreWriter(site / "features/speech", store.card) as writer:
        for id, value in frames.items():
            writer.add(id, value, "another" if id == "utt-0004" else store.sources[id])
    record = read_record(site / "out/members-one.csv")
    assert record is not None
    assert [each.part for each in changes(record.made, provenance(**record.made.call))] == ["model.speech"]
    assert predict(*words).count("predictions") == 2
    shutil.rmtree(site / "members/two")
    shutil.copytree(site / "members/one", site / "members/two")
    assert "up to date  out/members-one.csv" in predict(*words)
    one, two = (Predictions.read(site / f"out/members-{name}.csv") for name in ("one", "two"))
    assert (one.emotion == two.emotion).all()


def test_features_of_other_words_than_the_manifest_has_are_refused(site: Path, predict: Predict) -> None:
    corpus = Manifest.read(site / "manifest.jsonl.gz")
    count = sum(u.split == "development" for u in corpus)
    corpus.with_utterances(replace(u, text="other words") for u in corpus).write(site / "manifest.jsonl.gz")
    message = predict("members/one", *ON, "--output", "x.csv", status=1)
    assert f"features/words: {count} of {count} utterances were extracted from other words" in message
    assert not (site / "x.csv").exists()


def test_what_predict_did_not_write_is_not_replaced(site: Path, predict: Predict) -> None:
    (site / "out").mkdir()
    theirs = {"out/members-one.csv": "id,mine\n", "x.csv": "mine", "y.csv.left_out.tsv": "mine"}
    for name, text in theirs.items():
        (site / name).write_text(text)
    (site / "folder.csv").mkdir()
    for words in (
        ["members/two", "members/one", *ON, "--into", "out"],
        ["members/one", *ON, "--output", "x.csv"],
        ["members/one", *ON, "--output", "y.csv", "--force"],
        ["members/one", *ON, "--output", "folder.csv"],
    ):
        message = predict(*words, status=1)
        assert message.startswith("error"), words
        assert "unexpected" not in message
    assert {name: (site / name).read_text() for name in theirs} == theirs
    assert sorted(path.name for path in (site / "out").iterdir()) == ["members-one.csv"]


def test_edited_predictions_are_kept_beside_the_new_ones(site: Path, predict: Predict) -> None:
    predict("members/one", *ON, "--output", "x.csv")
    right = (site / "x.csv").read_bytes()
    (site / "x.csv").write_text("edited")
    assert "x.csv.edited" in predict("members/one", *ON, "--output", "x.csv")
    assert (site / "x.csv").read_bytes() == right
    assert (site / "x.csv.edited").read_text() == "edited"


def test_what_could_not_be_predicted_is_listed_beside_and_no_longer_than_it_holds(
    site: Path, predict: Predict
) -> None:
    corpus = Manifest.read(site / "manifest.jsonl.gz")
    first = next(u for u in corpus if u.split == "development")
    more = [*corpus, replace(first, id="without features", text="words")]
    corpus.with_utterances(more).write(site / "more.jsonl")
    on = ("--manifest", "more.jsonl", "--split", "development", "--output", "x.csv")
    assert "left out 1" in predict("members/one", *on)
    assert (site / "x.csv.left_out.tsv").read_text().startswith("without features\thas no features in features/")
    assert predict("members/one", *on) == "up to date  x.csv\n"
    corpus.write(site / "more.jsonl")
    predict("members/one", *on)
    assert not (site / "x.csv.left_out.tsv").exists()
