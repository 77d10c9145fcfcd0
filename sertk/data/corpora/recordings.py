"""The recordings of a corpus: found whatever their format, missing ones and bad headers left out, odd ones listed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sertk.data.corpora.report import CorpusReport
from sertk.data.formats import AUDIO_SUFFIXES, OTHER_SUFFIXES, how_to_convert
from sertk.data.headers import read_headers
from sertk.data.ids import name_fault
from sertk.data.manifest import Utterance
from sertk.errors import AudioError, DataError, Fault

SAMPLE_RATE, CHANNELS = 16_000, 1
"""What the recordings of the corpora that are read here should be, Hz and number."""
LATE_SECONDS = 0.05
"""So much later than its recording may an utterance end without a word: times are rounded."""
FEW, FEW_SHARE = 10, 0.01
"""So many recordings, or this share, may be missing before something is wrong with the copy."""


def files_below(folders: Iterable[Path], suffix: str) -> Iterator[os.DirEntry[str]]:
    """All files below some folders whose name ends so, in any case, however deep; in the order of their names."""
    for folder in folders:
        with os.scandir(folder) as scan:
            entries = sorted(scan, key=lambda entry: entry.name)
        for entry in entries:
            if entry.name.lower().endswith(suffix):
                yield entry
        yield from files_below((Path(entry.path) for entry in entries if entry.is_dir()), suffix)


def index_recordings(folders: Iterable[Path], report: CorpusReport) -> dict[str, str]:
    """Find the path of each recording below some folders, whatever its format, by its name without ending.

    One that is in two places is listed, the first is taken; sound that must be converted first is listed where there
    is nothing else of its name.
    """
    found: dict[str, str] = {}
    unread: dict[str, Path] = {}
    for entry in files_below([folder.absolute() for folder in folders], ""):
        stem, suffix = os.path.splitext(entry.name)  # noqa: PTH122  # no Path for each of 265,000 names
        if suffix.lower() in AUDIO_SUFFIXES and not entry.is_dir():
            first = found.setdefault(stem, entry.path)
            if first != entry.path:
                fault = Fault(stem, f"is in {first} and in {entry.path}; the first is taken")
                report.add("recording in two places", [fault])
        elif suffix.lower() in OTHER_SUFFIXES:
            unread[stem] = Path(entry.path)
    for stem, path in unread.items():
        if stem not in found:
            fault = Fault(stem, f"{path}: {path.suffix.lower()[1:]} is not supported; {how_to_convert(path)}")
            report.add("unread format", [fault])
    return found


def named_recordings(paths: Mapping[str, Path], report: CorpusReport) -> dict[str, str]:
    """Find recordings by the paths that a corpus names for them, or in another format beside those."""
    found = {id: str(path) for id, path in paths.items() if path.is_file()}
    lacking = {id: path for id, path in paths.items() if id not in found}
    beside = index_recordings(sorted({path.parent for path in lacking.values() if path.parent.is_dir()}), report)
    found |= {id: beside[path.stem] for id, path in lacking.items() if path.stem in beside}
    return found


def with_recordings(
    utterances: Sequence[Utterance], recordings: Mapping[str, str], report: CorpusReport, *, allow_partial: bool
) -> list[Utterance]:
    """Give the utterances that have a usable recording, with its path, duration and rate.

    Raises DataError where more than some are missing, unless a part of the corpus is allowed, and where none is left.
    """
    missing = [utterance.id for utterance in utterances if utterance.id not in recordings]
    allowed = len(utterances) - 1 if allow_partial else max(FEW, FEW_SHARE * len(utterances))
    if missing and len(missing) > allowed:
        unread = report.faults.get("unread format", [])
        convert = f" {len(unread):,} must be converted first: {unread[0].message}." if unread else ""
        raise DataError(
            f"{len(missing):,} of {len(utterances):,} utterances have no recording ({', '.join(missing[:3])}, ...): "
            f"unpack them all, read what is there with --allow-partial, or read the labels alone with --no-audio."
            f"{convert}"
        )
    report.add_ids("no recording", missing, "has no recording; left out")
    there = [replace(u, audio=recordings[u.id]) for u in utterances if u.id in recordings]
    kept: list[Utterance] = []
    bad: list[Fault] = []
    for utterance, info in zip(there, read_headers(Path(u.audio) for u in there), strict=True):
        if fault := name_fault("path", utterance.audio):
            bad.append(Fault(utterance.id, f"{fault}: rename the file or its folder; left out"))
            continue
        if isinstance(info, AudioError):
            bad.append(Fault(utterance.id, f"{info}; left out"))
            continue
        if (info.sample_rate, info.channels) != (SAMPLE_RATE, CHANNELS):
            what = (
                f"{info.channels} channels at {info.sample_rate} Hz; kept, mixed down and resampled when it is read"
            )
            report.add("odd format", [Fault(utterance.id, what)])
        if info.remark:
            report.add("no length", [Fault(utterance.id, f"{info.remark}; kept")])
        rest = round(info.seconds - utterance.start, 6)
        if rest <= 0:
            bad.append(Fault(utterance.id, f"starts at {utterance.start:g} s of {info.seconds:.3f} s; left out"))
            continue
        if utterance.duration is not None and utterance.duration > rest + LATE_SECONDS:
            what = f"ends at {utterance.start + utterance.duration:g} s of {info.seconds:.3f} s; cut at its end"
            report.add("ends after its recording", [Fault(utterance.id, what)])
        duration = rest if utterance.duration is None else min(utterance.duration, rest)
        kept.append(replace(utterance, duration=duration, sample_rate=info.sample_rate))
    report.add("bad recording", bad)
    if there and not kept:
        raise DataError(f"none of {len(there):,} recordings could be read. The first: {bad[0].message}")
    return kept
