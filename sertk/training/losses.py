"""Core's losses: scalars, each the mean over the batch, computed in float32 or better whatever comes in.

Every loss here takes soft class targets, (B, C) probabilities. Attributes that are missing (NaN) do not count.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sertk.data.labels import LabelTable
from sertk.errors import DataError
from sertk.revisions import revision
from sertk.tensors import Outputs, Targets

LossFunction = Callable[[Outputs, Targets], Tensor]


@revision(1)
def cross_entropy(table: LabelTable, /, *, class_weight_power: float = 0.0) -> LossFunction:
    """Cross-entropy to soft class targets, with class weights from the soft mass.

    The mean over B of -sum_c w_c t_c log p_c, soft and one-hot targets normalised alike, with weights w_c = (N / (C
    f_c)) ** class_weight_power, f_c the summed soft mass of class c.

    Parameters
    ----------
    class_weight_power
        How much more rare classes weigh; 0 weighs all alike.

    Raises
    ------
    DataError
        Naming classes without mass, when weights need it.

    References
    ----------
    MEDUSA (arXiv 2506.09556).
    """
    weights = class_weights(table, class_weight_power)

    def loss(outputs: Outputs, targets: Targets) -> Tensor:
        log_p = _precise(outputs.emotion).log_softmax(dim=-1)  # (B, C)
        return -(weights.to(log_p) * targets.emotion * log_p).sum(dim=-1).mean()

    return loss


@revision(1)
def kl(table: LabelTable, /) -> LossFunction:
    """Kullback-Leibler divergence from the vote distribution; zero where the model meets it.

    The mean over B of sum_c t_c (log t_c - log p_c), whose gradient is that of unweighted cross-entropy.
    """

    def loss(outputs: Outputs, targets: Targets) -> Tensor:
        log_p = _precise(outputs.emotion).log_softmax(dim=-1)  # (B, C)
        t = targets.emotion
        divergence: Tensor = (torch.special.xlogy(t, t) - t * log_p).sum(dim=-1)  # (B,)
        return divergence.mean()

    return loss


@revision(1)
def focal(table: LabelTable, /, *, gamma: float = 2.0, class_weight_power: float = 0.0) -> LossFunction:
    """Focal loss on soft targets: classes that are predicted well already count less.

    The mean over B of -sum_c w_c t_c (1 - p_c) ** gamma log p_c; gamma 0 is `cross_entropy`, whose weights and
    errors it shares.

    Parameters
    ----------
    gamma
        How much less they count.
    class_weight_power
        As in `cross_entropy`.

    References
    ----------
    Lin et al., Focal loss for dense object detection, 2017, eq. 5.
    """
    weights = class_weights(table, class_weight_power)

    def loss(outputs: Outputs, targets: Targets) -> Tensor:
        log_p = _precise(outputs.emotion).log_softmax(dim=-1)  # (B, C)
        miss = (-torch.expm1(log_p)).clamp(min=1e-12)  # 1 - p; the clamp keeps the gradient finite at p = 1
        return -(weights.to(log_p) * targets.emotion * miss**gamma * log_p).sum(dim=-1).mean()

    return loss


@revision(1)
def soft_macro_f1(table: LabelTable, /) -> LossFunction:
    """One minus the macro-F1 of the batch, with probabilities in place of counts.

    F1_c = 2 sum_b p_bc t_bc / sum_b (p_bc + t_bc), averaged over the classes that have mass in the batch
    (after Benedict et al., sigmoidF1, 2022). It is no mean over utterances, so small batches make it noisy.
    """

    def loss(outputs: Outputs, targets: Targets) -> Tensor:
        p, t = _precise(outputs.emotion).softmax(dim=-1), targets.emotion  # (B, C)
        mass = t.sum(dim=0)  # (C,)
        f1 = 2 * (p * t).sum(dim=0) / (p.sum(dim=0) + mass).clamp(min=1e-12)  # (C,)
        present = (mass > 0).to(f1)
        return 1 - (f1 * present).sum() / present.sum().clamp(min=1)

    return loss


@revision(1)
def vector_scaling(table: LabelTable, /, *, gamma: float = 0.0, tau: float = 1.0) -> LossFunction:
    """Vector-scaling loss on soft targets: logits z_c become (f_c / max f) ** gamma z_c + tau log prior_c.

    Cross-entropy of the changed logits in training; the plain ones are used afterwards, so rare classes gain. gamma
    0 is logit adjustment. f_c is the summed soft mass of class c.

    Parameters
    ----------
    gamma
        How much smaller the logits of rare classes are made.
    tau
        How much of the log prior is added.

    Raises
    ------
    DataError
        Naming classes without mass.

    References
    ----------
    Kini et al., 2021; Menon et al., Long-tail learning via logit adjustment, 2021, eq. 10.
    """
    mass = _mass(table, "the vector-scaling loss")  # (C,)
    scale = (mass / mass.max()) ** gamma
    shift = tau * (mass / mass.sum()).log()

    def loss(outputs: Outputs, targets: Targets) -> Tensor:
        z = _precise(outputs.emotion)  # (B, C)
        log_p = (scale.to(z) * z + shift.to(z)).log_softmax(dim=-1)
        return -(targets.emotion * log_p).sum(dim=-1).mean()

    return loss


@revision(1)
def attribute_mse(table: LabelTable, /) -> LossFunction:
    """Mean squared error of the attributes on their own scale, over the values that are present.

    Zero, still differentiable, for a batch without any.
    """

    def loss(outputs: Outputs, targets: Targets) -> Tensor:
        present = ~targets.attributes.isnan()  # (B, A)
        error = _precise(outputs.attributes) - targets.attributes.nan_to_num()
        return torch.where(present, error, 0).square().sum() / present.sum().clamp(min=1)

    return loss


@revision(1)
def attribute_ccc(table: LabelTable, /) -> LossFunction:
    """One minus the concordance of the batch, averaged over the attributes (Lin, 1989).

    Population moments over the present values; an attribute with fewer than two does not count, and a batch
    without any gives zero, still differentiable. It is no mean over utterances: use large batches.
    """

    def loss(outputs: Outputs, targets: Targets) -> Tensor:
        present = ~targets.attributes.isnan()  # (B, A)
        count = present.sum(dim=0).clamp(min=1)  # (A,)
        x = torch.where(present, _precise(outputs.attributes), 0)  # (B, A)
        y = torch.where(present, targets.attributes, 0).to(x)
        x_mean, y_mean = x.sum(dim=0) / count, y.sum(dim=0) / count  # (A,)
        x, y = torch.where(present, x - x_mean, 0), torch.where(present, y - y_mean, 0)
        spread = (x.square() + y.square()).sum(dim=0) / count + (x_mean - y_mean).square()
        ccc = 2 * (x * y).sum(dim=0) / count / (spread + 1e-8)  # (A,)
        usable = (present.sum(dim=0) >= 2).to(ccc)
        return (usable * (1 - ccc)).sum() / usable.sum().clamp(min=1)

    return loss


def class_weights(table: LabelTable, power: float) -> Tensor:
    """(C,) weights (N / (C f_c)) ** power, f_c the summed soft mass of class c; all 1 for power 0.

    Raises DataError without classes, and naming those without mass when the power is not 0.
    """
    if not table.labels:
        raise DataError("there are no classes: take attribute_mse or attribute_ccc for the loss")
    if power == 0:
        return torch.ones(len(table.labels), dtype=torch.float64)
    return (len(table) / (len(table.labels) * _mass(table, f"class_weight_power = {power:g}"))) ** power


def _mass(table: LabelTable, needed_by: str) -> Tensor:
    mass = table.class_mass
    empty = [name for name, value in zip(table.labels.names, mass, strict=True) if value <= 0]
    if empty:
        raise DataError(
            f"no utterance of the training split has a vote for {', '.join(empty)}, which {needed_by} divides by: "
            f"take these classes out of the label set, add such utterances, or use unweighted cross_entropy"
        )
    return torch.from_numpy(mass)


def _precise(values: Tensor) -> Tensor:
    """Half precision as float32; float32 and float64 as they are."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
