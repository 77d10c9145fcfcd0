"""The ensembles of an ablation: ways to combine the members of each seed, all or the best by dev score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from sertk.cards import read_card, read_experiment
from sertk.checkpoint import Checkpoint
from sertk.config.files import load_combination
from sertk.data.manifest import Manifest
from sertk.ensemble import results
from sertk.ensemble.combine import combine, provenance_of
from sertk.ensemble.predictions import Predictions
from sertk.inference.provenance import provenance
from sertk.inference.stores import predict_stores
from sertk.inputs import located
from sertk.outputs import making
from sertk.provenance import is_current, record_path
from sertk_lab.ablation.cells import Cell
from sertk_lab.ablation.config import Ensembles, System, slug


@dataclass(frozen=True)
class Group:
    """Members of one seed. size: their number, None for all."""

    seed: int
    size: int | None
    members: Mapping[str, Path]

    @property
    def name(self) -> str:
        """`all` or `top-5`."""
        return "all" if self.size is None else f"top-{self.size}"


def groups(ensembles: Ensembles, cells: Sequence[Cell], seed: int) -> list[Group]:
    """All members of a seed, and the best of them by the score that their training kept."""
    names = [Path(member).stem for member in ensembles.members]
    own = {cell.member: cell for cell in cells if cell.seed == seed and cell.member in names}
    scores = {name: max(read_card(own[name].folder).metrics.values()) for name in names}
    ranked = sorted(names, key=lambda name: (-scores[name], names.index(name)))
    sizes = [None, *(size for size in ensembles.top if size < len(names))]
    return [
        Group(seed, size, {name: own[name].posteriors for name in names if size is None or name in ranked[:size]})
        for size in sizes
    ]


def folder_of(into: Path, group: Group, system: System) -> Path:
    """Where the models of a system and their predictions lie."""
    return into / "ensembles" / group.name / slug(system.name) / f"seed-{group.seed}"


def run_system(
    system: System, group: Group, base: Path, into: Path, *, fit: str, test: str, device: torch.device
) -> None:
    """Combine the members of a group and predict the test split, skipping what is up to date."""
    out = folder_of(into, group, system)
    made = _combined(base / system.combine, system.set, group.members, out / "models", fit, device)
    if system.then is not None:
        made = _combined(base / system.then, system.then_set, made, out / "then", fit, device)
    for name, folder in made.items():
        manifest = read_experiment(folder).data.manifest
        wanted = provenance(model=str(folder), manifest=manifest, split=test)
        file = out / "predictions" / f"{name}.csv"
        if not is_current(file, wanted):
            corpus = Manifest.read(Path(manifest))
            utterances = located(corpus, corpus.split(test))
            with making(file, wanted):
                predict_stores(Checkpoint.load(folder), utterances, device=device)[0].write(file)
    for file in (out / "predictions").glob("*.csv"):
        if file.stem not in made:  # of an earlier run with other seeds
            file.unlink()
            record_path(file).unlink(missing_ok=True)


def predictions_in(into: Path, group: Group, system: System) -> list[Predictions]:
    """What each model of a system says of the test split."""
    return [Predictions.read(file) for file in sorted((folder_of(into, group, system) / "predictions").glob("*.csv"))]


def _combined(
    config: Path, sets: Sequence[str], members: Mapping[str, Path], out: Path, fit: str, device: torch.device
) -> dict[str, Path]:
    combination = load_combination(config, [f"fit={fit}", *sets])
    if not results.is_current(out, provenance_of(combination, members, {})):
        combine(combination, members, out, device=device)
    return {folder.name: folder for folder in results.results_in(out)}
