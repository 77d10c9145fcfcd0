"""How fast this machine trains a member: some steps on random features, timed."""

from __future__ import annotations

import time
from collections.abc import Mapping

import torch

from sertk.config.schema import Experiment
from sertk.models.classifier import build_classifier
from sertk.tensors import Padded
from sertk.training.optimizers import build_optimizer
from sertk.training.precision import autocast


def steps_a_second(
    experiment: Experiment,
    *,
    dims: Mapping[str, int],
    frames: Mapping[str, int],
    batch: int,
    classes: int,
    device: torch.device,
    seconds: float = 10.0,
) -> float:
    """Optimizer steps a second, forward and backward, without reading features. frames: of a typical utterance.

    One step to warm up, then as many as fit into `seconds`, one at least.
    """
    model = build_classifier(
        experiment.fusion,
        experiment.head,
        dims=dims,
        classes=classes,
        ranges=[(1.0, 7.0)] * len(experiment.head.attributes),
        seed=experiment.init_seed,
    ).to(device)
    optimizer = build_optimizer(model, experiment.stage[0].optimizer)
    lengths = {name: torch.full((batch,), count, device=device) for name, count in frames.items()}
    features = {
        name: Padded(torch.randn(batch, frames[name], dims[name], device=device), lengths[name]) for name in dims
    }

    def step() -> None:
        with autocast(device, experiment.compute.precision):
            outputs = model(features)
        loss = outputs.emotion.float().log_softmax(dim=-1).mean() + outputs.attributes.float().square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    step()
    begun, count = time.perf_counter(), 0
    while count == 0 or time.perf_counter() - begun < seconds:
        step()
        count += 1
    return count / (time.perf_counter() - begun)
