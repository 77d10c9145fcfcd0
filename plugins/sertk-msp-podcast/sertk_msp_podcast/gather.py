"""All label and list files of a copy of the corpus, read side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sertk.data.corpora.report import CorpusReport
from sertk.data.labels import OTHER
from sertk.errors import Fault
from sertk_msp_podcast.consensus import ConsensusLabels, read_consensus, read_text
from sertk_msp_podcast.layout import Layout
from sertk_msp_podcast.lists import read_partitions, read_speakers
from sertk_msp_podcast.rating import ATTRIBUTES
from sertk_msp_podcast.ratings import Ratings, read_detailed


@dataclass(frozen=True)
class Gathered:
    """What the label and list files say, by utterance id; gender_of: by speaker."""

    labels: ConsensusLabels
    ratings: Ratings
    split_of: Mapping[str, str]
    speaker_of: Mapping[str, str | None]
    gender_of: Mapping[str, str | None]

    def speaker(self, key: str) -> str | None:
        """The speaker by the consensus row, else by the list of speakers; None where neither knows."""
        consensus = self.labels.by_id.get(key)
        return (consensus.speaker if consensus else None) or self.speaker_of.get(key)

    def gender(self, key: str) -> str | None:
        """The gender by the consensus row, else by the speaker's line."""
        consensus = self.labels.by_id.get(key)
        speaker = self.speaker(key)
        return (consensus.gender if consensus else None) or (self.gender_of.get(speaker) if speaker else None)


def gather(layout: Layout, report: CorpusReport) -> Gathered:
    """Read the files of a layout; what cannot be read goes into the report."""
    report.files, report.made_up = layout.found(), layout.made_up
    report.add(
        "doubled folder", [Fault(str(path), "is in a folder of the same name; read") for path in layout.doubled]
    )
    text_labels, text_ratings = None, None
    if layout.text and (layout.consensus is None or layout.detailed is None):
        text_labels, text_ratings = read_text(layout.text)
    labels = read_consensus(layout.consensus) if layout.consensus else text_labels
    ratings = read_detailed(layout.detailed) if layout.detailed else text_ratings
    assert labels is not None  # find_layout has seen to it
    assert ratings is not None
    report.form = f"consensus: {labels.form}; raters: {ratings.form}"
    report.consensus_rows, report.rater_rows = len(labels.by_id), ratings.rows
    rows = [rating for rows in ratings.by_id.values() for rating in rows]
    report.values_missing = {name: labels.missing[name] for name in ATTRIBUTES}
    report.ratings_missing = {
        name: sum(rating[column] != rating[column] for rating in rows)
        for column, name in enumerate(ATTRIBUTES, start=3)
    }
    without = [name for name in ATTRIBUTES if labels.by_id and labels.missing[name] == len(labels.by_id)]
    report.add_ids("missing attribute", without, "has no value that could be read in any row of the consensus")
    report.own_words = sum(rating.vote == OTHER for rating in rows)
    report.add("consensus row", labels.faults)
    report.add("rater row", ratings.faults)
    split_of, faults = read_partitions(layout.partitions) if layout.partitions else ({}, [])
    report.add("partition line", faults)
    if layout.speakers is None:
        return Gathered(labels, ratings, split_of, {}, {})
    speakers = read_speakers(layout.speakers)
    report.add("speaker line", speakers.faults)
    return Gathered(labels, ratings, split_of, speakers.of, speakers.gender)


def splits_of(files: Gathered, recordings: Mapping[str, str], report: CorpusReport) -> dict[str, str]:
    """The split of every utterance that has one: from the consensus, the partitions, or a recording named test3."""
    splits: dict[str, str] = {}
    for key, consensus in files.labels.by_id.items():
        listed = files.split_of.get(key)
        split = consensus.split or listed
        if split is None:
            report.add("no split", [Fault(key, "is in no split, neither by its row nor by the partitions; left out")])
            continue
        if listed and listed != split:
            what = f"is in {split} by its row, in {listed} by the partitions; the row counts"
            report.add("two splits", [Fault(key, what)])
        splits[key] = split
    for key, split in files.split_of.items():
        if split == "test3":
            splits.setdefault(key, split)
        elif key not in files.labels.by_id:
            report.add("no consensus", [Fault(key, f"is listed in {split} but has no consensus row; left out")])
    for key in recordings:
        if "_test3_" in key.lower():
            splits.setdefault(key, "test3")
        elif key not in splits:
            report.add("recording without labels", [Fault(key, "has a recording but no row and no split; left out")])
    alone = (key for key in files.ratings.by_id if key not in splits)
    report.add_ids("raters without consensus", alone, "has raters' rows but no consensus row; left out")
    return splits
