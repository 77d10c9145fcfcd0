"""`sertk run RECIPE/run.sh`: a recipe's stages in turn, with one log per stage and a summary."""

from __future__ import annotations

import time
from pathlib import Path

import typer

from sertk.cli.models_option import MODELS
from sertk.cli.output import fail, say, show
from sertk.progress import duration
from sertk.recipes.stages import RecipeStage
from sertk.tables import Table, listing

SETTINGS = {"context_settings": {"ignore_unknown_options": True}}


def command(
    recipe: Path = typer.Argument(help="The recipe's run.sh, or its folder.", metavar="RECIPE"),
    options: list[str] = typer.Argument(
        None,
        help="Options of the recipe itself, such as --preset tiny; --options lists them.",
        metavar="[OPTION]",
    ),
    stage: int | None = typer.Option(None, "--stage", metavar="N", help="The first stage to run. Default: 1."),
    stop_stage: int | None = typer.Option(
        None, "--stop-stage", metavar="M", help="The last stage to run. Default: the last one."
    ),
    corpus: str | None = typer.Option(
        None, metavar="PATH|toy", help="The folder of the corpus, or toy for the synthetic one."
    ),
    exp: Path | None = typer.Option(
        None, metavar="DIR", help="The folder for results. Default: the recipe's own, or exp/toy or exp/paper in it."
    ),
    force: bool = typer.Option(False, "--force", help="Run again even if up to date."),
    models: Path | None = MODELS,
    list_options: bool = typer.Option(False, "--options", help="Only list the options and stages of the recipe."),
) -> None:
    """Run a recipe, stage by stage. Skips what is up to date, so the same command resumes an interrupted run."""
    from sertk.recipes.run import experiment_folder, run_recipe

    if list_options:
        return _list_options(recipe)
    begun, now, again = time.monotonic(), "", ""

    def begin(each: RecipeStage, go_on: str) -> None:
        nonlocal now, again
        now, again = f"stage {each.number} {each.name}", go_on
        say(f"{now}{': ' if each.title else ''}{each.title}", style="bold")

    try:
        results = run_recipe(
            recipe,
            corpus=corpus,
            exp=exp,
            stage=stage,
            stop_stage=stop_stage,
            options=options or (),
            force=force,
            begin=begin,
            write=say,
        )
    except KeyboardInterrupt:
        fail(f"interrupted in {now}. Continue with:\n    {again}")
        raise
    rows = [(r.stage.number, r.stage.name, duration(r.seconds), "up to date" if r.idle else "done") for r in results]
    say()
    show(Table(("stage", "name", "time", ""), rows, align="rlrl"))
    if all(result.idle for result in results):
        say("Nothing to do: everything is up to date.")
    else:
        folder = experiment_folder(recipe, corpus=corpus, exp=exp)
        say(f"{duration(time.monotonic() - begun)} in all. Results and logs: {folder}")


def _list_options(recipe: Path) -> None:
    from sertk.recipes.options import read_options
    from sertk.recipes.run import script_of
    from sertk.recipes.stages import read_stages

    script = script_of(recipe)
    rows = [(option.usage, option.default or "", option.help) for option in read_options(script)]
    show(listing(("option", "default", "what it is"), rows))
    say()
    show(listing(("stage", "name", "what it does"), [(s.number, s.name, s.title) for s in read_stages(script)]))
