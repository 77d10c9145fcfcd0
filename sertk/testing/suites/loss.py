"""What every loss keeps: `(table, /, *, options)` to a function of outputs and targets that gives a scalar."""

from __future__ import annotations

import torch
from torch import Tensor

from sertk.contracts import Loss
from sertk.tensors import Outputs, Targets
from sertk.testing.suites.base import Subject, near, require, require_finite, require_near
from sertk.testing.suites.made_up import LABELS, a_table, outputs, targets

SIZE = 12
STEP = 1e-3
"""How far finite differences go."""


def scalar(subject: Subject) -> None:
    """The loss is one finite number of a floating-point type and has a gradient."""
    output = _learnable(outputs(SIZE))
    value = _built(subject)(output, targets(SIZE))
    require(
        value.shape == (), f"the loss should be a scalar, got the shape {tuple(value.shape)}: take the mean over B"
    )
    require(
        value.is_floating_point() and value.requires_grad,
        "no gradient can be taken of the loss: compute it from `outputs` without detach",
    )
    require_finite(value, "the loss")


def extreme_logits(subject: Subject) -> None:
    """Loss and gradients are finite for logits of 10,000 and for attributes far outside their range."""
    for scale in (1e4, -1e4):
        emotion = torch.zeros(SIZE, len(LABELS))
        emotion[:, 0] = scale
        value, gradients = _with_gradients(_built(subject), Outputs(emotion, torch.full((SIZE, 2), scale / 100)))
        require_finite(value, f"the loss for logits of {scale:g} (log_softmax stays finite)")
        for gradient in gradients:
            require_finite(gradient, f"the gradient for logits of {scale:g}")


def missing_attributes(subject: Subject) -> None:
    """Missing attributes (NaN) do not count: loss and gradients are finite, and their own gradient is zero."""
    loss = _built(subject)
    wanted = targets(SIZE)
    every = Targets(wanted.emotion, torch.full_like(wanted.attributes, float("nan")))
    for truth, which in ((wanted, "some attributes"), (every, "all attributes")):
        value, (_, gradient) = _with_gradients(loss, outputs(SIZE), truth)
        require_finite(
            value, f"the loss with {which} missing (mask NaN; divide by `.clamp(min=1)` of how many are present)"
        )
        require_finite(gradient, f"the gradient with {which} missing")
        absent = truth.attributes.isnan()
        require(
            (gradient[absent] == 0).all(),
            f"with {which} missing, the output for a missing one gets a gradient: mask it",
        )


def no_attributes(subject: Subject) -> None:
    """A corpus without attributes, (B, 0), gives a finite loss."""
    loss: Loss = subject.build(a_table(attributes=0))
    value = loss(_learnable(outputs(SIZE, attributes=0)), targets(SIZE, attributes=0))
    require(value.shape == (), f"the loss should be a scalar, got the shape {tuple(value.shape)}")
    require_finite(value, "the loss without attributes (divide by `.clamp(min=1)` of how many there are)")


def gradient(subject: Subject) -> None:
    """The gradient equals the one from finite differences."""
    loss, truth = _built(subject), _double(targets(SIZE))
    output = outputs(SIZE)
    output = Outputs(output.emotion.double(), output.attributes.double())
    _, gradients = _with_gradients(loss, output, truth)
    generator = torch.Generator().manual_seed(6)
    for number in range(8):
        ways = [torch.randn(part.shape, generator=generator, dtype=torch.float64) for part in gradients]
        ahead, behind = (
            loss(Outputs(output.emotion + step * ways[0], output.attributes + step * ways[1]), truth).double()
            for step in (STEP, -STEP)
        )
        slope = (ahead - behind) / (2 * STEP)
        wanted = sum(((g * way).sum() for g, way in zip(gradients, ways, strict=True)), torch.zeros(()))
        require_near(
            wanted,
            slope,
            f"the gradient along direction {number}, beside finite differences",
            tolerance=1e-3,
            relative=1e-2,
        )


