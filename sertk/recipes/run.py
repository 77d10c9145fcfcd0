"""Runs the stages of a recipe in turn: the work of `sertk run`."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from sertk.errors import RecipeError
from sertk.locks import locked
from sertk.recipes.options import parse_options, read_options
from sertk.recipes.runner import StageResult, run_stage
from sertk.recipes.stages import RecipeStage, choose_stages, read_script, read_stages

TOY = "toy"
"""The corpus that is made up, and the name of its experiment folder."""
RESULTS = re.compile(r"^# results (?P<folder>\S+)$", re.M)


def script_of(recipe: Path) -> Path:
    """Give the absolute path of a recipe's `run.sh`, from its folder or itself."""
    return (recipe / "run.sh" if recipe.is_dir() else recipe).absolute()


def experiment_folder(recipe: Path, *, corpus: str | None, exp: Path | None) -> Path:
    """Give the folder of the results: `exp`, or that of a line `# results FOLDER` in the recipe's `run.sh`.

    Without that line it is `exp/toy` or `exp/paper`. The folder is relative to that of `run.sh`.
    """
    script = script_of(recipe)
    if exp:
        return exp.absolute()
    declared = RESULTS.search(read_script(script)) if script.is_file() else None
    return script.parent / (declared["folder"] if declared else f"exp/{TOY if corpus == TOY else 'paper'}")


def run_recipe(
    recipe: Path,
    *,
    corpus: str | None = None,
    exp: Path | None = None,
    stage: int | None = None,
    stop_stage: int | None = None,
    options: Sequence[str] = (),
    force: bool = False,
    begin: Callable[[RecipeStage, str], None] = lambda stage, again: None,
    write: Callable[[str], None] = lambda line: None,
) -> list[StageResult]:
    """Run a recipe stage by stage; what is up to date is not done again.

    Parameters
    ----------
    recipe
        The recipe's `run.sh`, or its folder.
    corpus
        The folder of the corpus, or `toy`.
    exp
        The folder of the results.
    stage, stop_stage
        The first and the last stage; all without them.
    options
        The recipe's own options, as typed: `["--preset", "tiny"]`.
    force
        Do again what is up to date.
    begin
        Called before each stage, with the command that goes on from it.
    write
        Called with each line that a stage writes.

    Returns
    -------
    list of StageResult
        How each stage went.

    Raises
    ------
    RecipeError
        For an option that the recipe does not declare, a corpus or a stage that is not there, and a stage that fails.
    """
    script = script_of(recipe)
    stages = choose_stages(read_stages(script), stage, stop_stage)
    if declared := read_options(script):
        parse_options(declared, options)
    place = experiment_folder(recipe, corpus=corpus, exp=exp)
    words = ["--exp", _seen_from(place, script.parent)]
    words += [] if corpus is None else ["--corpus", _corpus(corpus)]
    words += [*options, *(["--force"] if force else [])]
    until = [] if stop_stage is None else ["--stop-stage", str(stop_stage)]
    rest = [
        *([] if corpus is None else ["--corpus", corpus]),
        *options,
        *([] if exp is None else ["--exp", str(exp)]),
    ]
    folder = Path(_seen_from(place, Path.cwd()))
    results = []
    with locked(folder / ".lock", folder) as lock:
        for each in stages:
            again = shlex.join(["sertk", "run", str(recipe), "--stage", str(each.number), *until, *rest])
            begin(each, again)
            results.append(run_stage(script, each, words, exp=folder, lock=lock, write=write, go_on=again))
    return results


def _corpus(corpus: str) -> str:
    path = Path(corpus).absolute()
    if corpus != TOY and not path.is_dir():
        raise RecipeError(
            f"there is no folder {corpus}. Give the corpus's folder, or --corpus toy for the synthetic one."
        )
    return corpus if corpus == TOY else str(path)


def _seen_from(path: Path, folder: Path) -> str:
    """A path as a script that runs in `folder` should have it: short inside the folder, absolute elsewhere."""
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)
