"""From a table, a folder or a manifest to a recipe, what a reviewer would ask, and what it will take."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from sertk.corpora import read_corpus
from sertk.data.audio_stats import audio_stats
from sertk.data.concerns import Concern, concerns
from sertk.data.folds import divide
from sertk.data.manifest import Manifest
from sertk.data.packed import open_text
from sertk.errors import DataError
from sertk.recipes.run import run_recipe
from sertk.recipes.runner import StageResult
from sertk.registry import corpora
from sertk_lab.baselines.estimate import Step, estimate
from sertk_lab.baselines.features import DEFAULT, choice, require_deepser
from sertk_lab.baselines.recipe import folds_of, recipe_files, write_recipe

Line = Callable[[str], None]


@dataclass(frozen=True)
class Baseline:
    """A recipe that was written, or is there already.

    corpus: as it was read. concerns: what a reviewer would ask. steps: what it will do, and about how long. written:
    whether the recipe is new.
    """

    folder: Path
    corpus: Manifest
    concerns: tuple[Concern, ...]
    steps: tuple[Step, ...]
    written: bool

    @property
    def script(self) -> Path:
        """The script of the recipe."""
        return self.folder / "run.sh"

    def run(self, *, device: str = "auto", write: Line = lambda line: None) -> list[StageResult]:
        """Run the recipe's stages; what is up to date is skipped. Raises RecipeError for a stage that fails."""
        return run_recipe(self.script, options=["--device", device], write=write)


def plan_baseline(
    source: str | Path,
    out: str | Path,
    *,
    features: str = DEFAULT,
    folds: str | None = None,
    deepser: bool = True,
    reader: str = "table",
    jobs: int | None = None,
    device: str = "auto",
    options: Mapping[str, Any] | None = None,
) -> Baseline:
    """Write the recipe of a baseline, and say what it will do.

    The recipe reads and audits the corpus, cross-validates a linear model, a small DeepSER and their vote by speaker,
    scores them with intervals and against chance, writes a report, and trains a final model on everything. It is the
    user's own from then on: a second call leaves its files as they are.

    Parameters
    ----------
    source
        A table (CSV, TSV or JSON lines), a folder with one, a folder that `reader` reads, or a manifest.
    out
        The folder of the recipe and all that it makes; new or empty.
    features
        `whisper`, `egemaps`, `compare` or `logmel`.
    folds
        A number, `speakers`, or `given`; without it those of the corpus, else one per speaker up to twelve, else 5.
    deepser
        Train the network besides the linear model.
    reader
        Of a folder: see `sertk list corpus`.
    jobs
        How many things run side by side; the cores that there are without it.
    device
        `cpu`, `cuda`, `cuda:1` or `auto`.
    options
        Of the reader, such as `{"emotion": "label"}`.

    Returns
    -------
    Baseline
        With `run`, which does the work.

    Raises
    ------
    SertkError
        UsageError for features or a network that are not installed; DataError for a corpus that cannot be read or
        divided; OutputError for a folder that holds something else.
    """
    path, place, given = Path(source), Path(out), dict(options or {})
    choice(features)
    if deepser:
        require_deepser()
    corpus, prepare = _corpus(path, reader, given)
    by_recording = bool(given.get("unknown_speakers"))
    divided = folds_of(corpus, folds)
    division = divide(corpus, divided, by_recording=by_recording)
    count = jobs or min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    texts = recipe_files(
        corpus, prepare, features=features, folds=divided, deepser=deepser, by_recording=by_recording, jobs=count
    )
    asked = {"prepare": prepare, "features": features, "folds": divided, "deepser": deepser}
    written = write_recipe(place, texts, asked)
    found = concerns(division.manifest, list(audio_stats(corpus)))
    steps = estimate(place / "conf", corpus, features=features, folds=len(division.names), jobs=count, device=device)
    return Baseline(place, corpus, tuple(found), tuple(steps), written)


def _corpus(path: Path, reader: str, options: Mapping[str, Any]) -> tuple[Manifest, list[str]]:
    """A corpus, and the command that reads it into a manifest."""
    if is_manifest(path):
        if options:
            raise DataError(f"{path} is a manifest: it takes no options of a reader ({', '.join(options)})")
        return Manifest.read(path), ["sertk", "data", "fix", str(path.absolute())]
    if not path.exists():
        raise DataError(f"there is no table, folder or manifest {path}")
    given = _absolute(reader, options)
    manifest, _ = read_corpus(reader, path, given)
    return manifest, ["sertk", "data", "prepare", reader, str(path.absolute()), *_words(given)]


def _absolute(reader: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a reader with paths that hold in any folder."""
    kinds = inspect.signature(corpora.get(reader), eval_str=True).parameters
    paths = {name for name, one in kinds.items() if Path in (one.annotation, *get_args(one.annotation))}
    return {name: str(Path(value).absolute()) if name in paths else value for name, value in options.items()}


def _words(options: Mapping[str, Any]) -> Sequence[str]:
    """Options of a reader as they are typed."""
    words: list[str] = []
    for name, value in options.items():
        flag = f"--{name.replace('_', '-')}"
        if value is True:
            words.append(flag)
        elif isinstance(value, list | tuple):
            words += [word for each in value for word in (flag, str(each))]
        elif value is not False:
            words += [flag, str(value)]
    return words


def is_manifest(path: Path) -> bool:
    """Whether a file is a manifest, by its first line."""
    if not path.is_file() or ".jsonl" not in path.suffixes:
        return False
    with open_text(path, "r") as file:
        return '"sertk_manifest"' in file.readline()
