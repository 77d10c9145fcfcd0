from __future__ import annotations

import gzip
import json
import os
import resource
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sertk.cards import is_checkpoint, read_card
from sertk.checkpoint import Checkpoint, same_labels
from sertk.config.files import load_experiment
from sertk.config.schema import Combination, Data, Use
from sertk.encoders.checkpoint import load_tree
from sertk.ensemble.combine import combine
from sertk.errors import CheckpointError
from sertk.experiment import run
from sertk.testing.tiny import tiny_experiment, write_tiny_corpus


@pytest.fixture(scope="module")
def trained(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("checkpoint") / "model"
    run(load_experiment(tiny_store / "experiment.toml", ["stage.full.epochs=1", "stage.second.epochs=1"]), out)
    return out


@pytest.fixture
def copied(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "model"))


def test_a_loaded_checkpoint_is_the_saved_one(trained: Path, tmp_path: Path) -> None:
    first = Checkpoint.load(trained)
    again = Checkpoint.load(first.save(tmp_path / "again").folder or Path())
    assert again.card == first.card
    assert again.experiment == first.experiment
    assert again.train_ids == first.train_ids
    assert again.fingerprint == first.fingerprint
    for name, tensor in first.weights.items():
        assert torch.equal(tensor, again.weights[name])


def test_the_same_checkpoint_is_the_same_bytes(trained: Path, tmp_path: Path) -> None:
    checkpoint = Checkpoint.load(trained)
    checkpoint.save(tmp_path / "a")
    checkpoint.save(tmp_path / "b")
    for path in sorted((tmp_path / "a").iterdir()):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


def test_nothing_needs_pickle(trained: Path) -> None:
    assert {path.suffix for path in trained.iterdir()} <= {
        "",
        ".toml",
        ".safetensors",
        ".json",
        ".jsonl",
        ".gz",
        ".md",
    }


def test_the_model_card_names_labels_scores_and_versions(trained: Path) -> None:
    text = (trained / "README.md").read_text()
    for word in (
        "Angry, Happy, Neutral",
        "arousal (1 to 7)",
        "held_out balanced_macro_f1",
        "sertk 0.",
        "made_up_speech",
    ):
        assert word in text


def test_the_training_ids_are_those_of_the_training_split(trained: Path, tiny_store: Path) -> None:
    from sertk.data.manifest import Manifest

    train = {u.id for u in Manifest.read(tiny_store / "manifest.jsonl.gz").split("train")}
    assert Checkpoint.load(trained).train_ids == train


@pytest.mark.parametrize("name", ["card.json", "model.safetensors", "config.toml", "train_ids.txt.gz"])
def test_a_missing_file_is_named(copied: Path, name: str) -> None:
    (copied / name).unlink()
    with pytest.raises(Exception, match=name.split(".")[0]) as caught:
        Checkpoint.load(copied)
    assert "sertk" in type(caught.value).__module__


def test_damaged_weights_are_found_by_checksum(copied: Path) -> None:
    path = copied / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="checksum"):
        Checkpoint.load(copied)


