"""The heads of public checkpoints as one fusion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from sertk.config.schema import Positive
from sertk.models.pooling import AttentiveStatistics, InputLayers, Inputs, masked_mean
from sertk.revisions import revision
from sertk.tensors import Features, Padded

Pooling = Literal["mean", "max", "sum", "attentive_statistics"]
Activation = Literal["none", "relu", "tanh"]
FLOOR = 1e-5
"""Of the variance in attentive statistics."""


@revision(1)
class Adopted(nn.Module):
    """Mix layers, map each frame, pool over time, map the result: the heads of public checkpoints.

    Parameters
    ----------
    input_layers
        Encoder layers that are side by side in the features, mixed under learnt weights: one number, or one per
        modality.
    frame_widths
        Of linear maps of each frame, with ReLU between them.
    pooling
        `mean`, `max`, `sum` over the frames of an utterance, or `attentive_statistics`: weighted mean and deviation.
    widths
        Of linear maps after pooling.
    activation
        After each of these.
    norm
        Whether a layer norm is before each activation.

    Raises
    ------
    ConfigError
        When `input_layers` does not divide D.

    References
    ----------
    Attentive statistics: Okabe et al., 2018.
    """

    def __init__(
        self,
        dims: Mapping[str, int],
        /,
        *,
        input_layers: InputLayers = 1,
        frame_widths: list[Positive] = [],  # noqa: B006  # read only
        pooling: Pooling = "mean",
        widths: list[Positive] = [],  # noqa: B006
        activation: Activation = "none",
        norm: bool = False,
    ) -> None:
        super().__init__()
        self.inputs = Inputs(dims, input_layers)
        self.activation = activation
        self.streams = nn.ModuleList(_Stream(dim, frame_widths, pooling) for dim in self.inputs.dims.values())
        self.width = sum(stream.width for stream in self.streams)  # type: ignore[misc]
        self.dense, self.norms = nn.ModuleList(), nn.ModuleList()
        for size in widths:
            self.dense.append(nn.Linear(self.width, size))
            self.norms.append(nn.LayerNorm(size) if norm else nn.Identity())
            self.width = size

    def forward(self, features: Features) -> Tensor:
        """{name: (B, T, D)} to (B, width)."""
        read = self.inputs(features).values()
        vector = torch.cat([stream(padded) for stream, padded in zip(self.streams, read, strict=True)], dim=-1)
        for linear, norm in zip(self.dense, self.norms, strict=True):
            vector = norm(linear(vector))
            if self.activation != "none":
                vector = vector.relu() if self.activation == "relu" else vector.tanh()
        return vector  # (B, width)


class _Stream(nn.Module):
    """One modality: linear maps of each frame, then pooling."""

    def __init__(self, dim: int, frame_widths: list[int], pooling: Pooling) -> None:
        super().__init__()
        self.pooling, self.width = pooling, dim
        self.frames = nn.ModuleList()
        for size in frame_widths:
            self.frames.append(nn.Linear(self.width, size))
            self.width = size
        self.attentive: AttentiveStatistics | None = None
        if pooling == "attentive_statistics":
            self.attentive = AttentiveStatistics(self.width, attention_width=self.width, floor=FLOOR)
            self.width *= 2

    def forward(self, padded: Padded) -> Tensor:
        """(B, T, D) to (B, width)."""
        data = padded.data
        for number, linear in enumerate(self.frames):
            data = linear(data.relu() if number else data)  # (B, T, D')
        padded = Padded(data, padded.lengths)
        if self.attentive is not None:
            return self.attentive(padded)  # type: ignore[no-any-return]
        if self.pooling == "mean":
            return masked_mean(padded)
        outside = ~padded.mask[:, :, None]  # (B, T, 1)
        if self.pooling == "max":
            return data.masked_fill(outside, float("-inf")).amax(dim=1)
        return data.masked_fill(outside, 0.0).sum(dim=1)
