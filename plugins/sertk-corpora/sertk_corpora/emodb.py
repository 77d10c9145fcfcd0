"""EMO-DB, the Berlin database of emotional speech, in; a manifest and a report out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from sertk.data.corpora.recordings import index_recordings, named_recordings, with_recordings
from sertk.data.corpora.report import CorpusReport
from sertk.data.corpora.tables import Row, read_table
from sertk.data.labels import LabelSet
from sertk.data.manifest import Manifest, Utterance
from sertk.errors import DataError, Fault
from sertk.revisions import revision
from sertk_corpora.checks import check_fold, split_of

EMODB = LabelSet(("Anger", "Boredom", "Disgust", "Fear", "Happiness", "Neutral", "Sadness"), letters="WLEAFNT")
"""The seven emotions that were acted, with the (German) letters that stand in the names of the recordings."""
CLIPS = 535
SPEAKERS = {
    "03": "male",
    "08": "female",
    "09": "female",
    "10": "male",
    "11": "male",
    "12": "male",
    "13": "female",
    "14": "female",
    "15": "male",
    "16": "female",
}
"""Speaker to gender; the n-th is the test speaker of fold n."""
SENTENCES = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}
COLUMNS = ("speaker", "gender", "transcript", "emotion")
VALUES: Mapping[str, Mapping[str, str]] = {
    "speaker": {speaker: speaker for speaker in SPEAKERS},
    "gender": {"male": "male", "female": "female"},
    "emotion": {name.lower(): name for name in EMODB.names} | {"joy": "Happiness"},
}
"""What a table may have in a column, in lower case, and what it means; `transcript` may be any text."""
_NAME = re.compile(f"({'|'.join(SPEAKERS)})({'|'.join(SENTENCES)})[{EMODB.letters}][a-z]")


@revision(3)
def read_emodb(
    folder: Path, /, *, fold: int = 1, allow_partial: bool = False, audio: bool = True
) -> tuple[Manifest, CorpusReport]:
    """EMO-DB, the Berlin database of emotional speech: the recordings in `wav/`, or those of a `metadata.csv`.

    The names say everything: `03a01Wa` is speaker 03, sentence a01, emotion W, version a. Where a `metadata.csv` has
    a column `speaker`, `gender`, `transcript` or `emotion`, the column counts; differences are listed.
    The corpus has no votes; the acted emotion is the label. A recording with any other name is left out and listed.

    Parameters
    ----------
    fold
        The fold, 1 to 10, one speaker each: this speaker is `test`, the next one `held_out`, the other eight `train`.
    allow_partial
        Accept an incomplete copy of the corpus.
    audio
        Look at the recordings.

    Raises
    ------
    DataError
        For a folder without such recordings, for values in the table that the corpus does not have, and for a wrong
        number of recordings.
    """
    speakers = [*SPEAKERS]
    check_fold("EMO-DB", fold, len(speakers))
    report = CorpusReport()
    paths, table = _recordings(folder, report)
    if len(paths) != CLIPS and not allow_partial:
        raise DataError(
            f"{folder}: {len(paths)} recordings, EMO-DB has {CLIPS}: "
            f"complete the copy, or read what is there with --allow-partial"
        )
    counted = f"the published set of {CLIPS}" if len(paths) == CLIPS else f"{len(paths)} recordings of {CLIPS}"
    by_table = [column for column in COLUMNS if table and column in next(iter(table.values())).cells]
    by_name = [column for column in COLUMNS if column not in by_table]
    sources = [
        f"{', '.join(columns)} by {what}"
        for what, columns in (("metadata.csv", by_table), ("name", by_name))
        if columns
    ]
    report.form = "; ".join([counted, *sources])
    utterances = [_utterance(name, paths[name], table.get(name), fold, report) for name in sorted(paths)]
    if audio:
        utterances = with_recordings(utterances, named_recordings(paths, report), report, allow_partial=allow_partial)
    report.count(utterances)
    note = f"fold {fold} of {len(speakers)}: speaker {speakers[fold - 1]} is left out"
    return Manifest("emodb", EMODB, {}, tuple(utterances), note), report


def fold_of(speaker: str) -> int:
    """The fold, from 1, that tests a speaker."""
    return [*SPEAKERS].index(speaker) + 1


def _recordings(folder: Path, report: CorpusReport) -> tuple[dict[str, Path], dict[str, Row]]:
    """Paths by name, and rows by name where there is a table."""
    metadata, wav = folder / "metadata.csv", folder / "wav"
    table: dict[str, Row] = {}
    if metadata.is_file():
        report.files = ["metadata.csv"]
        for row in read_table(metadata, ("file",)):
            if table.setdefault(row.path("file").stem, row) is not row:
                raise DataError(f"{row.place}: {row.text('file')!r} occurs twice in the table")
        paths = {name: folder / row.path("file") for name, row in table.items()}
    elif wav.is_dir():
        report.files = ["wav/"]
        paths = {name: Path(path) for name, path in index_recordings([wav], report).items()}
    else:
        raise DataError(f"{folder} is not a known layout of EMO-DB: it has neither wav/ nor metadata.csv")
    what = "no name of EMO-DB, which are like 03a01Wa: speaker, sentence, emotion, version; left out"
    report.add("strange name", [Fault(str(path), what) for name, path in paths.items() if not _NAME.fullmatch(name)])
    return {name: path for name, path in paths.items() if _NAME.fullmatch(name)}, table


def _utterance(name: str, path: Path, row: Row | None, fold: int, report: CorpusReport) -> Utterance:
    by_name = {
        "speaker": name[:2],
        "gender": SPEAKERS[name[:2]],
        "transcript": SENTENCES[name[2:5]],
        "emotion": EMODB.names[EMODB.letters.index(name[5])],
    }
    by_table = {column: _value(row, column) for column in COLUMNS if row is not None and row.cells.get(column)}
    for column, value in by_table.items():
        if value != by_name[column]:
            what = f"{column} is {value!r} by metadata.csv, {by_name[column]!r} by its name; metadata.csv counts"
            report.add(f"another {column}", [Fault(name, what)])
    fields = by_name | by_table
    return Utterance(
        id=name,
        audio=str(path.absolute()),
        speaker=fields["speaker"],
        gender=fields["gender"],
        language="de",
        split=split_of(fold_of(fields["speaker"]), fold, len(SPEAKERS)),
        fold=str(fold_of(fields["speaker"])),
        text=fields["transcript"],
        text_source="corpus",
        emotion=fields["emotion"],
    )


def _value(row: Row, column: str) -> str:
    """A cell as manifests have it. Raises DataError, naming the line, for what the corpus does not have."""
    text = row.text(column)
    known: Mapping[str, str] = VALUES.get(column, {text.lower(): text})
    if text.lower() not in known:
        raise DataError(f"{row.place}: {column} is one of {', '.join(known)}, got {text!r}")
    return known[text.lower()]
