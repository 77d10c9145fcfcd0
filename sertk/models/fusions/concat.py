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
def concat(
    dims: Mapping[str, int],
    /,
    *,
    pooling: Pooling = "mean",
    attention_width: Positive = 128,
    standardise: bool = False,
    input_layers: InputLayers = 1,
) -> Concat:
    """Pool each modality over time and set the results side by side.

    width: the sum of the dims, twice that with attentive statistics. pooling: a masked mean, or attentive statistics
    (Okabe et al., 2018), whose attention has `attention_width` units. standardise: keep buffers `mean` and `std`
    (width,) that whoever fits the model sets, and give (x - mean) / std. input_layers: encoder layers that stand side
    by side in the features, mixed under learnt weights. Raises ConfigError when these do not divide D.
    """
    return Concat(dims, pooling, attention_width, standardise, input_layers)


class Concat(nn.Module):
    """The fusion of `concat`."""

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        dims: Mapping[str, int],
        pooling: Pooling,
        attention_width: int,
        standardise: bool,
        input_layers: int | Mapping[str, int],
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
