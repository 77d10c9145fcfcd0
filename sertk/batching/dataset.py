"""Labels and features of the same utterances, joined by id."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import Tensor

from sertk.batching.collate import pad, targets_of
from sertk.data.labels import LabelSet, LabelTable, OtherPolicy, TargetPolicy, label_table
from sertk.data.manifest import Utterance
from sertk.errors import DataError, Fault
from sertk.tensors import Batch


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
        ids = tuple(self.table.ids[row] for row in rows)
        features = {name: pad([source[id] for id in ids]) for name, source in self.sources.items()}
        return Batch(ids, features, targets_of(self.table, rows))

    def batches(self, rows: Iterable[Sequence[int]]) -> Iterator[Batch]:
        """Read one batch after another; while the caller works on one, a thread reads the next."""
        with ThreadPoolExecutor(max_workers=1) as reader:
            ahead: Future[Batch] | None = None
            for chosen in rows:
                following = reader.submit(self.batch, chosen)
                if ahead is not None:
                    yield ahead.result()
                ahead = following
            if ahead is not None:
                yield ahead.result()


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