def batch_split(subject: Subject) -> None:
    """The loss is a mean over utterances: the loss of a batch is the weighted mean of its parts (complete
    attributes).
    """
    loss, output, truth = _built(subject), outputs(SIZE), targets(SIZE, missing=False)
    whole = loss(output, truth)
    for cut in (SIZE // 2, 3):
        halves = (list(range(cut)), list(range(cut, SIZE)))
        parts = [loss(_rows(output, rows), _target_rows(truth, rows)) for rows in halves]
        mean = (cut * parts[0] + (SIZE - cut) * parts[1]) / SIZE
        require_near(mean, whole, f"the mean of batches of {cut} and {SIZE - cut}, beside one of {SIZE}")


def batch_order(subject: Subject) -> None:
    """Reordered utterances give the same loss."""
    loss, output, truth = _built(subject), outputs(SIZE), targets(SIZE)
    order = torch.randperm(SIZE, generator=torch.Generator().manual_seed(1)).tolist()
    turned = loss(_rows(output, order), _target_rows(truth, order))
    require_near(turned, loss(output, truth), "the batch in another order")


def one_utterance(subject: Subject) -> None:
    """A batch of one utterance, with complete or missing attributes, gives a finite loss and gradients."""
    for missing in (False, True):
        emotion = targets(SIZE).emotion[:1]
        attributes = torch.full((1, 2), float("nan") if missing else 3.0)
        value, gradients = _with_gradients(_built(subject), _rows(outputs(SIZE), [0]), Targets(emotion, attributes))
        require(value.shape == (), f"for one utterance the loss should be a scalar, got {tuple(value.shape)}")
        require_finite(value, f"the loss of one utterance, its attributes {'missing' if missing else 'complete'}")
        for part in gradients:
            require_finite(part, "the gradient of one utterance")


def soft_targets(subject: Subject) -> None:
    """If the loss depends on class targets, it depends on all votes, not only on the class with the most votes."""
    loss = _built(subject)
    shares = torch.tensor([[0.6, 0.3, 0.1, 0.0]])
    _, (gradient, _) = _with_gradients(loss, *_judged(shares))
    if not gradient.any():  # a loss of attributes alone
        return
    changes = {
        "with the votes for other classes exchanged": torch.tensor([[0.6, 0.1, 0.3, 0.0]]),
        "with fewer votes for other classes": torch.tensor([[0.8, 0.15, 0.05, 0.0]]),
    }
    for change, other in changes.items():
        _, (changed, _) = _with_gradients(loss, *_judged(other))
        require(
            not near(changed, gradient, tolerance=1e-6),
            f"{change} the gradient stays the same: compute it from all of `targets.emotion`, (B, C) shares of "
            f"votes, not from its argmax",
        )


def direction(subject: Subject) -> None:
    """Outputs that agree with the targets have a lower loss than outputs that contradict them."""
    loss, truth = _built(subject), targets(SIZE, missing=False)
    log = truth.emotion.clamp_min(1e-3).log()
    good = loss(Outputs(log, truth.attributes.clone()), truth)
    contrary = loss(Outputs(log.roll(1, dims=1), 8 - truth.attributes), truth)
    require(
        good < contrary,
        f"meeting the targets should cost less than {float(contrary):.4g}, the cost of contradicting them, got "
        f"{float(good):.4g}",
    )


def repeatable(subject: Subject) -> None:
    """The same batch has the same loss, whatever was computed before."""
    loss = _built(subject)
    first = loss(outputs(SIZE), targets(SIZE))
    loss(outputs(SIZE, seed=8), targets(SIZE, seed=9))
    require_near(loss(outputs(SIZE), targets(SIZE)), first, "the same batch after another one", tolerance=1e-6)


def half_precision(subject: Subject) -> None:
    """Outputs in bfloat16 and float16 give a finite loss and gradients, close to those in float32."""
    loss, truth = _built(subject), targets(SIZE)
    full = loss(outputs(SIZE), truth)
    for dtype in (torch.bfloat16, torch.float16):
        output = outputs(SIZE)
        value, gradients = _with_gradients(
            loss, Outputs(output.emotion.to(dtype), output.attributes.to(dtype)), truth
        )
        require_near(value.float(), full, f"the loss of {dtype}", tolerance=0.05)
        for part in gradients:
            require_finite(part, f"the gradient of {dtype}")


def input_unchanged(subject: Subject) -> None:
    """Outputs and targets are not changed in place."""
    output, truth = outputs(SIZE), targets(SIZE)
    _built(subject)(output, truth)
    pairs = (
        (output.emotion, outputs(SIZE).emotion),
        (output.attributes, outputs(SIZE).attributes),
        (truth.emotion, targets(SIZE).emotion),
        (truth.attributes, targets(SIZE).attributes),
    )
    for after, before in pairs:
        require(
            torch.equal(after.nan_to_num(-1.0), before.nan_to_num(-1.0)), "outputs or targets were changed in place"
        )


CONTRACTS = (
    scalar,
    extreme_logits,
    missing_attributes,
    no_attributes,
    gradient,
    batch_split,
    batch_order,
    one_utterance,
    soft_targets,
    direction,
    repeatable,
    half_precision,
    input_unchanged,
)


def _built(subject: Subject) -> Loss:
    loss: Loss = subject.build(a_table())
    return loss


def _judged(shares: Tensor) -> tuple[Outputs, Targets]:
    """Four utterances with outputs of their own, whose votes, (1, C), go to one class after another most often."""
    rows = torch.cat([shares.roll(turn, dims=1) for turn in range(len(LABELS))])  # (C, C)
    return _rows(outputs(SIZE), list(range(len(rows)))), Targets(rows, torch.full((len(rows), 2), 3.0))


def _learnable(output: Outputs) -> Outputs:
    return Outputs(output.emotion.clone().requires_grad_(), output.attributes.clone().requires_grad_())


def _with_gradients(loss: Loss, output: Outputs, truth: Targets | None = None) -> tuple[Tensor, list[Tensor]]:
    """The loss, and its gradients for logits and attributes; zeros where it does not read them."""
    learnable = _learnable(output)
    value = loss(learnable, truth or targets(SIZE))
    parts = (learnable.emotion, learnable.attributes)
    gradients = torch.autograd.grad(value, parts, allow_unused=True)
    return value.detach(), [torch.zeros_like(p) if g is None else g for g, p in zip(gradients, parts, strict=True)]


def _double(truth: Targets) -> Targets:
    return Targets(truth.emotion.double(), truth.attributes.double())


def _rows(output: Outputs, rows: list[int]) -> Outputs:
    return Outputs(output.emotion[rows], output.attributes[rows])


def _target_rows(truth: Targets, rows: list[int]) -> Targets:
    return Targets(truth.emotion[rows], truth.attributes[rows])
