"""MSP-Podcast in, a manifest and a report out: whatever release, layout and form of label files it has."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from sertk.data.corpora.msp_podcast.consensus import (
    Consensus,
    ConsensusLabels,
    consensus_of,
    read_consensus,
    read_text,
)
from sertk.data.corpora.msp_podcast.counts import SPLITS, Counts, check_counts
from sertk.data.corpora.msp_podcast.layout import Layout, find_layout
from sertk.data.corpora.msp_podcast.lists import index_recordings, read_partitions, read_speakers, read_transcripts
from sertk.data.corpora.msp_podcast.rating import ATTRIBUTES, HIGHEST, LOWEST, Rating
from sertk.data.corpora.msp_podcast.ratings import Ratings, read_detailed
from sertk.data.corpora.msp_podcast.recordings import with_recordings
from sertk.data.corpora.report import CorpusReport
from sertk.data.labels import MSP_PODCAST
from sertk.data.manifest import Manifest, Utterance
from sertk.errors import Fault

Secondary = Literal["drop", "half"]
Missing = Literal["consensus", "unlabelled"]
SAME_MEAN = 0.005
"""How far a mean over raters may be from the file's to count as the same."""


@dataclass(frozen=True)
class _Files:
    """All that the label and list files say."""

    layout: Layout
    labels: ConsensusLabels
    ratings: Ratings
    split_of: Mapping[str, str]
    speaker_of: Mapping[str, str | None]
    gender_of: Mapping[str, str | None]


def read_msp_podcast(
    folder: Path,
    *,
    release: str | None = None,
    allow_partial: bool = False,
    transcripts: Sequence[Path] = (),
    secondary: Secondary = "drop",
    missing: Missing = "consensus",
    audio: bool = True,
) -> tuple[Manifest, CorpusReport]:
    """Read a copy of the corpus, whichever release it is of.

    release: asserted by its counts; found by them where not given. allow_partial: take a part of the corpus.
    transcripts: more folders of `<utterance>.txt`. secondary: `half` lets each secondary emotion of the label set
    count half a vote beside the primary. missing: what an utterance without a rater's row gets, the consensus as its
    label or none. audio: look at the recordings; without it paths are taken for granted and durations are unknown.

    A row or recording that cannot be used is left out and listed in the report. Raises DataError for a folder that
    is no layout of the corpus, for other counts than the release's, and for recordings missing by the hundred.
    """
    report = CorpusReport()
    files = _read_files(find_layout(folder), report)
    recordings = _recordings(files.layout, report) if audio else {}
    splits = _splits(files, recordings, report)
    _check_counts(files, splits, release, report, allow_partial=allow_partial)

    words, faults = read_transcripts([*transcripts, *files.layout.transcripts])
    report.add("empty transcript", faults)
    compared: Counter[str] = Counter()
    utterances = []
    audio_folder = next(iter(files.layout.audio), files.layout.folder / "Audios")
    for key in sorted(splits):
        path = recordings.get(key) or str(audio_folder / f"{key}.wav")
        utterance = Utterance(
            id=key,
            audio=os.path.abspath(path),  # noqa: PTH100 - Path.absolute costs five times as much
            language="en",
            split=splits[key],
            text=words.get(key),
            text_source="corpus" if key in words else None,
        )
        utterances.append(_labelled(utterance, files, report, compared, secondary, missing))
    report.compared = dict(compared)
    report.add_ids(
        "no transcript", (u.id for u in utterances if u.text is None), "has no transcript; kept without words"
    )
    if audio:
        utterances = with_recordings(utterances, recordings, report, allow_partial=allow_partial)
    report.count(utterances)
    note = f"{'MADE UP, ' if report.made_up else ''}release {report.release or 'unknown'}: {', '.join(report.files)}"
    ranges = dict.fromkeys(ATTRIBUTES, (LOWEST, HIGHEST))
    return Manifest("msp_podcast", MSP_PODCAST, ranges, tuple(utterances), note), report


def _read_files(layout: Layout, report: CorpusReport) -> _Files:
    report.files = layout.found()
    text_labels, text_ratings = None, None
    if layout.text and (layout.consensus is None or layout.detailed is None):
        text_labels, text_ratings = read_text(layout.text)
    labels = read_consensus(layout.consensus) if layout.consensus else text_labels
    ratings = read_detailed(layout.detailed) if layout.detailed else text_ratings
    assert labels is not None  # find_layout has seen to it
    assert ratings is not None
    report.form, report.rater_rows = ratings.form, ratings.rows
    report.consensus_rows = len(labels.by_id)
    report.add("consensus row", labels.faults)
    report.add("rater row", ratings.faults)
    split_of, faults = read_partitions(layout.partitions) if layout.partitions else ({}, [])
    report.add("partition line", faults)
    report.made_up = layout.made_up
    if layout.speakers is None:
        return _Files(layout, labels, ratings, split_of, {}, {})
    speakers = read_speakers(layout.speakers)
    report.add("speaker line", speakers.faults)
    return _Files(layout, labels, ratings, split_of, speakers.of, speakers.gender)


