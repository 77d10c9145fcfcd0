"""What every loss keeps: `(table, /, *, options)` to a function of outputs and targets that gives a scalar."""

from __future__ import annotations

import torch
from torch import Tensor

from sertk.contracts import Loss
from sertk.tensors import Outputs, Targets
from sertk.testing.suites.base import Subject, require, require_finite, require_near
from sertk.testing.suites.made_up import LABELS, a_table, outputs, targets

SIZE = 12
STEP = 1e-3
"""How far finite differences go."""


def scalar(subject: Subject) -> None:
    """The loss is one finite number, of floating point, that a gradient can be taken of."""
    said = _learnable(outputs(SIZE))
    value = _built(subject)(said, targets(SIZE))
    require(value.shape == (), f"the loss has the shape {tuple(value.shape)}")
    require(value.is_floating_point() and value.requires_grad, "no gradient can be taken of the loss")
    require_finite(value, "the loss")


def extreme_logits(subject: Subject) -> None:
    """Loss and gradients stay finite for logits of 10,000 and attributes far outside their range."""
    for scale in (1e4, -1e4):
        emotion = torch.zeros(SIZE, len(LABELS))
        emotion[:, 0] = scale
        value, gradients = _with_gradients(_built(subject), Outputs(emotion, torch.full((SIZE, 2), scale / 100)))
        require_finite(value, f"the loss for logits of {scale:g}")
        for gradient in gradients:
            require_finite(gradient, f"the gradient for logits of {scale:g}")


def missing_attributes(subject: Subject) -> None:
    """Attributes that are missing (NaN) do not count: loss and gradients are finite, theirs is zero."""
    loss = _built(subject)
    wanted = targets(SIZE)
    every = Targets(wanted.emotion, torch.full_like(wanted.attributes, float("nan")))
    for truth, which in ((wanted, "some attributes"), (every, "all attributes")):
        value, (_, gradient) = _with_gradients(loss, outputs(SIZE), truth)
        require_finite(value, f"the loss with {which} missing")
        require_finite(gradient, f"the gradient with {which} missing")
        absent = truth.attributes.isnan()
        require((gradient[absent] == 0).all(), f"with {which} missing, the output for a missing one gets a gradient")


def no_attributes(subject: Subject) -> None:
    """A corpus without attributes, (B, 0), gives a finite loss."""
    loss: Loss = subject.build(a_table(attributes=0))
    value = loss(_learnable(outputs(SIZE, attributes=0)), targets(SIZE, attributes=0))
    require(value.shape == (), f"the loss has the shape {tuple(value.shape)}")
    require_finite(value, "the loss without attributes")


def gradient(subject: Subject) -> None:
    """The gradient is the one that finite differences give."""
    loss, truth = _built(subject), _double(targets(SIZE))
    said = outputs(SIZE)
    said = Outputs(said.emotion.double(), said.attributes.double())
    _, gradients = _with_gradients(loss, said, truth)
    generator = torch.Generator().manual_seed(6)
    for number in range(8):
        ways = [torch.randn(part.shape, generator=generator, dtype=torch.float64) for part in gradients]
        ahead, behind = (
            loss(Outputs(said.emotion + step * ways[0], said.attributes + step * ways[1]), truth).double()
            for step in (STEP, -STEP)
        )
        slope = (ahead - behind) / (2 * STEP)
        wanted = sum(((g * way).sum() for g, way in zip(gradients, ways, strict=True)), torch.zeros(()))
        require_near(wanted, slope, f"the gradient along direction {number}", tolerance=1e-3, relative=1e-2)


