"""Train the models of experiment files."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sertk.api.remarks import warn
from sertk.cards import has_its_members
from sertk.config.files import load_experiment
from sertk.config.schema import Experiment
from sertk.devices import choose_device
from sertk.engine import HERE, Placement
from sertk.errors import UsageError
from sertk.experiment import check_output, provenance_of, run
from sertk.files import damaged
from sertk.inputs import read_inputs
from sertk.outputs import refuse_collisions
from sertk.preflight.find import load_sound
from sertk.provenance import from_here, is_current


@dataclass(frozen=True)
class Trained:
    """A model that `train` made or found up to date. metrics: by name, of the dev split, such as `dev macro_f1`."""

    folder: Path
    up_to_date: bool = False
    metrics: Mapping[str, float] = field(default_factory=dict)
    left_out: int = 0


Row = Mapping[str, Any]
"""A line of a model's history: stage, epoch, epochs, losses by name, score of the dev split, seconds."""


def train(
    configs: str | Path | Sequence[str | Path],
    *,
    out: str | Path | None = None,
    into: str | Path | None = None,
    sets: Sequence[str] = (),
    device: str | None = None,
    force: bool = False,
    on: Placement = HERE,
    on_epoch: Callable[[str, Row], None] | None = None,
    on_result: Callable[[Trained], None] | None = None,
) -> list[Trained]:
    """Train the models of experiment files.

    Models that are up to date are skipped; interrupted ones go on. All files are checked before any work.

    Parameters
    ----------
    configs
        One or more experiment files (TOML).
    out
        The folder of the model, for one experiment file.
    into
        A folder that gets one model per file, named after it.
    sets
        Values to override, such as `stage.balanced.epochs=5`.
    device
        `cpu`, `cuda`, `cuda:1` or `auto`, instead of what the file says.
    force
        Train again what is up to date.
    on
        Where models are trained: how many at a time, or on a Ray cluster.
    on_epoch
        Called after every epoch with the name of the model and a line of its history.
    on_result
        Called with each result as soon as it is there. With several jobs both functions are called in other
        processes, so they must be functions of a module.

    Returns
    -------
    list of Trained
        In the order of `configs`.

    Raises
    ------
    SertkError
        ConfigError with all faults of a file, OutputError for a folder that holds something else, BusyError where
        another process trains into it.
    """
    files = [Path(configs)] if isinstance(configs, str | Path) else [Path(config) for config in configs]
    if (out is None) == (into is None) or (out is not None and len(files) > 1):
        raise UsageError("give --out FOLDER for one experiment file, or --into FOLDER for several")
    folders = [Path(out) if out is not None else Path(into or "") / file.stem for file in files]
    on.check()
    experiments = [load_sound(load_experiment, file, sets) for file in files]
    refuse_collisions(folders, files)
    for folder, experiment in zip(folders, experiments, strict=True):
        check_output(folder, experiment)
    results: dict[Path, Trained] = {}
    waiting = []
    for file, folder, experiment in zip(files, folders, experiments, strict=True):
        if broken := damaged(folder):
            warn(f"{folder}: {', '.join(broken)}: missing, damaged or edited, by SHA256SUMS: trained again")
        call = {"config": from_here(file), "sets": list(sets)}
        made = provenance_of(experiment, read_inputs(experiment), call)
        if not force and is_current(folder, made) and has_its_members(folder):
            results[folder] = Trained(folder, up_to_date=True)
            if on_result is not None:
                on_result(results[folder])
        else:
            waiting.append((experiment, folder, call, device, on_epoch, on_result))
    cpus = max(experiment.compute.threads for experiment in experiments)
    trained = on.run(_train, waiting, device=device, cpus=cpus)
    results |= {result.folder: result for result in trained}
    return [results[folder] for folder in folders]


def _train(
    experiment: Experiment,
    folder: Path,
    call: Mapping[str, Any],
    device: str | None,
    on_epoch: Callable[[str, Row], None] | None,
    on_result: Callable[[Trained], None] | None,
) -> Trained:
    def report(row: Row) -> None:
        if on_epoch is not None:
            on_epoch(folder.name, row)

    place = choose_device(device or experiment.compute.device)
    card = run(experiment, folder, device=place, report=report, call=call).card
    result = Trained(folder, metrics=card.metrics, left_out=int(card.notes["left_out"]))
    if on_result is not None and os.environ.get("RANK", "0") == "0":  # of processes that train one model the first
        on_result(result)
    return result
