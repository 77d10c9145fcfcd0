"""Each modality looks at the others, frame by frame."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from sertk.config.schema import Positive
from sertk.models.pooling import InputLayers, Inputs, content_masks, mean_frames
from sertk.models.transformer import Dropout, Positions, TransformerLayer, join_in_time, sinusoidal_positions
from sertk.revisions import revision
from sertk.tensors import Features


@revision(1)
class CrossAttention(nn.Module):
    """Let the frames of each modality attend to those of all the others, average over time, and join.

    A modality's frames are the queries; keys and values are the other modalities' projected frames, joined along
    time. A single modality attends to itself.

    Parameters
    ----------
    width
        Of states and output.
    layers
        Of each transformer.
    heads
        Of each attention; they divide the width.
    ffn_dim
        Width of the feed-forward network of each layer.
    dropout
        Share of activations that are set to zero in training, within the layers.
    positions
        What tells the order of frames: `none`, or `sinusoidal` positions added before the first layer.
    input_layers
        Encoder layers that are side by side in the features, mixed under learnt weights: one number, or one per
        modality.

    Raises
    ------
    ConfigError
        When `input_layers` does not divide D, or heads the width.

    References
    ----------
    After Tsai et al., Multimodal Transformer for Unaligned Multimodal Language Sequences, 2019, sections 3.1 and 3.2;
    linear maps instead of convolutions, one stream for all other modalities.
    """

    def __init__(
        self,
        dims: Mapping[str, int],
        /,
        *,
        width: Positive = 256,
        layers: Positive = 2,
        heads: Positive = 4,
        ffn_dim: Positive = 1024,
        dropout: Dropout = 0.1,
        positions: Positions = "sinusoidal",
        input_layers: InputLayers = 1,
    ) -> None:
        super().__init__()
        self.width = width
        self.positions = positions
        self.inputs = Inputs(dims, input_layers)
        self.project = nn.ModuleList(nn.Linear(dim, width) for dim in self.inputs.dims.values())
        self.streams = nn.ModuleList(
            nn.ModuleList(
                TransformerLayer(width, heads=heads, ffn_dim=ffn_dim, dropout=dropout) for _ in range(layers)
            )
            for _ in dims
        )
        self.out = nn.Linear(len(self.streams) * width, width)

    def forward(self, features: Features) -> Tensor:
        """{name: (B, T, D)} to (B, width)."""
        features = self.inputs(features)
        masks = list(content_masks(features).values())
        frames = [project(each.data) for project, each in zip(self.project, features.values(), strict=True)]
        if self.positions == "sinusoidal":
            frames = [each + sinusoidal_positions(each) for each in frames]
        pooled = []
        for index, stream in enumerate(self.streams):
            others = [other for other in range(len(frames)) if other != index] or [index]
            memory, memory_mask = join_in_time([frames[o] for o in others], [masks[o] for o in others])
            state = frames[index]
            for layer in stream:  # type: ignore[attr-defined]
                state = layer(state, memory_mask, memory)
            pooled.append(mean_frames(state, masks[index]))
        return self.out(torch.cat(pooled, dim=-1))  # type: ignore[no-any-return]
