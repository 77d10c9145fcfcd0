"""`sertk show NAME`: one component's owner, place, options with types and defaults, and its own words."""

from __future__ import annotations

from typing import Any

import typer

from sertk.cli.output import say, say_json, show
from sertk.tables import listing


def command(
    name: str = typer.Argument(help="The name of a component, as `sertk list` shows it."),
    kind: str | None = typer.Option(None, "--kind", help="The kind, if several kinds have this name."),
    as_json: bool = typer.Option(False, "--json", help="Write JSON for programs."),
) -> None:
    """Show a component: its owner, source file, options and description."""
    from sertk.config.describe import describe, find_components

    described = [describe(component) for component in find_components(name, kind)]
    if as_json:
        say_json(described)
        return
    for i, component in enumerate(described):
        say() if i else None
        _say(component)


def _say(component: dict[str, Any]) -> None:
    say(f"{component['kind']} {component['name']}", style="bold")
    say(f"owner  {component['owner']}")
    say(f"from   {component['value']}")
    say(f"file   {component['file']}:{component['line']}")
    say(f"given  {', '.join(component['given']) or 'nothing'}")
    say()
    rows = [(o["name"], o["type"], o["default"] or "(required)", o["what"]) for o in component["options"]]
    if rows:
        show(listing(("option", "type", "default", "what it is"), rows))
    else:
        say("It takes no options.")
    if component["doc"]:
        say(f"\n{component['doc']}")
