"""Several linear heads trained at once: the weights of one by one, in a fraction of the time.

The heads see the same fused vectors in orders of their own. Their weights are one tensor (M, C + A, D + 1), the bias
a last column that meets a column of ones, so that a step is one gather, one batched product and one fused AdamW.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from sertk.contracts import Loss, Sampler
from sertk.errors import TrainingError
from sertk.models.head import LinearHead
from sertk.tensors import Outputs, Targets
from sertk.training.optimizers import adamw

Term = tuple[float, Loss]
"""A loss and its weight in the sum."""


@dataclass(frozen=True)
class Scale:
    """How the heads turn the last A of their outputs into attributes; no range: they are attributes."""

    low: Tensor
    span: Tensor
    bounded: bool

    @staticmethod
    def of(head: LinearHead, device: torch.device) -> Scale:
        """The scale of a head."""
        return Scale(head.low.to(device), head.span.to(device), head.attribute_output == "sigmoid")

    def outputs(self, values: Tensor) -> Outputs:
        """(B, C + A) to logits and attributes, as `LinearHead` does."""
        classes = values.shape[-1] - len(self.low)
        attributes = values[:, classes:]  # (B, A)
        if self.bounded:
            attributes = self.low + self.span * attributes.sigmoid()
        return Outputs(values[:, :classes], attributes)


def fit_together(
    heads: Sequence[LinearHead],
    inputs: Tensor,
    targets: Targets,
    *,
    samplers: Sequence[Sampler],
    losses: Sequence[Term],
    lr: float,
    weight_decay: float,
    steps: int,
) -> list[float]:
    """Train M heads of one shape on inputs (N, D), in place; give the last loss of each.

    The weights are those of `sertk.training.fit` for one classifier after another, up to the order of sums. Epochs
    follow one another until `steps`; the last may be cut short. inputs and targets: in the order of the samplers'
    table, on the device to compute on. Raises TrainingError where weights or losses are not finite.
    """
    weights = torch.stack([pack(head) for head in heads]).to(inputs.device).requires_grad_()  # (M, C + A, D + 1)
    last = descend(
        weights,
        nn.functional.pad(inputs, (0, 1), value=1.0),  # (N, D + 1)
        targets,
        draws=[endless(sampler) for sampler in samplers],
        losses=losses,
        scale=Scale.of(heads[0], inputs.device),
        lr=lr,
        weight_decay=weight_decay,
        steps=steps,
    )
    for head, packed in zip(heads, weights.detach().cpu(), strict=True):
        unpack(packed, head)
    return last


def descend(
    weights: Tensor,
    inputs: Tensor,
    targets: Targets,
    *,
    draws: Sequence[Iterator[list[int]]],
    losses: Sequence[Term],
    scale: Scale,
    lr: float,
    weight_decay: float,
    steps: int,
) -> list[float]:
    """Take `steps` of AdamW on weights (M, C + A, D + 1), in place; give the M losses of the last one.

    inputs: (N, D + 1) with a column of ones. draws: for each of the M, rows of one batch after another.
    """
    optimizer = adamw({"weights": weights}, lr=lr, weight_decay=weight_decay)
    losses_of = loss_of_each(losses, scale)
    every = torch.cat([inputs, targets.emotion, targets.attributes], dim=1)  # (N, D + 1 + C + A)
    parts = [inputs.shape[1], targets.emotion.shape[1], targets.attributes.shape[1]]
    values = weights.new_zeros(len(weights))
    for _ in range(steps):
        batches = [next(draw) for draw in draws]
        sizes = [len(batch) for batch in batches]
        rows = torch.from_numpy(np.array(_squared(batches, max(sizes)))).to(every.device)
        drawn = every.index_select(0, rows).view(len(batches), max(sizes), -1)  # (M, B, D + 1 + C + A)
        x, emotion, attributes = torch.split(drawn, parts, dim=-1)
        outputs = torch.bmm(weights, x.mT).mT  # (M, B, C + A): four times faster than x weights^T on a CPU
        values = losses_of(outputs, emotion, attributes, sizes)  # (M,)
        weights.grad = None
        values.sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    last: list[float] = values.tolist()
    if not weights.isfinite().all():
        raise TrainingError(f"the weights are not finite after {steps} steps (losses {last}): lower lr")
    return last


def loss_of_each(losses: Sequence[Term], scale: Scale) -> Callable[[Tensor, Tensor, Tensor, list[int]], Tensor]:
    """Make the function that gives the M losses of outputs (M, B, C + A), of which `sizes` rows count.

    One vectorised call where all sizes are equal and the losses allow it (`torch.vmap`), else one a model.
    """

    def total(outputs: Tensor, emotion: Tensor, attributes: Tensor) -> Tensor:
        here, truth = scale.outputs(outputs), Targets(emotion, attributes)
        return torch.stack([weight * loss(here, truth) for weight, loss in losses]).sum()

    def one_by_one(outputs: Tensor, emotion: Tensor, attributes: Tensor, sizes: list[int]) -> Tensor:
        each = zip(outputs, emotion, attributes, sizes, strict=True)
        return torch.stack([total(o[:size], e[:size], a[:size]) for o, e, a, size in each])

    at_once = torch.vmap(total)
    vectorised = True

    def of_each(outputs: Tensor, emotion: Tensor, attributes: Tensor, sizes: list[int]) -> Tensor:
        nonlocal vectorised
        if vectorised and len(set(sizes)) == 1:
            try:
                return at_once(outputs, emotion, attributes)
            except RuntimeError:  # a loss that looks at values, which vmap cannot follow
                vectorised = False
        return one_by_one(outputs, emotion, attributes, sizes)

    return of_each


def _squared(batches: Sequence[list[int]], longest: int) -> list[int]:
    """All rows in one list; short batches are filled up with a row that will not count."""
    return [row for batch in batches for row in (*batch, *batch[:1] * (longest - len(batch)))]


def endless(sampler: Sampler) -> Iterator[list[int]]:
    """One batch after another, epoch after epoch. Raises TrainingError for an epoch without a batch."""
    epoch = 0
    while True:
        sampler.set_epoch(epoch)
        batch: list[int] = []
        for batch in sampler:
            yield batch
        if not batch:
            raise TrainingError(f"epoch {epoch}: the sampler draws no batch")
        epoch += 1


def pack(head: LinearHead) -> Tensor:
    """The weights of a head, (C + A, D + 1)."""
    with torch.no_grad():
        return torch.cat([torch.cat([layer.weight, layer.bias[:, None]], dim=1) for layer in _layers(head)])


def unpack(packed: Tensor, head: LinearHead) -> None:
    """Put (C + A, D + 1) back into a head."""
    layers = _layers(head)
    with torch.no_grad():
        for layer, part in zip(layers, torch.split(packed, [layer.out_features for layer in layers]), strict=True):
            layer.weight.copy_(part[:, :-1])
            layer.bias.copy_(part[:, -1])


def _layers(head: LinearHead) -> list[nn.Linear]:
    return [head.emotion] if head.attributes is None else [head.emotion, head.attributes]
