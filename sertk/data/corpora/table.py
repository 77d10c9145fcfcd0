"""Any corpus in, from a table with one recording per row: a manifest and a report out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sertk.data.corpora.columns import chosen_columns, find_table, read_rows
from sertk.data.corpora.recordings import named_recordings, with_recordings
from sertk.data.corpora.report import CorpusReport
from sertk.data.corpora.tables import Row
from sertk.data.labels import LabelSet
from sertk.data.manifest import Manifest, Utterance
from sertk.data.splits import speaker_folds
from sertk.errors import DataError, Fault, LabelError
from sertk.revisions import revision

PARTS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("dev", "development", "val", "valid", "validation", "held_out", "heldout"), "held_out"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}
"""The splits of the recipes, by what tables call them."""
ATTRIBUTES = ("arousal", "valence", "dominance")


@revision(1)
def read_table_corpus(
    folder: Path,
    /,
    *,
    table: str = "",
    file: str = "",
    emotion: str = "",
    speaker: str = "",
    text: str = "",
    gender: str = "",
    language: str = "",
    split: str = "",
    votes: tuple[str, ...] = (),
    lowest: float | None = None,
    highest: float | None = None,
    fold: int = 1,
    folds: int = 5,
    unknown_speakers: bool = False,
    allow_partial: bool = False,
    audio: bool = True,
) -> tuple[Manifest, CorpusReport]:
    """Any corpus that has a table with one recording per row: CSV, TSV or JSON lines.

    Columns are found by their usual names (`file`, `emotion`, `speaker`, `text`, `split`, ...), or named by the
    options. Ways to write a label that differ in case alone are joined. Without a column for the split, speakers are
    divided into folds. What was found, and what is wrong, is in the report.

    Parameters
    ----------
    table
        The file in the folder, where it has several tables.
    file, emotion, speaker, text, gender, language, split
        The column that says it, where it has an unusual name. Paths start at the folder, or are absolute.
    votes
        Columns that count the raters' votes, one for each class, in place of `emotion`.
    lowest, highest
        The ends of the scale of `arousal`, `valence` and `dominance`, where the table has them.
    fold
        Of the folds of speakers: this one is `test`, the next one `held_out`, the others `train`.
    folds
        How many folds the speakers are divided into, where no column gives the split.
    unknown_speakers
        Accept a table that does not say who speaks, and divide it by recording: voices are in several parts then.
    allow_partial
        Accept that many recordings are missing.
    audio
        Look at the recordings.

    Raises
    ------
    DataError
        For a table that cannot be read, columns that are missing or unclear, labels and scales that do not fit, and a
        recording in two rows.
    """
    path = find_table(folder, table)
    columns, rows = read_rows(path)
    named = {"file": file, "emotion": emotion, "speaker": speaker, "text": text, "gender": gender}
    found = chosen_columns(path, columns, named | {"language": language, "split": split})
    _refuse_lacking(path, columns, found, votes, unknown_speakers)
    attributes = [name for name in ATTRIBUTES if name in found]
    if attributes and (lowest is None or highest is None or lowest >= highest):
        raise DataError(
            f"{path}: give the scale of {', '.join(attributes)} with --lowest and --highest, such as 1 and 7"
        )
    read = list(rows)
    report = CorpusReport(files=[path.name], form="; ".join(f"{what}: {name}" for what, name in found.items()))
    if votes:
        report.form += f"; votes: {', '.join(votes)}"
    spelling = {} if votes else _spelling(path, read, found["emotion"], report)
    names = tuple(votes) or tuple(sorted(set(spelling.values())))
    ids = _ids([row.path(found["file"]) for row in read])
    paths: dict[str, Path] = {}
    utterances = []
    for id, row in zip(ids, read, strict=True):
        if id in paths:
            raise DataError(f"{row.place}: {row.text(found['file'])!r} is in another row too: leave one of them")
        paths[id] = folder / row.path(found["file"])
        utterances.append(_utterance(id, paths[id], row, found, votes, spelling, attributes))
    utterances = _divided(path, utterances, "split" in found, fold, folds, unknown_speakers, report)
    if audio:
        utterances = with_recordings(utterances, named_recordings(paths, report), report, allow_partial=allow_partial)
    report.count(utterances)
    ranges = dict.fromkeys(attributes, (lowest or 0.0, highest or 0.0))
    try:
        labels = LabelSet(names)
    except LabelError as error:
        raise DataError(f"{path}: {error}") from None
    return Manifest(path.stem, labels, ranges, tuple(utterances), report.form), report


def _refuse_lacking(
    path: Path, columns: Sequence[str], found: Mapping[str, str], votes: Sequence[str], unknown_speakers: bool
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
    for name in votes:
        if name not in columns:
            raise DataError(f"{path}: has no column {name!r} for votes. Columns: {listed}")
    if "speaker" not in found and not unknown_speakers:
        raise DataError(
            f"{path}: no column says who speaks. Name it with --speaker. With --unknown-speakers recordings "
            f"are divided at random: a model hears the same voices in training and test, and every score is too good"
        )


def _ids(paths: Sequence[Path]) -> list[str]:
    """The name of each recording without ending, or its whole path where two have one name."""
    stems = [path.stem for path in paths]
    if len(set(stems)) == len({*map(str, paths)}):
        return stems
    return ["_".join(part for part in path.with_suffix("").parts if part not in ("/", ".", "..")) for path in paths]


def _spelling(path: Path, rows: Sequence[Row], column: str, report: CorpusReport) -> dict[str, str]:
    """Each way to write a label, and the most frequent of those that differ in case alone."""
    ways: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        if label := row.cells[column]:
            ways[label.casefold()][label] += 1
    if not ways:
        raise DataError(f"{path}: the column {column!r} is empty in all rows")
    spelling: dict[str, str] = {}
    for counts in ways.values():
        best = min(counts, key=lambda way: (-counts[way], way))
        spelling |= dict.fromkeys(counts, best)
        others = [f"{way!r} ({count})" for way, count in counts.items() if way != best]
        if others:
            report.add("label in several ways", [Fault(best, f"also written {', '.join(others)}; joined")])
    return spelling


def _utterance(
    id: str,
    path: Path,
    row: Row,
    found: Mapping[str, str],
    votes: Sequence[str],
    spelling: Mapping[str, str],
    attributes: Sequence[str],
) -> Utterance:
    def cell(what: str) -> str | None:
        return (row.cells[found[what]] or None) if what in found else None

    counted = {name: row.number(name) for name in votes if row.cells[name]}
    if negative := next((name for name, count in counted.items() if count < 0), None):
        raise DataError(f"{row.place}: {counted[negative]:g} votes for {negative}")
    most = [name for name, count in counted.items() if count and count == max(counted.values())]
    label = row.cells[found["emotion"]] if not votes else ""
    if votes:
        consensus = most[0] if len(most) == 1 else None
    else:
        consensus = spelling[label] if label else None
    part = cell("split")
    if part is not None and part.lower() not in PARTS:
        raise DataError(f"{row.place}: split {part!r} is none of {', '.join(PARTS)}")
    return Utterance(
        id=id,
        audio=str(path.absolute()),
        speaker=cell("speaker"),
        gender=cell("gender"),
        language=cell("language"),
        split=PARTS[part.lower()] if part else None,
        text=cell("text"),
        text_source="corpus" if cell("text") else None,
        votes={name: count for name, count in counted.items() if count},
        emotion=consensus,
        attributes={name: row.number(found[name]) for name in attributes if row.cells[found[name]]},
    )


def _divided(
    path: Path,
    utterances: list[Utterance],
    has_splits: bool,
    fold: int,
    folds: int,
    unknown_speakers: bool,
    report: CorpusReport,
) -> list[Utterance]:
    """The utterances with their splits: those of the table, or folds of whole speakers."""
    speakers = {u.speaker for u in utterances if u.speaker}
    if len(utterances) > 10 and len(speakers) == len(utterances):
        what = f"a speaker of its own in each of {len(utterances)} rows: is it the number of a recording?"
        report.add("doubtful speakers", [Fault(path.name, what)])
    if has_splits:
        lacking = [u.id for u in utterances if u.split is None]
        report.add_ids("no split", lacking, "has no split in the table; left out")
        return [u for u in utterances if u.split is not None]
    known = utterances
    if unknown_speakers:
        known = [replace(u, speaker=u.speaker or u.id) for u in utterances]
    if not 1 <= fold <= folds or folds < 3:
        raise DataError(f"--fold {fold} --folds {folds}: a fold from 1 to {folds}, of 3 or more")
    count = len({u.speaker for u in known if u.speaker})
    if count < folds:
        raise DataError(f"{path}: {count} speakers cannot be divided into {folds} folds: give fewer with --folds")
    parts = speaker_folds(known, folds)
    report.form += f"; fold {fold} of {folds} by {'recording' if unknown_speakers else 'speaker'}"
    split = dict.fromkeys(parts[fold - 1], "test") | dict.fromkeys(parts[fold % folds], "held_out")
    return [replace(u, split=split.get(u.id, "train")) for u in utterances]
