"""MELD in, a manifest and a report out: its three tables and the sound that was extracted from its videos."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Literal

from sertk.data.corpora.csv_records import csv_records
from sertk.data.corpora.recordings import index_recordings, with_recordings
from sertk.data.corpora.report import CorpusReport
from sertk.data.labels import LabelSet
from sertk.data.manifest import Manifest, Utterance
from sertk.data.splits import speaker_folds
from sertk.errors import DataError, Fault
from sertk.revisions import revision
from sertk_corpora.checks import check_count, check_fold, split_of

MELD = LabelSet(("Anger", "Disgust", "Fear", "Joy", "Neutral", "Sadness", "Surprise"))
PARTS = {"train": ("train", 9_989), "dev": ("held_out", 1_109), "test": ("test", 2_610)}
"""By the name of a table its split and its rows."""
FOLDERS = {
    "train": ("train_splits", "train"),
    "dev": ("dev_splits_complete", "dev"),
    "test": ("output_repeated_splits_test", "test"),
}
"""What the folders of recordings are called in the published copy, and for short."""
COLUMNS = ("Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID")
KNOWN = {"train_dia125_utt3": "the published video is damaged", "dev_dia110_utt7": "is not in the published copy"}
FOLDS = 5


@revision(1)
def read_meld(
    folder: Path,
    /,
    *,
    splits: Literal["official", "speakers"] = "official",
    fold: int = 1,
    allow_partial: bool = False,
    audio: bool = True,
) -> tuple[Manifest, CorpusReport]:
    """MELD: 13,708 utterances of the series Friends in seven emotions, in English.

    Convert the videos first, keeping names and folders: `ffmpeg -i dia0_utt0.mp4 dia0_utt0.wav`.

    Licence: GPL-3.0 for the annotations; the sound is of the series.

    Speakers: six main characters speak most; they are in all official splits.

    Folds: none is published. Training refuses the official `train` and `held_out`, which share speakers: hold out
    speakers of `train` with `sertk data split`, and know that `test` has voices of `train`. With
    `splits = "speakers"` five folds share none.

    EmoBox: the official splits.

    Known defects: dia125_utt3 of train is damaged, dia110_utt7 of dev is missing. Words have bytes of Windows-1252.

    Page: https://affective-meld.github.io

    Parameters
    ----------
    splits
        The `official` ones, or `speakers`: folds that share no speaker.
    fold
        The fold, 1 to 5, that is `test` with `splits = "speakers"`; the next one is `held_out`.
    allow_partial
        Accept an incomplete copy of the corpus.
    audio
        Look at the recordings.

    Raises
    ------
    DataError
        For a folder without the tables, for a row that cannot be read, and for a wrong number of rows.
    """
    check_fold("MELD", fold, FOLDS)
    report = CorpusReport(form=f"{splits} splits")
    utterances: list[Utterance] = []
    there: dict[str, str] = {}
    for part, (split, rows) in PARTS.items():
        path = _table(folder, part)
        report.files.append(str(path.relative_to(folder)))
        read = _rows(path, part, split, report)
        check_count(folder, "MELD", f"rows of {path.name}", len(read), rows, report, allow_partial=allow_partial)
        utterances += read
        places = [
            place for name in FOLDERS[part] for place in (folder / name, folder / part / name) if place.is_dir()
        ]
        if audio:
            there |= {f"{part}_{name}": found for name, found in index_recordings(places[:1], report).items()}
    named: dict[str, set[str]] = defaultdict(set)
    for u in utterances:
        named[u.speaker or ""].add(u.split or "")
    shared = sum("train" in of and len(of) > 1 for of in named.values())
    if splits == "speakers":
        parts = speaker_folds(utterances, FOLDS)
        of = {id: number for number, ids in enumerate(parts, start=1) for id in ids}
        utterances = [replace(u, fold=str(of[u.id]), split=split_of(of[u.id], fold, FOLDS)) for u in utterances]
    elif shared:
        what = f"{shared} speakers of train are in held_out or test too; `splits = speakers` keeps them apart"
        report.add("shared speakers", [Fault("splits", what)])
    for u in utterances:
        if u.id in KNOWN:
            report.add("known issue", [Fault(u.id, KNOWN[u.id])])
    if audio:
        utterances = with_recordings(utterances, there, report, allow_partial=allow_partial)
    report.count(utterances)
    return Manifest("meld", MELD, {}, tuple(utterances), report.form), report


def _table(folder: Path, part: str) -> Path:
    name = f"{part}_sent_emo.csv"
    for path in (folder / name, folder / part / name):
        if path.is_file():
            return path
    raise DataError(f"{folder} is not a known layout of MELD: it has no {name}")


def _rows(path: Path, part: str, split: str, report: CorpusReport) -> list[Utterance]:
    records = csv_records(path)
    first = next(records, None)
    header = [name.strip() for name in (first.cells if first else None) or []]
    if lacking := [name for name in COLUMNS if name not in header]:
        raise DataError(f"{path}: has no column {lacking[0]!r}. Columns: {', '.join(header)}")
    utterances: dict[str, Utterance] = {}
    for record in records:
        place = f"{path}, line {record.number}"
        if record.cells is None or len(record.cells) != len(header):
            raise DataError(f"{place}: needs {len(header)} cells with closed quotes")
        row = dict(zip(header, (cell.strip() for cell in record.cells), strict=True))
        text = row["Utterance"]
        if any("\x80" <= letter <= "\x9f" or letter == "\ufffd" for letter in text):
            text = "".join(_of_windows(letter) for letter in text)
            report.add("odd character", [Fault(place, "is of Windows-1252; read as an apostrophe or what it was")])
        if row["Emotion"].capitalize() not in MELD.names:
            raise DataError(f"{place}: Emotion is one of {', '.join(MELD.names)}, got {row['Emotion']!r}")
        id = f"{part}_dia{row['Dialogue_ID']}_utt{row['Utterance_ID']}"
        if id in utterances:
            raise DataError(f"{place}: {id} is in another row too")
        audio = path.parent / FOLDERS[part][0] / f"{id.partition('_')[2]}.wav"
        utterances[id] = Utterance(
            id=id,
            audio=str(audio.absolute()),
            speaker=row["Speaker"] or None,
            language="en",
            split=split,
            text=text or None,
            text_source="corpus" if text else None,
            emotion=row["Emotion"].capitalize(),
        )
    return [*utterances.values()]


def _of_windows(letter: str) -> str:
    if letter == "\ufffd":
        return "'"
    return letter.encode("latin-1").decode("cp1252", "replace") if "\x80" <= letter <= "\x9f" else letter
