"""The options of a corpus's reader on the command line of `sertk data prepare`, made from its signature."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, Literal, get_args, get_origin

import typer

from sertk.config.docs import option_descriptions
from sertk.config.options import options_model
from sertk.registry import corpora


def with_reader_options(
    command: Callable[..., None], corpus: str | None, *, without: Sequence[str] = ()
) -> Callable[..., None]:
    """A verb's function that takes the options of a reader besides its own, for Typer.

    Parameters
    ----------
    command
        Called with its own options, and with those of the reader that were typed as `options`.
    corpus
        The name of the reader; None where none is named, which adds no option.
    without
        Options of the reader that the verb does not have.
    """
    added = [] if corpus is None else [p for p in _parameters(corpora.get(corpus)) if p.name not in without]
    own = [one for one in inspect.signature(command, eval_str=True).parameters.values() if one.name != "options"]

    def run(**values: Any) -> None:
        typed = {one.name: values.pop(one.name) for one in added}
        command(**values, options={name: _plain(value) for name, value in typed.items() if value not in (None, [])})

    parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in (*own, *added)]
    run.__doc__ = command.__doc__
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    setattr(run, "__signature__", inspect.Signature(parameters))  # noqa: B010  # no attribute of functions to mypy
    return run


def _parameters(reader: Callable[..., Any]) -> list[inspect.Parameter]:
    meanings = option_descriptions(reader)
    fields = options_model(reader).model_fields.items()
    return [_parameter(name, field.annotation, field.default, meanings.get(name, "")) for name, field in fields]


def _parameter(name: str, annotation: Any, default: Any, meaning: str) -> inspect.Parameter:
    """One option as Typer takes it; None stands for one that was not typed."""
    flag = name.replace("_", "-")
    inner = [one for one in get_args(annotation) if one is not type(None)]
    if get_origin(annotation) is Literal:
        kind: Any = _choice(inner)
    elif isinstance(default, tuple | list):
        kind = list[str]
    else:
        kind = next((one for one in (str, bool, int, float) if one in (annotation, *inner)), str)
    help = f"{meaning} Default: {default}." if default not in (None, (), "", True, False) else meaning
    words = f" /--no-{flag}" if default is True else f"--{flag}"
    option = typer.Option([] if kind == list[str] else None, words, help=help)
    annotated = kind if kind == list[str] else kind | None
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=annotated)


def _choice(values: Sequence[Any]) -> Any:
    members = [(str(value), value) for value in values]
    return Enum("Choice", members)


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value
