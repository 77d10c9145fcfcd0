"""Gated multimodal units."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from sertk.config.schema import Positive
from sertk.models.pooling import InputLayers, Inputs, masked_mean
from sertk.models.transformer import Dropout
from sertk.revisions import revision
from sertk.tensors import Features


@revision(1)
class Gated(nn.Module):
    """Add up the modalities, each through a gate that reads all of them.

    h_i = tanh(W_i x_i), z_i = sigmoid(V_i [x_1; ...; x_N]), h = sum_i z_i * h_i, on means over time.

    Parameters
    ----------
    width
        Of the output.
    dropout
        Share of the means that is set to zero in training.
    input_layers
        Encoder layers that are side by side in the features, mixed under learnt weights: one number, or one per
        modality.

    Raises
    ------
    ConfigError
        When `input_layers` does not divide D.

    References
    ----------
    Arevalo et al., Gated Multimodal Units for Information Fusion, 2017, section 3.1, the unit for any N.
    """

    def __init__(
        self,
        dims: Mapping[str, int],
        /,
        *,
        width: Positive = 256,
        dropout: Dropout = 0.1,
        input_layers: InputLayers = 1,
    ) -> None:
        super().__init__()
        self.width = width
        self.inputs = Inputs(dims, input_layers)
        sizes = self.inputs.dims.values()
        self.dropout = nn.Dropout(dropout)
        self.contents = nn.ModuleList(nn.Linear(dim, width) for dim in sizes)
        self.gates = nn.Linear(sum(sizes), len(self.contents) * width)

    def forward(self, features: Features) -> Tensor:
        """{name: (B, T, D)} to (B, width)."""
        pooled = [self.dropout(masked_mean(padded)) for padded in self.inputs(features).values()]
        gates = self.gates(torch.cat(pooled, dim=-1)).sigmoid().unflatten(-1, (-1, self.width))  # (B, N, width)
        contents = [content(x) for content, x in zip(self.contents, pooled, strict=True)]
        return (gates * torch.stack(contents, dim=1).tanh()).sum(dim=1)  # type: ignore[no-any-return]
