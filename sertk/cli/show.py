"""`sertk show NAME`: one component's owner, place, options with types and defaults, and its own words."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer

from sertk.cli.output import say, say_json, table
from sertk.errors import UnknownNameError, did_you_mean
from sertk.registry import REGISTRIES, Component

LIMITS = (("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<"))


def command(
    name: str = typer.Argument(help="The name of a component, as `sertk list` shows it."),
    kind: str | None = typer.Option(None, "--kind", help="The kind, if several kinds have this name."),
    as_json: bool = typer.Option(False, "--json", help="Write JSON for programs."),
) -> None:
    """Show a component: its owner, source file, options and description."""
    described = [describe(component) for component in _found(name, kind)]
    if as_json:
        say_json(described)
        return
    for i, component in enumerate(described):
        say() if i else None
        _say(component)


def _found(name: str, kind: str | None) -> list[Component]:
    if kind is not None and kind not in REGISTRIES:
        raise UnknownNameError(
            f"There is no kind {kind!r}. {did_you_mean(kind, REGISTRIES)}Kinds: {', '.join(REGISTRIES)}."
        )
    registries = [registry for registry in REGISTRIES.values() if kind in (None, registry.kind)]
    found = [components[name] for registry in registries if name in (components := registry.components())]
    if not found:
        known = [known for registry in registries for known in registry.names()]
        raise UnknownNameError(
            f"There is no {kind or 'component'} {name!r}. {did_you_mean(name, known)}See `sertk list`."
        )
    return found


def describe(component: Component) -> dict[str, Any]:
    """All that can be said of a component, for a screen, a program or a page. Raises RegistryError."""
    from sertk.config.docs import description, option_descriptions
    from sertk.config.options import options_model

    factory = REGISTRIES[component.kind].get(component.name)
    path, line = _source(factory)
    parameters = inspect.signature(factory).parameters.values()
    options = options_model(factory).model_fields
    meanings = option_descriptions(factory)
    return {
        "kind": component.kind,
        "name": component.name,
        "owner": component.owner,
        "value": component.value,
        "file": path,
        "line": line,
        "given": [f"{p.name}: {_annotation(p)}" for p in parameters if p.kind is not p.KEYWORD_ONLY],
        "options": [
            {
                "name": name,
                "type": type_text(field.annotation, field.metadata),
                "default": None if field.is_required() else repr(field.default),
                "what": meanings.get(name, ""),
            }
            for name, field in options.items()
        ],
        "doc": description(factory),
    }


def _say(component: dict[str, Any]) -> None:
    say(f"{component['kind']} {component['name']}", style="bold")
    say(f"owner  {component['owner']}")
    say(f"from   {component['value']}")
    say(f"file   {component['file']}:{component['line']}")
    say(f"given  {', '.join(component['given']) or 'nothing'}")
    say()
    rows = [(o["name"], o["type"], o["default"] or "(required)", o["what"]) for o in component["options"]]
    if rows:
        table(("option", "type", "default", "what it is"), rows)
    else:
        say("It takes no options.")
    if component["doc"]:
        say(f"\n{component['doc']}")


def _source(factory: Callable[..., Any]) -> tuple[str, int]:
    inner = inspect.unwrap(factory)
    path = Path(inspect.getsourcefile(inner) or "")
    here = Path.cwd()
    shown = path.relative_to(here) if path.is_relative_to(here) else path
    return str(shown), inspect.getsourcelines(inner)[1]


def _annotation(parameter: inspect.Parameter) -> str:
    annotation = parameter.annotation
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def type_text(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    """A type with its limits, as a person reads it: `int >= 1`, `'mean' | 'attentive'`."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        inner = [limit for extra in arguments[1:] for limit in getattr(extra, "metadata", [extra])]
        return type_text(arguments[0], inner)
    if origin is Literal:
        text = " | ".join(map(repr, arguments))
    elif origin in (Union, UnionType):
        text = " | ".join(type_text(argument) for argument in arguments)
    elif origin is not None:
        text = f"{origin.__name__}[{', '.join(type_text(argument) for argument in arguments)}]"
    else:
        names = {type(None): "None", ...: "..."}
        text = names[annotation] if annotation in names else getattr(annotation, "__name__", str(annotation))
    limits = ", ".join(f"{sign} {limit:g}" for name, sign in LIMITS for limit in _limits(metadata, name))
    return f"{text} {limits}".rstrip()


def _limits(metadata: Sequence[Any], name: str) -> list[float]:
    return [getattr(extra, name) for extra in metadata if getattr(extra, name, None) is not None]
