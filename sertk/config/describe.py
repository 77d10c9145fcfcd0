"""What can be said of a component: its owner, source file, options with types and defaults, and description."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from sertk.config.docs import description, option_descriptions
from sertk.config.options import options_model
from sertk.errors import UnknownNameError, did_you_mean
from sertk.registry import REGISTRIES, Component, registry_of

LIMITS = (("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<"))


def find_components(name: str, kind: str | None = None) -> list[Component]:
    """The components of a name, one at most from each kind. Raises UnknownNameError where there is none.

    Parameters
    ----------
    name
        As `sertk list` shows it.
    kind
        Look only among the components of this kind.
    """
    registries = [*REGISTRIES.values()] if kind is None else [registry_of(kind)]
    found = [components[name] for registry in registries if name in (components := registry.components())]
    if not found:
        known = [known for registry in registries for known in registry.names()]
        raise UnknownNameError(
            f"There is no {kind or 'component'} {name!r}. {did_you_mean(name, known)}See `sertk list`."
        )
    return found


def describe(component: Component) -> dict[str, Any]:
    """All that can be said of a component, for a screen, a program or a page. Raises RegistryError."""
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
