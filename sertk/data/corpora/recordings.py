"""What the recordings of a corpus are like: missing ones and bad headers left out, odd formats listed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sertk.data.corpora.report import CorpusReport
from sertk.data.headers import read_headers
from sertk.data.manifest import Utterance
from sertk.errors import AudioError, DataError, Fault

SAMPLE_RATE, CHANNELS = 16_000, 1
"""What the recordings of the corpora that are read here should be, Hz and number."""
FEW, FEW_SHARE = 10, 0.01
"""So many recordings, or this share, may be missing before something is wrong with the copy."""


def with_recordings(
    utterances: Sequence[Utterance], recordings: Mapping[str, str], report: CorpusReport, *, allow_partial: bool
) -> list[Utterance]:
    """Give the utterances that have a usable recording, with duration and rate from its header.

    Raises DataError where more than some are missing, unless a part of the corpus is allowed, and where all are.
    """
    missing = [utterance.id for utterance in utterances if utterance.id not in recordings]
    allowed = len(utterances) - 1 if allow_partial else max(FEW, FEW_SHARE * len(utterances))
    if missing and len(missing) > allowed:
        raise DataError(
            f"{len(missing):,} of {len(utterances):,} utterances have no recording ({', '.join(missing[:3])}, ...): "
            f"unpack them all, read what is there with --allow-partial, or read the labels alone with --no-audio"
        )
    report.add_ids("no recording", missing, "has no recording; left out")
    there = [utterance for utterance in utterances if utterance.id in recordings]
    kept = []
    for utterance, info in zip(there, read_headers(Path(u.audio) for u in there), strict=True):
        if isinstance(info, AudioError):
            report.add("bad recording", [Fault(utterance.id, f"{info}; left out")])
            continue
        if (info.sample_rate, info.channels) != (SAMPLE_RATE, CHANNELS):
            what = (
                f"{info.channels} channels at {info.sample_rate} Hz; kept, mixed down and resampled when it is read"
            )
            report.add("odd format", [Fault(utterance.id, what)])
        kept.append(replace(utterance, duration=round(info.seconds, 6), sample_rate=info.sample_rate))
    return kept
