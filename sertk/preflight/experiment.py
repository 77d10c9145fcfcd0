"""What is wrong with an experiment on a corpus: with its parts first, then with its model and its stages."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from sertk.config.schema import Experiment, Stage
from sertk.data.labels import LabelTable
from sertk.data.manifest import Manifest, Utterance
from sertk.data.targets import label_table
from sertk.errors import DataError, Fault, SertkError, did_you_mean
from sertk.inputs import refuse_shared_speakers, training_part
from sertk.preflight.components import (
    loss_faults,
    model_faults,
    optimizer_faults,
    regularizer_faults,
    sampler_faults,
    solver_faults,
)
from sertk.training.evaluate import score


def splits_of(experiment: Experiment) -> list[str]:
    """The splits that an experiment trains and chooses epochs on, the latter last."""
    train = experiment.data.train
    return [*([train] if isinstance(train, str) else train), experiment.data.dev]


def experiment_faults(experiment: Experiment, manifest: Manifest, *, made_up: bool = False) -> list[Fault]:
    """All faults of an experiment on a corpus. made_up: the corpus is, so what is wrong with its labels is none."""
    faults = [*_split_faults(experiment, manifest), *_attribute_faults(experiment, manifest)]
    if faults:  # the others would only follow from these
        return faults
    data = experiment.data
    try:
        refuse_shared_speakers(manifest, data)
        train = table_of("data.train", experiment, manifest, training_part(manifest, data))
        dev = table_of("data.dev", experiment, manifest, manifest.split(data.dev))
    except DataError as error:
        return [Fault("data", str(error))]
    if isinstance(train, Fault) or isinstance(dev, Fault):
        return [part for part in (train, dev) if isinstance(part, Fault)]
    faults = [*_selection_faults(experiment, dev), *model_faults(experiment, train)]
    for stage in experiment.stage:
        if stage.solver is not None and not faults:
            faults += solver_faults(experiment, stage, train, dev, made_up=made_up)
        faults += _stage_faults(experiment, stage, train, made_up=made_up)
    return faults


def table_of(
    place: str, experiment: Experiment, manifest: Manifest, utterances: tuple[Utterance, ...]
) -> LabelTable | Fault:
    """The labels of a part as training has them once there are features, or a fault where none can be used."""
    table, without = label_table(
        utterances,
        manifest.labels,
        manifest.ranges,
        attributes=experiment.head.attributes,
        targets=experiment.data.targets,
        other=experiment.data.other,
    )
    if len(table):
        return table
    return Fault(place, f"none of its {len(without)} utterances has a {experiment.data.targets} target.")


def _split_faults(experiment: Experiment, manifest: Manifest) -> Iterator[Fault]:
    *train, dev = splits_of(experiment)
    for place, split in [*(("data.train", name) for name in train), ("data.dev", dev)]:
        try:
            manifest.split(split)
        except DataError as error:
            yield Fault(place, str(error))


def _attribute_faults(experiment: Experiment, manifest: Manifest) -> Iterator[Fault]:
    for name in experiment.head.attributes:
        if name not in manifest.ranges:
            known = f"It has: {', '.join(manifest.ranges)}." if manifest.ranges else "It has none: attributes = []."
            hint = did_you_mean(name, manifest.ranges)
            yield Fault("head.attributes", f"the corpus has no attribute {name!r}. {hint}{known}")


def _selection_faults(experiment: Experiment, dev: LabelTable) -> list[Fault]:
    width = len(dev.labels) + len(dev.attribute_names)
    try:
        score(torch.full((len(dev), width), 1 / width), dev, experiment.selection, experiment.seed)
    except SertkError as error:
        return [Fault("selection.metric", str(error))]
    return []


def _stage_faults(experiment: Experiment, stage: Stage, table: LabelTable, *, made_up: bool) -> list[Fault]:
    place = f"stage.{stage.name}"
    faults = []
    if stage.solver is None:
        faults += sampler_faults(f"{place}.sampler", stage.sampler, table, made_up=made_up)
        faults += optimizer_faults(f"{place}.optimizer", stage.optimizer)
    for number, term in enumerate(stage.loss):
        faults += loss_faults(f"{place}.loss[{number}]", term, table, made_up=made_up)
    for number, use in enumerate(stage.regularizers):
        faults += regularizer_faults(f"{place}.regularizers[{number}]", use, table, list(experiment.features))
    return faults
