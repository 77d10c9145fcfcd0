"""Configuration files: read, with overrides, and checked whole before anything is used."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import tomli_w
from pydantic import ValidationError

from sertk.config.check import check_data, kind_at, option_faults, uses
from sertk.config.extends import extenders, read_extended, read_toml
from sertk.config.options import options_model, read_options
from sertk.config.overrides import apply_sets
from sertk.config.schema import Combination, EncoderFile, Experiment, Section
from sertk.errors import ConfigError, Fault
from sertk.registry import REGISTRIES

File = TypeVar("File", bound=Section)


def load_experiment(path: Path, sets: Sequence[str] = ()) -> Experiment:
    """Read an experiment file, with the options of its components filled in. Raises ConfigError with all faults."""
    return _load(path, sets, Experiment)


def load_combination(path: Path, sets: Sequence[str] = ()) -> Combination:
    """Read what `sertk combine` needs. Raises ConfigError with all faults."""
    return _load(path, sets, Combination)


def load_encoder_file(path: Path, sets: Sequence[str] = ()) -> EncoderFile:
    """Read what `sertk extract` needs. Raises ConfigError with all faults."""
    return _load(path, sets, EncoderFile)


def load_any(path: Path, sets: Sequence[str] = ()) -> Section:
    """Read a file of any kind, told by what it holds. Raises ConfigError with all faults."""
    return _load(path, sets, None)


def base_faults(base: Path, extender: Path) -> tuple[Fault, ...]:
    """Find the faults of a file that others extend, as one of them reads it; what it leaves to them is none."""
    try:
        model = _model_of(read_extended(extender))
        return tuple(check_data(model, read_toml(base), whole=False))
    except ConfigError as error:
        return error.faults


def check_faults(path: Path, sets: Sequence[str] = ()) -> tuple[Fault, ...]:
    """Find all faults of a file of any kind; none for a good one."""
    try:
        load_any(path, sets)
    except ConfigError as error:
        return error.faults
    return ()


def resolved_toml(model: Section) -> str:
    """Write a configuration whole, as TOML that loads to an equal model."""
    return tomli_w.dumps(_plain(model))


def differences(first: Section, second: Section) -> list[tuple[str, str | None, str | None]]:
    """Tell where two configurations differ: place, value in the first, value in the second (None: not there)."""
    one, other = _flat("", _plain(first)), _flat("", _plain(second))
    places = [*one, *(place for place in other if place not in one)]
    return [(place, one.get(place), other.get(place)) for place in places if one.get(place) != other.get(place)]


def _load(path: Path, sets: Sequence[str], model: type[File] | None) -> File:
    data = read_extended(path)
    faults = apply_sets(data, sets)
    chosen: Any = model or _model_of(data)
    faults += check_data(chosen, data)
    if faults:
        raise ConfigError(str(path), faults + _hint(path))
    loaded: File = filled(read_options(chosen, data))
    return loaded


def _hint(path: Path) -> list[Fault]:
    """What to say beside the faults of a file that is only half of one."""
    others = extenders(path)
    if not others:
        return []
    more = f" and {len(others) - 1} more extend" if len(others) > 1 else " extends"
    return [Fault("(file)", f"is a base that {others[0]}{more}: name the files that extend it.")]


def _model_of(data: dict[str, Any]) -> type[Section]:
    if "aggregator" in data:
        return Combination
    return EncoderFile if "encoder" in data else Experiment


def filled(model: File) -> File:
    """The same configuration with every component's options written out. Raises ConfigError for faulty ones."""
    data = _plain(model)
    for location, use_model, use in uses(type(model), data):
        kind = kind_at(location)
        if kind is not None:
            given = {key: value for key, value in use.items() if key not in use_model.model_fields}
            model_of_options = options_model(REGISTRIES[kind].get(use["use"]))
            try:
                options = read_options(model_of_options, given)
            except ValidationError as error:
                faults = option_faults(model_of_options, use["use"], given, error)
                raise ConfigError(f"{kind} {use['use']!r}", faults) from None
            use.update(options.model_dump(mode="json", exclude_none=True))
    return read_options(type(model), data)


def _plain(model: Section) -> dict[str, Any]:
    return model.model_dump(mode="json", exclude_none=True)


def _flat(place: str, value: Any) -> dict[str, str]:
    """Leaves by place; entries of an array by their name, as in messages and `--set`."""
    if isinstance(value, dict) and value:
        items = [(f"{place}.{key}".removeprefix("."), inner) for key, inner in value.items()]
    elif isinstance(value, list) and any(isinstance(entry, dict) for entry in value):
        steps = [f".{entry['name']}" if "name" in entry else f"[{i}]" for i, entry in enumerate(value)]
        items = [(place + step, entry) for step, entry in zip(steps, value, strict=True)]
    else:
        return {place: json.dumps(value)}
    return {deep: leaf for inner_place, inner in items for deep, leaf in _flat(inner_place, inner).items()}
