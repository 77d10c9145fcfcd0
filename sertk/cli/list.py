"""`sertk list`: names, owners and one line each, read from metadata and source without importing a component."""

from __future__ import annotations

from dataclasses import asdict

import typer

from sertk.cli.output import say_json, table
from sertk.errors import UnknownNameError, did_you_mean
from sertk.registry import REGISTRIES


def command(
    kind: str | None = typer.Argument(None, help="The kind: encoder, fusion, sampler, ... Default: all."),
    as_json: bool = typer.Option(False, "--json", help="Write JSON for programs."),
) -> None:
    """List the installed components: kind, name, owner and what each does."""
    kinds = list(REGISTRIES) if kind is None else [_kind(kind)]
    components = [component for kind in kinds for component in REGISTRIES[kind].components().values()]
    if as_json:
        say_json([{**asdict(component), "summary": component.summary()} for component in components])
        return
    table(("kind", "name", "owner", "what it does"), [(c.kind, c.name, c.owner, c.summary()) for c in components])


def _kind(name: str) -> str:
    """A kind in the singular or plural."""
    for kind, registry in REGISTRIES.items():
        if name in (kind, registry.namespace[-1]):
            return kind
    hint = did_you_mean(name, REGISTRIES)
    raise UnknownNameError(f"There is no kind {name!r}. {hint}Kinds: {', '.join(REGISTRIES)}.")
