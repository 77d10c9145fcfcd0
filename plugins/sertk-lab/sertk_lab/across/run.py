"""Train on each corpus, test on each: a folder per corpus, and a matrix of all."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import sertk
from sertk.api.combine import by_name
from sertk.api.data import fix, split
from sertk.api.remarks import warn_of_edited
from sertk.data.manifest import Manifest
from sertk.engine import Placement
from sertk.ensemble.predictions import Predictions
from sertk.errors import UsageError
from sertk.files import sha256_file, write_text
from sertk.outputs import making_in, refuse_foreign
from sertk.provenance import Provenance, from_here, is_current, read_record, write_record
from sertk_lab.across.cells import Cell, cell, classes_of, with_its_classes
from sertk_lab.across.matrix import texts
from sertk_lab.baselines.features import DEFAULT, built_encoder
from sertk_lab.baselines.recipe import folds_of, recipe_files

VERB = "crosscorpus"
PAGES = ("crosscorpus.md", "crosscorpus.csv", "crosscorpus.svg")
NAME = re.compile(r"[\w.-]+")
SUFFIXES = (".jsonl.gz", ".jsonl")


@dataclass(frozen=True)
class CrossCorpus:
    """A matrix. cells: one per pair, trained on the first and tested on the second. up_to_date: of its pages."""

    folder: Path
    cells: tuple[Cell, ...]
    up_to_date: bool


def cross_corpora(
    manifests: Sequence[str | Path] | Mapping[str, str | Path],
    out: str | Path,
    *,
    map: str | None = None,
    features: str = DEFAULT,
    folds: str | None = None,
    draws: int = 1000,
    jobs: int = 1,
    device: str = "auto",
    force: bool = False,
    tell: Callable[[str], None] = lambda line: None,
) -> CrossCorpus:
    """Train a linear model on each corpus and test it on each.

    Cells of one corpus are by cross-validation with whole speakers; the others are of models trained on all of one
    corpus. Only classes that both corpora have count in a cell.

    Parameters
    ----------
    manifests
        Two or more manifests, by name; in a list each is named after its file, or given as `NAME=PATH`.
    out
        A folder, new or of an earlier run: a folder per corpus, and `crosscorpus.md`, `.csv` and `.svg`.
    map
        A label map for all, such as `six`; without it corpora have classes of the same names already.
    features
        `whisper`, `egemaps`, `compare` or `logmel`.
    folds
        Of the cells of one corpus: a number, `speakers` or `given`; see `plan_baseline`.
    draws
        Resamples of speakers for the intervals.
    jobs
        How many things run side by side.
    device
        `cpu`, `cuda`, `cuda:1` or `auto`.
    force
        Do everything again.
    tell
        Called with a line for each step.

    Raises
    ------
    SertkError
        UsageError for fewer than two corpora and features that are not installed; LabelError for classes that the
        map does not name; DataError for two corpora with less than two classes in common; OutputError.
    """
    named = _named(manifests)
    if len(named) < 2:
        raise UsageError("give two manifests or more: one is trained on, the others are tested on")
    place, sources = Path(out).absolute(), {name: path.absolute() for name, path in named.items()}
    refuse_foreign(place, VERB)
    if read_record(place) is None:
        place.mkdir(parents=True, exist_ok=True)
        write_record(place, Provenance(VERB, {}), finished=False)
    for name, source in sources.items():
        with _inside(place / name):
            _prepare(name, source, map, features, folds, jobs=jobs, device=device, force=force, tell=tell)
    cells, parts = [], {"map": str(map), "features": features, "draws": str(draws)}
    corpora = {name: Manifest.read(place / name / "crossval" / "pooled" / "manifest.jsonl.gz") for name in sources}
    classes = {name: classes_of(corpus) for name, corpus in corpora.items()}
    for trained in sources:
        for tested, corpus in corpora.items():
            path = _predicted(place, trained, tested, device=device, force=force)
            tell(f"predicted  {trained} on {tested}")
            parts[f"{trained} on {tested}"] = sha256_file(path)
            both = [name for name in classes[trained] if name in classes[tested]]
            cells.append(cell(trained, tested, Predictions.read(path), corpus, both, draws=draws))
    parts |= {f"labels of {name}": corpus.fingerprint for name, corpus in corpora.items()}
    call = {name: from_here(path) for name, path in sources.items()}
    made = Provenance(VERB, parts, call, [*call.values()])
    if not force and is_current(place, made):
        return CrossCorpus(Path(out), tuple(cells), True)
    notes = [f"linear model on {features} features", f"label map: {map or 'none'}"]
    notes += [f"{name}: {corpus.note}" for name, corpus in corpora.items() if corpus.note]
    words = ["sertk crosscorpus", *(f"{name}={path.name}" for name, path in sources.items())]
    words += [f"--features {features}", *([f"--map {map}"] if map else []), f"--out {place.name}"]
    title = f"Across corpora: {', '.join(sources)}"
    lines = ["## How it was made", "", f"    {' '.join(words)}", "", f"sertk {sertk.__version__}"]
    with making_in(place, made, PAGES) as edited:
        for file, text in texts(cells, title=title, notes=notes, made=lines).items():
            write_text(place / file, text)
    warn_of_edited(edited)
    return CrossCorpus(Path(out), tuple(cells), False)


def _named(manifests: Sequence[str | Path] | Mapping[str, str | Path]) -> dict[str, Path]:
    named = by_name(manifests, "corpora")
    short = {}
    for name, path in named.items():
        plain = next((name.removesuffix(end) for end in (*SUFFIXES, ".jsonl") if name.endswith(end)), name)
        if not NAME.fullmatch(plain) or plain in short or plain.startswith("."):
            raise UsageError(f"{path}: give it a name of its own, of letters and digits: NAME={path}")
        short[plain] = path
    return short


def _prepare(
    name: str,
    source: Path,
    map: str | None,
    features: str,
    folds: str | None,
    *,
    jobs: int,
    device: str,
    force: bool,
    tell: Callable[[str], None],
) -> None:
    """All of one corpus, in its folder: labels, features, cross-validation, and a model of all of it."""
    mapped, manifest, whole = (Path("data") / f"{part}.jsonl.gz" for part in ("mapped", "manifest", "all"))
    if map is not None:
        sertk.map_labels(source, map, out=mapped, force=force)
    else:
        fix(source, out=mapped, force=force)
    corpus = with_its_classes(Manifest.read(mapped))
    corpus.write(manifest)
    divided = folds_of(corpus, folds)
    texts_of = recipe_files(
        corpus, [], features=features, folds=divided, deepser=False, by_recording=False, jobs=jobs
    )
    conf = {Path(path).name: Path("conf") / Path(path).name for path in texts_of if path.startswith("conf/")}
    for path, text in texts_of.items():
        if path.startswith("conf/"):
            conf[Path(path).name].parent.mkdir(exist_ok=True)
            write_text(conf[Path(path).name], text)
    if not Path("features/pooled/card.json").is_file():
        built_encoder(features, conf["pooled.toml"])
    sertk.extract(conf["pooled.toml"], manifest, into="features", device=device, force=force, on=Placement(jobs=jobs))
    tell(f"extracted  {name}  {len(corpus):,} utterances")
    sertk.crossval(conf["linear.toml"], manifest, "crossval", folds=divided, device=device, jobs=jobs, force=force)
    tell(f"cross-validated  {name}")
    split(manifest, out=whole, join=True, share=0.15, force=force)
    sertk.train(conf["linear.toml"], out="model", device=device, force=force)
    tell(f"trained  {name}")


def _predicted(place: Path, trained: str, tested: str, *, device: str, force: bool) -> Path:
    """The predictions of one corpus by the model of another, or by those of its own folds."""
    if trained == tested:
        return place / tested / "crossval" / "pooled" / "linear.csv"
    output = place / tested / "predictions" / f"{trained}.csv"
    with _inside(place / tested):  # models name their features as seen from here
        sertk.predict_corpus(
            Path("..") / trained / "model",
            "crossval/pooled/manifest.jsonl.gz",
            "test",
            output=f"predictions/{trained}.csv",
            device=device,
            force=force,
        )
    return output


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
