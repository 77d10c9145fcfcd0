"""Deep fusion: the modalities' encoders meet at every layer, not only at the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, cast

import torch
from torch import Tensor, nn

from sertk.config.schema import Positive
from sertk.models.pooling import AttentiveStatistics, InputLayers, Inputs, content_masks, mean_frames
from sertk.models.transformer import Dropout, Positions, SequenceEncoder, join_in_time
from sertk.revisions import revision
from sertk.tensors import Features

Pooling = Literal["mean", "attentive_statistics"]


@revision(1)
class DeepSER(nn.Module):
    """Fuse modalities at every layer of their transformers: MEDUSA's DeepSER, for any number of modalities.

    An encoder is W2(relu(W1 x)), transformer layers, and a mean over time. Each modality has an encoder of L layers;
    fusion encoder 1 reads their first-layer states joined along time, fusion encoder l > 1 their layer-l states and
    the layer-l state of fusion encoder l - 1. Then x = W [h; g; z; f], the means of all modalities and of the last
    fusion encoder. A fusion encoder has the layers that are read of it: l + 1, the last one L; for L = 2 both have
    two, as in the paper.

    Parameters
    ----------
    width
        Of states and output.
    layers
        Of each transformer, L.
    heads
        Of each attention; they divide the width.
    ffn_dim
        Width of the feed-forward network of each layer.
    dropout
        Share of activations that are set to zero in training, within the layers.
    positions
        What tells the order of frames: `none`, or `sinusoidal` positions added before the first layer.
    mask_padding
        False lets padding into attention and means, as the released code does, so that an utterance's output depends
        on its batch.
    input_layers
        Encoder layers that are side by side in the features, mixed under learnt weights: one number, or one per
        modality.
    pooling
        `attentive_statistics` (Okabe et al., 2018) in place of the `mean` over time.

    Raises
    ------
    ConfigError
        When `input_layers` does not divide D, or heads the width.

    References
    ----------
    MEDUSA (arXiv 2506.09556), section 3.4, Algorithms 1 and 2.
    """

    def __init__(
        self,
        dims: Mapping[str, int],
        /,
        *,
        width: Positive = 1024,
        layers: Positive = 2,
        heads: Positive = 1,
        ffn_dim: Positive = 2048,
        dropout: Dropout = 0.1,
        positions: Positions = "none",
        mask_padding: bool = True,
        input_layers: InputLayers = 1,
        pooling: Pooling = "mean",
    ) -> None:
        super().__init__()
        self.width = width
        self.mask_padding = mask_padding
        self.inputs = Inputs(dims, input_layers)
        self.encoders = nn.ModuleList(
            SequenceEncoder(
                dim, width, layers=layers, heads=heads, ffn_dim=ffn_dim, dropout=dropout, positions=positions
            )
            for dim in self.inputs.dims.values()
        )
        self.fusion_encoders = nn.ModuleList(
            SequenceEncoder(
                width,
                width,
                layers=min(level + 1, layers),
                heads=heads,
                ffn_dim=ffn_dim,
                dropout=dropout,
                positions="none",
            )
            for level in range(1, layers + 1)
        )
        pooled = (len(self.encoders) + 1) * width
        self.attentive: nn.ModuleList | None = None
        if pooling == "attentive_statistics":
            self.attentive = nn.ModuleList(AttentiveStatistics(width) for _ in range(len(self.encoders) + 1))
            pooled *= 2
        self.out = nn.Linear(pooled, width)

    def forward(self, features: Features) -> Tensor:
        """{name: (B, T, D)} to (B, width)."""
        features = self.inputs(features)
        masks = list(content_masks(features).values()) if self.mask_padding else [None] * len(features)
        states = [
            encoder(each.data, mask)
            for encoder, each, mask in zip(self.encoders, features.values(), masks, strict=True)
        ]  # states[modality][layer]: (B, T, width)
        fused: list[Tensor] = []
        joined_mask: Tensor | None = None
        for level, encoder in enumerate(self.fusion_encoders):
            parts, part_masks = [state[level] for state in states], list(masks)
            if level > 0:
                parts.append(fused[level])
                part_masks.append(joined_mask)
            joined, joined_mask = join_in_time(parts, part_masks)  # (B, (level + 1) sum T, width)
            fused = encoder(joined, joined_mask)
        last = [*(state[-1] for state in states), fused[-1]]
        pooled = [
            self._pooled(n, x, mask) for n, (x, mask) in enumerate(zip(last, [*masks, joined_mask], strict=True))
        ]
        return self.out(torch.cat(pooled, dim=-1))  # type: ignore[no-any-return]

    def _pooled(self, number: int, x: Tensor, mask: Tensor | None) -> Tensor:
        """(B, T, width) to (B, width), or twice that with attentive statistics."""
        if self.attentive is None:
            return mean_frames(x, mask)
        return cast(AttentiveStatistics, self.attentive[number]).pool(x, mask)
