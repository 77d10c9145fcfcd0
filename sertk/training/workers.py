"""One model trained by several processes, each on its share of every batch: a GPU each, started by accelerate.

`accelerate launch --num_processes 4 --no_python sertk train ...` starts the processes; nothing else changes. Every
process draws the same batches, takes its share of each, and gradients are averaged before each step, so that the
weights are those of one process up to rounding, as far as losses are means over utterances and nothing is drawn at
random inside the network. All processes hold the same weights; the first one writes.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from sertk.errors import TrainingError

Value = TypeVar("Value")


@dataclass(frozen=True)
class Workers:
    """This process among those that train one model. rank: from 0. count: how many they are."""

    rank: int = 0
    count: int = 1
    device: torch.device | None = None

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def share(self, rows: Sequence[int]) -> tuple[Sequence[int], float]:
        """The rows of a batch that are this process's, and what its mean loss counts in the mean of all losses.

        A batch of fewer rows than processes is given to some with weight 0: each must take part in every step.
        """
        if self.count == 1:
            return rows, 1.0
        mine = rows[self.rank :: self.count]
        return mine or rows[:1], self.count * len(mine) / len(rows)

    def average(self, model: nn.Module) -> None:
        """Put the mean of all processes' gradients in place of this one's."""
        if self.count == 1:
            return
        from accelerate.utils import reduce

        having = [parameter for parameter in model.parameters() if parameter.grad is not None]
        flat = reduce(torch.cat([p.grad.flatten() for p in having if p.grad is not None]), reduction="mean")
        for parameter, mean in zip(having, flat.split([p.numel() for p in having]), strict=True):
            parameter.grad = mean.view_as(parameter)

    def mean(self, values: Tensor) -> Tensor:
        """The mean of a tensor over processes."""
        if self.count == 1:
            return values
        from accelerate.utils import reduce

        reduced: Tensor = reduce(values, reduction="mean")
        return reduced

    def of_first(self, value: Value) -> Value:
        """What the first process has; all wait for it."""
        if self.count == 1:
            return value
        from accelerate.utils import broadcast_object_list

        held = [value]
        broadcast_object_list(held)
        return held[0]


ALONE = Workers()


def find_workers(device: torch.device) -> Workers:
    """This process's place among those that `accelerate launch` started; alone where it did not.

    Raises TrainingError where they are several and accelerate is not installed.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return ALONE
    try:
        from accelerate import PartialState
    except ImportError:
        raise TrainingError(
            f"{os.environ['WORLD_SIZE']} processes train one model, which needs accelerate: "
            "pip install 'sertk[accelerate]'"
        ) from None
    state = PartialState(cpu=device.type == "cpu")
    return Workers(state.process_index, state.num_processes, state.device)
