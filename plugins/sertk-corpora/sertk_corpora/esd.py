"""ESD, the emotional speech dataset, in; a manifest and a report out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from sertk.data.corpora.recordings import index_recordings, with_recordings
from sertk.data.corpora.report import CorpusReport
from sertk.data.labels import LabelSet
from sertk.data.manifest import Manifest, Utterance
from sertk.errors import DataError, Fault
from sertk.revisions import revision
from sertk_corpora.checks import check_count, check_fold, split_of

ESD = LabelSet(("Anger", "Happiness", "Neutral", "Sadness", "Surprise"))
EMOTIONS = ("Neutral", "Anger", "Happiness", "Sadness", "Surprise")
"""By hundreds: 350 recordings each, in the order of their numbers."""
RECORDINGS, SPEAKERS, OF_EMOTION, LAST_MANDARIN = 35_000, 20, 350, 10
FOLDS = (
    ("0005", "0011", "0016", "0018"),
    ("0012", "0014", "0015", "0019"),
    ("0003", "0004", "0006", "0009"),
    ("0007", "0008", "0013", "0020"),
    ("0001", "0002", "0010", "0017"),
)
ENCODINGS = ("utf-8-sig", "gb18030")
_NAME = re.compile(r"(00(?:0[1-9]|1\d|20))_00([01]\d{3})")


@revision(1)
def read_esd(
    folder: Path, /, *, fold: int = 1, allow_partial: bool = False, audio: bool = True
) -> tuple[Manifest, CorpusReport]:
    """ESD: 350 sentences in five emotions by ten speakers each of Mandarin and English.

    The number of a recording says its emotion. The published parts `train`, `evaluation` and `test` may be there or
    not; they do not count, since every speaker is in all of them.

    Licence: for research, on request; its page gives the terms.

    Speakers: 20; 0001 to 0010 speak Mandarin, 0011 to 0020 English.

    Folds: five of four speakers.

    EmoBox: the same five folds of four speakers.

    Known defects: transcripts are in UTF-8, UTF-16 or GBK, each is tried.

    Page: https://hltsingapore.github.io/ESD/

    Parameters
    ----------
    fold
        The fold, 1 to 5, of which the speakers are `test`; those of the next are `held_out`, all others `train`.
    allow_partial
        Accept an incomplete copy of the corpus.
    audio
        Look at the recordings.

    Raises
    ------
    DataError
        For a folder without speakers, and for a wrong number of recordings.
    """
    check_fold("ESD", fold, len(FOLDS))
    report = CorpusReport(files=["0001/ to 0020/", "*/*.txt"], form="emotions by the numbers of recordings")
    places = [place for number in range(1, SPEAKERS + 1) if (place := folder / f"{number:04d}").is_dir()]
    there = index_recordings(places, report)
    what = "is no name of ESD, which are like 0011_000351; left out"
    report.add("strange name", [Fault(path, what) for name, path in there.items() if not _emotion(name)])
    there = {name: path for name, path in there.items() if _emotion(name)}
    if not there:
        raise DataError(f"{folder} is not a known layout of ESD: no recording is like 0011/Angry/0011_000351.wav")
    check_count(folder, "ESD", "recordings", len(there), RECORDINGS, report, allow_partial=allow_partial)
    words = {id: text for place in places for id, text in _words(place, report)}
    part = {speaker: number for number, speakers in enumerate(FOLDS, start=1) for speaker in speakers}
    utterances = [
        Utterance(
            id=name,
            audio=path,
            speaker=name[:4],
            language="zh" if int(name[:4]) <= LAST_MANDARIN else "en",
            fold=str(part[name[:4]]),
            split=split_of(part[name[:4]], fold, len(FOLDS)),
            emotion=_emotion(name),
        )
        for name, path in sorted(there.items())
    ]
    report.add_ids("no transcript", (u.id for u in utterances if u.id not in words), "has no transcript")
    utterances = [replace(u, text=words[u.id], text_source="corpus") if u.id in words else u for u in utterances]
    if audio:
        utterances = with_recordings(utterances, there, report, allow_partial=allow_partial)
    report.count(utterances)
    return Manifest("esd", ESD, {}, tuple(utterances), f"fold {fold} of {len(FOLDS)}; acted emotions"), report


def _emotion(name: str) -> str | None:
    match = _NAME.fullmatch(name)
    place = (int(match[2]) - 1) // OF_EMOTION if match else -1
    return EMOTIONS[place] if 0 <= place < len(EMOTIONS) else None


def _words(place: Path, report: CorpusReport) -> Iterator[tuple[str, str]]:
    """The transcripts of a speaker: number, words and emotion, with tabs between."""
    path = place / f"{place.name}.txt"
    if not path.is_file():
        return
    content = path.read_bytes()
    for encoding in ("utf-16",) if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ENCODINGS:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if encoding != ENCODINGS[0]:
            report.add("encoding", [Fault(path.name, f"is in {encoding}, not in UTF-8; read")])
        for line in text.splitlines():
            cells = line.split("\t")
            if len(cells) >= 2 and _NAME.fullmatch(cells[0].strip()):
                yield cells[0].strip(), cells[1].strip()
        return
    report.add("encoding", [Fault(path.name, "is in no known encoding; left out")])
