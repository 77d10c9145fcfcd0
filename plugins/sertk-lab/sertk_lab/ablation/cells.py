"""The cells of an ablation: one ordinary training each, an arm of a member with a seed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sertk import registry
from sertk.cards import read_card
from sertk.checkpoint import Checkpoint
from sertk.config.build import build
from sertk.config.files import load_experiment
from sertk.config.schema import EncoderFile, Experiment, Stage, Use
from sertk.data.manifest import Manifest
from sertk.encoders.reads import reads_of
from sertk.ensemble.members import infer_rows
from sertk.ensemble.predictions import Predictions
from sertk.errors import ConfigError, Fault
from sertk.experiment import new_classifier, provenance_of, run
from sertk.features.card import FILE, store_card
from sertk.features.sources import joined_digests
from sertk.features.store import FeatureStore
from sertk.features.writer import StoreWriter
from sertk.inputs import Inputs, read_inputs
from sertk.models.size import count_parameters, matched_width
from sertk.provenance import Provenance, is_current
from sertk.training.seeds import derive
from sertk_lab.ablation.config import FULL, Ablations, Arm, slug


@dataclass(frozen=True)
class Cell:
    """One training. folder: its checkpoint; the posteriors lie beside it. made: what it is made from.

    steps: of the optimizer, in all stages. seed: from 1, the same in every arm; it decides first weights and draws.
    """

    arm: str
    member: str
    seed: int
    experiment: Experiment
    folder: Path
    steps: int
    parameters: int
    made: Provenance

    @property
    def posteriors(self) -> Path:
        """The store of what it says of the splits to fit and to score on."""
        return self.folder.with_name(f"{self.folder.name}-posteriors")


def plan_cells(ablations: Ablations, base: Path, into: Path) -> list[Cell]:
    """All cells, those of the full system first. base: the folder that paths in the file are relative to.

    Members that only the ensembles have are trained as the full system. Raises SertkError for what cannot be read.
    """
    changed = [base / name for name in ablations.members]
    known = {path.resolve() for path in changed}
    ensemble = ablations.ensemble.members if ablations.ensemble else []
    others = [base / name for name in ensemble if (base / name).resolve() not in known]
    stems = [path.stem for path in (*changed, *others)]
    if len(set(stems)) < len(stems):
        raise ConfigError(str(base), [Fault("members", f"need file names that differ, got {', '.join(stems)}")])
    cells: list[Cell] = []
    for path in (*changed, *others):
        full = load_experiment(path, ablations.set)
        inputs = read_inputs(full)
        budget = _steps(full, inputs)
        size = _parameters(full, inputs)
        cells += _cells(FULL, path.stem, full, inputs, ablations, budget, into)
        for arm in ablations.arm if path in changed else ():
            experiment = load_experiment(path, [*ablations.set, *arm.set])
            same = all(getattr(experiment, part) == getattr(full, part) for part in ("data", "head", "features"))
            changed_inputs = inputs if same else read_inputs(experiment)
            experiment = _changed(arm, experiment, changed_inputs, size)
            cells += _cells(
                slug(arm.name), path.stem, experiment, changed_inputs, ablations, _target(arm, budget), into
            )
    order = [FULL, *(slug(arm.name) for arm in ablations.arm)]
    return sorted(cells, key=lambda cell: order.index(cell.arm))


def is_done(cell: Cell, splits: Sequence[str]) -> bool:
    """Whether the cell was trained with these inputs, and what it says of some splits is there."""
    if not is_current(cell.folder, cell.made) or not (cell.posteriors / FILE).exists():
        return False
    store, reads = FeatureStore.open(cell.posteriors), reads_of(cell.folder, stored=True)
    read = [FeatureStore.open(path) for path in reads.leaves.values()]
    ids = {id for id in _ids(cell, splits) if all(id in each for each in read)}
    now = joined_digests([(each.card.key, each.sources) for each in read], ids)
    return store.card.fingerprint == reads.fingerprint and {id: store.sources.get(id) for id in ids} == now


def run_cell(
    cell: Cell, splits: Sequence[str], *, device: torch.device, report: Callable[[dict[str, Any]], None]
) -> None:
    """Train a cell, or go on with it, and store what it says of some splits."""
    if not is_current(cell.folder, cell.made):
        run(cell.experiment, cell.folder, device=device, report=report)
    checkpoint = Checkpoint.load(cell.folder)
    shutil.rmtree(cell.posteriors, ignore_errors=True)
    model = Use.model_validate({"use": "checkpoint", "folder": str(cell.folder), "from_stores": True})
    wanted = EncoderFile(encoder=model, dtype="float32")
    encoder = build(registry.encoders, model)
    card = store_card(model.use, model.options, encoder, dtype=wanted.dtype)
    rows = infer_rows(checkpoint, _ids(cell, splits), device)
    sources = encoder.source_digests(rows.frames)
    with StoreWriter(cell.posteriors, card) as writer:
        for id in rows.frames:
            writer.add(id, rows[id], sources[id])


def predictions_of(cell: Cell, ids: Sequence[str]) -> Predictions:
    """What a cell says of those of the utterances that it has."""
    store, card = FeatureStore.open(cell.posteriors), read_card(cell.folder)
    known = [id for id in ids if id in store]
    values = np.stack([store[id][0].double().numpy() for id in known])  # (N, C + A)
    classes = len(card.labels)
    emotion = values[:, :classes] / values[:, :classes].sum(axis=1, keepdims=True)
    labels = Checkpoint.load(cell.folder).label_set
    return Predictions(tuple(known), labels, emotion, values[:, classes:], tuple(card.ranges))


def _cells(
    arm: str,
    member: str,
    experiment: Experiment,
    inputs: Inputs,
    ablations: Ablations,
    target: Mapping[str, int],
    into: Path,
) -> Iterator[Cell]:
    if ablations.equal_steps:
        experiment = _with_steps(experiment, inputs, target)
    steps = sum(_steps(experiment, inputs).values())
    parameters = _parameters(experiment, inputs)
    for seed in range(1, ablations.seeds + 1):
        seeded = experiment.model_copy(update={"seed": _seed(experiment.seed, seed)})
        seeded = seeded.model_copy(update={"init_seed": _seed(experiment.init_seed, seed)})
        folder = into / "cells" / arm / member / f"seed-{seed}"
        yield Cell(arm, member, seed, seeded, folder, steps, parameters, provenance_of(seeded, inputs))


def _seed(own: int, number: int) -> int:
    """The member's own seed first, so that members that differ in their seeds alone stay different."""
    return own if number == 1 else derive(own, "ablation", number) % 2**31


