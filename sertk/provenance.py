"""What an artifact was made from: one key decides everywhere whether it is up to date and whose it is.

The parts of a key are the content of the inputs, the resolved options, and the versions of the components
(`sertk.revisions`). Paths, times, devices and numbers of jobs are not parts. Every output carries its record: that
of a folder is `provenance.json` inside it, that of a file `NAME.provenance.json` beside it. `sertk why` compares a
record with what is there now.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sertk.errors import OutputError
from sertk.files import damaged, parse_json, sha256_file, sha256_json, write_json

RECORD = "provenance.json"
FORMAT = 1


@dataclass(frozen=True)
class Provenance:
    """What an artifact was made from.

    verb: what made it, such as `train`. parts: by name, the digest of an input's content, an option's value, or a
    component's version. call: the arguments that `sertk why` plans the same work with; no part of the key.
    """

    verb: str
    parts: Mapping[str, str]
    call: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """SHA-256 over verb and parts: equal for artifacts that are made from the same in the same way."""
        return sha256_json([FORMAT, self.verb, dict(self.parts)])


@dataclass(frozen=True)
class Record:
    """The provenance of an output as it was written beside it or into it.

    sha256: of a file's bytes; None for a folder (which has SHA256SUMS) and for a file that was not finished.
    folder: the working folder of the call, relative to the record's own folder.
    """

    made: Provenance
    sha256: str | None
    folder: str


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
    return out / RECORD if out.is_dir() else out.with_name(f"{out.name}.{RECORD}")


def read_record(out: Path) -> Record | None:
    """The record of an output; None where there is none that can be read."""
    try:
        row = parse_json(record_path(out).read_bytes())
        if row["sertk_provenance"] != FORMAT:
            return None
        made = Provenance(str(row["verb"]), {str(k): str(v) for k, v in row["parts"].items()}, dict(row["call"]))
        return Record(made, row["sha256"], str(row["folder"])) if row["key"] == made.key else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def is_current(out: Path, made: Provenance) -> bool:
    """Whether an output is there, undamaged, and was made from just this."""
    record = read_record(out)
    if record is None or record.made.key != made.key:
        return False
    if out.is_dir():
        return not damaged(out)
    return record.sha256 is not None and out.is_file() and sha256_file(out) == record.sha256


def changes(before: Provenance, now: Provenance) -> list[Change]:
    """The parts in which two provenances differ, by name."""
    names = sorted({*before.parts, *now.parts})
    pairs = [Change(name, before.parts.get(name), now.parts.get(name)) for name in names]
    return [change for change in pairs if change.before != change.now]


def write_record(out: Path, made: Provenance, *, sha256: str | None = None, place: Path | None = None) -> None:
    """Write the record of an output.

    out: a folder that is there, or a file. place: where the output will be, for a folder that is still under a
    temporary name.
    """
    path = record_path(out)
    row = {"sertk_provenance": FORMAT, "verb": made.verb, "key": made.key, "parts": dict(made.parts)}
    home = path.parent if place is None else place
    row |= {"call": dict(made.call), "folder": os.path.relpath(Path.cwd(), home.absolute()), "sha256": sha256}
    write_json(path, row)


@contextmanager
def making(out: Path, made: Provenance) -> Iterator[Path | None]:
    """Write a file with its record: first whose it will be, then, once the block has written it, its digest.

    Gives the path that the file there was moved to, where it was edited since it was made: `NAME.edited`. Raises
    OutputError for a file that something else made.
    """
    refuse_foreign(out, made.verb)
    record = read_record(out)
    edited = None
    if record is not None and record.sha256 is not None and out.is_file() and sha256_file(out) != record.sha256:
        edited = out.with_name(f"{out.name}.edited")
        out.replace(edited)
    write_record(out, made)
    yield edited
    write_record(out, made, sha256=sha256_file(out))


def refuse_foreign(out: Path, verb: str, *, ours: Iterable[str] = ()) -> None:
    """Raise OutputError, naming what is there, for an output that exists and is not this verb's own earlier one.

    What is new, or an empty folder, may be written. ours: names of files and folders that an unfinished output of
    this verb consists of, before it has a record.
    """
    if not os.path.lexists(out):
        return
    if out.is_symlink() and not out.exists():
        raise OutputError(f"{out} is a link to nothing: remove it, or choose another output")
    record = read_record(out)
    if record is not None and record.made.verb == verb:
        return
    if out.is_dir():
        others = sorted({path.name for path in out.iterdir() if not path.name.endswith(".lock")} - {*ours})
        if not others:
            return
        shown = ", ".join(others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
        what = f"a folder with {shown}"
    else:
        what = "a file"
    made_by = f" made by `sertk {record.made.verb}`" if record is not None else ""
    raise OutputError(
        f"{out} is {what}{made_by}, not an earlier result of `sertk {verb}`, and would be replaced: nothing was "
        f"done. Choose another output, or move it away."
    )


def refuse_collisions(outs: Iterable[Path], inputs: Iterable[Path] = ()) -> None:
    """Raise OutputError where two outputs are one path, one is inside another, or an output is an input."""
    placed: dict[Path, Path] = {}
    for out in outs:
        here = out.resolve()
        for other, name in placed.items():
            if here == other:
                raise OutputError(f"{out} and {name} are the same place: one result would replace the other")
            if here.is_relative_to(other) or other.is_relative_to(here):
                raise OutputError(f"of the outputs {out} and {name} one is inside the other: choose folders apart")
        placed[here] = out
    for path in inputs:
        place = path.resolve()
        for here, out in placed.items():
            if place == here or place.is_relative_to(here):
                raise OutputError(f"the output {out} would replace the input {path}: choose another output")
