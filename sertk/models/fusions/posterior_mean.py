"""The mean of what several models say: the vote, soft vote and prior-corrected vote as a fusion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from sertk.config.schema import Count
from sertk.errors import ConfigError, Fault
from sertk.models.pooling import masked_mean
from sertk.revisions import revision
from sertk.tensors import Features

_FLOOR = 1e-12
_TIE = 1e-5


@revision(1)
class PosteriorMean(nn.Module):
    """Average the posteriors of several models, or count their votes; no weights to learn.

    Each modality is a model's posteriors, C probabilities and A attributes, one frame per utterance. Gives
    (B, C + A): log-probabilities, which serve as logits, and the mean attributes; for a head of kind "identity".

    Parameters
    ----------
    hard
        The share of models whose most probable class it is; a tie goes to the higher mean probability.
    prior
        C class probabilities to divide by before renormalising (before the vote, if hard).
    classes
        C, 0 where there are attributes alone; without it the length of `prior`, or all features.
    weights
        Of the models in the mean, one each.
    temperature
        Probabilities become p ** (1 / temperature), renormalised: below 1 they get surer. The order stays.

    Raises
    ------
    ConfigError
        For models that differ in features, a prior that is not C positive numbers, or weights that are not M numbers,
        none below 0 and not all 0.
    """

    prior: Tensor
    weights: Tensor

    def __init__(
        self,
        dims: Mapping[str, int],
        /,
        *,
        hard: bool = False,
        prior: list[float] | None = None,
        classes: Count | None = None,
        weights: list[float] | None = None,
        temperature: Annotated[float, Field(gt=0)] | None = None,
    ) -> None:
        super().__init__()
        self.width = next(iter(dims.values()))
        self.classes = (len(prior) if prior else self.width) if classes is None else classes
        faults = []
        if len(set(dims.values())) > 1:
            faults.append(Fault("features", f"must be as many for every model, got {dict(dims)}"))
        if self.classes > self.width:
            faults.append(Fault("classes", f"{self.classes} classes do not fit into {self.width} features"))
        if prior is not None and (len(prior) != self.classes or min(prior) <= 0):
            faults.append(Fault("prior", f"should be {self.classes} positive numbers, got {prior}"))
        if weights is not None and (len(weights) != len(dims) or min(weights) < 0 or not sum(weights)):
            faults.append(
                Fault(
                    "weights",
                    f"should be {len(dims)} numbers, one per model, none below 0 and not all 0, got {weights}",
                )
            )
        if faults:
            raise ConfigError("fusion posterior_mean", faults)
        self.names = tuple(dims)
        self.hard = hard
        self.temperature = temperature or 1.0
        self.register_buffer("prior", _shares(prior, self.classes), persistent=False)
        self.register_buffer("weights", _shares(weights, len(dims)), persistent=False)

    def forward(self, features: Features) -> Tensor:
        """{name: (B, 1, C + A)} to (B, C + A)."""
        posteriors = torch.stack([masked_mean(features[name]).float() for name in self.names])  # (M, B, C + A)
        emotion, attributes = posteriors[..., : self.classes], self._mean(posteriors[..., self.classes :])
        if self.hard and self.classes:
            emotion = emotion / self.prior
            votes = F.one_hot(emotion.argmax(dim=-1), self.classes).float()  # (M, B, C)
            shares = self._mean(votes) + _TIE * self._mean(_normalised(emotion))  # (B, C)
        else:
            shares = self._mean(emotion) / self.prior  # (B, C)
        logits = _normalised(shares).clamp_min(_FLOOR).log() / self.temperature
        return torch.cat([logits, attributes], dim=-1)

    def _mean(self, posteriors: Tensor) -> Tensor:
        """The weighted mean over models: (M, B, X) to (B, X)."""
        mean: Tensor = torch.tensordot(self.weights, posteriors, dims=1)
        return mean


def _shares(given: list[float] | None, count: int) -> Tensor:
    """(count,) of sum 1. Computed on the CPU: arithmetic on torch's meta device takes seconds to import."""
    if given is None:
        return torch.full((count,), 1 / max(count, 1))
    numbers = torch.tensor(given, device="cpu")
    return torch.tensor((numbers / numbers.sum()).tolist())


def _normalised(positive: Tensor) -> Tensor:
    return positive / positive.sum(dim=-1, keepdim=True).clamp_min(_FLOOR)
