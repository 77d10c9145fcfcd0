"""One stage of an experiment: epochs with their dev scores, or a solver; what an interrupted run needs to go on."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from sertk import registry
from sertk.batching.dataset import FeatureSet
from sertk.config.build import build
from sertk.config.schema import Experiment, Stage
from sertk.errors import SertkWarning
from sertk.models.classifier import Classifier
from sertk.training.evaluate import infer, score
from sertk.training.fit import Epoch, fit
from sertk.training.hooks import build_regularizers
from sertk.training.optimizers import build_optimizer
from sertk.training.progress import Progress, save_best
from sertk.training.seeds import derive
from sertk.training.solver import solve
from sertk.training.state import load_state, save_state
from sertk.training.workers import Workers

Report = Callable[[dict[str, Any]], None]


def run_stage(
    experiment: Experiment,
    stage: Stage,
    classifier: Classifier,
    train: FeatureSet,
    dev: FeatureSet,
    progress: Progress,
    *,
    state: Path,
    report: Report,
    workers: Workers,
) -> Progress:
    """Train a classifier for a stage, from where an earlier run stopped; the weights of its best epoch are kept.

    state: the folder of what a stopped run needs to go on. report: gets a line of the history after every epoch.
    """
    if stage.solver is not None:
        row = _solve(experiment, stage, classifier, train, dev)
        if row["score"] > progress.best and workers.first:
            progress = save_best(classifier, state, progress)
        report(row)
        best = max(row["score"], progress.best)
        return workers.of_first(replace(progress, best=best, history=(*progress.history, row)))
    table = train.table
    seed = derive(experiment.seed, stage.name)
    optimizer = build_optimizer(classifier, stage.optimizer)
    device = next(classifier.parameters()).device
    scaler = torch.amp.GradScaler(device.type) if experiment.compute.precision == "float16" else None
    if progress.epoch:
        load_state(state, classifier, optimizer, scaler)
    epochs = fit(
        classifier,
        train,
        sampler=build(registry.samplers, stage.sampler, table, seed),
        losses=[(term.use, term.weight, build(registry.losses, term, table)) for term in stage.loss],
        regularizers=build_regularizers(stage.regularizers),
        optimizer=optimizer,
        epochs=stage.epochs,
        first_epoch=progress.epoch,
        seed=seed,
        device=device,
        precision=experiment.compute.precision,
        scaler=scaler,
        accumulate=stage.accumulate,
        clip_norm=stage.clip_norm,
        workers=workers,
    )
    while progress.epoch < stage.epochs and not (stage.patience and progress.stale >= stage.patience):
        epoch = next(epochs)
        value = workers.of_first(_dev_score(experiment, classifier, dev, device) if workers.first else 0.0)
        better = value > progress.best
        if better and workers.first:
            progress = save_best(classifier, state, progress)
        row = _history_row(stage, epoch, value)
        progress = replace(
            progress,
            epoch=progress.epoch + 1,
            best=max(value, progress.best),
            stale=0 if better else progress.stale + 1,
            history=(*progress.history, row),
        )
        if workers.first:
            save_state(state, classifier, optimizer, scaler, asdict(progress))
            for old in state.glob("best-*.safetensors"):
                if old.name != progress.best_weights:
                    old.unlink()
        progress = workers.of_first(progress)
        report(row)
    return progress


def _solve(
    experiment: Experiment, stage: Stage, classifier: Classifier, train: FeatureSet, dev: FeatureSet
) -> dict[str, Any]:
    """The one step of a solver, which every process takes alike; give its line of the history."""
    began = time.perf_counter()
    solved = solve(classifier, train, dev, stage, experiment.selection, seed=experiment.seed)
    for remark in solved.remarks:
        warnings.warn(f"stage {stage.name}: {remark}", SertkWarning, stacklevel=2)
    seconds = time.perf_counter() - began
    return {"stage": stage.name, "epoch": 1, "epochs": 1, **solved.row(), "seconds": seconds}


def _dev_score(experiment: Experiment, classifier: Classifier, dev: FeatureSet, device: torch.device) -> float:
    posteriors = infer(classifier, dev, batch_size=experiment.compute.eval_batch_size, device=device)
    return score(posteriors, dev.table, experiment.selection, experiment.seed)


def _history_row(stage: Stage, epoch: Epoch, value: float) -> dict[str, Any]:
    return {"stage": stage.name, **asdict(epoch), "epoch": epoch.number + 1, "epochs": stage.epochs, "score": value}
