from __future__ import annotations

import shutil
import struct
from pathlib import Path
from typing import Any

import pytest
import torch

from sertk.checkpoint import Checkpoint, read_history
from sertk.config.files import load_experiment
from sertk.data.manifest import Manifest
from sertk.errors import ConfigError, DataError, SertkError, TrainingError
from sertk.experiment import run
from sertk.features.store import FeatureStore, StoreWriter
from sertk.inputs import read_inputs
from sertk.testing.tiny import tiny_experiment, write_tiny_corpus

CPU = torch.device("cpu")


class Stopped(Exception):
    pass


def test_training_learns_and_selects_the_best_epoch(tiny_store: Path, tmp_path: Path) -> None:
    checkpoint = run(load_experiment(tiny_store / "experiment.toml", ["stage.full.epochs=6"]), tmp_path / "model")
    history = read_history(tmp_path / "model")
    best = max(row["score"] for row in history)
    assert checkpoint.card.metrics == {"held_out balanced_macro_f1": best}
    assert best > 0.6  # chance is 1/3
    assert history[-1]["losses"]["cross_entropy"] < history[0]["losses"]["cross_entropy"]


def test_the_same_seeds_give_the_same_weights_and_others_do_not(tiny_store: Path, tmp_path: Path) -> None:
    path = tiny_store / "experiment.toml"
    models = {
        name: run(load_experiment(path, sets), tmp_path / name)
        for name, sets in {"a": [], "b": [], "seed": ["seed=2"], "init": ["init_seed=2"]}.items()
    }
    assert _equal(models["a"], models["b"])
    assert not _equal(models["a"], models["seed"])
    assert not _equal(models["a"], models["init"])


@pytest.mark.parametrize("fusion", ["concat", "gated"])
def test_stopped_after_every_epoch_and_resumed_ends_with_the_same_weights(
    tiny_store: Path, tmp_path: Path, fusion: str
) -> None:
    """Bit for bit, in both stages, whatever epoch was the last."""
    experiment = load_experiment(tiny_store / "experiment.toml", [f"fusion.use={fusion}"])
    undisturbed = run(experiment, tmp_path / "undisturbed", device=CPU)

    def stop(row: dict[str, Any]) -> None:
        raise Stopped

    out = tmp_path / "stopped"
    for _ in range(20):
        try:
            resumed = run(experiment, out, device=CPU, report=stop)
            break
        except Stopped:
            assert not (out / "model.safetensors").exists()
    assert _equal(undisturbed, resumed)
    assert [_timeless(r) for r in read_history(tmp_path / "undisturbed")] == [_timeless(r) for r in read_history(out)]
    assert not (out / "state").exists()


def test_state_of_another_experiment_is_not_gone_on_with(tiny_store: Path, tmp_path: Path) -> None:
    def stop(row: dict[str, Any]) -> None:
        raise Stopped

    path = tiny_store / "experiment.toml"
    with pytest.raises(Stopped):
        run(load_experiment(path, ["seed=5"]), tmp_path / "mixed", report=stop)
    mixed = run(load_experiment(path), tmp_path / "mixed")
    assert _equal(mixed, run(load_experiment(path), tmp_path / "clean"))


def test_accumulation_and_bfloat16_train(tiny_store: Path, tmp_path: Path) -> None:
    sets = ["compute.precision=bfloat16", "stage.full.accumulate=2", "stage.full.clip_norm=1.0"]
    checkpoint = run(load_experiment(tiny_store / "experiment.toml", sets), tmp_path / "model")
    assert all(tensor.isfinite().all() for tensor in checkpoint.weights.values())


