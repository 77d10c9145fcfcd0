"""What a model predicts: for one recording, and for many in a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sertk.ensemble.predictions import Predictions

if TYPE_CHECKING:
    import torch

    from sertk.checkpoint import Checkpoint


@dataclass(frozen=True)
class Prediction:
    """What a model says of one recording. probabilities: by class, summing to 1. attributes: by name.

    emotion: "" of a model without classes.
    """

    id: str
    emotion: str
    probabilities: Mapping[str, float]
    attributes: Mapping[str, float]

    def __repr__(self) -> str:
        """Such as `Prediction('a.wav': Happy 0.79, Neutral 0.11, Sad 0.04, 5 more; arousal 5.31)`."""
        ranked = sorted(self.probabilities.items(), key=lambda item: -item[1])
        parts = [f"{name} {probability:.2f}" for name, probability in ranked[:3]]
        parts += [f"{len(ranked) - 3} more"] if len(ranked) > 3 else []
        attributes = ", ".join(f"{name} {value:.2f}" for name, value in self.attributes.items())
        return f"Prediction({self.id!r}: {'; '.join(text for text in (', '.join(parts), attributes) if text)})"


def rows(predictions: Predictions) -> list[Prediction]:
    """Predictions one by one."""
    names, best = predictions.labels.names, predictions.predicted
    return [
        Prediction(
            id,
            names[best[row]] if names else "",
            dict(zip(names, predictions.emotion[row].tolist(), strict=True)),
            dict(zip(predictions.attribute_names, predictions.attributes[row].tolist(), strict=True)),
        )
        for row, id in enumerate(predictions.ids)
    ]


def predictions_of(checkpoint: Checkpoint, ids: Sequence[str], posteriors: torch.Tensor) -> Predictions:
    """Posteriors (N, C + A) as predictions of the model's classes and attributes."""
    values = posteriors.double().numpy()  # (N, C + A)
    classes = len(checkpoint.card.labels)
    emotion = values[:, :classes] / np.maximum(values[:, :classes].sum(axis=1, keepdims=True), 1e-12)
    return Predictions(tuple(ids), checkpoint.label_set, emotion, values[:, classes:], checkpoint.attribute_names)
