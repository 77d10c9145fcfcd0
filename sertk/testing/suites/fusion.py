"""What every fusion keeps: `(dims, /, *, options)` to a module of a `width`, `{name: (B, T, D)}` to (B, width)."""

# Longer than others: every way in which a fusion can look beyond its utterance is one short check.
from __future__ import annotations

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from sertk.tensors import Features, Padded
from sertk.testing.suites.base import BrokenError, Subject, near, require, require_finite, require_near
from sertk.testing.suites.made_up import EQUAL, copied, features, rows_of, same_features, unequal
from sertk.training.seeds import seeded

BATCH = 4
LONG = 1500
"""Frames of a long sequence: half a minute at 50 frames a second."""


def width(subject: Subject) -> None:
    """The output is (B, width) of a floating-point type, and `width` is an int, with one, two or three modalities."""
    for dims in _all_dims(subject):
        fusion = _built(subject, dims)
        output = fusion(features(dims))
        announced = fusion.width
        require(isinstance(announced, int), f"`width` should be an int, got {announced!r}")
        require(
            output.shape == (BATCH, announced),
            f"with {_list(dims)} the output should be (B, width) = ({BATCH}, {announced}), got {tuple(output.shape)}",
        )
        require(output.is_floating_point(), f"the output should be of floating point, got {output.dtype}")


def unequal_dims(subject: Subject) -> None:
    """Modalities may have features of different widths."""
    dims = unequal(subject.dims or EQUAL)
    output = _built(subject, dims)(features(dims))
    require_finite(output, f"the output for dims {dims}")


def padding(subject: Subject) -> None:
    """More zeros after the end of a sequence do not change the output."""
    for dims in _all_dims(subject):
        batch = features(dims)
        longer = {
            name: Padded(nn.functional.pad(padded.data, (0, 0, 0, 5)), padded.lengths)
            for name, padded in batch.items()
        }
        fusion = _built(subject, dims)
        what = f"{_list(dims)} padded by five more frames (mask them: `features[name].mask` is (B, T))"
        require_near(fusion(longer), fusion(batch), what)


def neighbours(subject: Subject) -> None:
    """An utterance has the same output alone and with others."""
    for dims in _all_dims(subject):
        batch = features(dims)
        fusion = _built(subject, dims)
        together = fusion(batch)
        for row in range(BATCH):
            alone = fusion(rows_of(batch, [row]))[0]
            require_near(alone, together[row], f"utterance {row} of {_list(dims)}, alone and in a batch of {BATCH}")


def neighbours_in_training(subject: Subject) -> None:
    """In training too, an utterance can be alone, and other utterances do not affect it: no batch statistics."""
    for dims in _all_dims(subject):
        batch, others = features(dims), features(dims, seed=5)
        beside_others = {name: Padded(others[name].data.clone(), padded.lengths) for name, padded in batch.items()}
        for name, padded in batch.items():
            beside_others[name].data[0] = padded.data[0]
        try:
            _trained(subject, dims, rows_of(batch, [0]))
        except (RuntimeError, ValueError) as error:
            raise BrokenError(
                f"in training a batch of one utterance raises {type(error).__name__}: {error}. Normalise each "
                f"utterance by itself, as nn.LayerNorm does"
            ) from error
        what = f"utterance 0 of {_list(dims)} in training, beside other neighbours (nn.LayerNorm knows none)"
        require_near(_trained(subject, dims, beside_others)[0], _trained(subject, dims, batch)[0], what)


