"""`sertk run RECIPE/run.sh`: a recipe's stages in turn, with a log a stage and a summary."""

from __future__ import annotations

import shlex
import time
from pathlib import Path

import typer

from sertk.cli.output import duration, fail, say, table
from sertk.errors import RecipeError

TOY = "toy"


def command(
    recipe: Path = typer.Argument(help="The recipe's run.sh, or its folder.", metavar="RECIPE"),
    own: list[str] = typer.Argument(
        None, help="Behind --, options of the recipe itself: -- --preset authors_code", metavar="[-- OPTION...]"
    ),
    stage: int | None = typer.Option(
        None, "--stage", metavar="N", help="The first stage; without it the first of all."
    ),
    stop_stage: int | None = typer.Option(None, "--stop-stage", metavar="M", help="The last stage."),
    corpus: str | None = typer.Option(
        None, metavar="PATH|toy", help="The corpus's folder, or toy for the made-up one."
    ),
    exp: Path | None = typer.Option(
        None, metavar="DIR", help="Where results go; exp/toy or exp/paper in the recipe."
    ),
    device: str | None = typer.Option(None, metavar="D", help="cpu, cuda, cuda:1, ..."),
    engine: str | None = typer.Option(None, metavar="E", help="local or ray."),
    force: bool = typer.Option(False, "--force", help="Do again what is up to date."),
) -> None:
    """Run a recipe, stage by stage. What is up to date is not done again: the same command goes on after a stop."""
    from sertk.locks import locked
    from sertk.recipes.runner import StageResult, run_stage
    from sertk.recipes.stages import choose_stages, read_stages

    script = (recipe / "run.sh" if recipe.is_dir() else recipe).absolute()
    stages = choose_stages(read_stages(script), stage, stop_stage)
    place = script.parent / "exp" / (TOY if corpus == TOY else "paper") if exp is None else exp.absolute()
    folder = Path(_from(place, Path.cwd()))
    options = ["--exp", _from(place, script.parent)]
    options += [] if corpus is None else ["--corpus", _corpus(corpus)]
    options += [
        word for name, value in (("--device", device), ("--engine", engine)) if value for word in (name, value)
    ]

    options += own or []

    def go_on(number: int) -> str:
        until = [] if stop_stage is None else ["--stop-stage", str(stop_stage)]
        where = [] if exp is None else ["--exp", str(exp)]
        ours = options[2 : len(options) - len(own or [])]
        rest = ours if corpus is None else ["--corpus", corpus, *ours[2:]]
        behind = ["--", *own] if own else []
        return shlex.join(["sertk", "run", str(recipe), "--stage", str(number), *until, *rest, *where, *behind])

    results: list[StageResult] = []
    begun = time.monotonic()
    with locked(folder / ".lock", folder) as lock:
        for each in stages:
            say(f"stage {each.number} {each.name}{': ' if each.title else ''}{each.title}", style="bold")
            given = [*options, "--force"] if force else options
            again = go_on(each.number)
            try:
                results.append(run_stage(script, each, given, exp=folder, lock=lock, write=say, go_on=again))
            except KeyboardInterrupt:
                fail(f"interrupted in stage {each.number} {each.name}. Go on with:\n    {again}")
                raise
    rows = [(r.stage.number, r.stage.name, duration(r.seconds), "up to date" if r.idle else "done") for r in results]
    say()
    table(("stage", "name", "time", ""), rows, right=("stage", "time"))
    if all(result.idle for result in results):
        say("Nothing to do: everything is up to date.")
    else:
        say(f"{duration(time.monotonic() - begun)} in all. Results and logs: {folder}")


def _corpus(corpus: str) -> str:
    if corpus == TOY:
        return corpus
    path = Path(corpus).absolute()
    if not path.is_dir():
        raise RecipeError(
            f"there is no folder {corpus}. Give the corpus's folder, or --corpus toy for the made-up one."
        )
    return str(path)


def _from(path: Path, folder: Path) -> str:
    """A path as a script that runs in `folder` should have it: short inside the folder, absolute elsewhere."""
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)