def _recordings(layout: Layout, report: CorpusReport) -> dict[str, str]:
    recordings, faults = index_recordings(layout.audio)
    report.add("recording in two places", faults)
    return recordings


def _splits(files: _Files, recordings: Mapping[str, str], report: CorpusReport) -> dict[str, str]:
    """The split of every utterance that has one: from the consensus, the partitions, or a recording named test3."""
    splits: dict[str, str] = {}
    for key, consensus in files.labels.by_id.items():
        listed = files.split_of.get(key)
        split = consensus.split or listed
        if split is None:
            report.add(
                "no split", [Fault(key, "stands in no split, neither in its row nor in the partitions; left out")]
            )
            continue
        if listed and listed != split:
            report.add(
                "two splits", [Fault(key, f"is in {split} by its row, in {listed} by the partitions; the row counts")]
            )
        splits[key] = split
    for key, split in files.split_of.items():
        if split == "test3":
            splits.setdefault(key, split)
        elif key not in splits:
            report.add("no consensus", [Fault(key, f"is listed in {split} but has no consensus row; left out")])
    for key in recordings:
        if "_test3_" in key.lower():
            splits.setdefault(key, "test3")
        elif key not in splits:
            report.add("recording without labels", [Fault(key, "has a recording but no row and no split; left out")])
    report.add_ids(
        "raters without consensus", (key for key in files.ratings.by_id if key not in splits), "has raters' rows only"
    )
    return splits


def _check_counts(
    files: _Files, splits: Mapping[str, str], release: str | None, report: CorpusReport, *, allow_partial: bool
) -> None:
    counts = Counter(splits.values())
    speakers: dict[str, set[str | None]] = {split: set() for split in SPLITS}
    for key, split in splits.items():
        consensus = files.labels.by_id.get(key)
        speakers[split].add((consensus.speaker if consensus else None) or files.speaker_of.get(key))
    found = Counts(
        utterances={split: counts[split] for split in SPLITS},
        named={split: len(names - {None}) for split, names in speakers.items()},
        unnamed={split: None in names for split, names in speakers.items()},
        consensus_rows=report.consensus_rows,
        rater_rows=report.rater_rows,
    )
    if report.made_up:
        report.release = "the toy corpus"
        return
    name, differs = check_counts(release, report.form, found, allow_partial=allow_partial)
    report.release = name
    report.add("count", [Fault("counts", message) for message in differs])


def _labelled(
    utterance: Utterance,
    files: _Files,
    report: CorpusReport,
    compared: Counter[str],
    secondary: Secondary,
    missing: Missing,
) -> Utterance:
    """The utterance with its consensus, votes, attributes, raters and speaker. Test3 has none of them."""
    consensus = files.labels.by_id.get(utterance.id)
    speaker = (consensus.speaker if consensus else None) or files.speaker_of.get(utterance.id)
    gender = (consensus.gender if consensus else None) or (files.gender_of.get(speaker) if speaker else None)
    utterance = replace(utterance, speaker=speaker, gender=gender)
    if consensus is None:
        return utterance
    ratings = files.ratings.by_id.pop(utterance.id, [])
    if ratings:
        _compare(consensus, consensus_of(ratings), compared)
    else:
        report.add("no votes", [Fault(utterance.id, "has no rater's row: the consensus is all there is")])
        if missing == "unlabelled":
            consensus = Consensus(None, {})
    return replace(
        utterance,
        emotion=consensus.emotion,
        attributes=consensus.attributes,
        votes=votes_of(ratings, secondary=secondary),
        raters=tuple(rating.row() for rating in ratings),
    )


def votes_of(ratings: Sequence[Rating], *, secondary: Secondary = "drop") -> dict[str, float]:
    """Count primary votes by class, in the order of the label set and then `Other`; secondary ones by half if asked."""
    counts: Counter[str] = Counter()
    for rating in ratings:
        counts[rating.vote] += 2
        if secondary == "half":
            counts.update({word for word in rating.secondary if word in MSP_PODCAST.names and word != rating.vote})
    return {name: counts[name] / 2 for name in (*MSP_PODCAST.names, "Other") if counts[name]}


def _compare(file: Consensus, raters: Consensus, compared: Counter[str]) -> None:
    compared["utterances"] += 1
    compared["emotion"] += file.emotion == raters.emotion
    for name, value in file.attributes.items():
        compared["attributes"] += 1
        compared["attribute"] += abs(raters.attributes.get(name, -9.0) - value) <= SAME_MEAN
