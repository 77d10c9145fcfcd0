"""`sertk combine`: many systems in, one out."""

from __future__ import annotations

from pathlib import Path

import typer

from sertk.cli.output import say, up_to_date


def command(
    config: Path = typer.Argument(..., help="A combination file (TOML): aggregator, data, the split to fit on."),
    members: list[str] = typer.Argument(
        ..., help="Stores of posteriors, trained models, or predictions (*.csv, *.jsonl); NAME=PATH gives a name."
    ),
    out: Path = typer.Option(..., help="The new checkpoint's folder, or the folder of several."),
    out_of_fold: list[str] = typer.Option(
        [], help="A folder of stores fold-* that stand in for the member of its name while fitting; NAME=PATH too."
    ),
    device: str = typer.Option("auto", help="cpu, cuda, cuda:1 or auto."),
    sets: list[str] = typer.Option([], "--set", metavar="KEY=VALUE", help="Override a value: aggregator.lr=1e-2."),
    force: bool = typer.Option(False, help="Combine again what is up to date."),
) -> None:
    """Combine systems into one that is used like any other: votes, prior correction, meta-classifiers, soups."""
    from sertk.config.files import load_combination
    from sertk.devices import choose_device
    from sertk.ensemble.combine import combine, provenance_of
    from sertk.ensemble.results import check_output, is_current
    from sertk.preflight.find import load_sound
    from sertk.provenance import from_here

    combination = load_sound(load_combination, config, sets)
    named, folds = _named(members, "members"), _named(out_of_fold, "--out-of-fold")
    check_output(out, [config, Path(combination.data.manifest), *named.values(), *folds.values()])
    call = {"config": from_here(config), "sets": sets}
    if not force and is_current(out, provenance_of(combination, named, folds, call)):
        up_to_date(out)
        return
    made = combine(combination, named, out, out_of_fold=folds, device=choose_device(device), call=call)
    for name, checkpoint in made.items():
        notes = checkpoint.card.notes
        leaked = f"  {notes['leaked']} were trained on" if notes["leaked"] else ""
        rows = f"{notes['utterances']} utterances of {combination.fit}{' out of fold' if folds else ''}{leaked}"
        what = f"{name or out.name}  {combination.aggregator.use} of {len(named)}"
        say(f"{what}  {rows}  left out {notes['left_out']}  {checkpoint.folder}")


def _named(words: list[str], what: str) -> dict[str, Path]:
    """Paths by name: NAME=PATH, else the last part of the path, without the suffix of a file."""
    named: dict[str, Path] = {}
    for word in words:
        name, equals, place = word.partition("=")
        path = Path(place if equals else word)
        name = name if equals else path.stem if path.is_file() else path.name or path.absolute().name
        if name in named:
            raise typer.BadParameter(
                f"{named[name]} and {path} are both called {name!r}: give NAME=PATH", param_hint=what
            )
        named[name] = path
    return named
