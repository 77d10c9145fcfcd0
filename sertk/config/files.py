"""Configuration files: TOML with one level of `extends`, overrides, checked whole before anything is used."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import tomli_w

from sertk.config.build import options_model, read_options
from sertk.config.check import check_data, kind_at, uses
from sertk.config.overrides import apply_sets
from sertk.config.schema import Combination, EncoderFile, Experiment, Section
from sertk.errors import ConfigError, Fault, did_you_mean
from sertk.files import parse_toml
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


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file as it is. Raises ConfigError with the line of a mistake."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(str(path), [Fault("(file)", f"cannot be read: {error.strerror}.")]) from None
    try:
        return parse_toml(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ConfigError(str(path), [Fault(f"line {line}", "is not UTF-8: save the file as UTF-8.")]) from None
    except tomllib.TOMLDecodeError as error:
        found = re.fullmatch(r"(?P<what>.*) \(at (?:line (?P<line>\d+), column \d+|end of document)\)", str(error))
        place = f"line {found['line']}" if found and found["line"] else "end of the file"
        what = found["what"] if found else error
        raise ConfigError(str(path), [Fault(place, f"is no TOML: {what}.")]) from None


def read_extended(path: Path) -> dict[str, Any]:
    """Read a file and what it `extends`, one level: tables are merged, anything else replaced.

    A table that names another component (`use`) replaces the one below it, whose options would mean nothing to it.
    """
    data = read_toml(path)
    if "extends" not in data:
        return data
    name = data.pop("extends")
    if not isinstance(name, str):
        raise ConfigError(str(path), [Fault("extends", f"should be the path of one file, got {json.dumps(name)}.")])
    below = path.parent / name
    if not below.is_file():
        near = did_you_mean(below.name, [other.name for other in below.parent.glob("*.toml")])
        raise ConfigError(str(path), [Fault("extends", f"there is no file {str(below)!r}. {near}".rstrip())])
    base = read_toml(below)
    if "extends" in base:
        message = f"{str(below)!r} extends {base['extends']!r} itself: one level is allowed. Extend that file."
        raise ConfigError(str(path), [Fault("extends", message)])
    return _merged(base, data)


def _load(path: Path, sets: Sequence[str], model: type[File] | None) -> File:
    data = read_extended(path)
    faults = apply_sets(data, sets)
    chosen: Any = model or _model_of(data)
    faults += check_data(chosen, data)
    if faults:
        raise ConfigError(str(path), faults)
    loaded: File = _filled(read_options(chosen, data))
    return loaded


def _model_of(data: dict[str, Any]) -> type[Section]:
    if "aggregator" in data:
        return Combination
    return EncoderFile if "encoder" in data else Experiment


def _filled(model: File) -> File:
    """The same configuration with every component's options written out."""
    data = _plain(model)
    for location, use_model, use in uses(type(model), data):
        kind = kind_at(location)
        if kind is not None:
            given = {key: value for key, value in use.items() if key not in use_model.model_fields}
            options = read_options(options_model(REGISTRIES[kind].get(use["use"])), given)
            use.update(options.model_dump(mode="json", exclude_none=True))
    return read_options(type(model), data)


def _plain(model: Section) -> dict[str, Any]:
    return model.model_dump(mode="json", exclude_none=True)


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        if (
            isinstance(value, dict)
            and isinstance(below, dict)
            and value.get("use", below.get("use")) == below.get("use")
        ):
            merged[key] = _merged(below, value)
        else:
            merged[key] = value
    return merged


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
