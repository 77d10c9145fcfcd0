"""Late fusion of sequence encoders: DeepSER without its fusion encoders."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from sertk.config.schema import Positive
from sertk.models.pooling import InputLayers, Inputs, content_masks, mean_frames
from sertk.models.transformer import Dropout, Positions, SequenceEncoder
from sertk.revisions import revision
from sertk.tensors import Features


@revision(1)
class Late(nn.Module):
    """Encode each modality with a transformer, average over time, and map the results to one vector.

    x = W [h; g; z], where h, g, z are masked means of the last layer of each encoder. It has fewer parameters than
    DeepSER of the same width; `sertk.models.size.matched_width` finds the width at which it has as many.

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
    MEDUSA (arXiv 2506.09556), Table 2, late fusion.
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
        input_layers: InputLayers = 1,
    ) -> None:
        super().__init__()
        self.width = width
        self.inputs = Inputs(dims, input_layers)
        self.encoders = nn.ModuleList(
            SequenceEncoder(
                dim, width, layers=layers, heads=heads, ffn_dim=ffn_dim, dropout=dropout, positions=positions
            )
            for dim in self.inputs.dims.values()
        )
        self.out = nn.Linear(len(self.encoders) * width, width)

    def forward(self, features: Features) -> Tensor:
        """{name: (B, T, D)} to (B, width)."""
        features = self.inputs(features)
        masks = content_masks(features)
        pooled = [
            mean_frames(encoder(features[name].data, masks[name])[-1], masks[name])
            for name, encoder in zip(features, self.encoders, strict=True)
        ]
        return self.out(torch.cat(pooled, dim=-1))  # type: ignore[no-any-return]
