"""One fold of a cross-validation: members are trained, combined, and predict the part that is tested."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import quote

from sertk.api.combine import combine
from sertk.api.extract import extract
from sertk.api.predict import predict_corpus
from sertk.api.train import train
from sertk.cards import read_experiment
from sertk.config.files import load_combination
from sertk.data.folds import HELD_OUT, TEST, TRAIN
from sertk.engine import Placement
from sertk.ensemble.results import results_in
from sertk.errors import UsageError
from sertk.provenance import beside

MANIFEST = "manifest.jsonl.gz"


@dataclass(frozen=True)
class CombinationOf:
    """A combination file and the systems that it combines. members: patterns of names; none means all members."""

    name: str
    config: Path
    members: tuple[str, ...] = ()

    @staticmethod
    def parse(word: str | Path) -> CombinationOf:
        """`[NAME=]FILE[:MEMBER,MEMBER,...]`."""
        name, equals, rest = str(word).partition("=")
        path, colon, members = (rest if equals else str(word)).rpartition(":")
        config = Path(path if colon else members)
        chosen = tuple(filter(None, members.split(","))) if colon else ()
        return CombinationOf(name if equals else config.stem, config, chosen)

    def __str__(self) -> str:
        """As `parse` reads it."""
        return f"{self.name}={self.config}" + (f":{','.join(self.members)}" if self.members else "")

    def choose(self, systems: Mapping[str, Path], members: Sequence[str]) -> dict[str, Path]:
        """The systems to combine, by name. Raises UsageError for a pattern that none has."""
        chosen: dict[str, Path] = {}
        for pattern in self.members or members:
            found = {name: path for name, path in systems.items() if fnmatchcase(name, pattern)}
            if not found:
                raise UsageError(f"--combine {self}: no system is called {pattern!r}; there are {', '.join(systems)}")
            chosen |= found
        return chosen


@dataclass(frozen=True)
class FoldResult:
    """What one fold gave. systems: predictions of its test part, by system. metrics: of members, of the dev part."""

    name: str
    systems: Mapping[str, Path]
    metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    up_to_date: bool = False
    warnings: tuple[tuple[str, type[Warning]], ...] = ()


def fold_folder(out: Path, name: str) -> Path:
    """Where a fold's models and predictions are."""
    return out / f"fold_{quote(name, safe=' ')}"


def overrides(manifest: Path) -> list[str]:
    """What a file says of its data, replaced by the parts of a fold."""
    return [
        f"data.manifest={json.dumps(str(manifest), ensure_ascii=False)}",
        f'data.train="{TRAIN}"',
        f'data.dev="{HELD_OUT}"',
    ]


def run_fold(
    name: str,
    folder: Path,
    configs: Sequence[Path],
    combinations: Sequence[CombinationOf],
    sets: Sequence[str],
    device: str,
    force: bool,
    progress: Callable[[FoldResult], None] | None,
    on: Placement,
) -> FoldResult:
    """Train, combine and predict in the folder of a fold, which has its manifest; perhaps in a process of its own.

    on: where the members are trained.
    """
    manifest = folder / MANIFEST
    data = overrides(manifest)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trained = train(configs, into=folder / "members", sets=[*sets, *data], device=device, force=force, on=on)
        systems = {one.folder.name: one.folder for one in trained}
        members, sources = [*systems], dict(systems)
        current = [one.up_to_date for one in trained]
        if combinations and (networks := [model for model in systems.values() if _is_stored(model)]):
            splits = {HELD_OUT, TEST, *(load_combination(one.config, data).fit for one in combinations)}
            stores = folder / "posteriors"
            extract(networks, manifest, into=stores, splits=sorted(splits), device=device, force=force)
            sources |= {model.name: stores / model.name for model in networks}
        for combination in combinations:
            out = folder / "ensembles" / combination.name
            chosen = combination.choose({**systems, **sources}, members)
            made = combine(combination.config, chosen, out=out, sets=data, device=device, force=force)
            current.append(made[0].up_to_date)
            found = results_in(out)
            systems |= {combination.name if one == out else f"{combination.name}-{one.name}": one for one in found}
        predictions = {}
        for system, model in systems.items():
            to = beside(folder / "predictions" / system, ".csv")
            (predicted,) = predict_corpus(model, manifest, TEST, output=to, device=device, force=force)
            current.append(predicted.up_to_date)
            predictions[system] = to
    result = FoldResult(
        name,
        predictions,
        {one.folder.name: one.metrics for one in trained},
        all(current),
        tuple((str(one.message), one.category) for one in caught),
    )
    if progress is not None:
        progress(result)
    return result


def _is_stored(model: Path) -> bool:
    """Whether combinations read a member's posteriors from a store: a network is run once, not by each of them."""
    experiment = read_experiment(model)
    return experiment.standardise_by is None and any(stage.solver is None for stage in experiment.stage)
