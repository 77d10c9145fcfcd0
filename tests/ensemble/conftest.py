from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from sertk.api.crossval import crossval
from sertk.checkpoint import Checkpoint
from sertk.config.files import load_experiment
from sertk.config.schema import Combination, Data, Use
from sertk.data.manifest import Manifest
from sertk.encoders.checkpoint import checkpoint as open_model
from sertk.ensemble.members import infer_rows
from sertk.experiment import run
from sertk.features.card import store_card
from sertk.features.store import StoreWriter

CPU = torch.device("cpu")


def combination(
    folder: Path, aggregator: str = "soft_vote", *, fit: str = "held_out", **options: object
) -> Combination:
    use = Use.model_validate({"use": aggregator, **options})
    return Combination(aggregator=use, data=Data(manifest=str(folder / "manifest.jsonl.gz")), fit=fit)


def train(folder: Path, out: Path, *sets: str) -> Checkpoint:
    return run(load_experiment(folder / "experiment.toml", sets), out, device=CPU)


def write_posteriors(
    checkpoint: Path, out: Path, ids: list[str], *, options: dict[str, object] | None = None
) -> Path:
    """A store of a checkpoint's posteriors, as `sertk extract` writes it."""
    model = Checkpoint.load(checkpoint)
    rows = infer_rows(model, ids, CPU)
    encoder = open_model(folder=str(checkpoint), from_stores=True)
    card = store_card(
        "checkpoint", options or {"folder": str(checkpoint), "from_stores": True}, encoder, dtype="float32"
    )
    sources = encoder.source_digests(ids)
    with StoreWriter(out, card) as writer:
        for id in rows.frames:
            writer.add(id, rows[id], sources[id])
    return out


@pytest.fixture(scope="session")
def trained(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three members, their posteriors, and a cross-validation of the first. Not to be changed."""
    folder = tmp_path_factory.mktemp("trained")
    every = [u.id for u in Manifest.read(tiny_store / "manifest.jsonl.gz")]
    for number in (1, 2, 3):
        out = folder / "members" / f"0{number}"
        train(tiny_store, out, f"init_seed={number}", "stage.full.epochs=2", "stage.second.epochs=1")
        write_posteriors(out, folder / "posteriors" / out.name, every)
    shutil.copy(tiny_store / "experiment.toml", folder / "01.toml")
    manifest = tiny_store / "manifest.jsonl.gz"
    crossval(folder / "01.toml", manifest, folder / "folds", folds=3, splits=["train"], device="cpu")
    return folder


@pytest.fixture
def stores(trained: Path) -> dict[str, Path]:
    return {name: trained / "posteriors" / name for name in ("01", "02", "03")}


@pytest.fixture
def models(trained: Path) -> dict[str, Path]:
    return {name: trained / "members" / name for name in ("01", "02", "03")}
