"""Made-up manifests and batches, to try components on before there is data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from sertk.data.labels import LabelSet
from sertk.data.manifest import Manifest, Utterance
from sertk.tensors import Features, Padded, Targets

SIZES = ((5, 60), (8, 96))
"""Classes, and utterances of each split, of the two made-up manifests."""
FRAMES = (6, 3, 1, 5)
"""Of the utterances of a made-up batch."""


def made_up_manifests(splits: Sequence[str], attributes: Sequence[str]) -> list[Manifest]:
    """Two manifests with these splits and attributes, which differ in all else: classes, utterances, ranges."""
    return [_manifest(splits, attributes, *size) for size in SIZES]


def made_up_batch(dims: Mapping[str, int], classes: int, attributes: int) -> tuple[Features, Targets]:
    """Four utterances of unequal length on the default device: {name: (B, T, D)}, (B, C) and (B, A)."""
    rows = len(FRAMES)
    lengths = torch.tensor(FRAMES)
    features = {name: Padded(torch.zeros(rows, max(FRAMES), dim), lengths) for name, dim in dims.items()}
    return features, Targets(torch.full((rows, classes), 1 / max(classes, 1)), torch.zeros(rows, attributes))


def _manifest(splits: Sequence[str], attributes: Sequence[str], classes: int, size: int) -> Manifest:
    labels = LabelSet(tuple(f"class {number}" for number in range(classes)))
    utterances = [
        Utterance(
            id=f"{split} {number}",
            audio="none.wav",
            duration=1.0 + number % 7,
            speaker=f"{split} speaker {number % (size // 4)}",
            split=split,
            votes={labels.names[number % classes]: 3.0, labels.names[number * 3 % classes]: 1.0},
            emotion=labels.names[number % classes] if number % 9 else None,
            attributes=dict.fromkeys(attributes, 1.0 + number % classes),
        )
        for split in dict.fromkeys(splits)
        for number in range(size)
    ]
    return Manifest("made up", labels, dict.fromkeys(attributes, (1.0, float(classes))), tuple(utterances))
