"""MSP-IMPROV in, a manifest and a report out: its file of evaluations and the recordings of six sessions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from sertk.data.corpora.recordings import index_recordings, with_recordings
from sertk.data.corpora.report import CorpusReport
from sertk.data.labels import OTHER, LabelSet
from sertk.data.manifest import Manifest, Utterance
from sertk.errors import DataError, Fault
from sertk.revisions import revision
from sertk_corpora.checks import check_count, check_fold, split_of

MSP_IMPROV = LabelSet(("Anger", "Happiness", "Neutral", "Sadness"), letters="AHNS")
CODES = {"A": "Anger", "H": "Happiness", "N": "Neutral", "S": "Sadness", "O": OTHER, "X": None}
WORDS = {"angry": "Anger", "happy": "Happiness", "neutral": "Neutral", "sad": "Sadness"}
TURNS, SESSIONS = 8_438, 6
EVALUATIONS = ("Evalution.txt", "Evaluation.txt")
"""Both ways in which copies spell the name of the file."""
ATTRIBUTES, LOWEST, HIGHEST = ("arousal", "valence", "dominance"), 1.0, 5.0
_VALUES = r"\s*A:([\d.]+|NaN)\s*;\s*V:([\d.]+|NaN)\s*;\s*D:([\d.]+|NaN)\s*;\s*N:(?:[\d.]+|NaN)\s*;?\s*"
_TURN = re.compile(
    rf"(?:UTD|MSP)-IMPROV-(S\d\d[AHNS]-([FM])0([1-6])-[PRST]-[FM]{{2}}\d\d)\.avi;\s*([AHNSOX]);{_VALUES}"
)
_RATER = re.compile(rf"([\w-]+);\s*(\w+);.*?;{_VALUES}")


@revision(1)
def read_msp_improv(
    folder: Path, /, *, fold: int = 1, allow_partial: bool = False, audio: bool = True
) -> tuple[Manifest, CorpusReport]:
    """MSP-IMPROV: improvised and read turns of twelve actors in six sessions, judged by raters, in English.

    Other emotions are `Other`; turns without agreement have votes alone. Repeated rows of a rater count once.

    Licence: of the University of Texas at Dallas, on request; for research.

    Speakers: twelve, a woman and a man in each session; the speaker here is the actor whose scene it is, who is named
    by the file. Turns of the partner have the same name, so only whole sessions keep voices apart.

    Folds: six, one session left out.

    EmoBox: does not have it.

    Known defects: the file of evaluations is called `Evalution.txt` in some copies. Arousal is written from high to
    low (1 is most active); it is turned here to 6 less the value.

    Page: https://ecs.utdallas.edu/research/researchlabs/msp-lab/MSP-Improv.html

    Parameters
    ----------
    fold
        The session, 1 to 6, that is `test`; the next one is `held_out`, the others `train`.
    allow_partial
        Accept an incomplete copy of the corpus.
    audio
        Look at the recordings.

    Raises
    ------
    DataError
        For a folder without evaluations, for a turn that cannot be read, and for a wrong number of turns.
    """
    check_fold("MSP-IMPROV", fold, SESSIONS)
    path = next((folder / name for name in EVALUATIONS if (folder / name).is_file()), None)
    if path is None:
        raise DataError(f"{folder} is not a known layout of MSP-IMPROV: it has no {' or '.join(EVALUATIONS)}")
    report = CorpusReport(files=[path.name], form="consensus and votes of raters")
    turns = {turn.id: turn for turn in _turns(path, folder, report)}
    check_count(folder, "MSP-IMPROV", "turns", len(turns), TURNS, report, allow_partial=allow_partial)
    utterances = [replace(u, split=split_of(int(u.fold or 0), fold, SESSIONS)) for _, u in sorted(turns.items())]
    if audio:
        there = index_recordings([folder], report)
        what = "is no recording of MSP-IMPROV with an evaluation; left out"
        report.add("strange name", [Fault(place, what) for name, place in there.items() if name not in turns])
        utterances = with_recordings(utterances, there, report, allow_partial=allow_partial)
    report.count(utterances)
    report.rater_rows = round(sum(sum(u.votes.values()) for u in utterances))
    ranges = dict.fromkeys(ATTRIBUTES, (LOWEST, HIGHEST))
    note = f"session {fold} of {SESSIONS} is tested"
    return Manifest("msp_improv", MSP_IMPROV, ranges, tuple(utterances), note), report


def _turns(path: Path, folder: Path, report: CorpusReport) -> Iterator[Utterance]:
    turn: Utterance | None = None
    seen: set[str] = set()
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        if ".avi;" in line:
            if turn:
                yield turn
            if not (match := _TURN.fullmatch(line.strip())):
                raise DataError(f"{path}, line {number}: is no turn, like UTD-IMPROV-S01A-F01-P-FM01.avi; A; A:3; ..")
            name, gender, session, code, *values = match.groups()
            id = f"MSP-IMPROV-{name}"
            place = folder / "Audio" / f"session{session}" / name[:4] / name[9] / f"{id}.wav"
            seen = set()
            turn = Utterance(
                id=id,
                audio=str(place.absolute()),
                speaker=f"{gender}0{session}",
                language="en",
                fold=session,
                emotion=CODES[code],
                attributes=_attributes(id, values, report),
            )
        elif turn and (rater := _RATER.fullmatch(line.strip())):
            if rater[1] in seen:
                report.add("rater twice", [Fault(turn.id, f"{rater[1]} is there again; the first row counts")])
                continue
            seen.add(rater[1])
            name = WORDS.get(rater[2].lower(), OTHER)
            turn = replace(turn, votes=dict(turn.votes) | {name: turn.votes.get(name, 0.0) + 1})
    if turn:
        yield turn


def _attributes(id: str, values: list[str], report: CorpusReport) -> dict[str, float]:
    found = {}
    for name, text in zip(ATTRIBUTES, values, strict=True):
        value = float(text)
        if LOWEST <= value <= HIGHEST:
            found[name] = LOWEST + HIGHEST - value if name == "arousal" else value
        else:
            report.add("attribute off the scale", [Fault(id, f"{name} is {text}, not 1 to 5; left out")])
    return found
