"""Second values of options, made up from their types: what a recipe could set in place of the value there is."""

from __future__ import annotations

from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from sertk.config.options import options_model
from sertk.testing.suites.base import Subject


def second_values(subject: Subject) -> dict[str, list[Any]]:
    """Each option of a component, and values that its type suggests beside the one it has.

    None for free text and for types without a known second value. A value may be one that the component refuses.
    """
    fields = options_model(subject.factory).model_fields
    values: dict[str, list[Any]] = {}
    for name, field in fields.items():
        current = subject.options.get(name, None if field.is_required() else field.default)
        values[name] = [value for value in _values(field.annotation, current) if not _same(value, current)]
    return values


def _values(annotation: Any, current: Any) -> Iterator[Any]:
    origin = get_origin(annotation)
    if hasattr(annotation, "__value__"):  # an alias made by `type X = ...`
        yield from _values(annotation.__value__, current)
    elif origin is Annotated:
        yield from _values(get_args(annotation)[0], current)
    elif origin is Literal:
        yield from get_args(annotation)
    elif origin in (Union, UnionType):
        for part in get_args(annotation):
            yield from _values(part, current)
    elif annotation is type(None):
        yield None
    elif annotation is bool:
        yield from (False, True)
    elif annotation is int:
        number = current if _is_number(current) else 1
        yield from (number + 1, 2 * number)
    elif annotation is float:
        number = float(current or 1) if _is_number(current) else 1.0
        yield from (0.5 * number, 2 * number)
    elif origin in (tuple, list) and isinstance(current, (tuple, list)) and len(current) > 1:
        yield type(current)(current[:-1])


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _same(one: Any, other: Any) -> bool:
    """Equal, and of one type: True is not 1."""
    return type(one) is type(other) and one == other
