"""Fewer frames: one per utterance, the mean and the standard deviation of its frames; or the means of a few each."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import Tensor

Pool: TypeAlias = Literal["none", "mean", "mean_std"]

VALUES: dict[Pool, int] = {"mean": 1, "mean_std": 2}
"""How many values each column of the frames becomes."""


def pooled(frames: Tensor, pool: Pool, *, states: int = 1) -> Tensor:
    """(T, states * width) of one utterance, without padding, to (1, states * width * 1 or 2) float32.

    With `mean_std` [mean of state 0, deviation of state 0, mean of state 1, ...], so that `input_layers = states` of
    a fusion gives whole states. The deviation is that of the frames there are: divided by T, 0 for one frame. Frames
    come back as they are for `none`.
    """
    if pool == "none":
        return frames
    deviation, mean = torch.std_mean(
        frames.float().reshape(len(frames), states, -1), dim=0, correction=0
    )  # (states, width)
    return (mean if pool == "mean" else torch.cat([mean, deviation], dim=1)).reshape(1, -1)


def averaged(frames: Tensor, count: int) -> Tensor:
    """(T, D) of one utterance, without padding, to (ceil(T / count), D) float32: means of `count` successive frames.

    The last is the mean of those that are left.
    """
    if count == 1:
        return frames
    return torch.stack([part.float().mean(dim=0) for part in torch.split(frames, count)])
