"""All faults of a configuration at once: the schema's, and those of every component's options."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from sertk.config.options import options_model, read_options
from sertk.config.schema import Section, Use
from sertk.errors import Fault, RegistryError, did_you_mean
from sertk.registry import REGISTRIES

Location = tuple[int | str, ...]
Table = dict[str, Any]

KIND_OF_KEY = {**{kind: kind for kind in REGISTRIES}, "regularizers": "regularizer", "losses": "loss"}
"""The key under which a component stands tells its kind."""

EXPECTED = {
    "string_type": "a string",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "literal_error": "{expected}",
    "greater_than_equal": "at least {ge:g}",
    "greater_than": "above {gt:g}",
    "less_than_equal": "at most {le:g}",
    "less_than": "below {lt:g}",
    "too_short": "a list of at least {min_length}",
    "too_long": "a list of at most {max_length}",
}


def check_data(model: type[Section], data: Table, *, whole: bool = True) -> list[Fault]:
    """Find every fault of the contents of a file: the schema's first, then those of the components.

    whole: false for a file that others extend, which may leave to them what must be there.
    """
    faults: list[Fault] = []
    try:
        read_options(model, data)
    except ValidationError as error:
        faults += _faults(model, data, error, (), owner=None, whole=whole)
    missing: dict[str, list[str]] = {}
    for location, use_model, use in uses(model, data):
        try:
            faults += _use_faults(data, location, use_model, use, whole=whole)
        except RegistryError as error:
            missing.setdefault(str(error), []).append(place_of(data, location))
    for message, (first, *others) in missing.items():
        faults.append(Fault(first, f"{message} Also at: {', '.join(others)}." if others else message))
    return faults


def option_faults(model: type[BaseModel], name: str, options: Table, error: ValidationError) -> list[Fault]:
    """Tell what is wrong with the options of one component, outside any file. model: of the component's options."""
    return _faults(model, options, error, (), owner=name)


def uses(model: type[BaseModel], data: Table, at: Location = ()) -> Iterator[tuple[Location, type[Use], Table]]:
    """Every table that names a component, where the schema has one; not those inside the options of another."""
    for key, field in model.model_fields.items():
        inner, value = _model_in(field.annotation), data.get(key)
        if inner is None:
            continue
        entries: list[tuple[Location, Any]] = [((*at, key), value)]
        if isinstance(value, list):
            entries = [((*at, key, i), entry) for i, entry in enumerate(value)]
        for location, entry in entries:
            if not isinstance(entry, dict):
                continue
            if issubclass(inner, Use):
                yield location, inner, entry
            else:
                yield from uses(inner, entry, location)


def kind_at(location: Location) -> str | None:
    """The kind of the component at a place, told by its key; None for a key that tells none."""
    return KIND_OF_KEY.get(next(str(step) for step in reversed(location) if isinstance(step, str)))


def _use_faults(
    data: Table, location: Location, use_model: type[Use], use: dict[str, Any], *, whole: bool = True
) -> list[Fault]:
    """The faults of one component's options and of the components that they name. Raises RegistryError."""
    kind, name = kind_at(location), use.get("use", use_model.model_fields["use"].default)
    if kind is None or not isinstance(name, str):
        return []
    options = {key: value for key, value in use.items() if key not in use_model.model_fields}
    model = options_model(REGISTRIES[kind].get(name))
    faults: list[Fault] = []
    try:
        read_options(model, options)
    except ValidationError as error:
        faults += _faults(model, data, error, location, owner=name, whole=whole)
    for inner_location, inner_model, inner in uses(model, options, location):
        try:
            faults += _use_faults(data, inner_location, inner_model, inner)
        except RegistryError as error:
            faults.append(Fault(place_of(data, inner_location), str(error)))
    return faults


def _faults(
    model: type[BaseModel],
    data: Table,
    error: ValidationError,
    at: Location,
    *,
    owner: str | None,
    whole: bool = True,
) -> list[Fault]:
    """One fault a place; the branches of a union are joined to one: `should be a string or a list, got 3.`"""
    found: dict[Location, list[ErrorDetails]] = {}
    for details in error.errors(include_url=False):
        if details["type"] == "missing" and not whole:
            continue
        location = _present(data, (*at, *details["loc"]), details["type"])
        found.setdefault(location, []).append(details)
    deepest = [here for here in found if not any(here == there[: len(here)] != there for there in found)]
    return [
        Fault(place_of(data, here), _message(found[here], _keys(model, here[len(at) : -1]), str(here[-1:][0]), owner))
        if here
        else Fault("(file)", _message(found[here], [], "", owner))
        for here in deepest
    ]


def _message(errors: Sequence[ErrorDetails], known: Sequence[str], key: str, owner: str | None) -> str:
    first = errors[0]
    if first["type"] == "missing":
        return "is missing." if owner is None else f"is missing: {owner!r} needs it."
    if first["type"] == "extra_forbidden":
        takes = f"It takes: {', '.join(known)}." if known else "It takes none."
        subject = "There is no such key." if owner is None else f"{owner!r} has no option {key!r}."
        return f"{subject} {did_you_mean(key, known)}{takes}"
    if first["type"] == "value_error":
        return f"{first['ctx']['error']}."
    expected = [EXPECTED[e["type"]].format(**e.get("ctx", {})) for e in errors if e["type"] in EXPECTED]
    if not expected:
        return f"{first['msg']}."
    value = first["input"]
    hint = did_you_mean(value, expected[0].split("'")[1::2]) if isinstance(value, str) else ""
    return f"should be {' or '.join(dict.fromkeys(expected))}, got {json.dumps(value, default=str)}. {hint}".rstrip()


def _present(data: Any, location: Location, error: str) -> Location:
    """A location without the names of union branches, which pydantic puts in and the file does not have."""
    steps: list[int | str] = []
    for i, step in enumerate(location):
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            if error != "missing" or i < len(location) - 1:
                continue
        steps.append(step)
    return tuple(steps)


def place_of(data: Any, location: Location) -> str:
    """A location as people write it: entries of an array by their name where they have one."""
    place = ""
    for step in location:
        data = data[step] if not isinstance(data, dict) or step in data else None
        if isinstance(step, str):
            place += f".{step}"
        elif isinstance(data, dict) and isinstance(data.get("name"), str):
            place += f".{data['name']}"
        else:
            place += f"[{step}]"
    return place.removeprefix(".")


def _keys(model: type[BaseModel], location: Location) -> list[str]:
    """What the table at a location may hold."""
    for step in location:
        if isinstance(step, str):
            field = model.model_fields.get(step)
            inner = _model_in(field.annotation) if field else None
            if inner is None:
                return []
            model = inner
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The first model that an annotation names: `list[Stage]` has Stage."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for argument in get_args(annotation) if (found := _model_in(argument))), None)
