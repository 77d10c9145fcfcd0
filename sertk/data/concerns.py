"""What a reviewer would ask of a corpus: whether anything but the voice could tell the label, or tell it twice.

Speakers, channels, lengths and silences that go with the classes let a model score well without hearing emotion.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sertk.data.audio_stats import ODD, AudioStats
from sertk.data.manifest import Manifest, Utterance

FEWEST_SPEAKERS = 5
"""A class of fewer speakers: its score is theirs, not the class's."""
BINS = 10
"""Quantiles that a length is cut into."""
FOLDS = 5
MUCH = 0.25
"""From this share of the way from chance to certainty on, one figure tells too much of the label."""
DEVIATIONS = 3.0
"""So many standard deviations above chance it must be, too."""


@dataclass(frozen=True)
class Concern:
    """One doubt about a corpus. kind: in one word or two. cases: ids, speakers or classes that it is about."""

    kind: str
    message: str
    cases: tuple[str, ...] = ()


def concerns(manifest: Manifest, stats: Sequence[AudioStats] = ()) -> list[Concern]:
    """Name what a reviewer would doubt about a corpus, by its manifest and its recordings.

    Looks for one voice in several splits or under several spellings, the same samples with several speakers, labels
    or splits, classes of fewer than five speakers, speakers of one class, unknown speakers, and silent recordings.
    Then it tries to tell the label without listening: by length, by silence before the first sound, and by channel
    (file type, sample rate, number of channels), each in `FOLDS` folds of speakers.

    Parameters
    ----------
    manifest
        The corpus. Utterances without a consensus label count only where labels do not matter.
    stats
        Of its recordings, from `sertk.data.audio_stats.audio_stats`. Without them lengths and sample rates are those
        of the manifest, and silence and duplicates are not looked for.

    Returns
    -------
    list of Concern
        The gravest first; none for a corpus that gives no reason for doubt.
    """
    sound = {one.id: one for one in stats if one.error is None}
    labelled = [u for u in manifest if u.emotion in manifest.labels.names]
    found = [
        *_leaks(manifest),
        *_duplicates(manifest, sound),
        *_few_speakers(labelled),
        *_speakers_who_tell(labelled),
        *_unknown(manifest),
        *_silent(sound),
    ]
    for kind, what, value in _tellers(sound):
        told = told_by(labelled, value)
        if told is not None and told.is_much:
            found.append(Concern(kind, f"{what} tells the label: {told}"))
    return found


@dataclass(frozen=True)
class Told:
    """How well one figure tells the label of speakers who were left out. deviation: of a guess's UAR."""

    uar: float
    chance: float
    deviation: float

    @property
    def is_much(self) -> bool:
        """Whether a reviewer would ask about it."""
        above = self.uar - self.chance
        return above >= MUCH * (1 - self.chance) and above >= DEVIATIONS * self.deviation

    def __str__(self) -> str:
        return f"UAR {self.uar:.2f} without listening, where guessing has {self.chance:.2f}"


def told_by(utterances: Sequence[Utterance], value: Callable[[Utterance], Hashable | None]) -> Told | None:
    """How well the most likely class for a value tells the label, in folds of speakers; None with one class.

    Numbers are cut into `BINS` quantiles of the training part; other values are taken as they are. Classes count
    alike. Utterances whose value is None are left out.
    """
    pairs = [(u, v) for u in utterances if (v := value(u)) is not None]
    names = sorted({u.emotion for u, _ in pairs if u.emotion})
    if len(names) < 2:
        return None
    true = np.array([names.index(u.emotion or "") for u, _ in pairs])
    fold = _folds([u.speaker or u.origin for u, _ in pairs])
    values = [v for _, v in pairs]
    numbers = np.array(values, dtype=float) if all(isinstance(v, float) for v in values) else None
    kinds = None if numbers is not None else _numbered(values)
    right = np.zeros(len(pairs), dtype=bool)
    for number in range(FOLDS):
        test = fold == number
        if numbers is not None:
            edges = np.quantile(numbers[~test], np.arange(1, BINS) / BINS) if (~test).any() else np.zeros(0)
            bins = np.searchsorted(edges, numbers)
        else:
            assert kinds is not None
            bins = kinds
        right[test] = _most_likely(true, bins, ~test)[bins[test]] == true[test]
    counts = np.bincount(true)
    chance = 1 / len(names)
    deviation = float(np.sqrt((chance * (1 - chance) / counts).sum()) / len(names))
    return Told(float((np.bincount(true, weights=right) / counts).mean()), chance, deviation)


def _most_likely(true: NDArray[np.int64], bins: NDArray[np.int64], known: NDArray[np.bool_]) -> NDArray[np.int64]:
    """For each bin the class of which the largest share is in it."""
    classes, size = int(true.max()) + 1, int(bins.max()) + 1
    table = np.bincount(bins[known] * classes + true[known], minlength=size * classes).reshape(size, classes)
    best: NDArray[np.int64] = (table / np.maximum(table.sum(axis=0), 1)).argmax(axis=1)
    return best


