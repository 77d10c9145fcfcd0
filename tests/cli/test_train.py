"""`sertk train`: what runs again, what is gone on with, and what is never replaced."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sertk.batching import samplers
from sertk.checkpoint import Checkpoint
from sertk.cli import main
from sertk.config.files import load_experiment
from sertk.data.manifest import Manifest
from sertk.experiment import provenance, run
from sertk.features.store import FeatureStore, StoreWriter
from sertk.provenance import changes, read_record
from sertk.testing.tiny import tiny_experiment, write_tiny_corpus

SHORT = ["--set", "stage.full.epochs=1", "--set", "stage.second.epochs=1"]
Train = Callable[..., str]


@pytest.fixture
def site(tiny_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a corpus and features of its own, and `one.toml`, all with relative paths."""
    folder = tmp_path / "site"
    shutil.copytree(tiny_store, folder)
    text = (folder / "experiment.toml").read_text().replace(f"{tiny_store}/", "")
    (folder / "experiment.toml").unlink()
    (folder / "one.toml").write_text(text)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def train(capsys: pytest.CaptureFixture[str]) -> Train:
    """Call the verb; give what it says, on whichever stream."""

    def call(*words: str, status: int = 0) -> str:
        capsys.readouterr()
        assert main(["train", *words, *SHORT, "--device", "cpu"]) == status
        said = capsys.readouterr()
        return said.out + said.err

    return call


def change(manifest: Path, split: str, /, **fields: Any) -> None:
    """Give the first utterance of a split other fields."""
    corpus = Manifest.read(manifest)
    first = next(utterance for utterance in corpus if utterance.split == split)
    corpus.with_utterances(replace(u, **fields) if u is first else u for u in corpus).write(manifest)


def rewrite(store: Path, *, sources: dict[str, str], add: float = 0.0) -> None:
    """Write a store anew with other digests for some utterances, and other frames."""
    old = FeatureStore.open(store)
    frames = {id: old[id].clone() + add for id in old}
    shutil.rmtree(store)
    with StoreWriter(store, old.card) as writer:
        for id, value in frames.items():
            writer.add(id, value, sources.get(id, old.sources[id]))


