"""The splits of a corpus from a table: its own, those of its folds, or folds that keep speakers apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sertk.data.corpora.report import CorpusReport
from sertk.data.manifest import Utterance
from sertk.data.splits import speaker_folds
from sertk.errors import DataError, Fault

UNKNOWN = (
    "speakers are unknown: one voice may be in training and in test, so every score may be too good and every "
    "interval too narrow"
)


def divided(
    path: Path,
    utterances: Sequence[Utterance],
    *,
    has_splits: bool,
    groups: Mapping[str, str],
    grouped_by: str,
    fold: str,
    folds: int,
    report: CorpusReport,
) -> list[Utterance]:
    """The utterances with their splits, which the report's form says.

    groups: by id, what is kept in one part when the table has neither splits nor folds; those without one train.
    grouped_by: what that is, for people. fold: the one to test, `` for the first. Raises DataError.
    """
    own_folds = any(utterance.fold for utterance in utterances)
    if has_splits:
        made = _with(utterances, "split", report)
        report.form += "; splits of the table" + (", not its folds" if own_folds else "")
    elif own_folds:
        made = _with(utterances, "fold", report)
        names = sorted({u.fold for u in made if u.fold}, key=_natural)
        if len(names) < 3:
            raise DataError(f"{path}: has the folds {', '.join(names)}: three or more are needed, or a column split")
        tested = fold or names[0]
        if tested not in names:
            raise DataError(f"{path}: has no fold {tested!r}. Folds: {', '.join(names)}")
        held_out = names[(names.index(tested) + 1) % len(names)]
        parts = {tested: "test", held_out: "held_out"}
        made = [replace(u, split=parts.get(u.fold or "", "train")) for u in made]
        report.form += f"; fold {tested} of the table's {len(names)} tested, fold {held_out} held out"
    else:
        made = _drawn(path, utterances, groups, fold or "1", folds)
        report.form += f"; fold {fold or '1'} of {folds} by {grouped_by}"
    _note_speakers(path, made, report)
    return made


def _with(utterances: Sequence[Utterance], what: str, report: CorpusReport) -> list[Utterance]:
    """Those that say their split, or their fold."""
    lacking = [u.id for u in utterances if getattr(u, what) is None]
    report.add_ids(f"no {what}", lacking, f"has no {what} in the table; left out")
    return [u for u in utterances if getattr(u, what) is not None]


def _drawn(
    path: Path, utterances: Sequence[Utterance], groups: Mapping[str, str], fold: str, folds: int
) -> list[Utterance]:
    number = int(fold) if fold.isascii() and fold.isdigit() else 0
    if folds < 3 or not 1 <= number <= folds:
        raise DataError(f"--fold {fold} --folds {folds}: a fold from 1 to {folds}, of 3 or more")
    count = len(set(groups.values()))
    if count < folds:
        raise DataError(f"{path}: {count} speakers cannot be divided into {folds} folds: give fewer with --folds")
    parts = speaker_folds([replace(u, speaker=groups.get(u.id)) for u in utterances], folds)
    split = dict.fromkeys(parts[number - 1], "test") | dict.fromkeys(parts[number % folds], "held_out")
    return [replace(u, split=split.get(u.id, "train")) for u in utterances]


def _note_speakers(path: Path, utterances: Sequence[Utterance], report: CorpusReport) -> None:
    """Say what is odd about the speakers: unknown ones, one in each row, one in two splits, one in two spellings."""
    splits: dict[str, set[str]] = defaultdict(set)
    ways: dict[str, set[str]] = defaultdict(set)
    for utterance in utterances:
        if utterance.speaker:
            splits[utterance.speaker].add(utterance.split or "")
            ways[utterance.speaker.casefold()].add(utterance.speaker)
    if not splits:
        report.form += f"; {UNKNOWN}"
    recordings = {utterance.audio for utterance in utterances}
    if len(recordings) > 10 and len(splits) == len(utterances):
        what = f"a speaker of its own in each of {len(utterances)} rows: is it the number of a recording?"
        report.add("doubtful speakers", [Fault(path.name, what)])
    for names in ways.values():
        if len(names) > 1:
            what = f"{' and '.join(sorted(names))} count as two speakers: are they one?"
            report.add("doubtful speakers", [Fault(path.name, what)])
    for speaker, found in splits.items():
        if len(found) > 1:
            report.add("speaker in several splits", [Fault(speaker, f"is in {', '.join(sorted(found))}")])


def _natural(name: str) -> tuple[bool, float, str]:
    number = float(name) if name.isascii() and name.isdigit() else 0.0
    return not (name.isascii() and name.isdigit()), number, name
