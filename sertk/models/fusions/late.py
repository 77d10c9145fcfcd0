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
def late(
    dims: Mapping[str, int],
    /,
    *,
    width: Positive = 1024,
    layers: Positive = 2,
    heads: Positive = 1,
    inner: Positive = 2048,
    dropout: Dropout = 0.1,
    positions: Positions = "none",
    input_layers: InputLayers = 1,
) -> Late:
    """Encode each modality with a transformer, average over time, and map the results to one vector.

    x = W [h; g; z], where h, g, z are masked means of the last layer of ENC. width: of states and output. layers,
    heads: of each transformer. inner: width of the feed-forward net. dropout: in training, within the layers.
    positions: what tells the order of frames. input_layers: encoder layers that stand side by side in the features,
    mixed under learnt weights. Raises ConfigError when these do not divide D, or heads the width.
    It has fewer parameters than DeepSER of the same width; `sertk.models.size.matched_width` finds the width at
    which it has as many.
    Source: MEDUSA (arXiv 2506.09556), Table 2, late fusion.
    """
    return Late(dims, width, layers, heads, inner, dropout, positions, input_layers)


class Late(nn.Module):
    """The fusion of `late`."""

    def __init__(
        self,
        dims: Mapping[str, int],
        width: int,
        layers: int,
        heads: int,
        inner: int,
        dropout: float,
        positions: Positions,
        input_layers: int | Mapping[str, int],
    ) -> None:
        super().__init__()
        self.width = width
        self.inputs = Inputs(dims, input_layers)
        self.encoders = nn.ModuleList(
            SequenceEncoder(dim, width, layers=layers, heads=heads, inner=inner, dropout=dropout, positions=positions)
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
