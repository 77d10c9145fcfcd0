"""How large a model is, and how wide another must be to be as large."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn


def count_parameters(module: nn.Module) -> int:
    """Count the numbers that training can change."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def matched_width(make: Callable[[int], nn.Module], parameters: int, *, multiple: int = 8) -> int:
    """Find the width, a multiple of `multiple`, at which `make(width)` comes nearest to a number of parameters.

    For ablations at equal size, such as late fusion beside DeepSER. Models are made without memory for weights.
    """

    def size(width: int) -> int:
        with torch.device("meta"):
            return count_parameters(make(width))

    high = multiple
    while size(high) < parameters:
        high *= 2
    low = max(multiple, high // 2 // multiple * multiple)
    while high - low > multiple:
        middle = (low + high) // 2 // multiple * multiple
        low, high = (middle, high) if size(middle) < parameters else (low, middle)
    return min(low, high, key=lambda width: abs(size(width) - parameters))
