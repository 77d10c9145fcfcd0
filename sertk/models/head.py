"""From the fused vector to emotion logits and attributes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sertk.config.schema import Head
from sertk.errors import ConfigError, Fault
from sertk.tensors import Outputs


def build_head(head: Head, *, width: int, classes: int, ranges: Sequence[tuple[float, float]]) -> nn.Module:
    """Make the head an experiment describes: (B, width) to Outputs.

    ranges: lowest and highest value of each of `head.attributes`, in order. Raises ConfigError for ranges that do
    not match the attributes, or an identity head on a fusion whose width is not C + A.
    """
    if len(ranges) != len(head.attributes):
        message = f"{len(head.attributes)} attributes {head.attributes} need as many ranges, got {list(ranges)}"
        raise ConfigError("head", [Fault("head.attributes", message)])
    if head.kind == "linear":
        return LinearHead(head, width=width, classes=classes, ranges=ranges)
    if width != classes + len(ranges):
        message = (
            f"an identity head with {classes} classes and {len(ranges)} attributes needs a fusion of width "
            f"{classes + len(ranges)}, got {width}"
        )
        raise ConfigError("head", [Fault("head.kind", message)])
    return IdentityHead(classes)


class LinearHead(nn.Module):
    """Two linear maps: emotion = Wc f(x), attributes = low + (high - low) sigmoid(Wr f(x)), f the activation.

    With `attribute_output = "linear"` attributes are Wr f(x) itself. Source: MEDUSA (arXiv 2506.09556), section
    3.4; the sigmoid is that of its released code, 1 + 6 sigmoid for the range 1 to 7.
    """

    low: Tensor
    span: Tensor

    def __init__(self, head: Head, *, width: int, classes: int, ranges: Sequence[tuple[float, float]]) -> None:
        super().__init__()
        self.activation = head.activation
        self.attribute_output = head.attribute_output
        self.emotion = _linear(width, classes)
        self.attributes = nn.Linear(width, len(ranges)) if ranges else None
        # By numpy: arithmetic on torch's meta device, on which models are built to see their shapes, takes seconds
        # to import.
        low, high = np.array(list(ranges), dtype=np.float32).reshape(-1, 2).T  # (A,) each
        self.register_buffer("low", torch.tensor(low), persistent=False)
        self.register_buffer("span", torch.tensor(high - low), persistent=False)

    def forward(self, fused: Tensor) -> Outputs:
        """(B, width) to logits (B, C) and attributes (B, A)."""
        active = F.relu(fused) if self.activation == "relu" else fused
        emotion = self.emotion(active)
        if self.attributes is None:
            return Outputs(emotion, emotion.new_zeros((len(emotion), 0)))
        return Outputs(emotion, self.scaled(self.attributes(active)))

    def scaled(self, values: Tensor) -> Tensor:
        """What the linear map of attributes gives, (B, A), on their own scale."""
        return self.low + self.span * values.sigmoid() if self.attribute_output == "sigmoid" else values


class IdentityHead(nn.Module):
    """Nothing but a cut: the first C features are emotion logits, the others attributes on their own scale."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, fused: Tensor) -> Outputs:
        """(B, C + A) to logits (B, C) and attributes (B, A)."""
        return Outputs(fused[:, : self.classes], fused[:, self.classes :])


def _linear(width: int, outputs: int) -> nn.Linear:
    """A linear map; of one to nothing torch would warn that it draws no weights."""
    linear = nn.Linear(width, outputs or 1)
    if not outputs:
        linear.out_features = 0
        linear.weight, linear.bias = nn.Parameter(linear.weight[:0].clone()), nn.Parameter(linear.bias[:0].clone())
    return linear
