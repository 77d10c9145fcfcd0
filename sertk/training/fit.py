"""The training loop: a generator of epochs. It never logs, saves, stops or evaluates; its caller does."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sertk.batching.dataset import FeatureSet
from sertk.errors import TrainingError
from sertk.models.classifier import Classifier
from sertk.tensors import Batch
from sertk.training.hooks import run_hooks
from sertk.training.precision import Precision, autocast
from sertk.training.seeds import derive, seeded
from sertk.training.workers import ALONE, Workers

if TYPE_CHECKING:
    from sertk.contracts import Loss, Regularizer, Sampler


@dataclass(frozen=True)
class Epoch:
    """What an epoch was.

    number: from 0. losses: each term by name, unweighted, and `total`, the weighted sum; means over utterances.
    steps: of the optimizer. utterances: as drawn, repeats included.
    """

    number: int
    losses: dict[str, float]
    steps: int
    utterances: int
    seconds: float


def fit(
    classifier: Classifier,
    data: FeatureSet,
    *,
    sampler: Sampler,
    losses: Sequence[tuple[str, float, Loss]],
    regularizers: Sequence[Regularizer] = (),
    optimizer: torch.optim.Optimizer,
    epochs: int,
    first_epoch: int = 0,
    seed: int,
    device: torch.device,
    precision: Precision = "float32",
    scaler: torch.amp.GradScaler | None = None,
    accumulate: int = 1,
    clip_norm: float | None = None,
    look_every: int | None = None,
    workers: Workers = ALONE,
) -> Iterator[Epoch]:
    """Train epoch after epoch, from number `first_epoch` up to but without number `epochs`.

    classifier: on `device`; in training mode while an epoch runs. losses: (name, weight, loss). accumulate:
    batches to one optimizer step, each of equal weight whatever its size; the last step of an epoch has what is
    left. clip_norm: the largest norm of all gradients together. look_every: batches between two looks at the
    losses, 1 on the CPU and 32 on a GPU by default, since a look holds a GPU up. workers: the processes that train
    this model together, each calling this with the same arguments but its own place among them. Every epoch's draws
    depend on (seed, its number, the worker) alone, and torch's global random state is the caller's whenever the
    caller runs.
    Raises TrainingError, naming the utterances, when the loss or the features are not finite.
    """
    if not losses:
        raise TrainingError("there is no loss to train on: name at least one, such as cross_entropy")
    names = _distinct([name for name, _, _ in losses])
    look_every = look_every or (1 if device.type == "cpu" else 32)
    for number in range(first_epoch, epochs):
        began = time.perf_counter()
        sampler.set_epoch(number)
        batches = list(sampler)
        if not batches:
            raise TrainingError(f"epoch {number}: the sampler draws no batch of {len(data)} utterances")
        shares = [workers.share(rows) for rows in batches]
        own = () if workers.first else (workers.rank,)
        generator = torch.Generator().manual_seed(derive(seed, "regularizers", number, *own))
        watch = _Watch(names, number, data, batches, workers)
        steps = 0
        with seeded(derive(seed, "epoch", number, *own)):
            classifier.train()
            optimizer.zero_grad(set_to_none=True)
            for index, batch in enumerate(data.batches([rows for rows, _ in shares], device=device)):
                share = shares[index][1]
                terms = _terms(classifier, batch, losses, regularizers, generator, autocast(device, precision))
                watch.waiting.append(torch.stack([term.detach().float() for term in terms]) * share)
                if len(watch.waiting) == look_every or index + 1 == len(batches):
                    watch.look()
                in_step = min(accumulate, len(batches) - index // accumulate * accumulate)
                weighted = [weight * term for (_, weight, _), term in zip(losses, terms, strict=True)]
                loss = torch.stack(weighted).sum() * share / in_step
                (scaler.scale(loss) if scaler else loss).backward()  # type: ignore[no-untyped-call]
                if (index + 1) % accumulate == 0 or index + 1 == len(batches):
                    workers.average(classifier)
                    _step(classifier, optimizer, scaler, clip_norm)
                    steps += 1
        utterances = sum(len(rows) for rows in batches)
        means = {name: total / utterances for name, total in zip(names, watch.sums, strict=True)}
        means["total"] = sum(weight * means[name] for name, (_, weight, _) in zip(names, losses, strict=True))
        yield Epoch(number, means, steps, utterances, time.perf_counter() - began)


@dataclass
class _Watch:
    """Adds up the losses of an epoch, and finds the first batch whose loss is not finite, some batches at a time."""

    names: list[str]
    epoch: int
    data: FeatureSet
    batches: Sequence[Sequence[int]]
    workers: Workers
    waiting: list[Tensor] = field(default_factory=list)
    looked_at: int = 0
    sums: list[float] = field(default_factory=list)

    def look(self) -> None:
        """Read what waits on the device. Raises TrainingError, naming the utterances, for what is not finite."""
        for values in self.workers.mean(torch.stack(self.waiting)).tolist():
            rows = self.batches[self.looked_at]
            if not all(math.isfinite(value) for value in values):
                terms = dict(zip(self.names, values, strict=True))
                raise TrainingError(_diagnosis(self.data.batch(rows), terms, self.epoch, self.looked_at))
            before = self.sums or [0.0] * len(values)
            self.sums = [total + value * len(rows) for total, value in zip(before, values, strict=True)]
            self.looked_at += 1
        self.waiting.clear()


def _terms(
    classifier: Classifier,
    batch: Batch,
    losses: Sequence[tuple[str, float, Loss]],
    regularizers: Sequence[Regularizer],
    generator: torch.Generator,
    precision: torch.autocast,
) -> list[Tensor]:
    features, targets = classifier.scaled(batch.features), batch.targets
    with precision:
        features, targets = run_hooks("on_batch", regularizers, features, targets, generator)
        fused = classifier.fusion(features)  # (B, width)
        fused, targets = run_hooks("on_embedding", regularizers, fused, targets, generator)
        outputs = classifier.head(fused)
    return [loss(outputs, targets) for _, _, loss in losses]


def _step(
    classifier: Classifier,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler | None,
    clip_norm: float | None,
) -> None:
    if clip_norm is not None:
        if scaler:
            scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(classifier.parameters(), clip_norm)
    if scaler:
        scaler.step(optimizer)
        scaler.update()
    else:
        optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def _distinct(names: Sequence[str]) -> list[str]:
    """Names with their position where they stand twice."""
    return [f"{name}_{index}" if name in names[:index] else name for index, name in enumerate(names)]


def _diagnosis(batch: Batch, values: dict[str, float], epoch: int, index: int) -> str:
    """Why a loss is not finite: features that are not, or else the batch."""
    where = f"epoch {epoch}, batch {index}"
    for name, padded in batch.features.items():
        finite = padded.data.isfinite().flatten(1).all(dim=1).tolist()  # B
        bad = [id for id, good in zip(batch.ids, finite, strict=True) if not good]
        if bad:
            return (
                f"{where}: the features {name!r} of {', '.join(bad)} are not finite: extract them again, in float32 "
                f"if they overflow, or take the utterances out of the split"
            )
    terms = ", ".join(f"{name} {value}" for name, value in values.items())
    return (
        f"{where}: the loss is not finite ({terms}), but the features are: lower lr, set clip_norm, or use another "
        f"precision. The batch: {', '.join(batch.ids)}"
    )
