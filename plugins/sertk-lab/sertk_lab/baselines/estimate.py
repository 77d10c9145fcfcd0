"""How long a baseline takes here: each kind of work is tried for a few seconds, and multiplied."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from sertk import registry
from sertk.config.build import build
from sertk.config.files import load_experiment
from sertk.config.schema import Solver
from sertk.data.labels import LabelTable
from sertk.data.manifest import Manifest, Utterance
from sertk.data.recording import Recording
from sertk.data.targets import label_table
from sertk.devices import choose_device
from sertk.errors import AudioError, SertkError
from sertk.features.plan import spoken_seconds
from sertk.models.classifier import build_classifier
from sertk.tensors import Padded
from sertk.training.linear import Problem
from sertk.training.solver import linear_head
from sertk_lab.baselines.features import built_encoder
from sertk_lab.planning.calibrate import steps_a_second

TRIED = 4
"""Recordings that each encoder is timed on, after one that does not count."""
ROWS = 1500
"""At most so many utterances in a timed fit; it grows with their number."""
SECONDS = 2.0
"""How long steps of the network are timed."""
STOPS_EARLY = 0.7
"""Share of the epochs that are trained before patience ends, about."""
PAGES = 45.0
"""Seconds of scores, audit and report, and of starting commands, about."""


@dataclass(frozen=True)
class Step:
    """One line of what a baseline will do. seconds: about how long it takes; None where that could not be tried."""

    name: str
    what: str
    seconds: float | None


def estimate(conf: Path, manifest: Manifest, *, features: str, folds: int, jobs: int, device: str) -> list[Step]:
    """Time each kind of work of a recipe, and say how long all of it takes.

    conf: the recipe's. folds: how many models of each member are trained, besides the final one. jobs: how many
    things run side by side. Raises UsageError for an encoder that cannot be built.
    """
    place = choose_device(device)
    utterances = manifest.located()
    seconds = sum(spoken_seconds(Recording(u)) for u in utterances)
    table, _ = label_table(manifest.utterances, manifest.labels, manifest.ranges)
    steps, dims, rates = [], {}, {}
    for file in sorted((conf / "encoders").glob("*.toml")):
        encoder = built_encoder(features, file)
        dims[file.stem], rates[file.stem] = encoder.dim, encoder.frames_per_second
        pace = seconds_per_second(encoder, utterances, place)
        total = None if pace is None else pace * seconds / jobs
        steps.append(Step("extract", f"{file.stem} features of {len(utterances):,} recordings", total))
    rounds = -(-folds // jobs) + 1
    for file in sorted((conf / "members").glob("*.toml")):
        try:
            once = _fit_seconds(file, table, dims["pooled"]) if file.stem == "linear" else None
            if file.stem == "deepser":
                once = _network_seconds(
                    file, table, dims["frames"], rates["frames"] * seconds / len(utterances), place
                )
        except SertkError:  # said by the recipe's own check, with its place
            once = None
        total = None if once is None else once * rounds
        steps.append(Step("train", f"{file.stem}: {folds} folds, and once on all speakers", total))
    steps.append(Step("score", "scores with intervals, audit, report page, model card", PAGES))
    return steps


def seconds_per_second(encoder: Any, utterances: Sequence[Utterance], device: torch.device) -> float | None:
    """Median seconds of work per second of audio over a few recordings; None where none can be read."""
    encoder.to(device)
    paces: list[float] = []
    for u in utterances[:: max(1, len(utterances) // (TRIED + 1))][: TRIED + 1]:
        recording = Recording(u)
        begun = time.perf_counter()
        try:
            with torch.inference_mode():
                encoder(_batch(encoder.prepare(recording), device)).data.cpu()
            paces.append((time.perf_counter() - begun) / max(recording.seconds, 1e-3))
        except (AudioError, SertkError):
            continue
    return median(paces[1:] or paces) if paces else None


def _batch(prepared: Any, device: torch.device) -> Any:
    if isinstance(prepared, torch.Tensor):
        return Padded.of([prepared]).to(device)
    return {name: Padded.of([value]).to(device) for name, value in prepared.items()}


def _fit_seconds(file: Path, table: LabelTable, dim: int) -> float:
    """A linear member once: one path of penalties on made-up features, times the choices that it makes."""
    experiment = load_experiment(file)
    stage = experiment.stage[0]
    solver = stage.solver or Solver()
    rows = np.arange(min(len(table), ROWS))
    generator = torch.Generator().manual_seed(1)
    size = dim // solver.blocks * len(solver.sets_of_blocks[0])
    inputs = torch.randn(len(rows), size, generator=generator)
    inputs[:, : len(table.labels)] += torch.from_numpy(table.targets[rows]).float()
    classes = len(table.labels)
    model = build_classifier(
        experiment.fusion, experiment.head, dims={"speech": dim}, classes=classes, ranges=(), seed=1
    )
    head = linear_head(model, stage)
    begun = time.perf_counter()
    Problem(inputs, table.take(rows), stage.loss, head).left_out(rows[:1], rows, solver.penalties)
    once = (time.perf_counter() - begun) * len(table) / len(rows)
    speakers = len(set(table.speakers))
    choices = speakers if solver.folds == "speakers" else solver.folds or 1
    return once * len(solver.sets_of_blocks) * choices


def _network_seconds(file: Path, table: LabelTable, dim: int, frames: float, device: torch.device) -> float:
    """The network once: steps on made-up frames, until patience ends it about."""
    experiment = load_experiment(file)
    stage = experiment.stage[0]
    sampler = build(registry.samplers, stage.sampler, table, experiment.seed)
    sampler.set_epoch(0)
    pace = steps_a_second(
        experiment,
        dims={"speech": dim},
        frames={"speech": max(1, round(frames))},
        batch=len(next(iter(sampler))),
        classes=len(table.labels),
        device=device,
        seconds=SECONDS,
    )
    return STOPS_EARLY * stage.epochs * len(sampler) / pace