def long_sequences(subject: Subject) -> None:
    """The last of 1,500 frames affect the output."""
    for dims in _all_dims(subject):
        generator = torch.Generator().manual_seed(3)
        batch = {
            name: Padded.of([torch.rand(count, dim, generator=generator) for count in (LONG, 40)])
            for name, dim in dims.items()
        }
        fusion = _built(subject, dims)
        before = fusion(batch)
        for name in dims:
            changed = copied(batch)
            changed[name].data[0, -LONG // 10 :] += 3
            require(
                not near(fusion(changed)[0], before[0], tolerance=1e-6),
                f"the last tenth of {LONG} frames of {name!r} changes, and the output does not: read all frames",
            )


def batch_order(subject: Subject) -> None:
    """Reordered utterances give the same outputs in the new order."""
    dims = dict(subject.dims or EQUAL)
    batch = features(dims)
    fusion = _built(subject, dims)
    order = [3, 0, 2, 1]
    require_near(fusion(rows_of(batch, order)), fusion(batch)[order], "the batch in another order")


def names(subject: Subject) -> None:
    """Modalities are identified by name; the order of the features does not matter."""
    dims = dict(subject.dims or EQUAL)
    batch = features(dims)
    fusion = _built(subject, dims)
    turned = {name: batch[name] for name in reversed(list(batch))}
    what = "features in another order of names (take them by the names of `dims`, not by position)"
    require_near(fusion(turned), fusion(batch), what, tolerance=1e-6)


def gradients(subject: Subject) -> None:
    """Every modality and every trainable parameter gets a finite gradient."""
    for dims in _all_dims(subject):
        batch = features(dims)
        for padded in batch.values():
            padded.data.requires_grad_()
        fusion = _built(subject, dims)
        torch.autograd.backward(_weighted_sum(fusion(batch)))
        for name, padded in batch.items():
            gradient = padded.data.grad
            require(gradient is not None and gradient.abs().max() > 0, f"no gradient reaches the modality {name!r}")
            require_finite(gradient if gradient is not None else padded.data, f"the gradient of {name!r}")
        for name, parameter in fusion.named_parameters():
            if parameter.requires_grad:
                require(
                    parameter.grad is not None,
                    f"no gradient reaches the parameter {name!r}: use it, leave it out, or requires_grad_(False)",
                )
                require_finite(parameter if parameter.grad is None else parameter.grad, f"the gradient of {name!r}")


def save_and_load(subject: Subject) -> None:
    """The state dictionary, saved as safetensors and loaded into a new fusion, gives the same output."""
    dims = dict(subject.dims or EQUAL)
    batch = features(dims)
    fusion, fresh = _built(subject, dims, seed=1), _built(subject, dims, seed=2)
    with torch.no_grad():
        for number, parameter in enumerate(fusion.parameters()):
            parameter.add_(0.01 * (number % 3 + 1))  # as if trained
    fresh.load_state_dict(load(save({key: value.contiguous() for key, value in fusion.state_dict().items()})))
    what = "a loaded copy (all that was learnt must be in parameters or buffers, lists in nn.ModuleList)"
    require_near(fresh(batch), fusion(batch), what, tolerance=1e-6)


def seed(subject: Subject) -> None:
    """With equal torch seeds, two fusions have equal weights."""
    one, same = (_built(subject, dict(subject.dims or EQUAL), seed=7).state_dict() for _ in range(2))
    for key, value in one.items():
        require(
            torch.equal(value, same[key]),
            f"{key!r} differs between two fusions built under one seed: draw from torch's global generator",
        )


def evaluation(subject: Subject) -> None:
    """In evaluation mode, an output depends only on the input: no dropout, and no state from earlier batches."""
    dims = dict(subject.dims or EQUAL)
    batch, other = features(dims), features(dims, seed=5)
    fusion = _built(subject, dims)
    with torch.no_grad():
        first = fusion(batch)
        fusion(other)
        require_near(fusion(batch), first, "the same batch after another one, in evaluation mode", tolerance=1e-6)


def half_precision(subject: Subject) -> None:
    """With bfloat16 autocast, outputs and gradients are finite for values up to 100, and close to float32."""
    dims = dict(subject.dims or EQUAL)
    for scale in (1.0, 100.0):
        batch = {n: Padded(p.data * scale, p.lengths) for n, p in features(dims).items()}
        for padded in batch.values():
            padded.data.requires_grad_()
        fusion = _built(subject, dims)
        with torch.autocast("cpu", torch.bfloat16):
            output = fusion(batch)
        require_finite(output, f"the output for values up to {scale:g}")
        output.float().sum().backward()
        gradients = [p.data.grad for p in batch.values()] + [parameter.grad for parameter in fusion.parameters()]
        for gradient in gradients:
            require_finite(torch.zeros(1) if gradient is None else gradient, f"gradients for values up to {scale:g}")
        if scale == 1.0:
            require_near(output.float(), fusion(batch), "bfloat16 beside float32", tolerance=0.1)


def input_unchanged(subject: Subject) -> None:
    """Features are not changed in place."""
    for dims in _all_dims(subject):
        batch = features(dims)
        before = copied(batch)
        for training in (True, False):
            _built(subject, dims).train(training)(batch)
            require(
                same_features(batch, before),
                f"the features were changed in place (training: {training}): compute new tensors",
            )


CONTRACTS = (
    width,
    unequal_dims,
    padding,
    neighbours,
    neighbours_in_training,
    long_sequences,
    batch_order,
    names,
    gradients,
    save_and_load,
    seed,
    evaluation,
    half_precision,
    input_unchanged,
)


def _all_dims(subject: Subject) -> list[dict[str, int]]:
    """The modalities that the fusion needs; without such, one, two and three."""
    if subject.dims:
        return [dict(subject.dims)]
    return [dict(list(EQUAL.items())[:count]) for count in (1, 2, 3)]


def _list(dims: dict[str, int]) -> str:
    """The modalities for a message."""
    return ", ".join(dims)


def _built(subject: Subject, dims: dict[str, int], *, seed: int = 1) -> nn.Module:
    """The fusion in evaluation mode, its weights drawn under a seed."""
    with seeded(seed):
        fusion: nn.Module = subject.build(dims)
    require(isinstance(fusion, nn.Module), f"the factory should give an nn.Module, got a {type(fusion).__name__}")
    return fusion.eval()


def _trained(subject: Subject, dims: dict[str, int], batch: Features) -> Tensor:
    """The output in training mode; for batches of one shape dropout, too, draws the same."""
    fusion = _built(subject, dims).train()
    with seeded(3):
        output: Tensor = fusion(batch)
    return output


def _weighted_sum(output: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(9)
    return (output * torch.randn(output.shape, generator=generator)).sum()
