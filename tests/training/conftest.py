"""A small corpus in memory and a small classifier, with all that the real ones have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sertk.batching.dataset import FeatureSet
from sertk.config.schema import Head
from sertk.data.labels import NO_AGREEMENT, LabelSet, LabelTable
from sertk.models.classifier import Classifier
from sertk.models.head import build_head
from sertk.tensors import Features
from sertk.training.seeds import seeded

LABELS = LabelSet(("Angry", "Happy", "Sad", "Neutral"))
DIMS = {"speech": 6, "text": 5}


@dataclass(frozen=True)
class Frames:
    frames: Mapping[str, Tensor]
    dim: int

    @property
    def lengths(self) -> dict[str, int]:
        return {id: len(frames) for id, frames in self.frames.items()}

    def __getitem__(self, id: str) -> Tensor:
        return self.frames[id]

    def __contains__(self, id: object) -> bool:
        return id in self.frames


class MeanFusion(nn.Module):
    """Means over content, a linear layer, dropout."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.width = width
        self.linear = nn.Linear(sum(DIMS.values()), width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Features) -> Tensor:
        means = [(p.data * p.mask[..., None]).sum(1) / p.lengths[:, None] for p in features.values()]
        fused: Tensor = self.dropout(self.linear(torch.cat(means, dim=-1)))
        return fused


def a_table(size: int, *, attributes: int = 2, seed: int = 1) -> LabelTable:
    random = np.random.default_rng(seed)
    targets = random.dirichlet([0.6, 0.3, 0.2, 1.0], size)
    consensus = np.where(targets.max(axis=1) > 0.5, targets.argmax(axis=1), NO_AGREEMENT)
    values = random.uniform(1, 7, (size, attributes))
    values[random.random(values.shape) < 0.2] = np.nan
    return LabelTable(
        ids=tuple(f"utt{row:03d}" for row in range(size)),
        labels=LABELS,
        targets=targets,
        consensus=consensus.astype(np.int64),
        attributes=values,
        attribute_names=("arousal", "valence", "dominance")[:attributes],
        ranges=((1.0, 7.0),) * attributes,
        frames=random.integers(1, 12, size),
        speakers=(None,) * size,
    )


@pytest.fixture
def table() -> Callable[..., LabelTable]:
    return a_table


@pytest.fixture
def data() -> Callable[..., FeatureSet]:
    def make(size: int = 40, *, attributes: int = 2) -> FeatureSet:
        made = a_table(size, attributes=attributes)
        generator = torch.Generator().manual_seed(5)

        def frames(dim: int) -> Frames:
            lengths = zip(made.ids, made.frames.tolist(), strict=True)
            return Frames({id: torch.randn(n, dim, generator=generator).half() for id, n in lengths}, dim)

        return FeatureSet(made, {name: frames(dim) for name, dim in DIMS.items()})

    return make


@pytest.fixture
def classifier() -> Callable[..., Classifier]:
    def make(*, width: int = 8, dropout: float = 0.2, attributes: int = 2, seed: int = 1) -> Classifier:
        names = ["arousal", "valence", "dominance"][:attributes]
        with seeded(seed):
            head = build_head(Head(attributes=names), width=width, classes=4, ranges=[(1.0, 7.0)] * attributes)
            return Classifier(MeanFusion(width, dropout), head)

    return make
