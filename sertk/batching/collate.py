"""From utterances of unequal length to padded batches."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sertk.data.labels import LabelTable
from sertk.tensors import Padded, Targets


def pad(sequences: Sequence[Tensor]) -> Padded:
    """Copy sequences, each (T, D) of any number type, into one (B, T, D) float32 tensor padded with zeros.

    One allocation; what comes in may be a view of a store and is only read.
    """
    lengths = [len(sequence) for sequence in sequences]
    data = torch.zeros(len(sequences), max(lengths), sequences[0].shape[1])  # (B, T, D)
    for row, (sequence, length) in enumerate(zip(sequences, lengths, strict=True)):
        data[row, :length] = sequence
    return Padded(data, torch.tensor(lengths, dtype=torch.int64))


def targets_of(table: LabelTable, rows: Sequence[int]) -> Targets:
    """Float32 targets of some rows of a table, in the order given."""
    chosen = list(rows)
    return Targets(
        emotion=torch.from_numpy(table.targets[chosen]).float(),  # (B, C)
        attributes=torch.from_numpy(table.attributes[chosen]).float(),  # (B, A)
    )