def test_a_model_is_trained_once_and_moving_all_trains_nothing(
    site: Path, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "trained" in train("one.toml", "--into", "members")
    assert train("one.toml", "--into", "members") == "up to date  members/one\n"
    moved = site.rename(site.with_name("elsewhere"))
    monkeypatch.chdir(moved)
    assert train("one.toml", "--into", "members") == "up to date  members/one\n"
    assert "trained" in train("one.toml", "--into", "members", "--force")


VOTES = {"votes": {"Happy": 5.0}, "emotion": "Happy"}


@pytest.mark.parametrize(
    ("split", "fields", "current"),
    [
        ("development", {**VOTES, "speaker": "another", "text": "other words"}, True),  # it is not trained on
        ("train", {"gender": "Female", "language": "en", "sample_rate": 8000}, True),  # training reads none of these
        ("train", VOTES, False),
        ("held_out", VOTES, False),
        ("train", {"attributes": {"arousal": 1.25}}, False),
        ("train", {"speaker": "another"}, False),
        ("train", {"text_source": "another"}, False),
        ("train", {"split": "development"}, False),
    ],
)
def test_it_is_trained_again_when_what_it_reads_changes(
    site: Path, train: Train, split: str, fields: dict[str, Any], current: bool
) -> None:
    train("one.toml", "--out", "model")
    change(site / "manifest.jsonl.gz", split, **fields)
    assert ("up to date" in train("one.toml", "--out", "model")) is current


def test_a_changed_transcript_trains_no_model_of_speech_alone(site: Path, train: Train) -> None:
    text = (site / "one.toml").read_text()
    (site / "one.toml").write_text(text.replace('words  = "features/words"\n', ""))
    train("one.toml", "--out", "model")
    change(site / "manifest.jsonl.gz", "train", text="other words", text_source="another")
    assert train("one.toml", "--out", "model") == "up to date  model\n"


def test_options_and_versions_of_components_train_again_and_where_it_runs_does_not(
    site: Path, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    train("one.toml", "--out", "model")
    for same in ("compute.threads=1", "compute.device=cpu"):
        assert "up to date" in train("one.toml", "--out", "model", "--set", same)
    text = (site / "one.toml").read_text()
    (site / "one.toml").write_text(
        text.replace('[fusion]\nuse = "concat"', '[fusion]\nuse = "concat"\npooling = "mean"')
    )
    assert "up to date" in train("one.toml", "--out", "model")  # the default, written out
    before = provenance(config="one.toml")
    for other in (
        "seed=2",
        "stage.full.optimizer.lr=0.5",
        "fusion.pooling=attentive_statistics",
        "head.activation=none",
    ):
        (changed, *_) = changes(before, provenance(config="one.toml", sets=[other]))
        assert changed.part == f"experiment.{other.split('=')[0]}"
    monkeypatch.setattr(samplers.ByLength, "revision", 2)
    (changed,) = changes(before, provenance(config="one.toml"))
    assert (changed.part, changed.now) == ("component sampler by_length", "sertk revision 2")
    assert "trained" in train("one.toml", "--out", "model")


def test_features_of_other_words_than_the_manifest_has_are_refused(site: Path, train: Train) -> None:
    """Fault 1.1: a model is never trained on features that do not belong to the manifest."""
    train("one.toml", "--out", "model")
    corpus = Manifest.read(site / "manifest.jsonl.gz")
    said = [u for u in corpus if u.split in ("train", "held_out")]
    corpus.with_utterances(replace(u, text=f"anew {u.text}") for u in corpus).write(site / "manifest.jsonl.gz")
    message = train("one.toml", "--out", "model", status=1)
    assert f"features/words: {len(said)} of {len(said)} utterances were extracted from other words" in message
    assert "run `sertk extract` again" in message
    assert "up to date" not in message


def test_features_of_other_recordings_train_again(site: Path, train: Train) -> None:
    """Fault 1.2: with other content of the same length a store is another one."""
    train("one.toml", "--out", "model")
    before = Checkpoint.load(site / "model")
    rewrite(site / "features/speech", sources={"utt-0000": "of another recording"}, add=0.5)
    assert "trained" in train("one.toml", "--out", "model")
    after = Checkpoint.load(site / "model")
    assert after.fingerprint != before.fingerprint
    rewrite(site / "features/speech", sources={"utt-0004": "of another recording"})  # of the development split
    assert train("one.toml", "--out", "model") == "up to date  model\n"


class Stopped(Exception):
    pass


def test_an_interrupted_training_is_gone_on_with_on_the_same_features_alone(site: Path) -> None:
    """Fault 1.2: features that changed in between are trained on from the start."""

    def stop(row: dict[str, Any]) -> None:
        raise Stopped

    experiment = load_experiment(Path("one.toml"))
    with pytest.raises(Stopped):
        run(experiment, site / "model", report=stop)
    rewrite(site / "features/speech", sources={"utt-0000": "of another recording"}, add=0.5)
    epochs: list[int] = []
    mixed = run(experiment, site / "model", report=lambda row: epochs.append(row["epoch"]))
    clean = run(experiment, site / "clean")
    assert epochs[0] == 1
    assert all(torch.equal(tensor, clean.weights[name]) for name, tensor in mixed.weights.items())


def test_the_record_says_what_differs_and_plans_the_same_again(site: Path, train: Train) -> None:
    train("one.toml", "--out", "members/one")
    record = read_record(site / "members/one")
    assert record is not None
    assert (site / "members/one" / record.folder).resolve() == site.resolve()
    assert provenance(**record.made.call).key == record.made.key
    change(site / "manifest.jsonl.gz", "train", **VOTES)
    assert [each.part for each in changes(record.made, provenance(**record.made.call))] == ["train"]
    checkpoint = run(load_experiment(Path("one.toml")), site / "other")
    again = read_record(checkpoint.folder or Path())
    assert again is not None
    assert provenance(**again.made.call).key == again.made.key


def foreign(site: Path) -> dict[str, Path]:
    """Ten outputs that are not an earlier model of `sertk train`."""
    made = {name: site / name for name in ("trained", "conf", "document", "hidden", "combined", "states", "plain")}
    (made["trained"] / "one").mkdir(parents=True)
    (made["trained"] / "one/model.safetensors").write_text("weights")
    made["conf"].mkdir()
    (made["conf"] / "base.toml").write_text("[data]")
    made["document"].mkdir()
    (made["document"] / "thesis.tex").write_text("years of work")
    made["hidden"].mkdir()
    (made["hidden"] / ".git").mkdir()
    made["combined"].mkdir()
    (made["combined"] / "provenance.json").write_text(
        '{"sertk_provenance": 1, "verb": "combine", "key": "", "parts": {}, "call": {}, "reads": [], "files": {},'
        ' "finished": true, "folder": "."}'
    )
    (made["states"] / "state").mkdir(parents=True)
    (made["states"] / "state/of_mine.txt").write_text("mine")
    made["plain"].write_text("a file")
    return made | {"features": site / "features", "store": site / "features/speech", "corpus": site}


def test_nothing_but_an_earlier_model_is_replaced(site: Path, train: Train) -> None:
    """Fault 2.1: `--out members` in place of `--into members`."""
    outs = foreign(site)
    assert len(outs) == 10
    before = {path: path.read_bytes() for path in sorted(site.rglob("*")) if path.is_file()}
    for name, out in outs.items():
        for words in (["one.toml", "--out", str(out)], ["one.toml", "--out", str(out), "--force"]):
            message = train(*words, status=1)
            assert message.startswith("error"), name
            assert "unexpected" not in message, name
    assert {path: path.read_bytes() for path in sorted(site.rglob("*")) if path.is_file()} == before


def test_a_file_that_somebody_put_into_a_model_is_not_lost(site: Path, train: Train) -> None:
    train("one.toml", "--out", "model")
    (site / "model/notes.txt").write_text("mine")
    assert train("one.toml", "--out", "model", "--set", "seed=2", status=1).count("notes.txt") == 1
    assert (site / "model/notes.txt").read_text() == "mine"


def test_two_models_on_one_place_are_refused_before_any_work(site: Path, train: Train) -> None:
    """Fault 2.3: the second would replace the first."""
    for name in ("a", "b"):
        (site / name).mkdir()
        shutil.copy(site / "one.toml", site / name / "m.toml")
    message = train("a/m.toml", "b/m.toml", "--into", "mm", status=1)
    assert "same place" in message
    assert not (site / "mm").exists()


def test_a_killed_training_of_another_experiment_leaves_nothing_behind(site: Path) -> None:
    """What is left of a state that was being removed is no state."""
    write_tiny_corpus(site / "corpus")
    run(load_experiment(tiny_experiment(site / "corpus", epochs=1)), site / "clean")

    def stop(row: dict[str, Any]) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        run(load_experiment(Path("one.toml")), site / "model", report=stop)
    (site / "model/state").rename(site / "model/.state.part")
    model = run(load_experiment(tiny_experiment(site / "corpus", epochs=1)), site / "model")
    clean = Checkpoint.load(site / "clean")
    assert all(torch.equal(tensor, clean.weights[name]) for name, tensor in model.weights.items())
    assert not [path for path in (site / "model").iterdir() if path.name.startswith(".")]
