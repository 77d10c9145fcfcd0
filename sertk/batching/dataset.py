"""Labels and features of the same utterances, joined by id."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from sertk.batching.collate import pad, targets_of
from sertk.data.labels import LabelSet, LabelTable, OtherPolicy, TargetPolicy
from sertk.data.manifest import Utterance
from sertk.data.targets import label_table
from sertk.errors import DataError, Fault
from sertk.features.prefetch import prefetch
from sertk.tensors import Batch, Padded

CPU = torch.device("cpu")
GPU_READERS = 4
"""Threads that read batches for a GPU, which takes one in the time that two threads need to read it."""


class FeatureSource(Protocol):
    """Where the frames of one modality are read by utterance id, such as a feature store.

    dim: D. lengths: frames by id. What `[id]` gives, (T, D), may be a view and is never changed in place.
    """

    @property
    def dim(self) -> int: ...  # noqa: D102

    @property
    def lengths(self) -> Mapping[str, int]: ...  # noqa: D102

    def __getitem__(self, id: str) -> Tensor: ...

    def __contains__(self, id: object) -> bool: ...


@runtime_checkable
class BatchSource(Protocol):
    """A source that reads several utterances into one tensor, in the type they are stored in, such as a store."""

    def padded(self, utterances: Sequence[str], *, pin: bool = False) -> Padded: ...  # noqa: D102


@dataclass(frozen=True)
class FeatureSet:
    """Utterances that have both labels and features. sources: one a modality, by its name in the experiment."""

    table: LabelTable
    sources: Mapping[str, FeatureSource]

    def __len__(self) -> int:
        return len(self.table)

    @property
    def dims(self) -> dict[str, int]:
        """D of each modality."""
        return {name: source.dim for name, source in self.sources.items()}

    def take(self, rows: Sequence[int]) -> FeatureSet:
        """Some of the utterances, in the order given."""
        return FeatureSet(self.table.take(np.asarray(rows, dtype=np.int64)), self.sources)

    def batch(self, rows: Sequence[int]) -> Batch:
        """Read rows of the table as one batch, with features (B, T, D) in float32 whatever the store has."""
        return self._read(rows, pin=False).to(CPU)

    def batches(self, rows: Iterable[Sequence[int]], *, device: torch.device = CPU) -> Iterator[Batch]:
        """Give one batch after another on a device, in float32; threads read those that follow meanwhile.

        To a GPU features go in their stored type, from page-locked memory, and without waiting.
        """
        if device.type == "cpu":
            with closing(prefetch(rows, self.batch, ahead=1)) as batches:
                yield from batches
            return
        pin = device.type == "cuda"
        with closing(prefetch(rows, lambda r: self._read(r, pin=pin), ahead=8, threads=GPU_READERS)) as batches:
            for batch in batches:
                yield batch.to(device)

    def _read(self, rows: Sequence[int], *, pin: bool) -> Batch:
        ids = tuple(self.table.ids[row] for row in rows)
        features = {
            name: source.padded(ids, pin=pin) if isinstance(source, BatchSource) else pad([source[id] for id in ids])
            for name, source in self.sources.items()
        }
        targets = targets_of(self.table, rows)
        return Batch(ids, features, targets.pin() if pin else targets)


def feature_set(
    utterances: Sequence[Utterance],
    labels: LabelSet,
    ranges: Mapping[str, tuple[float, float]],
    sources: Mapping[str, FeatureSource],
    *,
    attributes: Sequence[str] = (),
    targets: TargetPolicy = "soft",
    other: OtherPolicy = "drop",
) -> tuple[FeatureSet, list[Fault]]:
    """Join utterances with their features by id; give the set, and a fault for each utterance left out.

    Left out are utterances that a source lacks or has no frame of, and those without a target under the policies
    `targets` and `other` (see `label_table`). Raises DataError when nothing is left, LabelError for a vote
    outside the label set.
    """
    kept: list[Utterance] = []
    faults: list[Fault] = []
    for utterance in utterances:
        lacking = [name for name, source in sources.items() if utterance.id not in source]
        lacking += [name for name, source in sources.items() if source.lengths.get(utterance.id) == 0]
        if lacking:
            faults.append(Fault(utterance.id, f"has no features of {', '.join(lacking)}: extract them"))
        else:
            kept.append(utterance)
    frames = {u.id: max((source.lengths[u.id] for source in sources.values()), default=1) for u in kept}
    table, without_target = label_table(
        kept, labels, ranges, attributes=attributes, targets=targets, other=other, frames=frames
    )
    faults += [Fault(id, f"has no {targets} target: no vote for a class of the label set") for id in without_target]
    if not len(table):
        example = f" The first: {faults[0].place} {faults[0].message}." if faults else ""
        raise DataError(
            f"none of {len(utterances)} utterances has both a target and features of {', '.join(sources)}: "
            f"{len(faults) - len(without_target)} lack features, {len(without_target)} lack a target.{example}"
        )
    return FeatureSet(table, sources), faults
