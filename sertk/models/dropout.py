"""Dropout that costs little on the CPU."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_LEVELS = 1 << 16


def dropout(x: Tensor, probability: float, training: bool) -> Tensor:
    """Zero elements of a tensor of any shape with a probability, and scale the rest so that the mean stays.

    As `torch.nn.functional.dropout`, from the same generator. On the CPU torch draws a number an element, which was
    a quarter of the training of a narrow member; here four elements share one draw of 64 bits, 16 bits each, so that
    the probability is exact to 1 / 131,072. Source: Srivastava et al., 2014.
    """
    limit = round(probability * _LEVELS)
    if not training or probability == 0 or limit in (0, _LEVELS) or x.device.type != "cpu":
        return F.dropout(x, probability, training)
    if torch.compiler.is_compiling():
        return F.dropout(x, probability, training)
    draws = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(1 << 63), None)
    values = draws.view(torch.int16)[: x.numel()].view(x.shape)  # from -32768 to 32767, all alike often
    kept = values >= limit - _LEVELS // 2
    return x * kept.to(x.dtype).mul_(_LEVELS / (_LEVELS - limit))
