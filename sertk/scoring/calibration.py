"""Calibrate a system's probabilities on held-out utterances, then apply to others."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax, softmax

from sertk.data.labels import LabelSet
from sertk.ensemble.predictions import Predictions
from sertk.errors import DataError
from sertk.scoring.truth import AlignedPredictions

Array = NDArray[np.float64]
LARGEST = 20.0
"""Bound of the temperature, and one over it: held-out data without an error would drive it to 0."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """softmax(scale * log p + bias): one scale for temperature scaling, one a class for vector scaling.

    scale, bias: (C,) in the order of `labels`.
    """

    labels: LabelSet
    scale: Array
    bias: Array

    @property
    def temperature(self) -> float:
        """1 / scale of temperature scaling; of vector scaling the mean over the classes."""
        return float(1 / self.scale.mean())

    def __call__(self, predictions: Predictions) -> Predictions:
        """Give calibrated predictions, in the order of the calibration's classes."""
        predictions = predictions.reordered(self.labels)
        return replace(predictions, emotion=softmax(_logs(predictions.emotion) * self.scale + self.bias, axis=1))


def temperature_scaling(held_out: AlignedPredictions) -> Calibration:
    """Fit one temperature to held-out consensus labels by least log loss (Guo et al. 2017, section 4.2)."""
    logs, true = _fit_on(held_out)

    def loss(log_scale: float) -> float:
        return float(-log_softmax(logs * np.exp(log_scale), axis=1)[np.arange(len(true)), true].mean())

    bound = float(np.log(LARGEST))
    found = minimize_scalar(loss, bounds=(-bound, bound), method="bounded", options={"xatol": 1e-8})
    classes = len(held_out.truth.labels)
    return Calibration(held_out.truth.labels, np.full(classes, np.exp(found.x)), np.zeros(classes))


def vector_scaling(held_out: AlignedPredictions, *, ridge: float = 1e-3) -> Calibration:
    """Fit a scale and a bias a class to held-out consensus labels (Guo et al. 2017, section 4.2).

    ridge: weight of the squared distance from no change, which holds classes that are rare in the held-out part.
    """
    logs, true = _fit_on(held_out)
    count, classes = logs.shape
    wanted = np.eye(classes)[true]

    def loss(parameters: Array) -> tuple[float, Array]:
        scale, bias = parameters[:classes], parameters[classes:]
        fitted = log_softmax(logs * scale + bias, axis=1)
        error = (np.exp(fitted) - wanted) / count  # (N, C), gradient of the mean log loss by the logits
        away = np.concatenate([scale - 1, bias])
        value = -(wanted * fitted).sum() / count + ridge * (away**2).sum()
        gradient = np.concatenate([(error * logs).sum(axis=0), error.sum(axis=0)]) + 2 * ridge * away
        return float(value), gradient

    start = np.concatenate([np.ones(classes), np.zeros(classes)])
    bounds = [(1 / LARGEST, LARGEST)] * classes + [(None, None)] * classes
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    return Calibration(held_out.truth.labels, found.x[:classes], found.x[classes:])


def _fit_on(aligned: AlignedPredictions) -> tuple[Array, NDArray[np.int64]]:
    agreed = aligned.truth.consensus >= 0
    if not agreed.any():
        raise DataError("calibration needs held-out utterances with a consensus; these have none")
    return _logs(aligned.predictions.emotion[agreed]), aligned.truth.consensus[agreed]


def _logs(probabilities: Array) -> Array:
    return np.log(np.clip(probabilities, np.finfo(np.float64).eps, None))