def test_shared_speakers_are_refused(tiny_store: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    manifest = Manifest.read(tiny_store / "manifest.jsonl.gz")
    mixed = manifest.with_utterances(replace(u, speaker="one") for u in manifest)
    mixed.write(tmp_path / "mixed.jsonl")
    experiment = load_experiment(tiny_store / "experiment.toml", [f"data.manifest={tmp_path}/mixed.jsonl"])
    with pytest.raises(DataError, match=r"share 1 speakers \(one\)"):
        read_inputs(experiment)


def test_copies_of_training_recordings_in_the_dev_part_are_refused(tiny_store: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    manifest = Manifest.read(tiny_store / "manifest.jsonl.gz")
    source, copy = manifest.split("train")[0].id, manifest.split("held_out")[0].id
    mixed = manifest.with_utterances(replace(u, source_id=source) if u.id == copy else u for u in manifest)
    mixed.write(tmp_path / "mixed.jsonl")
    experiment = load_experiment(tiny_store / "experiment.toml", [f"data.manifest={tmp_path}/mixed.jsonl"])
    with pytest.raises(DataError, match=rf"share 1 recordings as copies \({source}\)"):
        read_inputs(experiment)


def test_a_model_that_was_trained_on_a_copy_knows_its_original(tiny_store: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    manifest = Manifest.read(tiny_store / "manifest.jsonl.gz")
    copy = manifest.split("train")[0].id
    manifest.with_utterances(replace(u, source_id="original") if u.id == copy else u for u in manifest).write(
        tmp_path / "copied.jsonl"
    )
    sets = [f"data.manifest={tmp_path}/copied.jsonl", "stage.full.epochs=1", "stage.second.epochs=1"]
    checkpoint = run(load_experiment(tiny_store / "experiment.toml", sets), tmp_path / "model")
    assert {copy, "original"} <= checkpoint.train_ids


def test_a_faulty_manifest_is_refused_with_all_its_faults(tiny_store: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    manifest = Manifest.read(tiny_store / "manifest.jsonl.gz")
    bad = list(manifest)
    bad[3] = replace(bad[3], votes={"Agry": 1.0})
    bad[4] = replace(bad[4], attributes={"arousal": 9.0})
    bad.append(bad[0])
    manifest.with_utterances(bad).write(tmp_path / "bad.jsonl")
    experiment = load_experiment(tiny_store / "experiment.toml", [f"data.manifest={tmp_path}/bad.jsonl"])
    with pytest.raises(ConfigError, match="3 faults") as caught:
        read_inputs(experiment)
    assert "Did you mean 'Angry'" in str(caught.value)
    assert "twice" in str(caught.value)


def test_utterances_without_features_are_left_out_and_counted(tiny_store: Path, tmp_path: Path) -> None:
    source = FeatureStore.open(tiny_store / "features" / "speech")
    kept = sorted(source.lengths)[:70]
    with StoreWriter(tmp_path / "speech", source.card) as writer:
        for id in kept:
            writer.add(id, source[id].clone(), source.sources[id])
    experiment = load_experiment(
        tiny_store / "experiment.toml",
        [f"features.speech={tmp_path}/speech", "stage.full.epochs=1", "stage.second.epochs=1"],
    )
    checkpoint = run(experiment, tmp_path / "model")
    assert checkpoint.train_ids <= set(kept)
    assert checkpoint.card.notes["left_out"] > 0


def test_nan_features_stop_training_and_leave_no_checkpoint(tmp_path: Path) -> None:
    write_tiny_corpus(tmp_path)
    store = FeatureStore.open(tmp_path / "features" / "speech")
    train = Manifest.read(tmp_path / "manifest.jsonl.gz").split("train")
    with StoreWriter(tmp_path / "features" / "bad", store.card) as writer:
        for id in store:
            frames = torch.full_like(store[id], 12345.0) if id == train[0].id else store[id].clone()
            writer.add(id, frames, store.sources[id])
    (shard,) = (tmp_path / "features" / "bad").glob("shard-*.safetensors")
    shard.chmod(0o644)
    as_bytes = [struct.pack("<f", value) for value in (12345.0, float("nan"))]
    shard.write_bytes(shard.read_bytes().replace(*as_bytes))  # damage that no reader looks for
    path = tiny_experiment(tmp_path)
    with pytest.raises(TrainingError, match=train[0].id):
        run(load_experiment(path, [f"features.speech={tmp_path}/features/bad"]), tmp_path / "model")
    assert not (tmp_path / "model" / "card.json").exists()


def test_a_split_without_utterances_is_named(tiny_store: Path, tmp_path: Path) -> None:
    experiment = load_experiment(tiny_store / "experiment.toml", ["data.dev=heldout"])
    with pytest.raises(DataError, match="Did you mean 'held_out'"):
        run(experiment, tmp_path / "model")


def test_a_device_that_is_not_there_is_refused() -> None:
    from sertk.devices import choose_device

    with pytest.raises(SertkError, match="Use cpu or auto"):
        choose_device("cuda:99")


def test_the_stage_before_counts_as_a_candidate(tiny_store: Path, tmp_path: Path) -> None:
    """A second stage that only does harm leaves the weights of the first."""
    harmful = ["stage.second.optimizer.lr=100.0", "stage.second.epochs=2"]
    experiment = load_experiment(tiny_store / "experiment.toml", ["stage.full.epochs=5", *harmful])
    with_harm = run(experiment, tmp_path / "harm")
    best = max((r for r in read_history(tmp_path / "harm")), key=lambda row: row["score"])
    assert best["stage"] == "full"
    assert with_harm.card.metrics["held_out balanced_macro_f1"] == best["score"]
    shutil.rmtree(tmp_path / "harm")


def _equal(first: Checkpoint, second: Checkpoint) -> bool:
    return all(torch.equal(tensor, second.weights[name]) for name, tensor in first.weights.items())


def _timeless(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != "seconds"}