def batch_split(subject: Subject) -> None:
    """The loss is a mean over utterances: a batch costs the weighted mean of its parts (attributes complete)."""
    loss, said, truth = _built(subject), outputs(SIZE), targets(SIZE, missing=False)
    whole = loss(said, truth)
    for cut in (SIZE // 2, 3):
        parts = [loss(_rows(said, part), _target_rows(truth, part)) for part in (slice(0, cut), slice(cut, SIZE))]
        mean = (cut * parts[0] + (SIZE - cut) * parts[1]) / SIZE
        require_near(mean, whole, f"a batch of {SIZE}, split into {cut} and {SIZE - cut}")


def batch_order(subject: Subject) -> None:
    """Utterances in another order give the same loss."""
    loss, said, truth = _built(subject), outputs(SIZE), targets(SIZE)
    order = torch.randperm(SIZE, generator=torch.Generator().manual_seed(1))
    turned = loss(
        Outputs(said.emotion[order], said.attributes[order]), Targets(truth.emotion[order], truth.attributes[order])
    )
    require_near(turned, loss(said, truth), "the batch in another order")


def direction(subject: Subject) -> None:
    """Outputs that meet the targets cost less than outputs that contradict them."""
    loss, truth = _built(subject), targets(SIZE, missing=False)
    log = truth.emotion.clamp_min(1e-3).log()
    good = loss(Outputs(log, truth.attributes.clone()), truth)
    contrary = loss(Outputs(log.roll(1, dims=1), 8 - truth.attributes), truth)
    require(good < contrary, f"meeting the targets costs {float(good):.4g}, contradicting them {float(contrary):.4g}")


def repeatable(subject: Subject) -> None:
    """The same batch costs the same, whatever was computed before."""
    loss = _built(subject)
    first = loss(outputs(SIZE), targets(SIZE))
    loss(outputs(SIZE, seed=8), targets(SIZE, seed=9))
    require_near(loss(outputs(SIZE), targets(SIZE)), first, "the same batch after another one", tolerance=1e-6)


def half_precision(subject: Subject) -> None:
    """Outputs in bfloat16 and float16 give a finite loss and gradients, near those of float32."""
    loss, truth = _built(subject), targets(SIZE)
    full = loss(outputs(SIZE), truth)
    for dtype in (torch.bfloat16, torch.float16):
        said = outputs(SIZE)
        value, gradients = _with_gradients(loss, Outputs(said.emotion.to(dtype), said.attributes.to(dtype)), truth)
        require_near(value.float(), full, f"the loss of {dtype}", tolerance=0.05)
        for part in gradients:
            require_finite(part, f"the gradient of {dtype}")


def input_unchanged(subject: Subject) -> None:
    """Outputs and targets are read, never changed in place."""
    said, truth = outputs(SIZE), targets(SIZE)
    _built(subject)(said, truth)
    pairs = (
        (said.emotion, outputs(SIZE).emotion),
        (said.attributes, outputs(SIZE).attributes),
        (truth.emotion, targets(SIZE).emotion),
        (truth.attributes, targets(SIZE).attributes),
    )
    for after, before in pairs:
        require(torch.equal(after.nan_to_num(-1.0), before.nan_to_num(-1.0)), "outputs or targets changed")


CONTRACTS = (
    scalar,
    extreme_logits,
    missing_attributes,
    no_attributes,
    gradient,
    batch_split,
    batch_order,
    direction,
    repeatable,
    half_precision,
    input_unchanged,
)


def _built(subject: Subject) -> Loss:
    loss: Loss = subject.build(a_table())
    return loss


def _learnable(said: Outputs) -> Outputs:
    return Outputs(said.emotion.clone().requires_grad_(), said.attributes.clone().requires_grad_())


def _with_gradients(loss: Loss, said: Outputs, truth: Targets | None = None) -> tuple[Tensor, list[Tensor]]:
    """The loss, and its gradients for logits and attributes; zeros where it does not read them."""
    learnable = _learnable(said)
    value = loss(learnable, truth or targets(SIZE))
    parts = (learnable.emotion, learnable.attributes)
    found = torch.autograd.grad(value, parts, allow_unused=True)
    return value.detach(), [torch.zeros_like(p) if g is None else g for g, p in zip(found, parts, strict=True)]


def _double(truth: Targets) -> Targets:
    return Targets(truth.emotion.double(), truth.attributes.double())


def _rows(said: Outputs, rows: slice) -> Outputs:
    return Outputs(said.emotion[rows], said.attributes[rows])


def _target_rows(truth: Targets, rows: slice) -> Targets:
    return Targets(truth.emotion[rows], truth.attributes[rows])
