"""`sertk list`: names, owners and one line each, read from metadata and source without importing a component."""

from __future__ import annotations

from dataclasses import asdict

import typer

from sertk.cli.output import say_json, show
from sertk.registry import REGISTRIES, registry_of
from sertk.tables import listing


def command(
    kind: str | None = typer.Argument(None, help="The kind: encoder, fusion, sampler, ... Default: all."),
    as_json: bool = typer.Option(False, "--json", help="Write JSON for programs."),
) -> None:
    """List the installed components: kind, name, owner and what each does."""
    registries = [*REGISTRIES.values()] if kind is None else [registry_of(kind)]
    components = [component for registry in registries for component in registry.components().values()]
    if as_json:
        say_json([{**asdict(component), "summary": component.summary()} for component in components])
        return
    show(
        listing(
            ("kind", "name", "owner", "what it does"), [(c.kind, c.name, c.owner, c.summary()) for c in components]
        )
    )
