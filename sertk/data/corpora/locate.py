"""Where the recordings are that a table names: by any case, slashes and ending of their names, below some folder."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from sertk.data.corpora.recordings import files_below
from sertk.data.corpora.report import CorpusReport
from sertk.data.corpora.tables import Row
from sertk.data.formats import AUDIO_SUFFIXES, OTHER_SUFFIXES, how_to_convert
from sertk.errors import DataError, Fault


def locate(named: Mapping[str, Path], folder: Path, root: Path | None, report: CorpusReport) -> dict[str, Path]:
    """The recording of each utterance that has one. named: what the table says, by id.

    Paths start at `root`, without one at `folder`. One that is not there is looked for by its name in any case, with
    any ending of recordings: in its own folder, or below `root`, where most of the end of its path must be the same.
    """
    start = folder if root is None else root
    found = {id: start / path for id, path in named.items() if (start / path).is_file()}
    lacking = {id: path for id, path in named.items() if id not in found}
    if not lacking:
        return found
    folders = {start / path.parent for path in lacking.values()} if root is None else {root}
    if root is None and any(not each.is_dir() for each in folders):
        folders = {folder}  # a folder in another case
    known: dict[str, list[Path]] = defaultdict(list)
    for entry in files_below(sorted(each.absolute() for each in folders if each.is_dir()), ""):
        path = Path(entry.path)
        if path.suffix.lower() in AUDIO_SUFFIXES | OTHER_SUFFIXES and path not in known[_name(path)]:
            known[_name(path)].append(path)
    for id, path in lacking.items():
        wanted = (start / path).absolute()
        needed = 0 if root is not None else len(wanted.parent.parts)
        scored = [(_same_end(wanted, each), each) for each in known.get(_name(path), [])]
        best = max((score for score, _ in scored), default=0)
        there = [each for score, each in scored if score == best >= needed]
        same = [each for each in there if each.suffix.lower() == path.suffix.lower()]
        there = same or there
        readable = [each for each in there if each.suffix.lower() in AUDIO_SUFFIXES]
        if len({each.parent for each in readable}) > 1:
            places = " and ".join(map(str, readable[:2]))
            report.add("recording in two places", [Fault(id, f"could be {places}: name more of its path; left out")])
        elif readable:
            found[id] = readable[0]
        elif there:
            fault = f"{there[0]}: {there[0].suffix.lower()[1:]} is not supported; {how_to_convert(there[0])}"
            report.add("unread format", [Fault(id, fault)])
    return found


def ids_of(paths: Sequence[Path], spans: Sequence[tuple[float, float | None]] | None) -> list[str]:
    """The name of each recording without ending, or its whole path where two have one name; and its times, in ms."""
    names = [path.stem for path in paths]
    if len(set(names)) < len({*map(str, paths)}):
        above = Path(os.path.commonpath([path.parent for path in paths]))
        short = [path.relative_to(above) if path.is_relative_to(above) else path for path in paths]
        joined = ["_".join(p for p in path.with_suffix("").parts if p not in ("/", ".", "..")) for path in short]
        names = joined if len(set(joined)) == len({*map(str, paths)}) else [path.as_posix() for path in short]
    if spans is None:
        return names
    times = [(f"{1000 * a:.0f}", "end" if b is None else f"{1000 * b:.0f}") for a, b in spans]
    return [f"{name}-{a}-{b}" for name, (a, b) in zip(names, times, strict=True)]


def span_of(row: Row, found: Mapping[str, str]) -> tuple[float, float | None]:
    """Where an utterance starts and ends in its recording, in seconds; None for the recording's end."""
    values = {what: row.number(found[what]) for what in ("start", "end") if what in found and row.cells[found[what]]}
    start, end = values.get("start", 0.0), values.get("end")
    if start < 0 or (end is not None and end <= start):
        to = "" if end is None else f" and ends at {end:g} s"
        raise DataError(f"{row.place}: starts at {start:g} s{to}: should be 0 <= start < end")
    return start, end


def _name(path: Path) -> str:
    """The name of a recording without its ending, in lower case."""
    known = path.suffix.lower() in AUDIO_SUFFIXES | OTHER_SUFFIXES
    return (path.stem if known else path.name).casefold()


def _same_end(one: Path, other: Path) -> int:
    """How many folders above two files have the same names, counted from the files."""
    count = 0
    for mine, theirs in zip(reversed(one.parent.parts), reversed(other.parent.parts), strict=False):
        if mine.casefold() != theirs.casefold():
            break
        count += 1
    return count