def _folds(speakers: Sequence[str]) -> NDArray[np.int64]:
    """(N,) the fold of each utterance: whole speakers, in an order that does not depend on that of the utterances."""
    order = np.random.default_rng(1).permutation(sorted(set(speakers)))
    fold = {str(name): number % FOLDS for number, name in enumerate(order)}
    return np.array([fold[name] for name in speakers])


def _numbered(values: Sequence[Hashable]) -> NDArray[np.int64]:
    numbers = {value: number for number, value in enumerate(dict.fromkeys(values))}
    return np.array([numbers[value] for value in values])


def _tellers(
    sound: Mapping[str, AudioStats],
) -> list[tuple[str, str, Callable[[Utterance], Hashable | None]]]:
    """What might tell a label without listening: kind, words, and its value of an utterance."""

    def seconds(u: Utterance) -> float | None:
        return sound[u.id].seconds if u.id in sound else u.duration

    def silence(u: Utterance) -> float | None:
        return sound[u.id].lead if u.id in sound else None

    def channel(u: Utterance) -> Hashable | None:
        one, kind = sound.get(u.id), Path(u.audio).suffix.lower()
        if one is not None:
            return kind, one.sample_rate, one.channels
        return None if u.sample_rate is None else (kind, u.sample_rate)

    return [
        ("channel", "the channel (file type, sample rate, number of channels)", channel),
        ("length", "the length of a recording", seconds),
        ("leading silence", "the silence before the first sound", silence),
    ]


def _leaks(manifest: Manifest) -> list[Concern]:
    splits: dict[str, set[str]] = defaultdict(set)
    ways: dict[str, set[str]] = defaultdict(set)
    copies: dict[str, set[str]] = defaultdict(set)
    for u in manifest:
        copies[u.origin].add(u.split or "none")
        if u.speaker:
            splits[u.speaker].add(u.split or "none")
            ways["".join(u.speaker.casefold().split())].add(u.speaker)
    found = []
    if several := sorted(name for name, parts in splits.items() if len(parts) > 1):
        found.append(
            Concern("leakage", f"speakers in several splits, which training hears: {len(several)}", (*several,))
        )
    if apart := sorted(id for id, parts in copies.items() if len(parts) > 1):
        found.append(Concern("leakage", f"recordings with copies in several splits: {len(apart)}", (*apart,)))
    if alike := sorted(", ".join(sorted(names)) for names in ways.values() if len(names) > 1):
        what = "names of speakers that differ only in case or spaces, so that one person may be in two folds"
        found.append(Concern("leakage", f"{what}: {len(alike)}", (*alike,)))
    return found


def _duplicates(manifest: Manifest, sound: Mapping[str, AudioStats]) -> list[Concern]:
    same: dict[str, list[Utterance]] = defaultdict(list)
    for u in manifest:
        if u.id in sound and not ODD["silent"](sound[u.id]):
            same[sound[u.id].digest].append(u)
    several = [group for group in same.values() if len(group) > 1]
    found = []
    fields: dict[str, Callable[[Utterance], str | None]] = {
        "speakers": lambda u: u.speaker,
        "labels": lambda u: u.emotion,
        "splits": lambda u: u.split,
    }
    for what, value in fields.items():
        groups = [group for group in several if len({value(u) for u in group}) > 1]
        if groups:
            cases = tuple(", ".join(u.id for u in group) for group in groups)
            found.append(Concern("duplicates", f"the same samples with different {what}: {len(groups)}", cases))
    return found


def _few_speakers(labelled: Sequence[Utterance]) -> list[Concern]:
    speakers: dict[str, set[str]] = defaultdict(set)
    for u in labelled:
        speakers[u.emotion or ""].add(u.speaker or u.origin)
    few = [f"{name} ({len(who)})" for name, who in sorted(speakers.items()) if len(who) < FEWEST_SPEAKERS]
    if not few:
        return []
    return [Concern("few speakers", f"classes of fewer than {FEWEST_SPEAKERS} speakers: {len(few)}", (*few,))]


def _speakers_who_tell(labelled: Sequence[Utterance]) -> list[Concern]:
    """Speakers who have one class alone, where that is most of them, among those with several utterances."""
    classes: dict[str, Counter[str]] = defaultdict(Counter)
    for u in labelled:
        if u.speaker:
            classes[u.speaker][u.emotion or ""] += 1
    several = {name: counts for name, counts in classes.items() if counts.total() > 1}
    alone = sorted(f"{name} ({next(iter(counts))})" for name, counts in several.items() if len(counts) == 1)
    if len(alone) * 2 < len(several) or not alone or len({u.emotion for u in labelled}) < 2:
        return []
    what = f"speakers of one class alone, so that the voice tells the label: {len(alone)} of {len(several)}"
    return [Concern("speaker tells label", what, (*alone,))]


def _unknown(manifest: Manifest) -> list[Concern]:
    lacking = tuple(u.id for u in manifest if not u.speaker)
    if not lacking:
        return []
    what = f"utterances without a known speaker, so that folds may share voices: {len(lacking)} of {len(manifest)}"
    return [Concern("unknown speakers", what, lacking)]


def _silent(sound: Mapping[str, AudioStats]) -> list[Concern]:
    silent = tuple(id for id, one in sound.items() if ODD["silent"](one))
    return [Concern("silence", f"silent recordings: {len(silent)}", silent)] if silent else []
