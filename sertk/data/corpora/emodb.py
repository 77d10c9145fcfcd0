"""EMO-DB, the Berlin database of emotional speech, in; a manifest and a report out."""

from __future__ import annotations

from pathlib import Path

from sertk.data.corpora.recordings import with_recordings
from sertk.data.corpora.report import CorpusReport
from sertk.data.corpora.tables import read_table
from sertk.data.labels import LabelSet
from sertk.data.manifest import Manifest, Utterance
from sertk.errors import DataError
from sertk.revisions import revision

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
SUFFIXES = (".wav", ".flac")


@revision(1)
def read_emodb(
    folder: Path, *, fold: int = 1, allow_partial: bool = False, audio: bool = True
) -> tuple[Manifest, CorpusReport]:
    """Read a copy of EMO-DB: the recordings in `wav/`, or those that a `metadata.csv` names.

    Everything is in the names: `03a01Wa` is speaker 03, sentence a01, emotion W, version a. There are no votes; the
    acted emotion is the label. fold: 1 to 10, leave one speaker out: its speaker is `test`, the next one `held_out`,
    the other eight `train`. allow_partial: take a part of the corpus. audio: look at the recordings.

    Raises DataError for a folder without such recordings, a name that is none, and another number of clips.
    """
    speakers = [*SPEAKERS]
    if not 1 <= fold <= len(speakers):
        raise DataError(f"EMO-DB has folds 1 to {len(speakers)}, a speaker each; there is no fold {fold}")
    splits = {speakers[fold - 1]: "test", speakers[fold % len(speakers)]: "held_out"}
    report = CorpusReport(form="the published set of 535")
    recordings = _recordings(folder, report)
    if len(recordings) != CLIPS and not allow_partial:
        raise DataError(
            f"{folder}: {len(recordings)} recordings, EMO-DB has {CLIPS}: "
            f"complete the copy, or read what is there with --allow-partial"
        )
    utterances = [_utterance(name, path, splits) for name, path in sorted(recordings.items())]
    if audio:
        there = {name: str(path) for name, path in recordings.items() if path.is_file()}
        utterances = with_recordings(utterances, there, report, allow_partial=allow_partial)
    report.count(utterances)
    note = f"fold {fold} of {len(speakers)}: speaker {speakers[fold - 1]} is left out"
    return Manifest("emodb", EMODB, {}, tuple(utterances), note), report


def _recordings(folder: Path, report: CorpusReport) -> dict[str, Path]:
    """Paths by name."""
    metadata, wav = folder / "metadata.csv", folder / "wav"
    if metadata.is_file():
        report.files = ["metadata.csv"]
        paths = [folder / row.text("file") for row in read_table(metadata, ("file",))]
    elif wav.is_dir():
        report.files = ["wav/"]
        paths = [path for path in wav.iterdir() if path.suffix.lower() in SUFFIXES]
    else:
        raise DataError(f"{folder} is no layout of EMO-DB that is known: it has neither wav/ nor metadata.csv")
    return {path.stem: path for path in paths}


def _utterance(name: str, path: Path, splits: dict[str, str]) -> Utterance:
    speaker, sentence, letter = name[:2], name[2:5], name[5:6]
    if len(name) != 7 or speaker not in SPEAKERS or sentence not in SENTENCES or letter not in EMODB.letters:
        raise DataError(f"{path}: no name of EMO-DB, which are like 03a01Wa: speaker, sentence, emotion, version")
    return Utterance(
        id=name,
        audio=str(path.absolute()),
        speaker=speaker,
        gender=SPEAKERS[speaker],
        language="de",
        split=splits.get(speaker, "train"),
        text=SENTENCES[sentence],
        text_source="corpus",
        emotion=EMODB.names[EMODB.letters.index(letter)],
    )
