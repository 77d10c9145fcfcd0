"""From frames to one vector: masked mean, attentive statistics; and from stored layers to one layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import torch
from torch import Tensor, nn

from sertk.config.schema import Positive
from sertk.errors import ConfigError, Fault
from sertk.tensors import Features, Padded

InputLayers: TypeAlias = Positive | dict[str, Positive]
"""How many encoder layers stand side by side in the features: of every modality, or by its name."""


def content_masks(features: Mapping[str, Padded]) -> dict[str, Tensor | None]:
    """Give each modality's (B, T) mask, true on content, or None where every sequence fills its row.

    On a GPU every modality has a mask: to look at the lengths there would hold it up in every step.
    """
    if any(padded.lengths.device.type != "cpu" for padded in features.values()):
        return {name: padded.mask for name, padded in features.items()}
    full = torch.stack([(padded.lengths >= padded.data.shape[1]).all() for padded in features.values()]).tolist()
    return {name: None if fills else features[name].mask for name, fills in zip(features, full, strict=True)}


def mean_frames(data: Tensor, mask: Tensor | None) -> Tensor:
    """Average (B, T, D) over the frames where the (B, T) mask is true, or over all without a mask, to (B, D)."""
    if mask is None:
        return data.mean(dim=1)
    frames = mask.sum(dim=1, keepdim=True)  # (B, 1)
    return data.mul(mask[:, :, None]).sum(dim=1) / frames.to(data.dtype)


def masked_mean(padded: Padded) -> Tensor:
    """Average each sequence over its own frames: (B, T, D) to (B, D)."""
    if padded.data.shape[1] == 1:
        return padded.data[:, 0]
    return mean_frames(padded.data, padded.mask)


class AttentiveStatistics(nn.Module):
    """Weighted mean and standard deviation over frames, the weights learnt: (B, T, D) to (B, 2 D).

    Source: Okabe, Koshinaka and Shinoda, Attentive Statistics Pooling for Deep Speaker Embedding, 2018, eq. 1-6;
    padding gets no weight. floor: of the variance.
    """

    def __init__(self, dim: int, *, attention_width: int = 128, floor: float = 1e-6) -> None:
        super().__init__()
        self.floor = floor
        self.width = 2 * dim
        self.hidden = nn.Linear(dim, attention_width)
        self.score = nn.Linear(attention_width, 1)

    def forward(self, padded: Padded) -> Tensor:
        """(B, T, D) to (B, 2 D): mean, then standard deviation."""
        return self.pool(padded.data, padded.mask)

    def pool(self, data: Tensor, mask: Tensor | None) -> Tensor:
        """(B, T, D) to (B, 2 D), over the frames where the (B, T) mask is true, or over all without a mask."""
        scores = self.score(torch.tanh(self.hidden(data))).squeeze(-1).float()  # (B, T)
        if mask is not None:
            scores = scores.masked_fill(~mask, float("-inf"))
        weights = scores.softmax(dim=1).to(data.dtype)[:, :, None]  # (B, T, 1)
        mean = (weights * data).sum(dim=1)  # (B, D)
        variance = (weights * (data - mean[:, None]).square()).sum(dim=1)  # (B, D)
        return torch.cat([mean, variance.clamp_min(self.floor).sqrt()], dim=-1)


class WeightedLayers(nn.Module):
    """Sum of an encoder's layers under softmax weights that are learnt: (B, T, L D) to (B, T, D).

    Layers stand side by side in the features, the first layer first. Weights start equal.
    Source: Yang et al., SUPERB: Speech Processing Universal PERformance Benchmark, 2021, section 3.
    """

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.layers = layers
        self.scores = nn.Parameter(torch.zeros(layers))

    def forward(self, data: Tensor) -> Tensor:
        """(B, T, L D) to (B, T, D)."""
        stacked = data.reshape(*data.shape[:2], self.layers, -1)  # (B, T, L, D)
        return self.scores.softmax(dim=0).to(data.dtype) @ stacked


class Inputs(nn.Module):
    """What every fusion reads first: its own modalities, in its own order, layers mixed if it has several.

    dims: D of each modality as it will be read. input_layers: of every modality, or by name, 1 for those not named.
    Raises ConfigError for a D that is no multiple of its layers, and for the layers of a modality that is not read.
    """

    def __init__(self, dims: Mapping[str, int], input_layers: int | Mapping[str, int]) -> None:
        super().__init__()
        by_name = dict.fromkeys(dims, input_layers) if isinstance(input_layers, int) else dict(input_layers)
        strange = sorted(by_name.keys() - dims.keys())
        if strange:
            message = f"names {', '.join(strange)}; the modalities are {', '.join(dims)}"
            raise ConfigError("fusion", [Fault("input_layers", message)])
        layers = {name: by_name.get(name, 1) for name in dims}
        odd = {name: dim for name, dim in dims.items() if dim % layers[name]}
        if odd:
            message = f"must divide the features of every modality; it is {input_layers}, the features are {odd}"
            raise ConfigError("fusion", [Fault("input_layers", message)])
        self.dims = {name: dim // layers[name] for name, dim in dims.items()}
        mixed = any(count > 1 for count in layers.values())
        self.mixers = nn.ModuleList(WeightedLayers(layers[name]) for name in dims) if mixed else None

    def forward(self, features: Features) -> Features:
        """{name: (B, T, L D)} to {name: (B, T, D)}."""
        if self.mixers is None:
            return {name: features[name] for name in self.dims}
        return {
            name: Padded(mixer(features[name].data), features[name].lengths)
            for name, mixer in zip(self.dims, self.mixers, strict=True)
        }
