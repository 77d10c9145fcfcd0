"""The floor under a stage that computes: the operations it cannot do without, over the machine's rate."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.utils.flop_counter import FlopCounterMode


def timed(work: Callable[[], Any], device: torch.device) -> float:
    """Seconds; of the process on one CPU thread, else of the clock."""
    clock = time.process_time if device.type == "cpu" and torch.get_num_threads() == 1 else time.perf_counter
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    began = clock()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return clock() - began


def matrix_rates(device: torch.device, before: Mapping[str, float] | None = None) -> dict[str, float]:
    """Operations a second of one large matrix product by type, the best of some.

    before: what an earlier call found; the better counts, for a machine is not as fast at one moment as at another.
    """
    size = 8192 if device.type == "cuda" else 2048
    rates = dict(before or {})
    for name in ("float32", "bfloat16"):
        a, b = (torch.randn(size, size, device=device, dtype=getattr(torch, name)) for _ in range(2))
        rate = 2.0 * size**3 / min(timed(lambda a=a, b=b: torch.mm(a, b), device) for _ in range(6))  # type: ignore[misc]
        rates[name] = max(rate, rates.get(name, 0.0))
    return rates


def emptied(model: nn.Module) -> nn.Module:
    """The model's shapes alone, to count with: the weights are given up, the model itself is of no more use."""
    for module in list(model.modules()):
        if parametrize.is_parametrized(module, "weight"):  # such weights the counter does not see through
            parametrize.remove_parametrizations(module, "weight")
    return model.to("meta").eval()


def operations(shapes: nn.Module, *inputs: Any) -> int:
    """Operations of the matrix products and convolutions of one forward pass; nothing is computed.

    shapes: an emptied model, with attention in plain products, for a single kernel is not counted. inputs: tensors on
    the device `meta`.
    """
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        shapes(*inputs)
    return int(counter.get_total_flops())
