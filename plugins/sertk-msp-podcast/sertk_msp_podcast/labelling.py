"""From a consensus row and raters' rows to the labels of an utterance, comparing the two on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from sertk.data.corpora.report import CorpusReport
from sertk.data.labels import OTHER
from sertk.data.manifest import Utterance
from sertk.errors import Fault
from sertk_msp_podcast.consensus import Consensus, consensus_of
from sertk_msp_podcast.gather import Gathered
from sertk_msp_podcast.labels import MSP_PODCAST
from sertk_msp_podcast.rating import Rating

Secondary = Literal["drop", "half"]
Missing = Literal["consensus", "unlabelled"]
SAME_MEAN = 0.005
"""How far a mean over raters may be from the file's to count as the same."""


def labelled(
    utterance: Utterance,
    files: Gathered,
    report: CorpusReport,
    *,
    secondary: Secondary = "drop",
    missing: Missing = "consensus",
) -> Utterance:
    """Give an utterance its consensus, votes, attributes and raters; one without a consensus row has none of them."""
    consensus = files.labels.by_id.get(utterance.id)
    if consensus is None:
        return utterance
    ratings = files.ratings.by_id.get(utterance.id, [])
    if ratings:
        compare(consensus, consensus_of(ratings), report)
    else:
        report.add("no votes", [Fault(utterance.id, f"has no rater's row: {_WITHOUT[missing]}")])
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
    """Count primary votes by class, in the order of the label set and then `Other`.

    secondary: `half` lets each secondary emotion that is a class, and not the rater's primary, count half a vote.
    """
    counts = Counter(rating.vote for rating in ratings)
    halves: Counter[str] = Counter()
    if secondary == "half":
        for rating in ratings:
            halves.update({word for word in rating.secondary if word in MSP_PODCAST.names and word != rating.vote})
    totals = {name: counts[name] + halves[name] / 2 for name in (*MSP_PODCAST.names, OTHER)}
    return {name: float(total) for name, total in totals.items() if total}


def compare(file: Consensus, raters: Consensus, report: CorpusReport) -> None:
    """Count where the file's consensus and means are those of the raters."""
    report.compared["utterances"] += 1
    report.compared["emotion"] += file.emotion == raters.emotion
    for name, value in file.attributes.items():
        report.compared["attributes"] += 1
        report.compared["attribute"] += (
            name in raters.attributes and abs(raters.attributes[name] - value) <= SAME_MEAN
        )


_WITHOUT = {"consensus": "the consensus is its label", "unlabelled": "kept without a label"}
