"""Training with a stop at every epoch is training without, bit for bit, with all that MEDUSA's members draw at random."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sertk import registry
from sertk.checkpoint import read_history
from sertk.config.files import load_experiment
from sertk.experiment import run

STAGES = """
[data]
manifest = "{folder}/manifest.jsonl.gz"
[features]
speech = "{folder}/features/speech"
words = "{folder}/features/words"
[fusion]
use = "deepser"
width = 16
ffn_dim = 32
dropout = 0.3
[head]
attributes = ["arousal", "valence"]
[compute]
device = "cpu"
threads = 1
[[stage]]
name = "full"
epochs = 4
sampler = { use = "by_length", batch_size = 8 }
optimizer = { lr = 3e-3 }
regularizers = [{ use = "manifold_mixup", probability = 0.7, alpha = 0.2 }, { use = "modality_dropout" }]
[[stage]]
name = "balanced"
epochs = 4
sampler = { use = "balanced", batch_size = 8, no_agreement = 1.0 }
optimizer = { lr = 1e-3 }
regularizers = [{ use = "manifold_mixup", probability = 0.7, alpha = 0.2 }, { use = "annotation_dropout" }]
"""
NEEDED = {"deepser": registry.fusions, "manifold_mixup": registry.regularizers, "balanced": registry.samplers}


class Stopped(Exception):
    pass


@pytest.mark.parametrize("every", [1, 3])
def test_stopped_and_resumed_a_member_has_the_same_weights(
    tiny_store: Path, tmp_path: Path, every: int, count: Callable[..., None]
) -> None:
    for name, known in NEEDED.items():
        if name not in known:
            pytest.skip(f"the plugin of {name} is not installed")
    path = tmp_path / "member.toml"
    path.write_text(STAGES.replace("{folder}", str(tiny_store)))
    experiment = load_experiment(path)
    undisturbed = run(experiment, tmp_path / "undisturbed", device=torch.device("cpu"))
    epochs = stops = 0

    def stop(row: dict[str, Any]) -> None:
        nonlocal epochs
        epochs += 1
        if epochs % every == 0:
            raise Stopped

    while True:
        try:
            resumed = run(experiment, tmp_path / "stopped", device=torch.device("cpu"), report=stop)
            break
        except Stopped:
            stops += 1
    assert stops == 8 // every
    assert {row["stage"] for row in read_history(tmp_path / "stopped")} == {"full", "balanced"}
    assert undisturbed.weights.keys() == resumed.weights.keys()
    for name, tensor in undisturbed.weights.items():
        assert torch.equal(tensor, resumed.weights[name]), name
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("undisturbed", "stopped")]
    assert weights[0] == weights[1]
    count("training of DeepSER stopped after an epoch: same weights, bit for bit", stops)
