"""Any corpus in, from a table with one recording per row or a folder for each class: a manifest and a report out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sertk.data.corpora.columns import chosen_columns, columns_found, known_column
from sertk.data.corpora.division import divided
from sertk.data.corpora.locate import ids_of, locate, span_of
from sertk.data.corpora.recordings import with_recordings
from sertk.data.corpora.report import CorpusReport
from sertk.data.corpora.table_labels import read_labels
from sertk.data.corpora.table_rows import PARTS, corpus_rows
from sertk.data.corpora.tables import Row
from sertk.data.labels import LabelSet
from sertk.data.manifest import Manifest, Utterance
from sertk.errors import DataError, LabelError
from sertk.revisions import revision

ATTRIBUTES = ("arousal", "valence", "dominance")


@revision(2)
def read_table_corpus(
    folder: Path,
    /,
    *,
    table: str = "",
    audio_root: Path | None = None,
    file: str = "",
    emotion: str = "",
    speaker: str = "",
    speaker_pattern: str = "",
    text: str = "",
    gender: str = "",
    language: str = "",
    split: str = "",
    start: str = "",
    end: str = "",
    votes: tuple[str, ...] = (),
    lowest: float | None = None,
    highest: float | None = None,
    fold: str | int = "",
    folds: int = 5,
    group: str = "",
    unknown_speakers: bool = False,
    allow_partial: bool = False,
    audio: bool = True,
) -> tuple[Manifest, CorpusReport]:
    """Any corpus with one recording per row of a table (CSV, TSV, JSON lines), or with one folder per class.

    Columns are found by their usual names (`file`, `emotion`, `speaker`, `text`, `split`, `fold`, `start`, ...), or
    named by the options. Ways to write a label that differ in case alone are joined. Without a column for the split
    or the fold, speakers are divided into folds. What was found, and what is wrong, is in the report.

    Parameters
    ----------
    table
        The file in the folder, where it has several tables.
    audio_root
        Where the recordings are, when not beside the table; paths of another computer are matched by their end.
    file, emotion, speaker, text, gender, language, split
        The column that says it, where it has an unusual name. Paths start at the folder, or are absolute.
    start, end
        The columns of where an utterance starts and ends in its recording, in seconds.
    speaker_pattern
        A regular expression that finds the speaker in the name of a recording (in its path, if it has a slash).
    votes
        Columns that count the raters' votes, one for each class; or one column with a list of votes.
    lowest, highest
        The ends of the scale of `arousal`, `valence` and `dominance`, where the table has them.
    fold
        This fold is `test`, the next one `held_out`, the others `train`. Without it the first.
    folds
        How many folds the speakers are divided into, where no column gives split or fold.
    group
        The column whose values are kept in one fold, in place of the speakers.
    unknown_speakers
        Accept a table that does not say who speaks: it is divided by recording, and voices are in several parts.
    allow_partial
        Accept that many recordings are missing.
    audio
        Look at the recordings.

    Raises
    ------
    DataError
        For a table that cannot be read, columns that are missing or unclear, labels, times and scales that do not
        fit, and an utterance in two rows.
    """
    source = corpus_rows(folder, table)
    path, columns, rows = source.path, source.columns, source.rows
    named = {"file": file, "emotion": emotion, "speaker": speaker, "text": text, "gender": gender}
    named |= {"language": language, "split": split, "start": start, "end": end}
    found = chosen_columns(path, columns, named)
    counted = tuple(known_column(path, columns, name) for name in votes)
    if not counted and "votes" in found:
        counted = (found["votes"],)
    accepted = unknown_speakers or bool(group or speaker_pattern)
    _refuse_lacking(path, columns, found, counted, accepted)
    if group:
        known_column(path, columns, group)
    if not rows:
        raise DataError(f"{path}: has no row below its first line: {', '.join(columns)}")
    attributes = [name for name in ATTRIBUTES if name in found]
    if attributes and (lowest is None or highest is None or lowest >= highest):
        raise DataError(
            f"{path}: give the scale of {', '.join(attributes)} with --lowest and --highest, such as 1 and 7"
        )
    report = CorpusReport(files=[str(each.relative_to(source.base)) for each in source.tables] or [path.name])
    meaning = {name: what for what, name in found.items()} | dict.fromkeys(counted, "votes")
    if speaker_pattern and "speaker" in found:
        meaning.pop(found["speaker"])
    meaning |= {group: meaning.get(group, "group")} if group else {}
    report.columns = columns_found(columns, rows, meaning)
    labels = read_labels(path, rows, found.get("emotion"), counted, report)
    report.form = source.form
    paths = [row.path(found["file"]) for row in rows]
    spans = [span_of(row, found) for row in rows]
    ids = ids_of(paths, spans if {"start", "end"} & found.keys() else None)
    pattern = _pattern(speaker_pattern)
    utterances: list[Utterance] = []
    seen: dict[str, str] = {}
    ends = (lowest or 0.0, highest or 0.0)
    for number, (id, row) in enumerate(zip(ids, rows, strict=True)):
        if id in seen:
            raise DataError(f"{row.place}: {row.text(found['file'])!r} is in another row too ({seen[id]})")
        seen[id] = row.place
        begin, finish = spans[number]
        utterances.append(
            replace(
                _utterance(id, source.base / paths[number], row, found, attributes, ends),
                start=begin,
                duration=None if finish is None else round(finish - begin, 6),
                speaker=_speaker(row, paths[number], found, pattern),
                votes=labels.votes[number],
                emotion=labels.emotions[number],
            )
        )
    if pattern and not any(u.speaker for u in utterances):
        raise DataError(f"{path}: --speaker-pattern {speaker_pattern!r} finds no speaker in {paths[0].name!r}")
    if not unknown_speakers and not group:
        report.add_ids("no speaker", [u.id for u in utterances if not u.speaker], "has no speaker; kept")
    by = group or ("recording" if unknown_speakers and not any(u.speaker for u in utterances) else "speaker")
    groups = {u.id: _group(u, row, group, unknown_speakers) for u, row in zip(utterances, rows, strict=True)}
    utterances = divided(
        path,
        utterances,
        has_splits="split" in found,
        groups={id: value for id, value in groups.items() if value},
        grouped_by=by,
        fold=str(fold),
        folds=folds,
        report=report,
    )
    if audio:
        wanted = dict(zip(ids, paths, strict=True))
        there = locate({u.id: wanted[u.id] for u in utterances}, source.base, audio_root, report)
        recordings = {id: str(one.absolute()) for id, one in there.items()}
        utterances = with_recordings(utterances, recordings, report, allow_partial=allow_partial)
    report.count(utterances)
    try:
        made = LabelSet(labels.names)
    except LabelError as error:
        raise DataError(f"{path}: {error}") from None
    return Manifest(path.stem, made, dict.fromkeys(attributes, ends), tuple(utterances), report.form), report


def _refuse_lacking(
    path: Path, columns: Sequence[str], found: Mapping[str, str], votes: Sequence[str], accepted: bool
) -> None:
    """Raise DataError where a column is missing that the corpus needs."""
    listed = ", ".join(columns)
    if "file" not in found:
        raise DataError(f"{path}: which column names the recordings? Name it with --file. Columns: {listed}")
    if not votes and "emotion" not in found:
        raise DataError(
            f"{path}: which column is the label? Name it with --emotion, or columns of votes with --votes. "
            f"Columns: {listed}"
        )
    if "speaker" not in found and not accepted:
        raise DataError(
            f"{path}: no column says who speaks. Name it with --speaker, find it in the names with "
            f"--speaker-pattern, or keep the values of another column together with --group. With "
            f"--unknown-speakers recordings are divided at random: a model hears the same voices in training and "
            f"test, and every score is too good"
        )


def _pattern(text: str) -> re.Pattern[str] | None:
    try:
        return re.compile(text) if text else None
    except re.error as error:
        raise DataError(f"--speaker-pattern {text!r} is no regular expression: {error}") from None


def _speaker(row: Row, path: Path, found: Mapping[str, str], pattern: re.Pattern[str] | None) -> str | None:
    if pattern is None:
        return (row.cells[found["speaker"]] or None) if "speaker" in found else None
    match = pattern.search(path.as_posix() if "/" in pattern.pattern else path.name)
    return (match[1] if pattern.groups else match[0]) or None if match else None


def _group(utterance: Utterance, row: Row, group: str, unknown_speakers: bool) -> str | None:
    if group:
        return row.cells[group] or None
    return utterance.speaker or (utterance.audio if unknown_speakers else None)


def _utterance(
    id: str, path: Path, row: Row, found: Mapping[str, str], attributes: Sequence[str], ends: tuple[float, float]
) -> Utterance:
    """The fields of an utterance that are cells of its row."""

    def cell(what: str) -> str | None:
        return (row.cells[found[what]] or None) if what in found else None

    part = cell("split")
    if part is not None and part.lower() not in PARTS:
        raise DataError(f"{row.place}: split {part!r} is none of {', '.join(PARTS)}")
    values = {name: row.number(found[name]) for name in attributes if row.cells[found[name]]}
    for name, value in values.items():
        if not ends[0] <= value <= ends[1]:
            raise DataError(f"{row.place}: {name} {value:g} is outside the scale of {ends[0]:g} to {ends[1]:g}")
    return Utterance(
        id=id,
        audio=str(path.absolute()),
        gender=cell("gender"),
        language=cell("language"),
        split=PARTS[part.lower()] if part else None,
        fold=cell("fold"),
        text=cell("text"),
        text_source="corpus" if cell("text") else None,
        attributes=values,
    )
