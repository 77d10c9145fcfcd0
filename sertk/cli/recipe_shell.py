"""`sertk recipe-shell RUN.SH -- OPTION...`: what a recipe's `run.sh` evaluates before its first stage."""

from __future__ import annotations

import sys
from pathlib import Path

import typer


def command(
    script: Path = typer.Argument(help="The recipe's run.sh."),
    options: list[str] = typer.Argument(None, help="The arguments of run.sh.", metavar="-- [OPTION]..."),
) -> None:
    """Print the options and shared functions of a recipe as shell code; run.sh evaluates it."""
    from sertk.cli.output import fail
    from sertk.errors import RecipeError
    from sertk.recipes.options import recipe_shell

    try:
        sys.stdout.write(recipe_shell(script, options or []))
    except RecipeError as error:
        fail(str(error))
        raise typer.Exit(2) from None
