"""Manifold MixUp for sertk: convex mixtures of fused vectors and of their targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Generator, Tensor

from sertk.revisions import revision
from sertk.tensors import Targets


@revision(1)
@dataclass(frozen=True, kw_only=True)
class ManifoldMixup:
    """Mix fused vectors, class targets and attributes of pairs of utterances (Manifold MixUp).

    In a batch that is mixed x_i becomes l_i x_i + (1 - l_i) x_p(i), with l_i ~ Beta(alpha, alpha) for each utterance
    and p a random permutation of the batch; the same l and p for both kinds of targets. An attribute that either of
    the two lacks is missing in the mixture.

    Parameters
    ----------
    probability
        That a batch is mixed.
    alpha
        Of the Beta distribution; small values mix little.

    References
    ----------
    Verma et al., Manifold Mixup, 2019; MEDUSA (arXiv 2506.09556).
    """

    probability: Annotated[float, Field(ge=0, le=1)] = 0.3
    alpha: Annotated[float, Field(gt=0)] = 0.2

    def on_embedding(self, fused: Tensor, targets: Targets, generator: Generator) -> tuple[Tensor, Targets]:
        """Mix each fused vector, (B, width), and its targets with those of a partner, or leave the batch alone."""
        if float(torch.rand((), generator=generator)) >= self.probability:
            return fused, targets
        share, partner = draw(len(fused), self.alpha, generator)
        share, partner = share.to(fused.device), partner.to(fused.device)
        mixed = Targets(mix(targets.emotion, share, partner), mix(targets.attributes, share, partner))
        return mix(fused, share, partner), mixed


def draw(batch: int, alpha: float, generator: Generator) -> tuple[Tensor, Tensor]:
    """Draw the share of its own that each of B utterances keeps, (B, 1), and its partner, (B,)."""
    partner = torch.randperm(batch, generator=generator)
    seed = int(torch.randint(2**62, (), generator=generator))  # torch's own Beta takes no generator
    share = np.random.default_rng(seed).beta(alpha, alpha, batch)
    return torch.from_numpy(share).float()[:, None], partner


def mix(values: Tensor, share: Tensor, partner: Tensor) -> Tensor:
    """share * values + (1 - share) * those of the partner; values: (B, D), share: (B, 1), partner: (B,)."""
    share = share.to(values.dtype)
    return share * values + (1 - share) * values[partner]
