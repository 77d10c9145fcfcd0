"""MSP-Podcast in, a manifest and a report out: whatever release, layout and form of label files it has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from sertk.data.collection import without_collection
from sertk.data.corpora.recordings import index_recordings, with_recordings
from sertk.data.corpora.report import CorpusReport
from sertk.data.manifest import Manifest, Utterance
from sertk.errors import Fault
from sertk.revisions import revision
from sertk_msp_podcast.counts import SPLITS, Counts, check_counts
from sertk_msp_podcast.gather import Gathered, gather, splits_of
from sertk_msp_podcast.labelling import Missing, Secondary, labelled
from sertk_msp_podcast.labels import MSP_PODCAST
from sertk_msp_podcast.layout import find_layout
from sertk_msp_podcast.lists import read_transcripts
from sertk_msp_podcast.rating import ATTRIBUTES, HIGHEST, LOWEST


@without_collection
@revision(2)
def read_msp_podcast(
    folder: Path,
    /,
    *,
    release: str | None = None,
    allow_partial: bool = False,
    transcripts: Sequence[Path] = (),
    secondary: Secondary = "drop",
    missing: Missing = "consensus",
    audio: bool = True,
) -> tuple[Manifest, CorpusReport]:
    """MSP-Podcast, any release in any of its layouts.

    A row or recording that cannot be used is left out and listed in the report.

    Parameters
    ----------
    release
        The release, such as 1.12 or 2025, whose counts the copy must have. By default it is detected by its counts.
    allow_partial
        Accept an incomplete copy of the corpus.
    transcripts
        Another folder of transcripts, `<utterance>.txt`; can be repeated.
    secondary
        Secondary emotions: `drop` ignores them, `half` counts each of the label set as half a vote.
    missing
        Utterances without votes: `consensus` uses the consensus as their label, `unlabelled` gives them none.
    audio
        Look at the recordings. Without, durations are unknown and no recording is checked.

    Raises
    ------
    DataError
        For a folder that is no layout of the corpus, for counts that differ from the release's, and where too many
        recordings are missing.
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
