"""Whose an output is: a verb replaces its own earlier result and nothing else, and says so before any work.

`sertk.provenance` has the records by which a result is known.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path

from sertk.errors import OutputError
from sertk.files import remove, sha256_file
from sertk.locks import sole_writer
from sertk.provenance import RECORD, Provenance, beside, edited, read_record, write_record

_LEFT_BY_KILLED = re.compile(r"\.(.*\.)?lock(-\d+of\d+)?|\.provenance\.json\..*\.part")
"""Names of `sertk.locks`, and of a record that was being written: all that a killed process may leave in a folder."""


@contextmanager
def making(
    out: Path, made: Provenance, *, sides: Sequence[str] = (), journals: Sequence[str] = ()
) -> Iterator[list[Path]]:
    """Write a file and its side files with their record: first whose they will be, then their digests.

    sides: endings of the side files that the block may write; of an earlier run none is left. journals: endings of
    side files that go on from run to run: they stay, and their content is not compared. Gives the paths that files
    were moved to which somebody edited since they were made, `NAME.edited`. Raises OutputError for what something
    else made, BusyError where another process makes it.
    """
    refuse_foreign_files(made.verb, [out], sides=[*sides, *journals])
    with sole_writer(out):
        yield from _recorded(out, made, dict(zip(("", *sides), _written(out, sides), strict=True)), journals)


@contextmanager
def making_in(out: Path, made: Provenance, names: Sequence[str]) -> Iterator[list[Path]]:
    """Write files into a folder that has their record; what else is in the folder stays.

    names: of the files that the block may write. Gives and raises what `making` does.
    """
    refuse_foreign(out, made.verb)
    with sole_writer(out):
        out.mkdir(parents=True, exist_ok=True)
        record = read_record(out)
        known = record.files if record is not None else {}
        foreign = [out / name for name in names if os.path.lexists(out / name) and name not in known]
        if foreign:
            raise OutputError(f"{foreign[0]} is not of an earlier result of `sertk {made.verb}`: move it away")
        yield from _recorded(out, made, {name: out / name for name in names})


def refuse_foreign(out: Path, verb: str, *, own: Iterable[str] = ()) -> None:
    """Raise OutputError, naming what is there, for an output that exists and is not this verb's own earlier one.

    What is new, or an empty folder, may be written. own: names of files and folders that an unfinished output of
    this verb consists of, before it has a record.
    """
    _refuse_no_place(out)
    if not os.path.lexists(out):
        return
    if out.is_symlink() and not out.exists():
        raise OutputError(f"{out} is a link to nothing: remove it, or choose another output")
    record = read_record(out)
    if record is not None and record.made.verb == verb:
        return
    if out.is_dir():
        others = sorted({path.name for path in out.iterdir() if not _LEFT_BY_KILLED.fullmatch(path.name)} - {*own})
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


def refuse_foreign_files(
    verb: str, outs: Iterable[Path], *, sides: Sequence[str] = (), inputs: Iterable[Path] = ()
) -> None:
    """Raise OutputError for files that cannot be written: foreign ones, folders, on each other, or over an input.

    sides: endings of the side files that each may get.
    """
    outs = list(outs)
    refuse_collisions([path for out in outs for path in (*_written(out, sides), beside(out, f".{RECORD}"))], inputs)
    for out in outs:
        if out.is_dir():
            raise OutputError(f"{out} is a folder, where a file is to be written: give the name of a file")
        record = read_record(out)
        if record is None and os.path.lexists(beside(out, f".{RECORD}")):
            raise OutputError(
                f"{beside(out, f'.{RECORD}')}, the record of {out}, cannot be read: if both may be written anew, "
                f"delete them; else choose another output"
            )
        refuse_foreign(out, verb)
        known = record.files if record is not None and record.made.verb == verb else {}
        for ending, path in zip(sides, _written(out, sides)[1:], strict=True):
            if os.path.lexists(path) and (ending not in known or path.is_dir()):
                raise OutputError(
                    f"{path} is not of an earlier result of `sertk {verb}`, and would be replaced along with {out}: "
                    f"nothing was done. Choose another output, or move it away."
                )


def refuse_collisions(outs: Iterable[Path], inputs: Iterable[Path] = ()) -> None:
    """Raise OutputError where two outputs are one path, one is inside another, or an output is an input."""
    placed: dict[Path, Path] = {}
    for out in outs:
        here = Path(os.path.realpath(out))
        for other, name in placed.items():
            if here == other:
                raise OutputError(f"{out} and {name} are the same place: one result would replace the other")
            if here.is_relative_to(other) or other.is_relative_to(here):
                raise OutputError(f"of the outputs {out} and {name} one is inside the other: choose folders apart")
        placed[here] = out
    for path in inputs:
        place = Path(os.path.realpath(path))
        for here, out in placed.items():
            if place == here or place.is_relative_to(here):
                raise OutputError(f"the output {out} would replace the input {path}: choose another output")


def _recorded(
    out: Path, made: Provenance, paths: Mapping[str, Path], journals: Sequence[str] = ()
) -> Iterator[list[Path]]:
    """Put edited files aside, let the block write others, and record them. paths: by their names in the record."""
    record = read_record(out)
    moved = [path.replace(_free(path)) for path in edited(out, record)] if record and record.finished else []
    write_record(out, made, files=dict.fromkeys((*paths, *journals), ""), finished=False)
    for name, path in paths.items():
        if name:  # the output itself is there until it is replaced
            remove(path)
    yield moved
    files = {name: sha256_file(path) for name, path in paths.items() if path.is_file()}
    write_record(out, made, files=files | dict.fromkeys(journals, ""))


def names_of(models: Sequence[Path]) -> list[str]:
    """A file name for the predictions of each model: the parts of its path, such as `ensembles-soup`.

    Of a path outside of the working folder the last part alone, and those before it where two are the same.
    """
    parts = [_parts(path) for path in models]
    kept = [len(each) if _is_inside(path) else 1 for path, each in zip(models, parts, strict=True)]
    while True:
        names = ["-".join(each[-count:]) for each, count in zip(parts, kept, strict=True)]
        longer = [
            min(count + 1, len(each)) if names.count(name) > 1 else count
            for name, each, count in zip(names, parts, kept, strict=True)
        ]
        if longer == kept:
            return names
        kept = longer


def _is_inside(path: Path) -> bool:
    return path.absolute().is_relative_to(Path.cwd()) and ".." not in path.parts


def _parts(path: Path) -> list[str]:
    whole = Path(os.path.normpath(path.absolute()))
    named = whole.relative_to(Path.cwd()) if _is_inside(path) else whole.relative_to(whole.anchor)
    return [*named.parts] or [whole.name or "model"]


def _written(out: Path, sides: Iterable[str]) -> list[Path]:
    """A file and its side files."""
    return [out, *(beside(out, ending) for ending in sides)]


def _free(path: Path) -> Path:
    """A name for an edited file that no file has."""
    names = (beside(path, f".edited{number}") for number in chain([""], (f"-{n}" for n in count(2))))
    return next(name for name in names if not os.path.lexists(name))


def _refuse_no_place(out: Path) -> None:
    """Refuse an output below what is no folder."""
    above = next((folder for folder in out.absolute().parents if os.path.lexists(folder)), None)
    if above is not None and not above.is_dir():
        raise OutputError(f"{out} cannot be written: {above} is not a folder")
