"""Databases of audformat in, a manifest and a report out."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sertk.data.corpora.recordings import named_recordings, with_recordings
from sertk.data.corpora.report import CorpusReport
from sertk.data.labels import OTHER, LabelSet
from sertk.data.manifest import Manifest, Utterance, unfit_name
from sertk.errors import DataError, Fault, did_you_mean
from sertk.revisions import revision
from sertk_corpora.audformat_library import VOTES, library

ATTRIBUTES = ("arousal", "valence", "dominance")
"""Names of attributes, besides those that the header lists as `attributes`."""
ROLES = {"transcription": "text", "transcript": "text", "text": "text", "sex": "gender"}
ROLES |= {name: name for name in ("id", "speaker", "gender", "language", "fold", "corpus", "text_source")}
"""Schemes or columns, and the fields that they say."""
Key = tuple[str, float, float | None]
"""A file with start and end in seconds; the end is None for that of the file."""


@revision(1)
def read_audformat(
    folder: Path, /, *, emotion: str = "", allow_partial: bool = False, audio: bool = True
) -> tuple[Manifest, CorpusReport]:
    """A database of audformat: `db.yaml` with its tables; needs `sertk-corpora[audformat]`.

    Utterances are the rows of tables that have the emotion column; other tables add speaker, transcription and
    attributes, by file too. The split of a table is that of its rows. Attributes are arousal, valence and dominance,
    where their scheme has a minimum and a maximum. The labels of the speaker scheme say gender and language.

    Parameters
    ----------
    emotion
        The column of the emotion, where it is not the one of the scheme `emotion`.
    allow_partial
        Accept that recordings are missing.
    audio
        Look at the recordings.

    Raises
    ------
    DataError
        For a folder without a database, an unknown scheme or column, two emotion columns, and tables that contradict
        each other.
    """
    audformat = library()
    if not (folder / "db.yaml").is_file():
        raise DataError(f"{folder} has no db.yaml: it is no database of audformat")
    try:
        with warnings.catch_warnings():  # of pandas, at the library's own calls
            warnings.simplefilter("ignore", DeprecationWarning)
            db = audformat.Database.load(str(folder), load_data=True)
    except Exception as error:  # whatever yaml, pandas and audformat raise
        raise DataError(f"{folder / 'db.yaml'}: cannot be read as a database of audformat: {error}") from None
    report = CorpusReport(files=["db.yaml", *(f"db.{name}" for name in db.tables)], form="a database of audformat")
    column = _emotion_column(db, emotion, folder)
    found: dict[Key, dict[str, tuple[Any, str]]] = defaultdict(dict)
    wanted = [name for name, table in db.tables.items() if column in table.columns]
    for name in [*wanted, *(name for name in db.tables if name not in wanted)]:
        for key, values in _rows(db, name, column, report):
            for place in [key] if name in wanted else [k for k in (key,) if k in found]:
                _add(found[place], values, name, place, folder)
    by_file: dict[str, list[Key]] = defaultdict(list)
    for key in found:
        by_file[key[0]].append(key)
    for name, table in db.tables.items():
        if name not in wanted and table.type == "filewise":
            for (file, _, _), values in _rows(db, name, column, report):
                for key in by_file.get(file, ()):
                    _add(found[key], values, name, key, folder)
    labels = _labels(db, column, wanted, found, folder)
    names = [*ATTRIBUTES, *db.meta.get("attributes", [])]
    schemes = {n: db.schemes[n] for n in dict.fromkeys(names) if n in db.schemes}
    ranges = {
        n: (float(s.minimum), float(s.maximum)) for n, s in schemes.items() if None not in (s.minimum, s.maximum)
    }
    paths: dict[str, Path] = {}
    utterances = []
    for key, values in found.items():
        made = _utterance(key, {role: value for role, (value, _) in values.items()}, by_file, ranges, report)
        made = replace(made, language=made.language or _language(db), audio=str((folder / key[0]).absolute()))
        if made.id in paths:
            raise DataError(f"{folder}: the id {made.id!r} is there twice, of {paths[made.id]} and {key[0]}")
        if fault := unfit_name(made):
            raise DataError(f"{folder}: {key[0]}: {fault}")
        paths[made.id] = Path(made.audio)
        utterances.append(made)
    if audio:
        utterances = with_recordings(utterances, named_recordings(paths, report), report, allow_partial=allow_partial)
    report.count(utterances)
    return Manifest(db.name, labels, ranges, tuple(utterances), db.description or ""), report


def _emotion_column(db: Any, asked: str, folder: Path) -> str:
    """The one column of the emotion, by its name."""
    columns = {column: name for name, table in db.tables.items() for column in table.columns}
    if asked:
        if asked not in columns:
            raise DataError(
                f"{folder / 'db.yaml'}: no table has a column {asked!r}. {did_you_mean(asked, columns)}"
                f"Columns: {', '.join(columns)}."
            )
        return asked
    fit = [c for c, name in columns.items() if "emotion" in (c, db.tables[name].columns[c].scheme_id)]
    if len(fit) != 1:
        count = "no" if not fit else "two" if len(fit) == 2 else str(len(fit))
        what = f"{count} emotion column{'s' * (len(fit) != 1)}"
        listed = ", ".join(f"{c} (table {columns[c]})" for c in fit or columns)
        raise DataError(f"{folder / 'db.yaml'}: {what}, where one is needed: {listed}. --emotion names the column")
    return str(fit[0])


def _rows(db: Any, name: str, emotion: str, report: CorpusReport) -> Iterator[tuple[Key, dict[str, Any]]]:
    """The rows of a table with what they say, by field."""
    table = db.tables[name]
    columns = {}
    for column, of in table.columns.items():
        scheme = of.scheme_id or column
        role = "emotion" if column == emotion else ROLES.get(scheme) or ROLES.get(column)
        if role is None and (
            column.startswith(f"{VOTES}.") or scheme in (*ATTRIBUTES, *db.meta.get("attributes", []))
        ):
            role = column if column.startswith(f"{VOTES}.") else f"attributes.{scheme}"
        if role:
            columns[column] = (role, db.schemes[of.scheme_id] if of.scheme_id else None)
    frame = table.df
    cells = {c: frame[c].astype(object).where(frame[c].notna(), None).tolist() for c in columns}
    for number, place in enumerate(frame.index.tolist()):
        values: dict[str, Any] = {} if table.split_id is None else {"split": table.split_id}
        for column, (role, scheme) in columns.items():
            if (value := cells[column][number]) is not None:
                values |= _said(role, value, scheme)
        if table.type == "filewise":
            yield (place, 0.0, None), values
        else:
            file, start, end = place
            yield (file, start.total_seconds(), None if end != end else end.total_seconds()), values


def _said(role: str, value: Any, scheme: Any) -> dict[str, Any]:
    """What a cell says: its value, and of a speaker or a sentence what the labels of the scheme say."""
    if "." in role:
        return {role: float(value)}
    more = scheme.labels.get(value) if scheme is not None and isinstance(scheme.labels, dict) else None
    if role == "text" and more is not None:
        return {role: str(more if not isinstance(more, dict) else more.get("transcription", value))}
    details = more if role == "speaker" and isinstance(more, dict) else {}
    return {role: str(value)} | {n: str(details[n]) for n in ("gender", "language") if details.get(n)}


def _add(to: dict[str, tuple[Any, str]], values: Mapping[str, Any], table: str, key: Key, folder: Path) -> None:
    for role, value in values.items():
        before, other = to.setdefault(role, (value, table))
        if before != value:
            raise DataError(f"{folder}: {key[0]}: {role} is {before!r} in the table {other} and {value!r} in {table}")


def _labels(
    db: Any, column: str, tables: list[str], found: Mapping[Key, Mapping[str, tuple[Any, str]]], folder: Path
) -> LabelSet:
    scheme = db.schemes.get(db.tables[tables[0]].columns[column].scheme_id)
    names = [str(n) for n in scheme.labels] if scheme is not None and isinstance(scheme.labels, list | dict) else []
    names = names or sorted({values["emotion"][0] for values in found.values() if "emotion" in values})
    names = [name for name in names if name != OTHER]
    if len(names) < 2:
        raise DataError(f"{folder}: the column {column} has {len(names)} classes, where two or more are needed")
    return LabelSet(tuple(names), scheme.meta.get("letters", "") if scheme is not None else "")


def _language(db: Any) -> str | None:
    """The language of a database of one, by two letters where it has such a code."""
    if len(db.languages or []) != 1:
        return None
    from iso639 import Lang

    return str(Lang(db.languages[0]).pt1 or db.languages[0])


def _utterance(
    key: Key,
    values: Mapping[str, Any],
    by_file: Mapping[str, list[Key]],
    ranges: Mapping[str, tuple[float, float]],
    report: CorpusReport,
) -> Utterance:
    file, start, end = key
    stem = str(Path(file).with_suffix(""))
    fields = {role: value for role, value in values.items() if "." not in role}
    fields.setdefault("id", stem if len(by_file[file]) == 1 else f"{stem}-{round(start * 1000):08d}")
    if "text" in fields:
        fields.setdefault("text_source", "corpus")
    attributes = {}
    for role, value in values.items():
        name = role.removeprefix("attributes.")
        if name == role:
            continue
        if name in ranges and ranges[name][0] <= value <= ranges[name][1]:
            attributes[name] = value
        else:
            report.add("attribute off the scale", [Fault(fields["id"], f"{name} is {value:g}; left out")])
    votes = {role.removeprefix(f"{VOTES}."): value for role, value in values.items() if role.startswith(f"{VOTES}.")}
    duration = None if end is None else round(end - start, 6)
    return Utterance(audio=file, start=start, duration=duration, votes=votes, attributes=attributes, **fields)
