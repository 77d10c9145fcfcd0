"""CREMA-D in, a manifest and a report out: from the authors' folder, or from one `metadata.csv` beside the clips."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from sertk.data.corpora.recordings import named_recordings, with_recordings
from sertk.data.corpora.report import CorpusReport
from sertk.data.corpora.tables import Row, read_table
from sertk.data.labels import LabelSet
from sertk.data.manifest import Manifest, Utterance
from sertk.errors import DataError, Fault
from sertk.revisions import revision
from sertk_corpora.checks import check_fold, split_of

CREMA_D = LabelSet(("Anger", "Disgust", "Fear", "Happiness", "Neutral", "Sadness"), letters="ADFHNS")
"""The six emotions that raters chose among, in the order of the corpus's own tables."""
INTENSITY = (0.0, 100.0)
CLIPS, FOLDS, FIRST_SPEAKER, SPEAKERS_A_FOLD = 7442, 5, 1001, 18
SPLITS = {"Train": "train", "Development": "held_out", "Test": "test"}
AUDIO_ONLY = 1
"""The hundred thousands of a row's number in `tabulatedVotes.csv`: 1 heard the voice, 2 saw the face, 3 did both."""
SENTENCES = {
    "DFA": "Don't forget a jacket.",
    "IEO": "It's eleven o'clock.",
    "IOM": "I'm on my way to the meeting.",
    "ITH": "I think I have a doctor's appointment.",
    "ITS": "I think I've seen this before.",
    "IWL": "I would like a new alarm clock.",
    "IWW": "I wonder what this is about.",
    "MTI": "Maybe tomorrow it will be cold.",
    "TAI": "The airplane is almost full.",
    "TIE": "That is exactly what happened.",
    "TSI": "The surface is slick.",
    "WSI": "We'll stop in a couple of minutes.",
}
ACTED = dict(zip(("ANG", "DIS", "FEA", "HAP", "NEU", "SAD"), CREMA_D.names, strict=True))
"""The emotion that the actor was asked for, by its code in the name of a clip."""
KNOWN_ISSUES = {
    "1064_IEO_DIS_MD": "the recording that raters heard is a minute long and has all emotions",
    "1064_TIE_SAD_XX": "the recording that raters heard has no duration",
    "1076_MTI_NEU_XX": "the recording that raters heard was short or empty",
    "1076_MTI_SAD_XX": "the recording has no sound",
}
"""What the authors say of four clips (the README of the corpus)."""


@dataclass(frozen=True)
class Clip:
    """One clip with its audio-only ratings. majority: names of the classes with most votes, as its table has them."""

    id: str
    audio: Path
    gender: str | None
    votes: Mapping[str, float]
    intensity: float
    majority: frozenset[str]
    split: str
    fold: str | None
    issue: str = ""
    identical_to: str = ""


@revision(3)
def read_crema_d(
    folder: Path, /, *, fold: int = 1, acted: bool = False, allow_partial: bool = False, audio: bool = True
) -> tuple[Manifest, CorpusReport]:
    """CREMA-D, with the votes of listeners who heard the voice alone.

    The label is the class with the most votes; a tie counts as no agreement. The mean rated intensity is the
    attribute. Clips with known defects are kept and listed in the report. The folder is the authors' (`AudioWAV/`,
    `processedResults/`), or one with a `metadata.csv` next to the clips.

    Parameters
    ----------
    fold
        The fold, 1 to 5, of which the speakers are `test`; those of the next fold are `held_out`, all others `train`.
        A fold has 18 speakers by number, the last one the rest; columns `fold1` to `fold5` of a `metadata.csv` count
        instead.
    acted
        The label is the emotion that the actor was asked for, as published results have it; there are no votes then.
    allow_partial
        Accept an incomplete copy of the corpus.
    audio
        Look at the recordings.

    Raises
    ------
    DataError
        For a folder of neither layout, for faulty tables, and for a wrong number of clips.
    """
    check_fold("CREMA-D", fold, FOLDS)
    report = CorpusReport()
    metadata, votes = folder / "metadata.csv", folder / "processedResults" / "tabulatedVotes.csv"
    if metadata.is_file():
        clips = _from_metadata(metadata, fold)
        report.form, report.files = "votes of the columns voice_* of metadata.csv", ["metadata.csv"]
    elif votes.is_file():
        clips = _from_authors(folder, votes, fold)
        report.form = "audio-only votes of the authors' folder"
        report.files = ["processedResults/tabulatedVotes.csv", "VideoDemographics.csv", "AudioWAV/"]
    else:
        raise DataError(
            f"{folder} is not a known layout of CREMA-D: it has neither metadata.csv nor "
            f"processedResults/tabulatedVotes.csv. Name the folder that holds AudioWAV and processedResults; "
            f"recordings alone are read by crema_d_acted."
        )
    if len(clips) != CLIPS and not allow_partial:
        raise DataError(
            f"{folder}: {len(clips):,} clips with audio-only votes, CREMA-D has {CLIPS:,}: "
            f"complete the copy, or read what is there with --allow-partial"
        )
    twice = [name for name, count in Counter(clip.id for clip in clips).items() if count > 1]
    if twice:
        raise DataError(f"{folder}: {len(twice)} clips occur twice in the table, the first is {twice[0]}")
    if len(clips) != CLIPS:
        report.form += f"; {len(clips):,} clips, a part of {CLIPS:,}"
    utterances = [_utterance(clip, report) for clip in clips]
    if acted:
        utterances = [replace(u, votes={}, emotion=ACTED[u.id[9:12]]) for u in utterances]
    if audio:
        there = named_recordings({clip.id: clip.audio for clip in clips}, report)
        utterances = with_recordings(utterances, there, report, allow_partial=allow_partial)
    report.count(utterances)
    note = f"fold {fold} of {FOLDS}; {'acted emotions' if acted else 'audio-only votes'}"
    return Manifest("crema_d", CREMA_D, {"intensity": INTENSITY}, tuple(utterances), note), report


