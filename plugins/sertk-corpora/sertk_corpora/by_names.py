"""Corpora whose file names say everything, by a description in TOML: a manifest and a report out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from sertk.data.corpora.recordings import files_below, with_recordings
from sertk.data.corpora.report import CorpusReport
from sertk.data.formats import how_to_convert, is_other_sound, is_recording
from sertk.data.labels import LabelSet
from sertk.data.manifest import Manifest, Utterance
from sertk.errors import DataError, Fault
from sertk_corpora.checks import check_count, check_fold, split_of
from sertk_corpora.names_file import GROUPS, NamesFile


def read_by_names(
    name: str, names: NamesFile, folder: Path, *, fold: int, allow_partial: bool, audio: bool
) -> tuple[Manifest, CorpusReport]:
    """Read a folder by a description. See `sertk_corpora.filenames:read_filenames`."""
    report = CorpusReport(files=["names of recordings"])
    found = _found(names, folder, report)
    if not found:
        like = f", such as {names.example}.wav" if names.example else ""
        raise DataError(f"{folder} is not a known layout of {names.title}: no recording has a name of it{like}")
    speakers = sorted({one.speaker for one in found.values() if one.speaker})
    check_count(folder, names.title, "recordings", len(found), names.recordings, report, allow_partial=allow_partial)
    check_count(folder, names.title, "speakers", len(speakers), names.speakers, report, allow_partial=allow_partial)
    parts = names.parts(speakers)
    check_fold(names.title, fold, len(parts))
    of_fold = {speaker: number for number, part in enumerate(parts, start=1) for speaker in part}
    if strange := [speaker for speaker in speakers if speaker not in of_fold]:
        raise DataError(f"{names.title}: {', '.join(strange[:5])} is in none of the folds of its description")
    utterances = [
        replace(one, fold=str(part), split=split_of(part, fold, len(parts)))
        for one in found.values()
        if (part := of_fold[one.speaker or ""])
    ]
    for utterance in utterances:
        if remark := names.known.get(utterance.id):
            report.add("known issue", [Fault(utterance.id, f"{remark}; kept")])
    if audio:
        paths = {one.id: one.audio for one in utterances}
        utterances = with_recordings(utterances, paths, report, allow_partial=allow_partial)
    report.count(utterances)
    of_all = "" if names.recordings in (None, len(found)) else f" of {names.recordings:,}"
    report.form = (
        f"{len(found):,}{of_all} recordings, {len(speakers)} speakers; labels by name; fold {fold} of {len(parts)}"
    )
    note = f"fold {fold} of {len(parts)}; acted emotions"
    return Manifest(name, LabelSet(names.labels), {}, tuple(utterances), note), report


def _found(names: NamesFile, folder: Path, report: CorpusReport) -> dict[str, Utterance]:
    """The utterances by id; all that has another name, or an id of before, is listed."""
    found: dict[str, Utterance] = {}
    first: dict[str, Path] = {}
    unread: list[tuple[str, Path]] = []
    for path in _recordings(folder):
        place = path.relative_to(folder).as_posix()
        stem = place.removesuffix(path.suffix)
        why = next((why for pattern, why in names.left_out.items() if re.fullmatch(pattern, stem, re.I)), None)
        if path.name.startswith("."):
            report.add("hidden file", [Fault(place, "is of the file system, not of the corpus; left out")])
        elif why:
            report.add("left out", [Fault(place, f"{why}; left out")])
        elif isinstance(utterance := _utterance(names, path, stem), str):
            report.add("strange name", [Fault(place, f"{utterance}; left out")])
        elif not is_recording(path):
            unread.append((utterance.id, path))
        elif (key := utterance.id.casefold()) in found:
            other = "" if first[key].stat().st_size == path.stat().st_size else ", and has another size"
            taken = f"is {first[key].relative_to(folder).as_posix()} again{other}; the first is taken"
            report.add("recording in two places", [Fault(place, taken)])
        else:
            found[key], first[key] = utterance, path
    for id, path in unread:
        if id.casefold() not in found:
            what = f"{path.suffix.lower()[1:]} is not supported; {how_to_convert(path)}"
            report.add("unread format", [Fault(path.relative_to(folder).as_posix(), what)])
    return dict(sorted(found.items()))


def _recordings(folder: Path) -> Iterator[Path]:
    """Files of sound below a folder: those nearest to it first, then by path."""
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder")
    paths = (Path(entry.path) for entry in files_below([folder], "") if entry.is_file())
    return iter(sorted((p for p in paths if is_recording(p) or is_other_sound(p)), key=lambda p: (len(p.parts), p)))


def _utterance(names: NamesFile, path: Path, stem: str) -> Utterance | str:
    """What a name says, or what is wrong with it."""
    if not (match := names.expression.fullmatch(stem)):
        return f"is no name of {names.title}" + (f", which are like {names.example}" if names.example else "")
    groups = {name: code or "" for name, code in match.groupdict().items()}
    try:
        known = {what: names.meaning(what, groups) for what in GROUPS}
    except KeyError as error:
        return f"has the code {error.args[0]!r}, which {names.title} does not have"
    id = names.id.format(**groups | {"speaker": known["speaker"]}) if names.id else path.stem
    return Utterance(
        id=id,
        audio=str(path.absolute()),
        speaker=known["speaker"],
        gender=known["gender"],
        language=known["language"],
        text=known["text"],
        text_source="corpus" if known["text"] else None,
        emotion=known["emotion"],
    )
