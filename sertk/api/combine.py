"""Combine systems into one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sertk.config.files import load_combination
from sertk.devices import choose_device
from sertk.ensemble.combine import combine as combine_members
from sertk.ensemble.combine import provenance_of
from sertk.ensemble.results import check_output, is_current, results_in
from sertk.errors import UsageError
from sertk.preflight.find import load_sound
from sertk.provenance import from_here


@dataclass(frozen=True)
class Combined:
    """A model that `combine` made or found up to date.

    fit: the split that it was fitted on. utterances, left_out: of that split, with and without features. leaked:
    those that members were trained on.
    """

    folder: Path
    aggregator: str
    members: int
    fit: str
    up_to_date: bool = False
    utterances: int = 0
    leaked: int = 0
    left_out: int = 0


def combine(
    config: str | Path,
    members: Sequence[str | Path] | Mapping[str, str | Path],
    *,
    out: str | Path,
    out_of_fold: Sequence[str | Path] | Mapping[str, str | Path] = (),
    sets: Sequence[str] = (),
    device: str = "auto",
    force: bool = False,
) -> list[Combined]:
    """Combine systems into one that is used like any other: votes, prior correction, meta-classifiers, soups.

    Parameters
    ----------
    config
        A combination file (TOML): aggregator, data, the split to fit on.
    members
        Stores of posteriors, trained models, or files of predictions, by name; in a list each is named after its
        last part, or given as `NAME=PATH`.
    out
        The folder of the new model, or of several.
    out_of_fold
        Cross-validations (`sertk crossval --split train`) whose posteriors are fitted on in place of those of the
        member of their name.
    sets
        Values to override, such as `aggregator.lr=1e-2`.
    device
        `cpu`, `cuda`, `cuda:1` or `auto`.
    force
        Combine again what is up to date.

    Returns
    -------
    list of Combined
        One, or one per value of an option that the aggregator was given several of.

    Raises
    ------
    SertkError
        EnsembleError for members that do not fit together; ConfigError; OutputError.
    """
    combination = load_sound(load_combination, Path(config), sets)
    named, folds = by_name(members, "members"), by_name(out_of_fold, "--out-of-fold")
    place = Path(out)
    check_output(place, [Path(config), Path(combination.data.manifest), *named.values(), *folds.values()])
    call = {"config": from_here(Path(config)), "sets": list(sets)}
    use, fit = combination.aggregator.use, combination.fit
    if not force and is_current(place, provenance_of(combination, named, folds, call)):
        return [Combined(folder, use, len(named), fit, up_to_date=True) for folder in results_in(place)]
    made = combine_members(
        combination, named, place, out_of_fold=folds, device=choose_device(device), call=call
    ).values()
    return [
        Combined(
            checkpoint.folder or place,
            use,
            len(named),
            fit,
            utterances=checkpoint.card.notes["utterances"],
            leaked=checkpoint.card.notes["leaked"],
            left_out=checkpoint.card.notes["left_out"],
        )
        for checkpoint in made
    ]


def by_name(paths: Sequence[str | Path] | Mapping[str, str | Path], what: str) -> dict[str, Path]:
    """Paths by name: NAME=PATH, else the last part of the path, without the suffix of a file."""
    if isinstance(paths, Mapping):
        return {name: Path(path) for name, path in paths.items()}
    named: dict[str, Path] = {}
    for word in paths:
        name, equals, place = str(word).partition("=")
        path = Path(place if equals else word)
        name = name if equals else path.stem if path.is_file() else path.name or path.absolute().name
        if name in named:
            raise UsageError(f"{what}: {named[name]} and {path} are both called {name!r}: give NAME=PATH")
        named[name] = path
    return named
