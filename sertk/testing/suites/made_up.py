"""Made-up batches, tables and features for the suites; equal arguments give equal data."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle

import numpy as np
import torch

from sertk.data.labels import NO_AGREEMENT, LabelSet, LabelTable
from sertk.tensors import Features, Outputs, Padded, Targets

LABELS = LabelSet(("Angry", "Sad", "Happy", "Neutral"))
ATTRIBUTES = ("arousal", "valence")
RANGE = (1.0, 7.0)
COUNTS = {0: 5, 1: 9, 2: 19, 3: 27, NO_AGREEMENT: 7}
"""Utterances of each consensus in `a_table`."""
FRAMES = ((9, 4, 1, 6), (3, 5, 2, 5), (2, 7, 7, 1))
"""Frames of the four utterances of `features`, by modality in turn; in each another one is the shortest."""
EQUAL = {"speech": 12, "words": 12, "video": 12}


def a_table(counts: Mapping[int, int] = COUNTS, *, attributes: int = 2, seed: int = 3) -> LabelTable:
    """A table with so many utterances of each consensus, in mixed order; a fifth of the attributes is missing."""
    rng = np.random.default_rng(seed)
    consensus = rng.permutation(np.repeat(list(counts), list(counts.values()))).astype(np.int64)
    size = len(consensus)
    targets = rng.dirichlet(np.ones(len(LABELS)), size)
    agreed = consensus != NO_AGREEMENT
    targets[agreed] = 0.2 * targets[agreed] + 0.8 * np.eye(len(LABELS))[consensus[agreed]]
    values = rng.uniform(*RANGE, (size, attributes))
    values[rng.random(values.shape) < 0.2] = np.nan
    return LabelTable(
        ids=tuple(f"utt-{row:03d}" for row in range(size)),
        labels=LABELS,
        targets=targets,
        consensus=consensus,
        attributes=values,
        attribute_names=ATTRIBUTES[:attributes],
        ranges=(RANGE,) * attributes,
        frames=rng.integers(1, 40, size),
        speakers=tuple(f"speaker-{row % 11}" for row in range(size)),
    )


def unequal(dims: Mapping[str, int]) -> dict[str, int]:
    """The same modalities, of which no two are equally wide."""
    return {name: dim + 6 * number for number, (name, dim) in enumerate(dims.items())}


def features(dims: Mapping[str, int], *, seed: int = 1) -> Features:
    """Four utterances of unequal length, values in 0..1, padded with zeros."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: Padded.of([torch.rand(count, dim, generator=generator) for count in frames])
        for (name, dim), frames in zip(dims.items(), cycle(FRAMES), strict=False)
    }


def rows_of(batch: Features, rows: list[int]) -> Features:
    """Some utterances of a batch in another order, padded anew to the longest of them."""
    return {name: Padded.of([padded.sequence(row) for row in rows]) for name, padded in batch.items()}


def copied(batch: Features) -> Features:
    """The same values in new memory."""
    return {name: Padded(padded.data.detach().clone(), padded.lengths.clone()) for name, padded in batch.items()}


def same_features(one: Features, other: Features) -> bool:
    """Whether two batches are equal, padding included."""
    return list(one) == list(other) and all(
        torch.equal(one[name].data, other[name].data) and torch.equal(one[name].lengths, other[name].lengths)
        for name in one
    )


def targets(size: int, *, missing: bool = True, attributes: int = 2, seed: int = 2) -> Targets:
    """Soft and one-hot class targets in turn, and attributes, every fifth of which is missing if asked for."""
    generator = torch.Generator().manual_seed(seed)
    emotion = (2 * torch.randn(size, len(LABELS), generator=generator)).softmax(-1)
    emotion[::2] = torch.eye(len(LABELS))[torch.arange(len(emotion[::2])) % len(LABELS)]
    values = RANGE[0] + (RANGE[1] - RANGE[0]) * torch.rand(size, attributes, generator=generator)
    if missing:
        values.view(-1)[::5] = float("nan")
    return Targets(emotion, values)


def outputs(size: int, *, attributes: int = 2, seed: int = 4) -> Outputs:
    """What an untrained model may say."""
    generator = torch.Generator().manual_seed(seed)
    emotion = torch.randn(size, len(LABELS), generator=generator)
    return Outputs(emotion, 4 + torch.randn(size, attributes, generator=generator))
