"""Cross-validate the models of experiment files: every speaker is tested once, by models that never saw it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from sertk.api.crossval_plan import VERB, Asked
from sertk.api.folds import MANIFEST, CombinationOf, FoldResult, fold_folder, run_fold
from sertk.data.folds import Folds
from sertk.engine import HERE, Placement
from sertk.ensemble.pool import pool, pool_provenance
from sertk.ensemble.predictions import Predictions
from sertk.errors import OutputError
from sertk.files import remove, sha256_file
from sertk.locks import sole_writer
from sertk.outputs import making, refuse_collisions, refuse_foreign
from sertk.provenance import is_current, read_record, record_path, write_record


@dataclass(frozen=True)
class CrossvalResult:
    """What `crossval` gives.

    folder: where all is. manifest: everything that was tested, as the split `test`. systems: pooled predictions by
    system, to pass to `score`. how: the division in words. without_fold: utterances that belong to no fold and had no
    part in it. folds: results of each, empty where all was up to date.
    """

    folder: Path
    manifest: Path
    systems: Mapping[str, Path]
    up_to_date: bool
    how: str = ""
    without_fold: int = 0
    folds: tuple[FoldResult, ...] = ()


def crossval(
    configs: str | Path | Sequence[str | Path],
    manifest: str | Path,
    into: str | Path,
    *,
    combine: Sequence[str | Path] = (),
    folds: Folds = None,
    dev: float | Literal["next"] = "next",
    splits: Sequence[str] = (),
    only: Sequence[str] = (),
    by_recording: bool = False,
    sets: Sequence[str] = (),
    device: str = "auto",
    force: bool = False,
    jobs: int = 1,
    on: Placement = HERE,
    progress: Callable[[FoldResult], None] | None = None,
) -> CrossvalResult:
    """Cross-validate the models of experiment files, and combinations of them.

    Each fold trains all members without the speakers that it tests. What is up to date is skipped, and what was
    interrupted goes on. Choices, of epochs or penalties, are made on the held-out part or inside the training part.

    Parameters
    ----------
    configs
        One or more experiment files (TOML). Their manifest and splits are replaced by those of each fold.
    manifest
        The manifest of the corpus.
    into
        A folder: `fold_NAME` for each fold, `pooled` for the predictions of all.
    combine
        Combination files, in this order, as `[NAME=]FILE[:SYSTEM,SYSTEM,...]`. Systems are members, or combinations
        before it, by name or pattern; without them all members are combined.
    folds
        A number of folds by speaker, stratified by class as far as speakers allow; `speakers`, one speaker in each;
        `given`, those of the manifest. Without it, those of the manifest if there are any, else 5.
    dev
        `next`: the fold after the tested one is held out; or a share of the other speakers, such as 0.1.
    splits
        Only the utterances of these splits take part; none means all.
    only
        Test these folds alone, by name; the rest can follow later. None means all.
    by_recording
        Accept utterances of unknown speakers: each counts as a speaker of its own.
    sets
        Values to override in the experiment files, such as `stage.full.epochs=5`.
    device
        `cpu`, `cuda`, `cuda:1` or `auto`.
    force
        Do everything again, and remove folds of another division.
    jobs
        Folds at a time, each in a process of its own.
    on
        Where folds run, such as on a Ray cluster, instead of `jobs`.
    progress
        Called with each fold as soon as it is done. With several jobs it is called in other processes, so it must be
        a function of a module.

    Returns
    -------
    CrossvalResult
        Pass its `systems` and `manifest` to `score`, with the split `test`.

    Raises
    ------
    SertkError
        DataError for speakers that are unknown or in several folds, fewer speakers than folds, and a class that
        a training part lacks; ConfigError; OutputError for a folder that holds something else.
    """
    files = [Path(configs)] if isinstance(configs, str | Path) else [Path(config) for config in configs]
    asked = Asked(
        files,
        Path(manifest),
        [CombinationOf.parse(word) for word in combine],
        folds,
        dev,
        (*splits,),
        by_recording,
        sets,
        (*only,),
    )
    out = Path(into)
    on = Placement(jobs=jobs) if on is HERE else on
    on.check()
    division, made, stores = asked.plan()
    refuse_collisions([out], [asked.manifest, *files, *(one.config for one in asked.combinations), *stores])
    refuse_foreign(out, VERB)
    known = CrossvalResult(out, out / "pooled" / MANIFEST, {}, True, division.how, division.without)
    if not force and is_current(out, made) and (record := read_record(out)):
        names = [Path(name) for name in record.files if name.endswith(".csv")]
        return replace(known, systems={name.stem: out / name for name in names})
    parts = {name: division.fold(name, dev) for name in division.chosen(only)}
    folders = {name: fold_folder(out, name) for name in parts}
    asked.check(next(iter(parts.values())))
    with sole_writer(out):
        out.mkdir(parents=True, exist_ok=True)
        others = sorted({*out.glob("fold_*")} - {fold_folder(out, name) for name in division.names})
        if others and not force:
            raise OutputError(
                f"{out} has folds of another division ({others[0].name}): choose another folder, or --force"
            )
        write_record(out, made, files={MANIFEST: ""}, finished=False)
        for other in others:
            remove(other)
        division.manifest.write(out / MANIFEST)
        for name, part in parts.items():
            part.write(folders[name] / MANIFEST)
        alone = on if len(folders) == 1 else HERE  # one fold: its members are trained side by side instead
        tasks = [
            (name, folder, files, asked.combinations, [*sets], device, force, progress, alone)
            for name, folder in folders.items()
        ]
        results: list[FoldResult] = (HERE if len(folders) == 1 else on).run(run_fold, tasks, device=device)
        systems = _pool(out / "pooled", results)
        division.pooled(only).write(known.manifest)
        written = [out / MANIFEST, known.manifest, *systems.values()]
        write_record(out, made, files={path.relative_to(out).as_posix(): sha256_file(path) for path in written})
    for message, kind in dict.fromkeys(warning for result in results for warning in result.warnings):
        warnings.warn(message, kind, stacklevel=2)
    return replace(known, systems=systems, up_to_date=False, folds=tuple(results))


def _pool(folder: Path, results: Sequence[FoldResult]) -> dict[str, Path]:
    """Write the predictions of all folds, one file for each system that all have; remove those of earlier systems."""
    names = [name for name in results[0].systems if all(name in result.systems for result in results)]
    systems = {name: folder / f"{name}.csv" for name in names}
    for path in {*folder.glob("*.csv")} - {*systems.values()}:
        record = read_record(path)
        if record is not None and record.made.verb == VERB:
            remove(record_path(path))
            remove(path)
    for name, path in systems.items():
        parts = {result.name: result.systems[name] for result in results}
        made = pool_provenance(VERB, parts)
        if not is_current(path, made):
            with making(path, made):
                pool([Predictions.read(part) for part in parts.values()]).write(path)
    return systems
