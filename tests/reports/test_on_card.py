from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from sertk.cards import read_card
from sertk.checkpoint import Checkpoint
from sertk.cli import main
from sertk.config.files import load_experiment
from sertk.data.manifest import Manifest
from sertk.experiment import run


@pytest.fixture(scope="module")
def trained(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `model` and its predictions of two splits."""
    folder = tmp_path_factory.mktemp("on_card")
    run(
        load_experiment(tiny_store / "experiment.toml", ["stage.full.epochs=1", "stage.second.epochs=1"]),
        folder / "m",
    )
    for split in ("held_out", "train"):
        words = ["--manifest", str(tiny_store / "manifest.jsonl.gz"), "--split", split]
        assert main(["predict", str(folder / "m"), *words, "--output", str(folder / f"{split}.csv")]) == 0
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "here"))


def score(tiny_store: Path, folder: Path, *words: str, split: str = "held_out") -> int:
    files = [str(folder / f"{split}.csv"), "--manifest", str(tiny_store / "manifest.jsonl.gz"), "--split", split]
    return main(["score", *files, "--card", str(folder / "m"), "--draws", "50", *words])


def test_the_card_of_a_model_carries_its_scores(
    tiny_store: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = Checkpoint.load(folder / "m")
    assert "`sertk score" in (folder / "m" / "README.md").read_text()
    assert score(tiny_store, folder, "--json") == 0
    wanted = json.loads(capsys.readouterr().out)["systems"]["held_out"]["metrics"]
    after = Checkpoint.load(folder / "m")  # which checks SHA256SUMS
    assert after.fingerprint == before.fingerprint
    assert after.train_ids == before.train_ids
    on_card = read_card(folder / "m").scores["held_out"]
    assert on_card["metrics"]["macro_f1"] == wanted["macro_f1"]
    assert on_card["utterances"] == len(Manifest.read(tiny_store / "manifest.jsonl.gz").split("held_out"))
    page = (folder / "m" / "README.md").read_text()
    assert "### held_out" in page
    assert f"| macro_f1 | {wanted['macro_f1']['value']:.3f} |" in page
    assert "* no intervals: " in page  # of three speakers
    assert "Not measured" not in page
    assert (folder / "m" / "history.jsonl").is_file()
    assert not (folder / "m").with_name(".m.lock").exists()


def test_the_checksums_cover_the_card_with_its_scores(tiny_store: Path, folder: Path) -> None:
    assert score(tiny_store, folder) == 0
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=folder / "m", check=True)
    listed = (folder / "m" / "SHA256SUMS").read_text()
    assert all(name in listed for name in ("README.md", "card.json", "history.jsonl", "model.safetensors"))


def test_scores_that_are_on_the_card_already_are_up_to_date(
    tiny_store: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert score(tiny_store, folder) == 0
    first = {path.name: path.read_bytes() for path in (folder / "m").iterdir() if path.is_file()}
    capsys.readouterr()
    assert score(tiny_store, folder) == 0
    assert capsys.readouterr().out == f"up to date  {folder / 'm'}\n"
    assert score(tiny_store, folder, "--seed", "2") == 0
    assert "macro-F1" in capsys.readouterr().out
    assert (folder / "m" / "card.json").read_bytes() != first["card.json"]
    assert (folder / "m" / "model.safetensors").read_bytes() == first["model.safetensors"]


def test_scores_of_training_utterances_do_not_come_on_a_card(
    tiny_store: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (folder / "m" / "card.json").read_bytes()
    assert score(tiny_store, folder, split="train") == 1
    assert "was trained on" in capsys.readouterr().err
    assert (folder / "m" / "card.json").read_bytes() == before


def test_scores_of_copies_of_training_utterances_do_not_either(
    tiny_store: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = Manifest.read(tiny_store / "manifest.jsonl.gz")
    source, copy = manifest.split("train")[0].id, manifest.split("held_out")[0].id
    mixed = manifest.with_utterances(replace(u, source_id=source) if u.id == copy else u for u in manifest)
    mixed.write(folder / "manifest.jsonl.gz")
    assert score(folder, folder) == 1
    assert f"was trained on 1 of the {len(mixed.split('held_out'))} scored utterances ({copy})" in " ".join(
        capsys.readouterr().err.split()
    )


def test_cross_validated_scores_come_on_a_card_that_says_so(
    tiny_store: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert score(tiny_store, folder, "--cross-validated", split="train") == 0
    on_card = read_card(folder / "m").scores["cross-validation"]
    assert on_card["remarks"][0].startswith("the scores are not of this model but of models trained in the same way")
    assert "* the scores are not of this model" in (folder / "m" / "README.md").read_text()
    capsys.readouterr()
    assert score(tiny_store, folder, "--cross-validated", split="train") == 0
    assert capsys.readouterr().out == f"up to date  {folder / 'm'}\n"
    files = [str(folder / "train.csv"), "--manifest", str(tiny_store / "manifest.jsonl.gz"), "--split", "train"]
    assert main(["score", *files, "--cross-validated"]) == 2
    assert "give --card MODEL too" in capsys.readouterr().err


def test_scores_on_the_card_make_nothing_again(
    tiny_store: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "vote.toml"
    config.write_text(
        f'fit = "held_out"\n[aggregator]\nuse = "soft_vote"\n[data]\nmanifest = "{tiny_store}/manifest.jsonl.gz"\n'
    )
    words = ["--manifest", str(tiny_store / "manifest.jsonl.gz"), "--split", "held_out"]
    calls = [
        ["predict", str(folder / "m"), *words, "--output", str(tmp_path / "again.csv")],
        ["combine", str(config), str(folder / "m"), "--out", str(tmp_path / "vote")],
    ]
    assert [main(call) for call in calls] == [0, 0]
    assert score(tiny_store, folder) == 0
    capsys.readouterr()
    for call in calls:
        assert main(call) == 0
        assert capsys.readouterr().out.startswith("up to date")


def test_predictions_of_another_model_do_not_come_on_a_card(
    tiny_store: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sets = ["init_seed=5", "stage.full.epochs=1", "stage.second.epochs=1"]
    shutil.rmtree(folder / "m")
    run(load_experiment(tiny_store / "experiment.toml", sets), folder / "m")
    assert score(tiny_store, folder) == 1
    assert "was predicted by another model than" in capsys.readouterr().err
    assert read_card(folder / "m").scores == {}


def test_a_folder_that_is_no_model_is_named(
    tiny_store: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(folder / "m")
    assert score(tiny_store, folder) == 1
    assert "is not a checkpoint" in capsys.readouterr().err


def test_one_card_takes_one_system(tiny_store: Path, folder: Path) -> None:
    assert score(tiny_store, folder, str(folder / "train.csv")) == 2
