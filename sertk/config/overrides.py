"""`--set stage.balanced.epochs=5`: one value of a configuration file changed from the command line."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from typing import Any

from sertk.errors import Fault, did_you_mean
from sertk.files import parse_toml


def apply_sets(data: dict[str, Any], sets: Sequence[str]) -> list[Fault]:
    """Change `data` in place by `KEY=VALUE` texts and give the faults of those that cannot be applied.

    KEY: dotted; entries of an array by their `name` (or what they `use`) or by number: `stage.balanced.epochs`,
    `stage.0.loss.cross_entropy.weight`. VALUE: as in TOML, else a string. Tables that are not there are made: whether
    they may be is for the schema to say.
    """
    faults = []
    for text in sets:
        key, equals, value = text.partition("=")
        path = [step.strip() for step in key.split(".")]
        if not equals or not all(path):
            faults.append(Fault(text, "should be KEY=VALUE, as in stage.full.epochs=5."))
            continue
        message = _set(data, path, _parsed(value.strip()))
        if message:
            faults.append(Fault(".".join(path), message))
    return faults


def _set(data: dict[str, Any], path: list[str], value: Any) -> str | None:
    here: Any = data
    for depth, step in enumerate(path):
        last = depth == len(path) - 1
        walked = ".".join(path[:depth])
        if isinstance(here, dict):
            if last:
                here[step] = value
                return None
            here = here.setdefault(step, {})
        elif isinstance(here, list):
            found = _entry(here, step)
            if isinstance(found, str):
                return f"{walked!r} has {found}"
            if last:
                here[found] = value
                return None
            here = here[found]
        else:
            return f"{walked!r} is a single value, so nothing can be set inside it."
    return None


def _entry(entries: list[Any], step: str) -> int | str:
    """The index of an entry by number, `name` or `use`, or what to say instead."""
    if step.isdecimal():
        return int(step) if int(step) < len(entries) else f"{len(entries)} entries, counted from 0: no {step}."
    tables = [entry if isinstance(entry, dict) else {} for entry in entries]
    for key in ("name", "use"):
        matches = [i for i, table in enumerate(tables) if table.get(key) == step]
        if len(matches) == 1:
            return matches[0]
        if matches:
            return f"several entries {step!r}: give its number, one of {', '.join(map(str, matches))}."
    known = [str(table.get("name", table.get("use", i))) for i, table in enumerate(tables)]
    return f"no entry {step!r}. {did_you_mean(step, known)}It has: {', '.join(known) or 'none'}."


def _parsed(text: str) -> Any:
    try:
        parsed = parse_toml(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return parsed["value"] if len(parsed) == 1 else text