@pytest.mark.parametrize("text", ["", "{", '{"name": "x"}', '["a"]', '{"name": 3, "labels": "A"}'])
def test_a_damaged_card_is_named(copied: Path, text: str) -> None:
    (copied / "card.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"card\.json"):
        read_card(copied)


@pytest.mark.parametrize("name", ["card.json", "config.toml", "train_ids.txt.gz", "history.jsonl", "README.md"])
def test_one_changed_bit_in_any_file_is_found_and_named(copied: Path, name: str) -> None:
    data = bytearray((copied / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copied / name).write_bytes(data)
    with pytest.raises(CheckpointError, match=rf"{name}"):
        Checkpoint.load(copied)


def test_the_sums_are_those_that_sha256sum_reads(trained: Path) -> None:
    done = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=trained, capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == len(list(trained.iterdir())) - 1


@pytest.mark.parametrize("name", ["../outside", "a/b", "..", "/etc"])
def test_a_member_outside_of_the_folder_is_refused(copied: Path, name: str) -> None:
    card = json.loads((copied / "card.json").read_text())
    card["encoders"][name] = card["encoders"].pop("speech")
    (copied / "card.json").write_text(json.dumps(card))
    with pytest.raises(CheckpointError, match="would leave members"):
        read_card(copied)


def test_a_member_that_claims_to_lie_elsewhere_is_refused(copied: Path) -> None:
    card = json.loads((copied / "card.json").read_text())
    card["encoders"]["speech"] |= {"use": "checkpoint", "options": {"folder": "members/../../secret"}}
    (copied / "card.json").write_text(json.dumps(card))
    with pytest.raises(CheckpointError, match="should lie in 'members/speech'"):
        read_card(copied)


def test_a_model_loads_without_the_plugins_that_only_its_training_needed(copied: Path) -> None:
    config = (copied / "config.toml").read_text()
    (copied / "config.toml").write_text(config.replace('use = "by_length"', 'use = "of_a_stranger"'))
    (copied / "SHA256SUMS").unlink()
    assert Checkpoint.load(copied).experiment.stage[0].sampler.use == "of_a_stranger"


def test_weights_of_another_shape_are_refused(copied: Path) -> None:
    config = (copied / "config.toml").read_text()
    other = config.replace('pooling = "mean"', 'pooling = "attentive_statistics"')
    assert other != config
    (copied / "config.toml").write_text(other)
    (copied / "SHA256SUMS").unlink()
    with pytest.raises(CheckpointError, match="do not fit"):
        Checkpoint.load(copied).classifier()


def test_members_must_agree_in_the_order_of_labels(copied: Path, trained: Path) -> None:
    card = json.loads((copied / "card.json").read_text())
    card["labels"] = card["labels"][::-1]
    (copied / "card.json").write_text(json.dumps(card))
    (copied / "SHA256SUMS").unlink()
    with pytest.raises(CheckpointError, match="order included"):
        same_labels({"one": read_card(trained), "other": read_card(copied)})


def test_a_failed_save_leaves_the_old_one(trained: Path, copied: Path) -> None:
    checkpoint = Checkpoint.load(trained)
    before = {path.name: path.read_bytes() for path in copied.iterdir()}
    with pytest.raises(FileNotFoundError):
        checkpoint.save(copied, {"gone": copied.parent / "not-there"})
    assert {path.name: path.read_bytes() for path in copied.iterdir()} == before
    assert list(copied.parent.iterdir()) == [copied]


def test_members_lie_inside_and_a_feature_store_is_no_checkpoint(
    trained: Path, tiny_store: Path, tmp_path: Path
) -> None:
    saved = Checkpoint.load(trained).save(tmp_path / "ensemble", {"01": trained})
    assert is_checkpoint(saved.member_folder("01"))
    assert Checkpoint.load(saved.member_folder("01")).fingerprint == Checkpoint.load(trained).fingerprint
    assert not is_checkpoint(tiny_store / "features" / "speech")


@pytest.fixture(scope="module")
def vote(trained: Path, tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ensemble of two members that differ in their weights."""
    folder = tmp_path_factory.mktemp("vote")
    sets = ["init_seed=2", "stage.full.epochs=1", "stage.second.epochs=1"]
    run(load_experiment(tiny_store / "experiment.toml", sets), folder / "other")
    use = Use(use="soft_vote")
    asked = Combination(aggregator=use, data=Data(manifest=str(tiny_store / "manifest.jsonl.gz")))
    combine(asked, {"one": trained, "two": folder / "other"}, folder / "vote")
    return folder / "vote"


def test_members_that_change_places_are_refused(vote: Path, tmp_path: Path) -> None:
    ensemble = Path(shutil.copytree(vote, tmp_path / "vote"))
    (ensemble / "members/one").rename(ensemble / "members/three")
    (ensemble / "members/two").rename(ensemble / "members/one")
    (ensemble / "members/three").rename(ensemble / "members/two")
    with pytest.raises(CheckpointError, match=r"members/one is not the member that .*vote was made with"):
        load_tree(ensemble)


def test_a_member_of_another_corpus_is_refused(vote: Path, tmp_path: Path) -> None:
    path = tiny_experiment(tmp_path, epochs=1)
    write_tiny_corpus(tmp_path, seed=2)
    ensemble = Path(shutil.copytree(vote, tmp_path / "vote"))
    shutil.rmtree(ensemble / "members/one")
    run(load_experiment(path), ensemble / "members/one")
    with pytest.raises(CheckpointError, match=r"members/one is not the member that .*vote was made with"):
        load_tree(ensemble)


def test_a_fingerprint_covers_whatever_decides_the_posteriors(trained: Path) -> None:
    model = Checkpoint.load(trained)
    card, experiment = model.card, model.experiment
    encoder = {**card.encoders, "speech": replace(card.encoders["speech"], fingerprint="another")}
    rounded = {**card.encoders, "speech": replace(card.encoders["speech"], dtype="float16")}
    other = [
        replace(model, card=replace(card, **change))  # type: ignore[arg-type]
        for change in (
            {"weights_sha256": "another"},
            {"labels": card.labels[::-1]},
            {"ranges": {**card.ranges, "arousal": (0.0, 7.0)}},
            {"fusion_version": "sertk revision 99"},
            {"encoders": encoder},
            {"encoders": rounded},
        )
    ]
    fusion = Use.model_validate({**experiment.fusion.model_dump(), "pooling": "attentive_statistics"})
    head = experiment.head.model_copy(update={"activation": "none"})
    for update in ({"fusion": fusion}, {"head": head}, {"standardise": ["speech"]}):
        other.append(replace(model, experiment=experiment.model_copy(update=update)))
    assert len({each.fingerprint for each in [model, *other]}) == 1 + len(other)
    unchanged = replace(card, name="x", metrics={}, scores={"test": {}}, notes={}, versions={}, data_fingerprint="x")
    assert replace(model, card=unchanged).fingerprint == model.fingerprint


def test_members_laid_out_as_a_hub_cache_has_them_are_taken_as_real_files(
    trained: Path, vote: Path, tiny_store: Path, tmp_path: Path
) -> None:
    """`snapshots/REVISION/model.safetensors` is a relative link to `../../blobs/DIGEST`."""
    blobs, snapshot = tmp_path / "cache/blobs", tmp_path / "cache/snapshots/abc"
    for folder in (blobs, snapshot):
        folder.mkdir(parents=True)
    for number, path in enumerate(sorted(trained.iterdir())):
        shutil.copy(path, blobs / str(number))
        (snapshot / path.name).symlink_to(Path("../../blobs") / str(number))
    asked = Combination(aggregator=Use(use="soft_vote"), data=Data(manifest=str(tiny_store / "manifest.jsonl.gz")))
    combine(asked, {"one": snapshot, "two": vote.parent / "other"}, tmp_path / "vote")
    shutil.rmtree(tmp_path / "cache")
    load_tree(tmp_path / "vote")
    assert not any(path.is_symlink() for path in (tmp_path / "vote").rglob("*"))


def test_what_cannot_be_loaded_again_is_not_saved(trained: Path, tmp_path: Path) -> None:
    model = Checkpoint.load(trained)
    weights = {name: tensor[:1] for name, tensor in model.weights.items()}
    with pytest.raises(CheckpointError, match="do not fit"):
        replace(model, weights=weights).save(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def asks_for(folder: Path, options: str) -> Path:
    """A checkpoint whose configuration asks for another fusion than the weights are of."""
    text = (folder / "config.toml").read_text()
    start = text.index("[fusion]")
    (folder / "config.toml").write_text(f"{text[:start]}[fusion]\n{options}\n{text[text.index('[head]', start) :]}")
    (folder / "SHA256SUMS").unlink()
    return folder


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            'use = "gated"\nwidth = 1000000',
            r"fusion\.contents\.0\.weight should be 1000000 x 6, the weights have none",
        ),
        ('use = "late"\nwidth = 1000000000000', "no network can be built: (.|\\n)*overflow"),
        ('use = "late"\nwidth = 8\nffn_dim = 8\nlayers = 1000000', r"more than \d+ modules, far more than"),
    ],
)
def test_a_folder_that_asks_for_terabytes_is_refused_before_any_memory_is_taken(
    copied: Path, options: str, message: str
) -> None:
    model = Checkpoint.load(asks_for(copied, options))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CheckpointError, match=f"the weights do not fit config.toml: {message}"):
        model.classifier()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


def test_the_network_is_the_one_that_is_built_without_a_look_at_its_shapes(trained: Path) -> None:
    model = Checkpoint.load(trained)
    for name, tensor in model.classifier().state_dict().items():
        assert torch.equal(tensor, model.weights[name])
        assert tensor.device.type == "cpu"


@pytest.mark.parametrize("name", ["card.json", "model.safetensors", "config.toml", "train_ids.txt.gz", "SHA256SUMS"])
def test_a_pipe_in_the_place_of_a_file_is_refused_and_not_waited_for(copied: Path, name: str) -> None:
    (copied / name).unlink()
    os.mkfifo(copied / name)
    if name != "SHA256SUMS":
        (copied / "SHA256SUMS").unlink()
    with pytest.raises(CheckpointError, match=rf"{name}: not a regular file"):
        Checkpoint.load(copied)


def test_files_far_too_large_are_refused(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (copied / "SHA256SUMS").unlink()
    (copied / "train_ids.txt.gz").write_bytes(gzip.compress(b"x" * 5000))
    monkeypatch.setattr("sertk.checkpoint.LARGEST_IDS", 4096)
    with pytest.raises(CheckpointError, match=r"train_ids\.txt\.gz: more than"):
        Checkpoint.load(copied)
    monkeypatch.setattr("sertk.cards.LARGEST_TEXT", 100)
    with pytest.raises(CheckpointError, match=r"card\.json: larger than"):
        read_card(copied)


def test_a_checkpoint_of_the_earlier_format_is_recognised(copied: Path) -> None:
    card = json.loads((copied / "card.json").read_text())
    del card["sertk_checkpoint"]
    (copied / "card.json").write_text(json.dumps(card))
    with pytest.raises(CheckpointError, match=r"of an earlier format.*make it again with `sertk train`"):
        Checkpoint.load(copied)
