"""Features at mean 0 and deviation 1 over the training part, inside the model: what it was fitted on goes with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from sertk.tensors import Features, Padded

LIMIT = 10.0
"""Standardised values are cut at so many deviations: functionals have rare values far beyond all others."""


Moments = tuple[Tensor, Tensor]
"""Mean and deviation, (D,) each."""


class Standardise(nn.Module):
    """(x - mean) / std of the modalities that are named, padding kept at zero; the others pass as they are.

    dims: D of each modality that is standardised. Until `fit` has been called, mean is 0 and std 1.
    """

    def __init__(self, dims: Mapping[str, int]) -> None:
        super().__init__()
        self.names = [*dims]
        for number, dim in enumerate(dims.values()):  # a modality may be called what no buffer can be
            self.register_buffer(f"mean{number}", torch.zeros(dim))
            self.register_buffer(f"std{number}", torch.ones(dim))

    def fit(self, frames: Mapping[str, Iterator[Tensor]]) -> None:
        """Measure each D over the frames of all sequences (T, D) of each modality; constants keep std 1."""
        for number, name in enumerate(self.names):
            mean, std = moments(frames[name])
            getattr(self, f"mean{number}").copy_(mean)
            getattr(self, f"std{number}").copy_(std)

    def moments(self, name: str) -> Moments:
        """The (D,) mean and deviation of a modality."""
        number = self.names.index(name)
        return getattr(self, f"mean{number}"), getattr(self, f"std{number}")

    def forward(self, features: Features) -> Features:
        """{name: (B, T, D)} to the same shapes."""
        changed = dict(features)
        for name in self.names:
            padded = features[name]
            mean, std = self.moments(name)
            data = ((padded.data - mean) / std).clamp(-LIMIT, LIMIT) * padded.mask[:, :, None]  # (B, T, D)
            changed[name] = Padded(data, padded.lengths)
        return changed


def moments(sequences: Iterable[Tensor]) -> Moments:
    """(D,) mean and deviation, in float64 around the first frame so that large values lose nothing."""
    count, shift = 0, None
    total = squares = torch.zeros(())
    for sequence in sequences:
        frames = sequence.double()  # (T, D)
        shift = frames[0] if shift is None else shift
        frames = frames - shift
        count, total, squares = count + len(frames), total + frames.sum(0), squares + frames.square().sum(0)
    assert shift is not None, "a training part is never empty"
    mean = total / count
    std = (squares / count - mean.square()).clamp_min(0).sqrt()
    still = std <= 1e-7 * (mean + shift).abs().clamp_min(1e-7)
    return (mean + shift).float(), std.masked_fill(still, 1.0).float()


def standardiser(names: Sequence[str], dims: Mapping[str, int]) -> Standardise | None:
    """The module for the modalities of that name; None where there is none."""
    return Standardise({name: dims[name] for name in names}) if names else None
