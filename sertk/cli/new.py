"""`sertk new plugin` and `sertk new recipe`: a beginning that works."""

from __future__ import annotations

from pathlib import Path

import typer

from sertk.cli.output import say

app = typer.Typer(no_args_is_help=True)


@app.command()
def plugin(
    name: str = typer.Argument(help="The distribution's name, such as sertk-attentive or attentive."),
    kind: str = typer.Option(..., help="fusion, encoder, sampler, regularizer, loss, aggregator or transcriber."),
    into: Path = typer.Option(Path(), metavar="DIR", help="Where its folder goes."),
) -> None:
    """Write a plugin: a distribution with a working component of a kind, its checks, a README and CI."""
    from sertk.templates.write import write_plugin

    folder = write_plugin(name, kind, into)
    component = name.replace("-", "_").removeprefix("sertk_")
    say(f"wrote {folder}: the {kind} {component!r}. Next:")
    say(f"    pip install -e '{folder}[dev]'")
    say(f"    pytest {folder}")
    say(f"    sertk show {component}")


@app.command()
def recipe(
    name: str = typer.Argument(help="The recipe's name."),
    into: Path = typer.Option(Path(), metavar="DIR", help="Where its folder goes."),
) -> None:
    """Write a recipe that runs on the made-up corpus at once."""
    from sertk.templates.write import write_recipe

    folder = write_recipe(name, into)
    say(f"wrote {folder}. Next:")
    say(f"    sertk run {folder}/run.sh --corpus toy")
