"""The recipe of a baseline: its files, written once and then the user's own."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Literal

from sertk import __version__
from sertk.data.manifest import Manifest
from sertk.errors import OutputError, UsageError
from sertk.files import write_text
from sertk.outputs import making_in
from sertk.provenance import Provenance, changes, read_record
from sertk_lab.baselines.features import choice

VERB = "baseline"
FEW_SPEAKERS = 12
"""So many speakers are left out one by one; more of them in five folds."""
FEWEST = 4
"""With fewer speakers, or unknown ones, the held-out part chooses, too."""
LARGE = 2000
"""Utterances from which on batches are larger, and the held-out part alone chooses for the linear model."""


def folds_of(manifest: Manifest, folds: str | None) -> int | Literal["speakers", "given"]:
    """The folds as `sertk.crossval` takes them: as asked for, as given, one per speaker, or 5."""
    if folds is not None:
        if folds.isdecimal():
            return int(folds)
        if folds == "speakers":
            return "speakers"
        if folds == "given":
            return "given"
        raise UsageError(f"--folds is a number, speakers or given, got {folds!r}")
    if any(u.fold is not None for u in manifest):
        return "given"
    return "speakers" if len({u.speaker for u in manifest}) <= FEW_SPEAKERS else 5


def recipe_files(
    manifest: Manifest,
    prepare: Sequence[str],
    *,
    features: str,
    folds: int | str,
    deepser: bool,
    by_recording: bool,
    jobs: int,
) -> dict[str, str]:
    """The text of each file of a recipe, by path. prepare: the command that reads the corpus, without its output."""
    chosen = choice(features)
    speakers = {u.speaker for u in manifest if u.speaker}
    inner = '"speakers"' if len(speakers) <= FEW_SPEAKERS else "5"
    by_folds = not by_recording and len(speakers) >= FEWEST and len(manifest) <= LARGE
    choosing = f"folds    = {inner}\nwith_dev = true" if by_folds else ""
    vote = 'vote=(--combine "$conf/vote.toml")' if deepser else "vote=()"
    words = {
        "corpus": manifest.corpus,
        "prepare": shlex.join(prepare),
        "folds": str(folds),
        "divide": "--by-recording" if by_recording else "",
        "jobs": str(jobs),
        "states": " and states are" if chosen.blocks > 1 else " is",
        "penalties": chosen.penalties,
        "blocks": str(chosen.blocks),
        "subsets": chosen.subsets,
        "choosing": choosing,
        "chosen": "by leaving training speakers out" if by_folds else "on the held-out speakers",
        "batch": "32" if len(manifest) > LARGE else "16",
        "votes": vote,
        "best": "vote" if deepser else "linear",
        "model": "the vote of the linear member and the network" if deepser else "the linear member",
        "features": features,
        "how": {"speakers": "one speaker at a time", "given": "in the folds of the corpus"}.get(
            str(folds), f"in {folds} folds of speakers"
        ),
    }
    names = ["run.sh", "settings.sh", "README.md", "conf/vote.toml", "conf/members/linear.toml"]
    names += ["conf/members/deepser.toml"] if deepser else []
    texts = {name: _rendered(Path(name).name, words) for name in names}
    texts["conf/encoders/pooled.toml"] = chosen.pooled
    if deepser:
        texts["conf/encoders/frames.toml"] = chosen.frames
    return texts


def write_recipe(out: Path, texts: Mapping[str, str], options: Mapping[str, object]) -> bool:
    """Write a recipe into a new folder; one that is there already is the user's own and stays as it is.

    options: what the recipe was asked for. Gives whether it was written. Raises OutputError for a folder of something
    else, or of a baseline with other options.
    """
    made = asked(options)
    record = read_record(out)
    if record is not None and record.made.verb == VERB and record.finished:
        differ = [f"{c.part} was {c.before}, is {c.now}" for c in changes(record.made, made)]
        if differ:
            raise OutputError(
                f"{out} has a baseline that was asked for otherwise ({'; '.join(differ)}): choose another folder, or "
                f"edit its settings.sh and conf/ and run `sertk run {out}/run.sh`"
            )
        return False
    with making_in(out, made, [*texts]):
        for name, text in texts.items():
            path = out / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, text)
            if path.name == "run.sh":
                path.chmod(0o755)
    return True


def asked(options: Mapping[str, object]) -> Provenance:
    """What a recipe was asked for."""
    return Provenance(VERB, {name: str(value) for name, value in options.items()}, {"sertk": __version__})


def _rendered(name: str, words: Mapping[str, str]) -> str:
    text = files("sertk_lab.baselines").joinpath("template", f"{name}.template").read_text(encoding="utf-8")
    return Template(text).substitute(words)
