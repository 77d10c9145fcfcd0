"""From finished cells and ensembles to tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sertk.data.manifest import Manifest
from sertk.ensemble.predictions import Predictions
from sertk.scoring.truth import AlignedPredictions, Truth, align, truth_of
from sertk_lab.ablation.cells import Cell, predictions_of
from sertk_lab.ablation.config import FULL, Ablations, Arm, Ensembles, slug
from sertk_lab.ablation.statistics import Runs, Table, table_of
from sertk_lab.ablation.systems import groups, predictions_in


def tables_of(ablations: Ablations, cells: Sequence[Cell], into: Path) -> list[Table]:
    """The table of the arms, and that of the ensembles, where the file asks for them."""
    manifest = Manifest.read(Path(cells[0].experiment.data.manifest))
    truth = truth_of(manifest, manifest.split(ablations.test))
    found = []
    if ablations.members and ablations.arm:
        found.append(_arms(ablations, cells, truth))
    if ablations.ensemble:
        found.append(_systems(ablations, ablations.ensemble, cells, into, truth))
    return found


def _arms(ablations: Ablations, cells: Sequence[Cell], truth: Truth) -> Table:
    members = [Path(name).stem for name in ablations.members]
    full = _runs(ablations.full, FULL, cells, members, truth, Arm(name=ablations.full, paper=ablations.paper))
    others = [_runs(arm.name, slug(arm.name), cells, members, truth, arm) for arm in ablations.arm]
    title = f"Arms, {'member' if len(members) == 1 else 'members'} {', '.join(members)}"
    table = table_of(title, full, others, ablations.metrics, draws=ablations.draws)
    how = (
        "steps: of the optimizer, all arms as many as whole epochs allow, without early stopping; the best epoch by "
        "dev score is scored. A stage that is left out gives its steps to the one before it."
        if ablations.equal_steps
        else "steps: of the optimizer at most; arms have the same epochs and patience, not the same steps."
    )
    return Table(**{**vars(table), "notes": (*table.notes, how)})


def _runs(name: str, folder: str, cells: Sequence[Cell], members: Sequence[str], truth: Truth, arm: Arm) -> Runs:
    own = [cell for cell in cells if cell.arm == folder and cell.member in members]
    by_seed = [[cell for cell in own if cell.seed == seed] for seed in sorted({cell.seed for cell in own})]
    cases = tuple(tuple(_case(truth, predictions_of(cell, truth.ids)) for cell in part) for part in by_seed)
    count = len(members)
    steps, parameters = (
        sum(values) // count for values in zip(*((c.steps, c.parameters) for c in by_seed[0]), strict=True)
    )
    return Runs(name, cases, arm.expected, arm.paper, steps, parameters)


def _systems(ablations: Ablations, ensembles: Ensembles, cells: Sequence[Cell], into: Path, truth: Truth) -> Table:
    full_cells = [cell for cell in cells if cell.arm == FULL]
    by_seed = [groups(ensembles, full_cells, seed) for seed in sorted({cell.seed for cell in full_cells})]
    names = [Path(member).stem for member in ensembles.members]
    own = [[c for c in full_cells if c.seed == part[0].seed and c.member in names] for part in by_seed]
    alone = tuple(tuple(_case(truth, predictions_of(cell, truth.ids)) for cell in part) for part in own)
    full: Runs | None = None
    others: list[Runs] = [Runs("one member (mean of all)", alone, "lower")]
    for column, group in enumerate(by_seed[0]):
        for system in ensembles.system:
            cases = tuple(
                tuple(_case(truth, predictions) for predictions in predictions_in(into, part[column], system))
                for part in by_seed
            )
            key = "all" if group.size is None else str(group.size)
            name = f"{system.name}, {f'all {len(names)}' if group.size is None else f'top {group.size}'}"
            runs = Runs(name, cases, system.expected, system.paper.get(key))
            if group.size is None and system.name == ensembles.full:
                full = runs
            else:
                others.append(runs)
    assert full is not None  # the schema has seen to it
    title = f"Ensembles of members {', '.join(names)}, fitted on {ablations.fit}"
    table = table_of(title, full, others, ablations.metrics, draws=ablations.draws)
    note = "top k: the best members of each seed by dev score. Of several models (one a seed of the fit) the mean."
    return Table(**{**vars(table), "notes": (*table.notes, note)})


def _case(truth: Truth, predictions: Predictions) -> AlignedPredictions:
    return align(truth, predictions)
