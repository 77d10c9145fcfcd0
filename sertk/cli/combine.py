"""`sertk combine`: many systems in, one out."""

from __future__ import annotations

from pathlib import Path

import typer

from sertk.cli.output import say, up_to_date


def command(
    config: Path = typer.Argument(..., help="A combination file (TOML): aggregator, data, the split to fit on."),
    members: list[str] = typer.Argument(
        ..., help="Stores of posteriors, trained models, or predictions (*.csv, *.jsonl); NAME=PATH sets a name."
    ),
    out: Path = typer.Option(..., help="The folder for the new model or models."),
    out_of_fold: list[str] = typer.Option(
        [], metavar="NAME=FOLDER", help="A crossval folder with the member NAME; its posteriors are fitted on."
    ),
    device: str = typer.Option("auto", help="cpu, cuda, cuda:1 or auto."),
    sets: list[str] = typer.Option([], "--set", metavar="KEY=VALUE", help="Override a value: aggregator.lr=1e-2."),
    force: bool = typer.Option(False, help="Combine again even if up to date."),
) -> None:
    """Combine systems into a new model: votes, prior correction, meta-classifiers, soups."""
    from sertk.api.combine import combine

    made = combine(config, members, out=out, out_of_fold=out_of_fold, sets=sets, device=device, force=force)
    if made[0].up_to_date:
        up_to_date(out)
        return
    for one in made:
        leaked = f"  {one.leaked} were trained on" if one.leaked else ""
        rows = f"{one.utterances} utterances of {one.fit}{' out of fold' if out_of_fold else ''}{leaked}"
        say(f"{one.folder.name}  {one.aggregator} of {one.members}  {rows}  left out {one.left_out}  {one.folder}")
