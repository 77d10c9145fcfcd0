"""The components of a file, each built and tried once; what they complain of."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from sertk import registry
from sertk.config.build import build
from sertk.config.schema import Experiment, Stage, Use
from sertk.data.labels import LabelTable
from sertk.errors import ConfigError, Fault
from sertk.models.classifier import Classifier, build_classifier
from sertk.preflight.complaints import alike, complaints
from sertk.preflight.made_up import made_up_batch
from sertk.tensors import Outputs
from sertk.training.hooks import check_hooks, run_hooks
from sertk.training.optimizers import build_optimizer
from sertk.training.seeds import seeded
from sertk.training.solver import linear_head, speaker_folds_of

DIM = 12
LARGEST_DIM = 50_000
"""Of made-up features. A fusion whose options divide only more than these is not tried."""


def solver_faults(
    experiment: Experiment, stage: Stage, train: LabelTable, dev: LabelTable, *, made_up: bool
) -> list[Fault]:
    """Why a solver cannot fit the head of a model, or cannot choose by folds of speakers that are not made up."""
    assert stage.solver is not None  # the caller has seen to it
    step = _made_up_dim(experiment)
    try:
        with torch.device("meta"):
            linear_head(_model(experiment, train, dict.fromkeys(experiment.features, step)), stage)
        if stage.solver.folds is not None and not made_up:
            speaker_folds_of(stage, train.with_rows(dev) if stage.solver.with_dev else train, experiment.seed)
    except ConfigError as error:
        return list(error.faults)
    return []


def model_faults(experiment: Experiment, table: LabelTable) -> list[Fault]:
    """What the fusion and the head complain of, whatever the widths of the features.

    They are tried without memory first. Complaints count once they are repeated with memory: a component that looks
    at the values of its tensors cannot be tried without.
    """
    step = _made_up_dim(experiment)
    if step > LARGEST_DIM:
        return []

    def attempt(dim: int) -> None:
        dims = dict.fromkeys(experiment.features, dim)
        model = _model(experiment, table, dims)
        features, _ = made_up_batch(dims, len(table.labels), len(table.ranges))
        with torch.no_grad():
            model.eval()(features)

    def tried(device: str) -> list[Fault]:
        with torch.device(device):
            return alike(lambda dim: complaints("fusion", experiment.fusion, lambda: attempt(dim)), (step, 2 * step))

    return tried("cpu") if tried("meta") else []


def _made_up_dim(experiment: Experiment) -> int:
    """A width of features that the numbers in the fusion's options divide."""
    return math.lcm(DIM, *(number for number in _numbers(experiment.fusion.options) if 0 < number <= 64))


def _model(experiment: Experiment, table: LabelTable, dims: Mapping[str, int]) -> Classifier:
    return build_classifier(
        experiment.fusion,
        experiment.head,
        dims=dims,
        classes=len(table.labels),
        ranges=table.ranges,
        seed=experiment.init_seed,
    )


def sampler_faults(place: str, use: Use, table: LabelTable, *, made_up: bool) -> list[Fault]:
    """What a sampler complains of when its first batch is drawn."""

    def draw() -> None:
        sampler = build(registry.samplers, use, table, 1)
        sampler.set_epoch(0)
        next(iter(sampler), None)

    return complaints(place, use, draw, made_up=made_up)


def optimizer_faults(place: str, use: Use) -> list[Fault]:
    """What an optimizer complains of when it makes one step."""

    def step() -> None:
        with seeded(0):
            model = torch.nn.Linear(DIM, DIM)
        optimizer = build_optimizer(model, use)
        model(torch.ones(1, DIM)).square().sum().backward()
        optimizer.step()

    return complaints(place, use, step)


def loss_faults(place: str, use: Use, table: LabelTable, *, made_up: bool) -> list[Fault]:
    """What a loss complains of when it judges one batch."""
    _, targets = made_up_batch({}, len(table.labels), len(table.ranges))

    def judge() -> None:
        build(registry.losses, use, table)(Outputs(targets.emotion, targets.attributes), targets)

    return complaints(place, use, judge, made_up=made_up)


def regularizer_faults(place: str, use: Use, table: LabelTable, modalities: Sequence[str]) -> list[Fault]:
    """What a regularizer complains of when it changes one batch of these modalities."""

    def change(dim: int) -> None:
        features, targets = made_up_batch(dict.fromkeys(modalities, dim), len(table.labels), len(table.ranges))
        regularizer = build(registry.regularizers, use)
        check_hooks(regularizer, use.use)
        run_hooks("on_batch", [regularizer], features, targets, torch.Generator().manual_seed(1))

    return alike(lambda dim: complaints(place, use, lambda: change(dim)), (DIM, 2 * DIM))


def _numbers(value: Any) -> Iterator[int]:
    """The whole numbers among options, however deep."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for entry in value:
            yield from _numbers(entry)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield value
