"""MSP-Podcast in, a manifest and a report out: whatever release, layout and form of label files it has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from sertk.data.collection import without_collection
from sertk.data.corpora.msp_podcast.counts import SPLITS, Counts, check_counts
from sertk.data.corpora.msp_podcast.gather import Gathered, gather, splits_of
from sertk.data.corpora.msp_podcast.labelling import Missing, Secondary, labelled
from sertk.data.corpora.msp_podcast.layout import find_layout
from sertk.data.corpora.msp_podcast.lists import read_transcripts
from sertk.data.corpora.msp_podcast.rating import ATTRIBUTES, HIGHEST, LOWEST
from sertk.data.corpora.recordings import index_recordings, with_recordings
from sertk.data.corpora.report import CorpusReport
from sertk.data.labels import MSP_PODCAST
from sertk.data.manifest import Manifest, Utterance
from sertk.errors import Fault
from sertk.revisions import revision


@without_collection
@revision(2)
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
    is no layout of the corpus, for other counts than the release's, and for too many recordings that are missing.
    """
    report = CorpusReport()
    layout = find_layout(folder)
    files = gather(layout, report)
    recordings: dict[str, str] = {}
    if audio:
        recordings = index_recordings(layout.audio, report)
    splits = splits_of(files, recordings, report)
    _check_counts(files, splits, release, report, allow_partial=allow_partial)

    words, faults = read_transcripts([*transcripts, *layout.transcripts])
    for kind, listed in faults.items():
        report.add(kind, listed)
    utterances, recordings_folder = [], layout.recordings
    for key in sorted(splits):
        utterance = Utterance(
            id=key,
            audio=recordings.get(key) or f"{recordings_folder}/{key}.wav",
            speaker=files.speaker(key),
            gender=files.gender(key),
            language="en",
            split=splits[key],
            text=words.get(key),
            text_source="corpus" if key in words else None,
        )
        utterances.append(labelled(utterance, files, report, secondary=secondary, missing=missing))
    silent = (utterance.id for utterance in utterances if utterance.text is None)
    report.add_ids("no transcript", silent, "has no transcript; kept without words")
    if audio:
        utterances = with_recordings(utterances, recordings, report, allow_partial=allow_partial)
    report.count(utterances)
    note = f"{'MADE UP; ' if report.made_up else ''}release: {report.release or 'unknown'}; {', '.join(report.files)}"
    return Manifest(
        "msp_podcast", MSP_PODCAST, dict.fromkeys(ATTRIBUTES, (LOWEST, HIGHEST)), tuple(utterances), note
    ), report


def _check_counts(
    files: Gathered, splits: Mapping[str, str], release: str | None, report: CorpusReport, *, allow_partial: bool
) -> None:
    """Assert the counts of a real copy and put the release into the report."""
    counts = Counter(splits.values())
    speakers: dict[str, set[str | None]] = {split: set() for split in SPLITS}
    for key, split in splits.items():
        speakers[split].add(files.speaker(key))
    found = Counts(
        utterances={split: counts[split] for split in SPLITS},
        named={split: len(names - {None}) for split, names in speakers.items()},
        unnamed={split: None in names for split, names in speakers.items()},
        consensus_rows=report.consensus_rows,
        rater_rows=report.rater_rows,
    )
    if report.made_up and release is None:
        report.release = "toy"
        return
    report.release, differs = check_counts(release, report.form, found, allow_partial=allow_partial)
    report.add("count", [Fault("counts", message) for message in differs])