def fold_of(speaker: int) -> int:
    """The fold, from 1, that tests a speaker: 18 speakers by number, the rest in the last."""
    return min((speaker - FIRST_SPEAKER) // SPEAKERS_A_FOLD, FOLDS - 1) + 1


def _utterance(clip: Clip, report: CorpusReport) -> Utterance:
    most = max(clip.votes.values())
    winners = [name for name in CREMA_D.names if clip.votes[name] == most]
    report.rater_rows += round(sum(clip.votes.values()))
    report.consensus_rows += 1
    report.compared["utterances"] += 1
    report.compared["emotion"] += set(winners) == clip.majority
    if clip.issue:
        report.add("known issue", [Fault(clip.id, f"{clip.issue}; kept")])
    if clip.identical_to:
        report.add("identical audio", [Fault(clip.id, f"has the same sound as {clip.identical_to}; kept")])
    return Utterance(
        id=clip.id,
        audio=str(clip.audio.absolute()),
        speaker=clip.id[:4],
        gender=clip.gender,
        language="en",
        split=clip.split,
        fold=clip.fold,
        text=SENTENCES[clip.id[5:8]],
        text_source="corpus",
        votes={name: count for name, count in clip.votes.items() if count},
        emotion=winners[0] if len(winners) == 1 else None,
        attributes={"intensity": clip.intensity},
    )


def _from_metadata(path: Path, fold: int) -> list[Clip]:
    votes = {name: f"voice_{name.lower()}" for name in CREMA_D.names}
    columns = ("file", "clip", "gender", *votes.values(), "voice_majority", "voice_mean_level", f"fold{fold}")
    optional = ("known_issue", "identical_to")
    clips = []
    for row in read_table(path, columns):
        issue, identical = (row.cells.get(name, "") for name in optional)
        split = row.text(f"fold{fold}")
        if split not in SPLITS:
            raise DataError(f"{row.place}: fold{fold} is one of {', '.join(SPLITS)}, got {split!r}")
        counts = _votes(row, votes)
        majority = frozenset(name.capitalize() for name in row.text("voice_majority").split(":"))
        gender = row.cells["gender"] or None
        clips.append(
            Clip(
                _clip_id(row, "clip"),
                path.parent / row.path("file"),
                gender,
                counts,
                row.number("voice_mean_level"),
                majority,
                SPLITS[split],
                next((str(n) for n in range(1, FOLDS + 1) if row.cells.get(f"fold{n}") == "Test"), None),
                issue,
                identical,
            )
        )
    return clips


def _from_authors(folder: Path, path: Path, fold: int) -> list[Clip]:
    letters = dict(zip(CREMA_D.names, CREMA_D.letters, strict=True))
    people = read_table(folder / "VideoDemographics.csv", ("ActorID", "Sex"))
    genders = {row.text("ActorID"): row.text("Sex").lower() for row in people}
    clips = []
    for row in read_table(path, ("", *letters.values(), "fileName", "emoVote", "meanEmoResp")):
        if row.number("") // 100_000 != AUDIO_ONLY:
            continue
        name = _clip_id(row, "fileName")
        clips.append(
            Clip(
                name,
                folder / "AudioWAV" / f"{name}.wav",
                genders.get(name[:4]),
                _votes(row, letters),
                row.number("meanEmoResp"),
                frozenset(CREMA_D.names[CREMA_D.letters.index(one)] for one in row.text("emoVote").split(":")),
                split_of(fold_of(int(name[:4])), fold, FOLDS),
                str(fold_of(int(name[:4]))),
                KNOWN_ISSUES.get(name, ""),
            )
        )
    return sorted(clips, key=lambda clip: clip.id)


def _votes(row: Row, columns: Mapping[str, str]) -> dict[str, float]:
    votes = {name: row.number(column) for name, column in columns.items()}
    if not sum(votes.values()) > 0 or min(votes.values()) < 0:
        raise DataError(f"{row.place}: the votes are {votes}: needs counts, and one vote or more")
    return votes


def _clip_id(row: Row, column: str) -> str:
    name = row.text(column)
    if not (name[:4].isdigit() and name[5:8] in SENTENCES):
        raise DataError(f"{row.place}: {name!r} is no clip: they are called SPEAKER_SENTENCE_EMOTION_LEVEL")
    return name
