"""TOML files with one level of `extends`: what members share is in a base that they extend."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sertk.errors import ConfigError, Fault, did_you_mean
from sertk.files import parse_toml


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
        raise ConfigError(str(path), [Fault(place, f"is not TOML: {what}.")]) from None


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


def extended(paths: Iterable[Path]) -> dict[Path, list[Path]]:
    """The files that some of `paths` extend, resolved, each with those that extend it."""
    found: dict[Path, list[Path]] = {}
    for path in paths:
        try:
            name = read_toml(path).get("extends")
        except ConfigError:  # whoever reads that file says so
            continue
        if isinstance(name, str):
            found.setdefault((path.parent / name).resolve(), []).append(path)
    return found


def extenders(base: Path, others: Iterable[Path] = ()) -> list[Path]:
    """The files that extend `base`: among `others`, in its folder, and in the folders right inside it."""
    near = sorted([*base.parent.glob("*.toml"), *base.parent.glob("*/*.toml")])
    return extended({path.resolve(): path for path in (*near, *others)}.values()).get(base.resolve(), [])


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
