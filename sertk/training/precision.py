"""Mixed precision: what is computed in which number type."""

from __future__ import annotations

from typing import Literal

import torch

Precision = Literal["float32", "bfloat16", "float16"]


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """The context in which a model runs; weights stay float32."""
    if precision == "float32":
        return torch.autocast(device.type, enabled=False)
    return torch.autocast(device.type, dtype=torch.bfloat16 if precision == "bfloat16" else torch.float16)
