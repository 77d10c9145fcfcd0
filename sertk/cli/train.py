"""`sertk train`: train the models of one or more experiment files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import typer

from sertk.cli.engine import ADDRESS, ENGINE, GPUS, choose, needs
from sertk.cli.output import say, up_to_date, warn


def command(
    configs: list[Path] = typer.Argument(..., help="Experiment files (TOML)."),
    out: Path | None = typer.Option(None, help="The checkpoint's folder, for one experiment file."),
    into: Path | None = typer.Option(None, help="A folder that gets a checkpoint a file, named after it."),
    device: str | None = typer.Option(None, help="cpu, cuda, cuda:1, auto: instead of what the file says."),
    jobs: int = typer.Option(1, min=1, help="Models trained side by side, each in a process of its own."),
    sets: list[str] = typer.Option([], "--set", help="Override a value: stage.balanced.epochs=5."),
    force: bool = typer.Option(False, help="Train again what is up to date."),
    engine: str = ENGINE,
    address: str | None = ADDRESS,
    gpus: float | None = GPUS,
) -> None:
    """Train models; skip those that are up to date and go on with those that were interrupted."""
    if (out is None) == (into is None) or (out and len(configs) > 1):
        raise typer.BadParameter("give --out FOLDER for one experiment file, or --into FOLDER for several")
    folders = [out or (into or Path()) / config.stem for config in configs]
    from sertk.cards import has_its_members
    from sertk.config.files import load_experiment
    from sertk.experiment import check_output, provenance
    from sertk.files import damaged
    from sertk.outputs import refuse_collisions
    from sertk.preflight.find import load_sound
    from sertk.provenance import is_current

    run_tasks = choose(engine, address, jobs)
    experiments = [load_sound(load_experiment, config, sets) for config in configs]  # all faults before any work
    refuse_collisions(folders, configs)
    for folder, experiment in zip(folders, experiments, strict=True):
        check_output(folder, experiment)
    waiting = []
    for config, folder in zip(configs, folders, strict=True):
        broken = damaged(folder)
        if broken:
            warn(f"{folder}: {', '.join(broken)}: missing, damaged or edited, by SHA256SUMS: trained again")
        made = provenance(config=str(config), sets=sets)
        if not force and is_current(folder, made) and has_its_members(folder):
            up_to_date(folder)
        else:
            waiting.append((config, folder, tuple(sets), device))
    threads = max(experiment.compute.threads for experiment in experiments)
    run_tasks(_train, waiting, needs=needs(device, gpus, cpus=threads))


def _train(config: Path, folder: Path, sets: tuple[str, ...], device: str | None) -> None:
    from sertk.config.files import load_experiment
    from sertk.devices import choose_device
    from sertk.experiment import run
    from sertk.provenance import from_here

    name = folder.name

    def report(row: dict[str, Any]) -> None:
        losses = " ".join(f"{term} {value:.3f}" for term, value in row["losses"].items())
        say(f"{name}  {row['stage']} {row['epoch']}/{row['epochs']}  {losses}  dev {row['score']:.3f}")

    experiment = load_experiment(config, sets)
    call = {"config": from_here(config), "sets": list(sets)}
    place = choose_device(device or experiment.compute.device)
    checkpoint = run(experiment, folder, device=place, report=report, call=call)
    if os.environ.get("RANK", "0") != "0":
        return  # of several processes that train it together the first one speaks
    scores = "  ".join(f"{what} {value:.3f}" for what, value in checkpoint.card.metrics.items())
    left_out = checkpoint.card.notes["left_out"]
    say(f"{name}  trained  {scores}  left out {left_out} utterances  {folder}")
