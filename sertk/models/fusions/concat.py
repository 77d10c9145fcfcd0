"""Pooled modalities side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from sertk.config.schema import Positive
from sertk.models.pooling import AttentiveStatistics, InputLayers, Inputs, masked_mean
from sertk.revisions import revision
from sertk.tensors import Features

Pooling = Literal["mean", "attentive_statistics"]


@revision(1)
class Concat(nn.Module):
    """Pool each modality over time and concatenate the results.

    The width of the output is the sum of the dims, twice that with attentive statistics.

    Parameters
    ----------
    pooling
        A masked `mean`, or `attentive_statistics`: weighted mean and deviation.
    attention_width
        Units of the attention of attentive statistics.
    standardise
        Keep buffers `mean` and `std` (width,), set by whoever fits the model, and give (x - mean) / std.
    input_layers
        Encoder layers that are side by side in the features, mixed under learnt weights: one number, or one per
        modality.

    Raises
    ------
    ConfigError
        When `input_layers` does not divide D.

    References
    ----------
    Attentive statistics: Okabe et al., 2018.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        dims: Mapping[str, int],
        /,
        *,
        pooling: Pooling = "mean",
        attention_width: Positive = 128,
        standardise: bool = False,
        input_layers: InputLayers = 1,
    ) -> None:
        super().__init__()
        self.inputs = Inputs(dims, input_layers)
        sizes = self.inputs.dims.values()
        self.attentive: nn.ModuleList | None = None
        self.width = sum(sizes)
        if pooling == "attentive_statistics":
            self.attentive = nn.ModuleList(AttentiveStatistics(dim, attention_width=attention_width) for dim in sizes)
            self.width *= 2
        self.standardise = standardise
        if standardise:
            self.register_buffer("mean", torch.zeros(self.width))
            self.register_buffer("std", torch.ones(self.width))

    def forward(self, features: Features) -> Tensor:
        """{name: (B, T, D)} to (B, width)."""
        padded = list(self.inputs(features).values())
        if self.attentive is None:
            pooled = [masked_mean(each) for each in padded]
        else:
            pooled = [pool(each) for pool, each in zip(self.attentive, padded, strict=True)]
        joined = torch.cat(pooled, dim=-1)  # (B, width)
        return (joined - self.mean) / self.std if self.standardise else joined
