"""`sertk ablate`: arms and ensembles over members and seeds, and the table of their differences."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from sertk import tables
from sertk.cli.engine import ADDRESS, ENGINE, GPUS, placement
from sertk.cli.output import say, show, up_to_date

if TYPE_CHECKING:
    from sertk.provenance import Provenance
    from sertk_lab.ablation.cells import Cell
    from sertk_lab.ablation.config import Ablations
    from sertk_lab.ablation.statistics import Table


def command(
    config: Path = typer.Argument(..., help="An ablation file (TOML)."),
    into: Path = typer.Option(..., help="The folder for the models and the tables ablations.md and ablations.csv."),
    seeds: int | None = typer.Option(None, min=1, help="Number of seeds per arm. Default: the value in the file."),
    jobs: int = typer.Option(1, min=1, help="Number of models trained in parallel, each in its own process."),
    device: str = typer.Option("auto", help="cpu, cuda, cuda:1 or auto."),
    plan: bool = typer.Option(False, "--plan", help="Only list what would be trained, with the numbers of steps."),
    engine: str = ENGINE,
    address: str | None = ADDRESS,
    gpus: float | None = GPUS,
) -> None:
    """Train what an ablation compares, skip what is up to date, and write its tables with intervals."""
    from sertk.outputs import refuse_foreign_files
    from sertk_lab.ablation.cells import is_done, plan_cells
    from sertk_lab.ablation.collect import tables_of
    from sertk_lab.ablation.config import load_ablations
    from sertk_lab.ablation.provenance import PAGES, VERB, provenance_of
    from sertk_lab.ablation.systems import groups

    on = placement(engine, jobs, address, gpus)
    on.check()
    asked = load_ablations(config)
    asked = asked.model_copy(update={"seeds": seeds}) if seeds else asked
    base = config.parent
    cells = plan_cells(asked, base, into)
    waiting = [cell for cell in cells if not is_done(cell, (asked.fit, asked.test))]
    if plan:
        _show_plan(cells, waiting)
        return
    refuse_foreign_files(VERB, [into / page for page in PAGES], inputs=[config])
    say(f"{len(cells)} models, {len(cells) - len(waiting)} of them up to date")
    tasks = [(part, (asked.fit, asked.test), device) for part in _parts(waiting, jobs)]
    threads = max((cell.experiment.compute.threads for cell in waiting), default=1)
    on.run(_train, tasks, device=device, cpus=threads)
    if asked.ensemble:
        each = [groups(asked.ensemble, [c for c in cells if c.arm == "full"], n + 1) for n in range(asked.seeds)]
        _combine(asked, [group for part in each for group in part], base, into, device)
    found = tables_of(asked, cells, into)
    for one in found:
        _show(one)
    _write(found, cells[0], into, asked.seeds, provenance_of(asked, cells, config, into, seeds))


def _parts(cells: list[Cell], jobs: int) -> list[list[Cell]]:
    """One task an arm and member, with all its seeds; single cells where these would be too few for the jobs."""
    parts: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        parts.setdefault((cell.arm, cell.member), []).append(cell)
    return list(parts.values()) if len(parts) >= 2 * jobs else [[cell] for cell in cells]


def _train(cells: list[Cell], splits: tuple[str, ...], device: str) -> None:
    import torch

    from sertk.cards import read_card
    from sertk.devices import choose_device
    from sertk_lab.ablation.cells import run_cell

    for cell in cells:
        if cell.experiment.compute.threads:
            torch.set_num_threads(cell.experiment.compute.threads)
        run_cell(cell, splits, device=choose_device(device), report=lambda row: None)
        scores = "  ".join(f"{name} {value:.3f}" for name, value in read_card(cell.folder).metrics.items())
        say(f"{cell.arm}  {cell.member}  seed {cell.seed}  {cell.steps} steps  {scores}")


def _combine(asked: Ablations, parts: list[Any], base: Path, into: Path, device: str) -> None:
    from sertk.devices import choose_device
    from sertk_lab.ablation.systems import run_system

    assert asked.ensemble is not None
    for group in parts:
        for system in asked.ensemble.system:
            run_system(system, group, base, into, fit=asked.fit, test=asked.test, device=choose_device(device))


def _show_plan(cells: list[Cell], waiting: list[Cell]) -> None:
    rows = [
        (
            cell.arm,
            cell.member,
            cell.seed,
            f"{cell.steps:,}",
            f"{cell.parameters:,}",
            "to do" if cell in waiting else "",
        )
        for cell in cells
    ]
    show(tables.Table(("arm", "member", "seed", "steps", "parameters", ""), rows, align="llrrrl"))


def _show(one: Table) -> None:
    from sertk_lab.ablation.tables import cells, columns, legend

    heads = columns(one)
    show(tables.Table(heads, cells(one), title=one.title))
    for line in legend(one):
        say(line)
    say()


def _write(found: list[Table], cell: Cell, into: Path, seeds: int, provenance: Provenance) -> None:
    from sertk import __version__
    from sertk.api.remarks import warn_of_edited
    from sertk.data.manifest import Manifest
    from sertk.files import write_text
    from sertk.outputs import making
    from sertk.provenance import is_current
    from sertk_lab.ablation.tables import comma_separated, markdown

    manifest = Manifest.read(Path(cell.experiment.data.manifest))
    name = Path(provenance.call["config"]).name
    line = shlex.join(["sertk", "ablate", name, "--into", into.name, "--seeds", str(seeds)])
    made = [
        f"    {line}",
        "",
        f"sertk {__version__}; corpus {manifest.corpus}, fingerprint {manifest.fingerprint[:16]}.",
    ]
    made += [manifest.note] if manifest.note else []
    pages = {
        into / "ablations.md": markdown(found, head=f"Ablations: {manifest.corpus}", made=made),
        into / "ablations.csv": comma_separated(found),
    }
    for path, text in pages.items():
        if is_current(path, provenance):
            up_to_date(path)
            continue
        with making(path, provenance) as edited:
            write_text(path, text)
        warn_of_edited(edited)
        say(f"{path}  written")
