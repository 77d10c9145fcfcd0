"""From the labels of utterances to the targets that a model is trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sertk.data.labels import (
    NO_AGREEMENT,
    LabelSet,
    LabelTable,
    OtherPolicy,
    TargetPolicy,
    consensus_index,
    soft_target,
)
from sertk.data.manifest import Utterance
from sertk.errors import DataError, LabelError, did_you_mean


def label_table(
    utterances: Sequence[Utterance],
    labels: LabelSet,
    ranges: Mapping[str, tuple[float, float]],
    *,
    attributes: Sequence[str] = (),
    targets: TargetPolicy = "soft",
    other: OtherPolicy = "drop",
    frames: Mapping[str, int] | None = None,
) -> tuple[LabelTable, list[str]]:
    """Turn utterances into targets; give the table and the ids left out for want of a target.

    targets: `soft` takes the raters' votes (the consensus where a corpus has no votes), `majority` one-hot
    the consensus; an utterance without a vote, or with `majority` without agreement, has no target. Without classes
    votes do not count, and one without any of the attributes has no target.
    frames: length by id; 1 where not given. Raises LabelError or DataError, naming the utterance.
    """
    for name in attributes:
        if name not in ranges:
            raise DataError(
                f"there is no attribute {name!r}. {did_you_mean(name, ranges)}Known: {', '.join(ranges)}."
            )
    kept: list[Utterance] = []
    rows: list[NDArray[np.float64]] = []
    left_out: list[str] = []
    for utterance in utterances:
        try:
            row = _target(utterance, labels, attributes, targets, other)
        except LabelError as error:
            raise LabelError(f"utterance {utterance.id}: {error}") from None
        if row is None:
            left_out.append(utterance.id)
        else:
            kept.append(utterance)
            rows.append(row)
    values = [[utterance.attributes.get(name, np.nan) for name in attributes] for utterance in kept]
    table = LabelTable(
        ids=tuple(utterance.id for utterance in kept),
        labels=labels,
        targets=np.array(rows, dtype=np.float64).reshape(len(kept), len(labels)),
        consensus=np.array([consensus_index(u.emotion if labels else None, labels) for u in kept], dtype=np.int64),
        attributes=np.array(values, dtype=np.float64).reshape(len(kept), len(attributes)),
        attribute_names=tuple(attributes),
        ranges=tuple(ranges[name] for name in attributes),
        frames=np.array([frames[u.id] if frames else 1 for u in kept], dtype=np.int64),
        speakers=tuple(utterance.speaker for utterance in kept),
    )
    return table, left_out


def _target(
    utterance: Utterance, labels: LabelSet, attributes: Sequence[str], targets: TargetPolicy, other: OtherPolicy
) -> NDArray[np.float64] | None:
    if not labels:
        return np.zeros(0) if any(name in utterance.attributes for name in attributes) else None
    consensus = consensus_index(utterance.emotion, labels)
    if targets == "soft" and utterance.votes:
        return soft_target(utterance.votes, labels, other=other)
    if consensus == NO_AGREEMENT:
        return None
    return np.eye(len(labels))[consensus]  # type: ignore[no-any-return]
