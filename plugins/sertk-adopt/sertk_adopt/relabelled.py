"""A model's probabilities over other classes."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from sertk.config.schema import Count
from sertk.errors import ConfigError, Fault
from sertk.models.pooling import masked_mean
from sertk.revisions import revision
from sertk.tensors import Features

FLOOR = 1e-12
"""The least probability, for classes that no class becomes."""


@revision(1)
class Relabelled(nn.Module):
    """The posteriors of one model over other classes; no weights to learn.

    Gives (B, C + A): log-probabilities, which serve as logits, and attributes; for a head of kind "identity".

    Parameters
    ----------
    becomes
        For each class of the model the number of the class that it becomes, from 0; -1 for one that is left out. Its
        probability is shared out over the others.
    classes
        How many classes there are afterwards.
    attributes
        The numbers of the attributes that are kept, in their new order.

    Raises
    ------
    ConfigError
        For more than one model, and numbers that do not fit it.
    """

    def __init__(
        self, dims: Mapping[str, int], /, *, becomes: list[int], classes: Count, attributes: list[Count]
    ) -> None:
        super().__init__()
        faults = []
        width = next(iter(dims.values()))
        if len(dims) != 1:
            faults.append(Fault("features", f"should be the posteriors of one model, got {', '.join(dims)}"))
        if not all(-1 <= number < classes for number in becomes) or (becomes and max(becomes) < 0):
            faults.append(Fault("becomes", f"should be numbers from -1 to {classes - 1}, not all -1, got {becomes}"))
        if not all(number < width - len(becomes) for number in attributes):
            faults.append(Fault("attributes", f"should be numbers below {width - len(becomes)}, got {attributes}"))
        if faults:
            raise ConfigError("fusion relabelled", faults)
        self.width, self.classes = classes + len(attributes), classes
        share = torch.zeros(len(becomes), classes)
        for row, number in enumerate(becomes):
            if number >= 0:
                share[row, number] = 1.0
        self.register_buffer("share", share, persistent=False)
        self.kept = [len(becomes) + number for number in attributes]

    share: Tensor

    def forward(self, features: Features) -> Tensor:
        """{name: (B, 1, C' + A')} to (B, C + A)."""
        (padded,) = features.values()
        posteriors = masked_mean(padded).float()  # (B, C' + A')
        mass = posteriors[:, : len(self.share)] @ self.share  # (B, C)
        logits = (mass / mass.sum(dim=-1, keepdim=True).clamp_min(FLOOR)).clamp_min(FLOOR).log()
        return torch.cat([logits, posteriors[:, self.kept]], dim=-1)
