"""What a model says of utterances, and one figure for how good that is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from sertk.batching.dataset import FeatureSet
from sertk.config.schema import Selection
from sertk.data.labels import NO_AGREEMENT, LabelTable
from sertk.errors import DataError, TrainingError
from sertk.tensors import Features
from sertk.training.metrics import balanced_macro_f1, ccc, macro_f1, uar


class Predictor(Protocol):
    """What gives posteriors of features: a classifier, or a tree of them."""

    def posteriors(self, features: Features, /) -> Tensor:
        """{name: (B, T, D)} to (B, C + A)."""
        ...


def infer(model: Predictor, data: FeatureSet, *, batch_size: int = 64, device: torch.device) -> Tensor:
    """(N, C + A) float32 on the CPU in row order: class probabilities, then attributes on their own scale.

    Batches go from long to short to pad little. model: on `device`. Raises TrainingError naming the utterances whose
    posteriors are not finite.
    """
    return computed(model.posteriors, data, batch_size=batch_size, device=device, what="posteriors")


def computed(
    function: Callable[[Features], Tensor], data: FeatureSet, *, batch_size: int, device: torch.device, what: str
) -> Tensor:
    """What a function makes of every utterance, (N, width) float32 on the CPU in row order.

    what: its name in the TrainingError for utterances of which it is not finite. See `infer`.
    """
    order = np.argsort(-data.table.frames, kind="stable").tolist()
    rows = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    with torch.inference_mode():
        found = [function(batch.features) for batch in data.batches(rows, device=device)]
    sorted_rows = torch.cat(found).cpu()  # (N, width), long to short
    values = torch.empty_like(sorted_rows)
    values[torch.tensor(order)] = sorted_rows
    bad = (~values.isfinite().all(dim=1)).nonzero()[:, 0].tolist()
    if bad:
        names = ", ".join(data.table.ids[row] for row in bad[:8])
        raise TrainingError(
            f"the model's {what} of {len(bad)} of {len(data)} utterances are not finite ({names}"
            f"{', ...' if len(bad) > 8 else ''}): their features or the weights have NaN"
        )
    return values


def score(posteriors: Tensor, table: LabelTable, selection: Selection, seed: int) -> float:
    """The figure a model is selected by, larger being better. posteriors: (N, C + A), in the order of the table.

    The class metrics read the utterances with a consensus, `mean_ccc` those with the attribute; the seed draws
    the balanced subsets. Raises DataError where the table has nothing that the metric could read.
    """
    classes = len(table.labels)
    if selection.metric == "mean_ccc":
        return _mean_ccc(posteriors[:, classes:].double().numpy(), table)
    if not classes:
        raise DataError(f'there are no classes to choose by {selection.metric}: set selection.metric = "mean_ccc"')
    agreed = table.consensus != NO_AGREEMENT
    truth = table.consensus[agreed]
    predicted = posteriors[:, :classes].argmax(dim=1).numpy()[agreed]
    if selection.metric == "balanced_macro_f1":
        return balanced_macro_f1(truth, predicted, classes, draws=selection.draws, seed=seed)
    return macro_f1(truth, predicted, classes) if selection.metric == "macro_f1" else uar(truth, predicted, classes)


def _mean_ccc(predicted: np.ndarray[tuple[int, ...], np.dtype[np.float64]], table: LabelTable) -> float:
    present = ~np.isnan(table.attributes)  # (N, A)
    columns = [column for column in range(present.shape[1]) if present[:, column].any()]
    if not columns:
        raise DataError("mean_ccc needs an attribute in head.attributes that some dev utterance has")
    return float(np.mean([ccc(table.attributes[present[:, a], a], predicted[present[:, a], a]) for a in columns]))
