"""`sertk new plugin` and `sertk new recipe`: working starting points."""

from __future__ import annotations

from pathlib import Path

import typer

from sertk.cli.output import say

app = typer.Typer(no_args_is_help=True)


@app.command()
def plugin(
    name: str = typer.Argument(help="The name of the distribution, such as sertk-attentive or attentive."),
    kind: str = typer.Option(
        ..., help="The kind of component, such as fusion, encoder or corpus: one of those of `sertk list`."
    ),
    into: Path = typer.Option(Path(), metavar="DIR", help="The folder to create it in."),
) -> None:
    """Write a plugin: a distribution with a working component, tests, a README and CI."""
    from sertk.templates.write import write_plugin

    folder = write_plugin(name, kind, into)
    component = name.replace("-", "_").removeprefix("sertk_")
    say(f"wrote {folder}: the {kind} {component!r}. Next:")
    say(f"    pip install -e '{folder}[dev]'")
    say(f"    pytest {folder}")
    say(f"    sertk show {component}")


@app.command()
def recipe(
    name: str = typer.Argument(help="The name of the recipe."),
    into: Path = typer.Option(Path(), metavar="DIR", help="The folder to create it in."),
) -> None:
    """Write a recipe that runs on the synthetic corpus."""
    from sertk.templates.write import write_recipe

    folder = write_recipe(name, into)
    say(f"wrote {folder}. Next:")
    say(f"    sertk run {folder}/run.sh --corpus toy")