def _ids(cell: Cell, splits: Sequence[str]) -> list[str]:
    return [utterance.id for utterance in Manifest.read(Path(cell.experiment.data.manifest)).split(*splits)]


def _changed(arm: Arm, experiment: Experiment, inputs: Inputs, parameters: int) -> Experiment:
    if arm.without_stage is not None:
        kept = [stage for stage in experiment.stage if stage.name != arm.without_stage]
        if not kept or len(kept) == len(experiment.stage):
            names = ", ".join(stage.name for stage in experiment.stage)
            raise ConfigError(arm.name, [Fault("without_stage", f"is one of several stages, which are: {names}")])
        experiment = experiment.model_copy(update={"stage": kept})
    if arm.match_parameters:
        fusion = experiment.fusion

        def of_width(width: int) -> torch.nn.Module:
            use = Use.model_validate({**fusion.model_dump(), "width": width})
            return new_classifier(experiment.model_copy(update={"fusion": use}), inputs)

        width = matched_width(of_width, parameters)
        use = Use.model_validate({**fusion.model_dump(), "width": width})
        experiment = experiment.model_copy(update={"fusion": use})
    return experiment


def _target(arm: Arm, budget: Mapping[str, int]) -> dict[str, int]:
    """Steps of each stage; those of a stage that is left out go to the one before it, or else to the next."""
    if arm.without_stage is None or arm.without_stage not in budget:
        return dict(budget)
    names = list(budget)
    place = names.index(arm.without_stage)
    heir = names[place - 1] if place else names[1]
    return {name: n + (budget[arm.without_stage] if name == heir else 0) for name, n in budget.items()}


def _with_steps(experiment: Experiment, inputs: Inputs, target: Mapping[str, int]) -> Experiment:
    """The same stages with as many epochs as come nearest to the steps wanted, and no early stop."""
    each = _steps_an_epoch(experiment, inputs)
    stages = [
        stage.model_copy(update={"epochs": max(1, round(target[stage.name] / each[stage.name])), "patience": None})
        for stage in experiment.stage
    ]
    return experiment.model_copy(update={"stage": stages})


def _steps(experiment: Experiment, inputs: Inputs) -> dict[str, int]:
    each = _steps_an_epoch(experiment, inputs)
    return {stage.name: stage.epochs * each[stage.name] for stage in experiment.stage}


def _steps_an_epoch(experiment: Experiment, inputs: Inputs) -> dict[str, int]:
    return {stage.name: _batches(stage, inputs) for stage in experiment.stage}


def _batches(stage: Stage, inputs: Inputs) -> int:
    sampler = build(registry.samplers, stage.sampler, inputs.train.table, 1)
    return -(-len(sampler) // stage.accumulate)


def _parameters(experiment: Experiment, inputs: Inputs) -> int:
    with torch.device("meta"):
        return count_parameters(new_classifier(experiment, inputs))
