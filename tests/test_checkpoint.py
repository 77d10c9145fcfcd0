from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from sertk.cards import read_card
from sertk.checkpoint import Checkpoint, is_checkpoint, same_labels
from sertk.config.files import load_experiment
from sertk.errors import CheckpointError
from sertk.experiment import run


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
    with pytest.raises(CheckpointError, match="climb"):
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
        same_labels({"one": Checkpoint.load(trained), "other": Checkpoint.load(copied)})


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
