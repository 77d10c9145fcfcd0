"""Speaker-disjoint splits, drawn once and written into the manifest."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sertk.data.manifest import Manifest, Utterance
from sertk.errors import DataError


def hold_out(manifest: Manifest, split: str, *, into: str, share: float = 0.1, seed: int = 1) -> Manifest:
    """Move about `share` of a split's utterances into a new split, whole speakers at a time.

    MEDUSA's 90-10 split. Each class keeps about its share: speakers are taken in a random order as long as
    they bring the held-out class counts nearer to their goal. Utterances of unknown speakers stay in `split`,
    for they may be anyone. Raises DataError where there are too few speakers, and for a share outside 0 to 1.
    """
    if not 0 < share < 1:
        raise DataError(f"the share to hold out is {share}: it must be between 0 and 1")
    moved = {u.id for part in speaker_parts(manifest.split(split), [1 - share, share], seed=seed)[1:] for u in part}
    return manifest.with_utterances(replace(u, split=into) if u.id in moved else u for u in manifest)


def speaker_folds(utterances: Sequence[Utterance], folds: int, *, seed: int = 1) -> list[set[str]]:
    """Part utterances into `folds` sets of ids without a speaker in two of them; unknown speakers are in none."""
    parts = speaker_parts([u for u in utterances if u.speaker], [1.0] * folds, seed=seed)
    return [{u.id for u in part} for part in parts]


def speaker_parts(utterances: Sequence[Utterance], shares: Sequence[float], *, seed: int) -> list[list[Utterance]]:
    """Part utterances by whole speakers so that each part's class counts come near its share.

    Unknown speakers go to the first part. Speakers come in a random order, the largest first; each goes to the
    part that lacks most of what the speaker brings, rare classes counting as much as common ones, and every part
    gets one. Raises DataError with fewer speakers than parts.
    """
    by_speaker: dict[str, list[Utterance]] = defaultdict(list)
    for utterance in utterances:
        if utterance.speaker:
            by_speaker[utterance.speaker].append(utterance)
    if len(by_speaker) < len(shares):
        raise DataError(
            f"a speaker-disjoint split into {len(shares)} parts needs as many known speakers, found {len(by_speaker)}"
        )
    classes = sorted({_class(utterance) for utterance in utterances})
    total = np.array([sum(_class(u) == name for u in utterances) for name in classes], dtype=float)  # (C,)
    goals = np.outer(np.array(shares) / sum(shares), total)  # (parts, C)
    have = np.zeros_like(goals)
    parts: list[list[Utterance]] = [[u for u in utterances if not u.speaker], *([] for _ in shares[1:])]
    have[0] += [sum(_class(u) == name for u in parts[0]) for name in classes]

    order = np.random.default_rng(seed).permutation(sorted(by_speaker))
    for taken, speaker in enumerate(sorted(order, key=lambda name: -len(by_speaker[name]))):
        counts = Counter(_class(u) for u in by_speaker[speaker])
        brings = np.array([counts[name] for name in classes], dtype=float)
        before, after = (
            ((goals - now) ** 2 / np.maximum(total, 1) ** 2).sum(axis=1) for now in (have, have + brings)
        )
        empty = [number for number, held in enumerate(parts) if not any(u.speaker for u in held)]
        free = empty if len(by_speaker) - taken == len(empty) else range(len(parts))  # the last fill what is empty
        part = min(free, key=lambda number: after[number] - before[number])
        have[part] += brings
        parts[part] += by_speaker[speaker]
    return parts


def _class(utterance: Utterance) -> str:
    return utterance.emotion or ""
