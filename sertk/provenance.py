"""What an artifact was made from: one key decides everywhere whether it is up to date.

The parts of a key are the content of the inputs, the resolved options, and the versions of the components
(`sertk.revisions`). Paths, times, devices and numbers of jobs are not parts. Every output carries its record: that
of a folder is `provenance.json` inside it, that of a file `NAME.provenance.json` beside it. `sertk why` compares a
record with what is there now. Whose an output is: `sertk.outputs`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sertk.files import damaged, parse_json, sha256_file, sha256_json, write_json

RECORD = "provenance.json"
FORMAT = 1


@dataclass(frozen=True)
class Provenance:
    """What an artifact was made from.

    verb: what made it, such as `train`. parts: by name, the digest of an input's content, an option's value, or a
    component's version. call: the arguments that `sertk why` plans the same work with. reads: paths of the inputs
    that may be artifacts themselves. Neither is part of the key, and their paths are relative to the working folder.
    """

    verb: str
    parts: Mapping[str, str]
    call: Mapping[str, Any] = field(default_factory=dict)
    reads: Sequence[str] = ()

    @property
    def key(self) -> str:
        """SHA-256 over verb and parts: equal for artifacts that are made from the same in the same way."""
        return sha256_json([FORMAT, self.verb, dict(self.parts)])


@dataclass(frozen=True)
class Record:
    """The provenance of an output as it was written beside it or into it.

    files: SHA-256 of the bytes of a file ("") and of its side files, by ending; of files in a folder, by name; empty
    for those whose content is not compared. Those of a folder that was written as a whole are in SHA256SUMS.
    finished: whether the work came to its end. folder: the working folder of the call, relative to the record's own.
    intact: whether the key is that of the parts; a damaged record still says whose the output is.
    """

    made: Provenance
    files: Mapping[str, str]
    finished: bool
    folder: str
    intact: bool = True


@dataclass(frozen=True)
class Change:
    """A part that differs. before, now: its value in the record and now; None where it is not a part."""

    part: str
    before: str | None
    now: str | None


def options_as_parts(name: str, options: Any) -> dict[str, str]:
    """Options (JSON values) as parts, one for each leaf, so that a difference names the option.

    Entries of an array are named by their `name` or their position: `experiment.stage.balanced.epochs`.
    """
    if isinstance(options, Mapping) and options:
        items = [(f"{name}.{key}", value) for key, value in options.items()]
    elif isinstance(options, Sequence) and any(isinstance(entry, Mapping) for entry in options):
        names = [str(e["name"]) if isinstance(e, Mapping) and "name" in e else str(i) for i, e in enumerate(options)]
        items = [(f"{name}.{step}", entry) for step, entry in zip(names, options, strict=True)]
        items.append((f"{name}.order", names))
    else:
        return {name: json.dumps(options, sort_keys=True, ensure_ascii=False)}
    return {part: value for inner, entry in items for part, value in options_as_parts(inner, entry).items()}


def record_path(out: Path) -> Path:
    """Where the record of an output is: inside a folder, beside a file."""
    return out / RECORD if out.is_dir() else beside(out, f".{RECORD}")


def beside(out: Path, ending: str) -> Path:
    """The path of a side file of an output: its whole name with an ending."""
    return out.with_name(f"{out.name}{ending}")


def from_here(path: Path) -> str:
    """A path relative to the working folder, as `Provenance.call` and `reads` have it."""
    return os.path.relpath(path)


def read_record(out: Path) -> Record | None:
    """The record of an output; None where there is none that can be read."""
    try:
        row = parse_json(record_path(out).read_bytes())
        if row["sertk_provenance"] != FORMAT:
            return None
        parts = {str(name): str(value) for name, value in row["parts"].items()}
        made = Provenance(str(row["verb"]), parts, dict(row["call"]), tuple(map(str, row["reads"])))
        files = {str(ending): str(digest) for ending, digest in row["files"].items()}
        return Record(made, files, row["finished"] is True, str(row["folder"]), row["key"] == made.key)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def is_current(out: Path, made: Provenance) -> bool:
    """Whether an output is there, whole and undamaged, and was made from just this."""
    record = read_record(out)
    return record is not None and record.intact and record.made.key == made.key and is_whole(out, record)


def is_whole(out: Path, record: Record) -> bool:
    """Whether an output is as its record says: finished, and neither edited nor damaged since."""
    if not record.finished:
        return False
    names = [name for name, digest in record.files.items() if digest]
    if not out.is_dir() and "" not in names:
        return False
    there = all(_file_of(out, name).is_file() for name in names)
    return there and not edited(out, record) and not (out.is_dir() and damaged(out))


def edited(out: Path, record: Record) -> list[Path]:
    """The files of an output, among those that are there, whose bytes are not what its record says."""
    pairs = [(_file_of(out, name), digest) for name, digest in record.files.items() if digest]
    return [path for path, digest in pairs if path.is_file() and sha256_file(path) != digest]


def _file_of(out: Path, name: str) -> Path:
    return out / name if out.is_dir() else beside(out, name)


def changes(before: Provenance, now: Provenance) -> list[Change]:
    """The parts in which two provenances differ, by name."""
    names = sorted({*before.parts, *now.parts})
    pairs = [Change(name, before.parts.get(name), now.parts.get(name)) for name in names]
    return [change for change in pairs if change.before != change.now]


def write_record(
    out: Path,
    made: Provenance,
    *,
    files: Mapping[str, str] | None = None,
    finished: bool = True,
    place: Path | None = None,
) -> None:
    """Write the record of an output.

    out: a folder that is there, or a file. files: as in `Record`. finished: False says whose the output is while it
    is written. place: where the output will be, for a folder that is still under a temporary name.
    """
    path = record_path(out)
    row = {"sertk_provenance": FORMAT, "verb": made.verb, "key": made.key, "parts": dict(made.parts)}
    row |= {"call": dict(made.call), "reads": list(made.reads), "files": dict(files or {}), "finished": finished}
    home = path.parent if place is None else place
    write_json(path, row | {"folder": os.path.relpath(Path.cwd(), home.absolute())})
