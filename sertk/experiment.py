"""The straight line: an experiment file and feature stores in, a trained checkpoint out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sertk.cards import Card, plugin_versions, spec_of, versions
from sertk.checkpoint import Checkpoint, checkpoint_of_store, refuse_additions
from sertk.config.components import components_of
from sertk.config.files import filled, load_experiment
from sertk.config.schema import Experiment
from sertk.data.copies import with_origins
from sertk.devices import choose_device
from sertk.inputs import Inputs, read_inputs, training_part
from sertk.locks import sole_writer
from sertk.models.classifier import INFERENCE, Classifier, build_classifier
from sertk.outputs import refuse_collisions, refuse_foreign
from sertk.provenance import Provenance, from_here, options_as_parts
from sertk.revisions import component_parts
from sertk.training.progress import Progress, names_of_state, restore_best, resumed
from sertk.training.stages import run_stage
from sertk.training.workers import Workers, find_workers

VERB = "train"
REVISION = 1
"""Of training itself: raised whenever the same inputs give other weights."""
SOLVER_REVISION = 2
"""The same, of stages with a solver alone."""


def provenance(
    *, config: str = "", sets: Sequence[str] = (), experiment: Mapping[str, Any] | None = None
) -> Provenance:
    """What `run` would make a model from. config, sets: an experiment file and what overrides it; or the experiment.

    Raises SertkError for what cannot be read.
    """
    if experiment is not None:
        asked = Experiment.model_validate(experiment)
        return provenance_of(asked, read_inputs(asked))
    asked = load_experiment(Path(config), sets)
    return provenance_of(asked, read_inputs(asked), {"config": from_here(Path(config)), "sets": list(sets)})


def provenance_of(experiment: Experiment, inputs: Inputs, call: Mapping[str, Any] | None = None) -> Provenance:
    """What a model is made from. call: the arguments of `provenance`, by default the experiment itself."""
    call = {"experiment": experiment.model_dump(mode="json")} if call is None else call
    whole = filled(experiment)
    options = whole.model_dump(mode="json", exclude_none=True)
    del options["data"]["manifest"], options["compute"]["device"], options["compute"]["threads"]
    options["features"] = list(options["features"])
    parts = {"revision": str(REVISION), "inference": INFERENCE, **inputs.parts}
    parts |= options_as_parts("experiment", options) | component_parts(components_of(whole))
    if any(stage.solver for stage in experiment.stage):
        parts["solver revision"] = str(SOLVER_REVISION)
    reads = [experiment.data.manifest, *experiment.features.values()]
    return Provenance(VERB, parts, call, [from_here(Path(path)) for path in reads])


def check_output(out: Path, experiment: Experiment) -> None:
    """Raise OutputError where a model in `out` would replace anything but an earlier one, finished or not."""
    refuse_collisions([out], [Path(experiment.data.manifest), *map(Path, experiment.features.values())])
    refuse_foreign(out, VERB, own=names_of_state(out / "state", VERB))
    refuse_additions(out)


def run(
    experiment: Experiment,
    out: Path,
    *,
    device: torch.device | None = None,
    report: Callable[[dict[str, Any]], None] = lambda _: None,
    call: Mapping[str, Any] | None = None,
) -> Checkpoint:
    """Train all stages of an experiment and save the checkpoint in `out`; go on where an earlier run stopped.

    Each stage starts from the best epoch before it, which stays a candidate. After every epoch `report` gets a line
    of the history: stage, epoch, losses, score of the dev split, seconds. call: see `provenance_of`. On the CPU an
    interrupted and resumed run gives the same weights, bit for bit, as an undisturbed one. Started by `accelerate
    launch`, its processes train one model together (`sertk.training.workers`); the first one writes and reports.
    Raises SertkError: OutputError for an `out` that holds something else, BusyError where another process trains
    into it.
    """
    device = device or choose_device(experiment.compute.device)
    workers = find_workers(device)
    device = workers.device or device
    if workers.first:
        check_output(out, experiment)
    with sole_writer(out) if workers.first else nullcontext():
        inputs = read_inputs(experiment)
        for store in inputs.stores.values():
            if store.card.encoder == "checkpoint":
                checkpoint_of_store(store)
        made = provenance_of(experiment, inputs, call)
        classifier, progress = _train(experiment, inputs, made, out / "state", device, report, workers)
        if workers.first:
            _save(experiment, out, inputs, made, classifier, progress)
        workers.of_first(None)  # all wait until it is written
    return Checkpoint.load(out)


def _train(
    experiment: Experiment,
    inputs: Inputs,
    made: Provenance,
    state: Path,
    device: torch.device,
    report: Callable[[dict[str, Any]], None],
    workers: Workers,
) -> tuple[Classifier, Progress]:
    """All stages, from where an earlier run stopped; the classifier has the weights of the best epoch."""
    if experiment.compute.threads:
        torch.set_num_threads(experiment.compute.threads)
    classifier = new_classifier(experiment, inputs)
    if classifier.scale is not None:
        ids = inputs.train.table.ids
        classifier.scale.fit({name: map(inputs.stores[name].__getitem__, ids) for name in experiment.standardise})
    classifier = classifier.to(device)
    if experiment.compute.compile:
        classifier.fusion.compile(dynamic=True)
    progress = workers.of_first(resumed(state, made) if workers.first else Progress())
    for number, stage in enumerate(experiment.stage):
        if progress.stage > number:
            continue
        progress = run_stage(
            experiment,
            stage,
            classifier,
            inputs.train,
            inputs.dev,
            progress,
            state=state,
            report=report,
            workers=workers,
        )
        restore_best(classifier, state, progress)
        progress = replace(progress, stage=number + 1, epoch=0, stale=0)
    restore_best(classifier, state, progress)
    return classifier, progress


def _save(
    experiment: Experiment,
    out: Path,
    inputs: Inputs,
    made: Provenance,
    classifier: Classifier,
    progress: Progress,
) -> None:
    history = "".join(json.dumps(row) + "\n" for row in progress.history)
    specs = {name: spec_of(name, store.card) for name, store in inputs.stores.items()}
    fits_dev = any(stage.solver is not None and stage.solver.with_dev for stage in experiment.stage)
    checkpoint = Checkpoint(
        experiment=experiment,
        card=Card(
            name=out.name,
            labels=list(inputs.manifest.labels.names),
            letters=inputs.manifest.labels.letters,
            ranges={name: inputs.manifest.ranges[name] for name in experiment.head.attributes},
            encoders={name: spec for name, (spec, _) in specs.items()},
            prior=inputs.train.table.prior.tolist(),
            metrics={f"{experiment.data.dev} {experiment.selection.metric}": progress.best},
            data_fingerprint=inputs.manifest.fingerprint,
            versions=versions(plugin_versions(experiment)),
            text_source=inputs.text_source,
            notes={
                "corpus": inputs.manifest.corpus,
                "left_out": len(inputs.left_out),
                "about": inputs.manifest.note,
                **_trained_seconds(inputs, experiment),
                **{f"solver.{row['stage']}": row["chosen"] for row in progress.history if "chosen" in row},
            },
        ),
        weights={key: tensor.detach().cpu() for key, tensor in classifier.state_dict().items()},
        train_ids=with_origins(
            inputs.manifest, (*inputs.train.table.ids, *(inputs.dev.table.ids if fits_dev else ()))
        ),
    )
    members = {name: folder for name, (_, folder) in specs.items() if folder}
    checkpoint.save(out, members, {"history.jsonl": history}, made)


def _trained_seconds(inputs: Inputs, experiment: Experiment) -> dict[str, float]:
    """The duration below which 99 % of the training recordings are, where the manifest knows durations."""
    known = [u.duration for u in training_part(inputs.manifest, experiment.data) if u.duration is not None]
    return {"trained_s": round(float(np.quantile(known, 0.99)), 2)} if known else {}


def new_classifier(experiment: Experiment, inputs: Inputs) -> Classifier:
    """The network before training; `init_seed` alone decides its weights."""
    return build_classifier(
        experiment.fusion,
        experiment.head,
        dims=inputs.train.dims,
        classes=len(inputs.manifest.labels),
        ranges=[inputs.manifest.ranges[name] for name in experiment.head.attributes],
        seed=experiment.init_seed,
        standardise=experiment.standardise,
    )
