"""IEMOCAP in, a manifest and a report out: five sessions with their `EmoEvaluation` files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

from sertk.data.corpora.recordings import index_recordings, with_recordings
from sertk.data.corpora.report import CorpusReport
from sertk.data.labels import OTHER, LabelSet
from sertk.data.manifest import Manifest, Utterance
from sertk.errors import DataError, Fault
from sertk.revisions import revision
from sertk_corpora.checks import check_count, check_fold, split_of

SESSIONS, ALL, OF_FOUR = 5, 10_039, 5_531
ATTRIBUTES, LOWEST, HIGHEST = ("valence", "arousal", "dominance"), 1.0, 5.0
"""The attributes in the order of an `EmoEvaluation` line; activation is called arousal here."""
CODES = {
    "ang": "Anger",
    "dis": "Disgust",
    "exc": "Excitement",
    "fea": "Fear",
    "fru": "Frustration",
    "hap": "Happiness",
    "neu": "Neutral",
    "sad": "Sadness",
    "sur": "Surprise",
    "oth": OTHER,
    "xxx": None,
}
"""The consensus by its code; `xxx` is no agreement."""
WORDS = {
    "anger": "Anger",
    "disgust": "Disgust",
    "excited": "Excitement",
    "fear": "Fear",
    "frustration": "Frustration",
    "happiness": "Happiness",
    "neutral": "Neutral",
    "neutral state": "Neutral",
    "sadness": "Sadness",
    "surprise": "Surprise",
}
FOUR = ("Anger", "Happiness", "Neutral", "Sadness")
NINE = tuple(sorted(name for name in CODES.values() if name and name != OTHER))
_TURN = re.compile(r"\[[\d.]+ - [\d.]+\]\t(Ses0([1-5])[FM]_\S+_([FM])\w*)\t(\w{3})\t\[(.+), (.+), (.+)\]\s*")
_RATER = re.compile(r"C-(E\w*):\t(.*);\t\(.*\)\s*")
_WORDS = re.compile(r"(Ses0\S+) \[[\d.]+-[\d.]+\]: (.*)")


@revision(1)
def read_iemocap(
    folder: Path,
    /,
    *,
    classes: Literal["four", "nine"] = "four",
    improvised: bool = False,
    fold: int = 1,
    allow_partial: bool = False,
    audio: bool = True,
) -> tuple[Manifest, CorpusReport]:
    """IEMOCAP: dialogues of ten actors in five sessions, judged by raters, in English.

    By default the 5,531 utterances of anger, happiness, neutral and sadness are read, with excitement counted as
    happiness. Votes are those of raters other than the actors; who names several emotions gives each a share.

    Licence: of the University of Southern California, on request; for research.

    Speakers: ten actors, a woman and a man in each session.

    Folds: five, one session left out; the speaker is the actor who talks.

    EmoBox: the same five folds of sessions and the same 5,531 utterances.

    Known defects: values of attributes outside 1 to 5 are left out and listed. `._Ses*` files of macOS in
    `EmoEvaluation` are no evaluations.

    Page: https://sail.usc.edu/iemocap/

    Parameters
    ----------
    classes
        `four` classes with excitement merged into happiness, or all `nine`, with utterances without agreement too.
    improvised
        Read improvised dialogues only.
    fold
        The session, 1 to 5, that is `test`; the next one is `held_out`, the others `train`.
    allow_partial
        Accept an incomplete copy of the corpus.
    audio
        Look at the recordings.

    Raises
    ------
    DataError
        For a folder without sessions, for a line of an evaluation that cannot be read, and for a wrong number of
        utterances.
    """
    check_fold("IEMOCAP", fold, SESSIONS)
    report = CorpusReport(files=["Session*/dialog/EmoEvaluation/*.txt", "Session*/dialog/transcriptions/*.txt"])
    sessions = [place for n in range(1, SESSIONS + 1) if (place := folder / f"Session{n}").is_dir()]
    read = [one for session in sessions for path in _evaluations(session, report) for one in _turns(path, report)]
    if not read:
        raise DataError(
            f"{folder} is not a known layout of IEMOCAP: it has no Session1/dialog/EmoEvaluation/Ses*.txt. "
            f"Name the folder that holds Session1 to Session5."
        )
    check_count(folder, "IEMOCAP", "utterances", len(read), ALL, report, allow_partial=allow_partial)
    words = {id: text for session in sessions for id, text in _words(session)}
    kept = [
        replace(u, text=words.get(u.id), text_source="corpus" if u.id in words else None)
        for u in (_merged(one) if classes == "four" else one for one in read)
        if (classes == "nine" or u.emotion in FOUR) and (not improvised or "_impro" in u.id)
    ]
    if classes == "four" and not improvised:
        check_count(folder, "IEMOCAP", "of four classes", len(kept), OF_FOUR, report, allow_partial=allow_partial)
    report.add_ids("no transcript", (u.id for u in kept if u.text is None), "has no transcript; kept without words")
    utterances = [replace(u, split=split_of(int(u.fold or 0), fold, SESSIONS)) for u in kept]
    if audio:
        places = [place for session in sessions if (place := session / "sentences" / "wav").is_dir()]
        there = index_recordings(places, report)
        utterances = with_recordings(utterances, there, report, allow_partial=allow_partial)
    report.count(utterances)
    report.rater_rows = round(sum(sum(u.votes.values()) for u in utterances))
    report.form = f"{len(kept):,} of {len(read):,} utterances, {classes} classes{', improvised' * improvised}"
    labels = LabelSet(FOUR if classes == "four" else NINE)
    ranges = dict.fromkeys(ATTRIBUTES, (LOWEST, HIGHEST))
    note = f"session {fold} of {SESSIONS} is tested; {report.form}"
    return Manifest("iemocap", labels, ranges, tuple(utterances), note), report


def _evaluations(session: Path, report: CorpusReport) -> Iterator[Path]:
    for path in sorted((session / "dialog" / "EmoEvaluation").glob("*.txt")):
        if path.name.startswith("."):
            report.add("hidden file", [Fault(f"{session.name}/{path.name}", "is of macOS; left out")])
        else:
            yield path


def _turns(path: Path, report: CorpusReport) -> Iterator[Utterance]:
    """The turns of a dialogue: a line with its consensus, then lines of raters."""
    turn: Utterance | None = None
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        if line.startswith("[") and "%" not in line:
            if turn:
                yield turn
            if not (match := _TURN.fullmatch(line)) or match[4] not in CODES:
                raise DataError(
                    f"{path}, line {number}: is no turn, which is like "
                    f"[6.29 - 8.23] Ses01F_impro01_F000 neu [2.5, 2.5, 2.5] with tabs, and has a known code"
                )
            id, session, gender, code, *values = match.groups()
            turn = Utterance(
                id=id,
                audio=str((path.parents[2] / "sentences" / "wav" / path.stem / f"{id}.wav").absolute()),
                speaker=f"Ses0{session}{gender}",
                gender={"F": "female", "M": "male"}[gender],
                language="en",
                fold=session,
                emotion=CODES[code],
                attributes=_attributes(id, values, report),
            )
        elif turn and (rater := _RATER.fullmatch(line)):
            named = [WORDS.get(word.strip().lower(), OTHER) for word in rater[2].split(";") if word.strip()]
            votes = dict(turn.votes)
            for name in named:
                votes[name] = votes.get(name, 0.0) + 1 / len(named)
            turn = replace(turn, votes=votes)
    if turn:
        yield turn


def _attributes(id: str, values: list[str], report: CorpusReport) -> dict[str, float]:
    found = {}
    for name, text in zip(ATTRIBUTES, values, strict=True):
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if LOWEST <= value <= HIGHEST:
            found[name] = value
        else:
            report.add("attribute off the scale", [Fault(id, f"{name} is {text}, not 1 to 5; left out")])
    return found


def _merged(one: Utterance) -> Utterance:
    """An utterance in four classes: excitement is happiness, votes for all others are for `Other`."""
    votes: dict[str, float] = {}
    for name, count in one.votes.items():
        to = "Happiness" if name == "Excitement" else name if name in FOUR else OTHER
        votes[to] = votes.get(to, 0.0) + count
    return replace(one, votes=votes, emotion="Happiness" if one.emotion == "Excitement" else one.emotion)


def _words(session: Path) -> Iterator[tuple[str, str]]:
    for path in sorted((session / "dialog" / "transcriptions").glob("[!.]*.txt")):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            if match := _WORDS.fullmatch(line.strip()):
                yield match[1], match[2].strip()
