"""The transformer encoder of the sequence fusions: masked, and open at every layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from sertk.errors import ConfigError, Fault
from sertk.models.dropout import dropout

Dropout = Annotated[float, Field(ge=0, lt=1)]
Positions = Literal["none", "sinusoidal"]

WORTH_PACKING = 1000
"""Frames of padding a sequence, times the width, from which leaving them out pays for attending one by one.

Found by timing forward and backward passes of widths 32 to 512 and 25 to 550 frames on one core.
"""


class TransformerLayer(nn.Module):
    """Attention and a feed-forward net, each added and then normalised: the layer of Vaswani et al., 2017.

    Weights, initial values and results are those of `nn.TransformerEncoderLayer` (post-norm, ReLU); beyond it,
    `memory` makes it attend to another sequence. Raises ConfigError when heads do not divide the width.
    """

    def __init__(self, width: int, *, heads: int, ffn_dim: int, dropout: float) -> None:
        super().__init__()
        if width % heads:
            raise ConfigError("fusion", [Fault("heads", f"must divide the width {width}, got {heads}")])
        self.heads = heads
        self.dropout = dropout
        self.in_proj = nn.Linear(width, 3 * width)
        self.out_proj = nn.Linear(width, width)
        self.linear1 = nn.Linear(width, ffn_dim)
        self.linear2 = nn.Linear(ffn_dim, width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        nn.init.xavier_uniform_(self.in_proj.weight)
        nn.init.zeros_(self.in_proj.bias)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, x: Tensor, mask: Tensor | None, memory: Tensor | None = None) -> Tensor:
        """(B, T, D) to (B, T, D). mask: (B, S) true on the frames attended to; memory: (B, S, D), or x itself."""
        return self._feed(x, self._attend(x, mask, memory))

    def packed(self, x: Tensor, lengths: Sequence[int]) -> Tensor:
        """The same on sequences one behind another without padding: (N, D) to (N, D), N the sum of the lengths."""
        attended = []
        for tokens in self.in_proj(x).split(list(lengths)):
            query, key, value = (self._split(part) for part in tokens[None].chunk(3, dim=-1))
            attended.append(self._weigh(query, key, value, None)[0])
        return self._feed(x, self.out_proj(torch.cat(attended)))

    def _feed(self, x: Tensor, attended: Tensor) -> Tensor:
        x = self.norm1(x + self._drop(attended))
        hidden = self._drop(F.relu(self.linear1(x), inplace=True))
        return self.norm2(x + self._drop(self.linear2(hidden)))  # type: ignore[no-any-return]

    def _attend(self, x: Tensor, mask: Tensor | None, memory: Tensor | None) -> Tensor:
        if memory is None:
            query, key, value = self.in_proj(x).chunk(3, dim=-1)
        else:
            width = x.shape[-1]
            weight, bias = self.in_proj.weight, self.in_proj.bias
            query = F.linear(x, weight[:width], bias[:width])
            key, value = F.linear(memory, weight[width:], bias[width:]).chunk(2, dim=-1)
        attended = self._weigh(self._split(query), self._split(key), self._split(value), mask)
        return self.out_proj(attended)  # type: ignore[no-any-return]

    def _weigh(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        """(B, heads, T, D / heads) each to (B, T, D)."""
        mask = None if mask is None else mask[:, None, None, :]
        drops = self.training and self.dropout > 0
        if drops and query.device.type == "cpu" and not torch.compiler.is_compiling():
            # On the CPU torch has no fused attention with dropout either, and its draws are slow.
            scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1)  # (B, heads, T, S)
            if mask is not None:
                scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
            attended = self._drop(scores.softmax(dim=-1).to(value.dtype)) @ value
        else:
            attended = F.scaled_dot_product_attention(
                query, key, value, attn_mask=mask, dropout_p=self.dropout if drops else 0.0
            )
        return attended.transpose(1, 2).flatten(2)  # (B, T, D)

    def _split(self, x: Tensor) -> Tensor:
        batch, frames, width = x.shape
        return x.view(batch, frames, self.heads, width // self.heads).transpose(1, 2)  # (B, heads, T, D / heads)

    def _drop(self, x: Tensor) -> Tensor:
        return dropout(x, self.dropout, self.training)


class SequenceEncoder(nn.Module):
    """MEDUSA's ENC: W2(relu(W1 x)), then transformer layers; gives the states of each layer.

    Sources: MEDUSA (arXiv 2506.09556), section 3.4. Positions, when asked for, are added before the first layer.
    """

    def __init__(
        self, dim: int, width: int, *, layers: int, heads: int, ffn_dim: int, dropout: float, positions: Positions
    ) -> None:
        super().__init__()
        self.width = width
        self.positions = positions
        self.project = nn.Sequential(nn.Linear(dim, width), nn.ReLU(inplace=True), nn.Linear(width, width))
        self.layers = nn.ModuleList(
            TransformerLayer(width, heads=heads, ffn_dim=ffn_dim, dropout=dropout) for _ in range(layers)
        )

    def forward(self, data: Tensor, mask: Tensor | None) -> list[Tensor]:
        """(B, T, dim) to the states (B, T, width) of each layer, first layer first. mask: (B, T) or none.

        On the CPU, where arithmetic is dear, much padding is left out of it, and the states are zero there.
        """
        if mask is not None and data.device.type == "cpu" and not torch.compiler.is_compiling():
            padding = mask.shape[1] - int(mask.sum()) / len(mask)
            if padding * self.width >= WORTH_PACKING:
                return self._packed(data, mask)
        state = self.project(data)
        if self.positions == "sinusoidal":
            state = state + sinusoidal_positions(state)
        states = []
        for layer in self.layers:
            state = layer(state, mask)
            states.append(state)
        return states

    def _packed(self, data: Tensor, mask: Tensor) -> list[Tensor]:
        batch, frames = mask.shape
        rows = mask.flatten().nonzero()[:, 0]  # (N,), N the frames of content
        lengths = mask.sum(dim=1).tolist()
        state = self.project(data.flatten(0, 1).index_select(0, rows))  # (N, width)
        if self.positions == "sinusoidal":
            state = state + sinusoidal_positions(state.new_empty(1, frames, state.shape[1]))[rows % frames]
        states = []
        for layer in self.layers:
            state = layer.packed(state, lengths)  # type: ignore[operator]
            padded = state.new_zeros(batch * frames, state.shape[1]).index_copy(0, rows, state)
            states.append(padded.unflatten(0, (batch, frames)))  # (B, T, width)
        return states


def join_in_time(states: Sequence[Tensor], masks: Sequence[Tensor | None]) -> tuple[Tensor, Tensor | None]:
    """Put sequences (B, T_i, D) one behind another, (B, sum T_i, D), with the mask of the whole.

    Padding stays where it is and is masked; the mask is None when no sequence has any.
    """
    joined = torch.cat(list(states), dim=1) if len(states) > 1 else states[0]
    if all(mask is None for mask in masks):
        return joined, None
    filled = [
        state.new_ones(state.shape[:2], dtype=torch.bool) if mask is None else mask
        for state, mask in zip(states, masks, strict=True)
    ]
    return joined, torch.cat(filled, dim=1)


def sinusoidal_positions(like: Tensor) -> Tensor:
    """Sines at even, cosines at odd features, for the T and D of (B, T, D): (T, D). Vaswani et al., 2017, 3.5."""
    frames, width = like.shape[1], like.shape[2]
    steps = torch.arange(frames, device=like.device, dtype=torch.float32)
    rates = torch.exp(torch.arange(0, width, 2, device=like.device, dtype=torch.float32) * (-math.log(1e4) / width))
    angles = steps[:, None] * rates[None, :]  # (T, ceil(D / 2))
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :width].to(like.dtype)  # (T, D)
