"""What every fusion keeps: `(dims, /, *, options)` to a module of a `width`, `{name: (B, T, D)}` to (B, width)."""

from __future__ import annotations

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from sertk.tensors import Padded
from sertk.testing.suites.base import Subject, require, require_finite, require_near
from sertk.testing.suites.made_up import EQUAL, UNEQUAL, copied, features, rows_of, same_features
from sertk.training.seeds import seeded

BATCH = 4


def width(subject: Subject) -> None:
    """With one, two or three modalities the output is (B, width), of floating point, and `width` is an int."""
    for dims in _dims():
        fusion = _built(subject, dims)
        output = fusion(features(dims))
        announced = fusion.width
        require(isinstance(announced, int), f"width should be an int, it is {announced!r}")
        require(
            output.shape == (BATCH, announced),
            f"with {len(dims)} modalities it announces ({BATCH}, {announced}) and gives {tuple(output.shape)}",
        )
        require(output.is_floating_point(), f"the output is of {output.dtype}")


def unequal_dims(subject: Subject) -> None:
    """Modalities may have features of different width."""
    output = _built(subject, UNEQUAL)(features(UNEQUAL))
    require_finite(output, f"dims {UNEQUAL}")


def padding(subject: Subject) -> None:
    """More zeros behind the end of a sequence change nothing."""
    for dims in _dims():
        batch = features(dims)
        longer = {
            name: Padded(nn.functional.pad(padded.data, (0, 0, 0, 5)), padded.lengths)
            for name, padded in batch.items()
        }
        fusion = _built(subject, dims)
        require_near(fusion(longer), fusion(batch), f"{len(dims)} modalities padded by five more frames")


def neighbours(subject: Subject) -> None:
    """An utterance alone gives what it gives beside others."""
    for dims in _dims():
        batch = features(dims)
        fusion = _built(subject, dims)
        together = fusion(batch)
        for row in range(BATCH):
            alone = fusion(rows_of(batch, [row]))[0]
            require_near(alone, together[row], f"utterance {row} of {len(dims)} modalities alone and in a batch")


def batch_order(subject: Subject) -> None:
    """Utterances in another order give the same outputs in that order."""
    batch = features(EQUAL)
    fusion = _built(subject, EQUAL)
    order = [3, 0, 2, 1]
    require_near(fusion(rows_of(batch, order)), fusion(batch)[order], "the batch in another order")


def names(subject: Subject) -> None:
    """Modalities are told apart by name, so the order in which features arrive does not matter."""
    batch = features(EQUAL)
    fusion = _built(subject, EQUAL)
    turned = {name: batch[name] for name in reversed(list(batch))}
    require_near(fusion(turned), fusion(batch), "features given in another order of names", tolerance=1e-6)


def gradients(subject: Subject) -> None:
    """Gradients reach every modality and every parameter that is to be learnt, and are finite."""
    for dims in _dims():
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
                require(parameter.grad is not None, f"no gradient reaches the parameter {name!r}")
                require_finite(parameter if parameter.grad is None else parameter.grad, f"the gradient of {name!r}")


def save_and_load(subject: Subject) -> None:
    """The state dictionary, saved as safetensors and loaded into a fresh fusion, gives the same output."""
    batch = features(EQUAL)
    fusion, fresh = _built(subject, EQUAL, seed=1), _built(subject, EQUAL, seed=2)
    with torch.no_grad():
        for number, parameter in enumerate(fusion.parameters()):
            parameter.add_(0.01 * (number % 3 + 1))  # as if trained
    fresh.load_state_dict(load(save({key: value.contiguous() for key, value in fusion.state_dict().items()})))
    require_near(fresh(batch), fusion(batch), "a loaded copy", tolerance=1e-6)


def seed(subject: Subject) -> None:
    """Under equal seeds of torch two fusions have equal weights."""
    one, same = (_built(subject, EQUAL, seed=7).state_dict() for _ in range(2))
    for key, value in one.items():
        require(torch.equal(value, same[key]), f"{key!r} differs between two fusions built under one seed")


def evaluation(subject: Subject) -> None:
    """In evaluation mode an output depends on the input alone: no dropout, nothing kept from earlier batches."""
    batch, other = features(EQUAL), features(EQUAL, seed=5)
    fusion = _built(subject, EQUAL)
    with torch.no_grad():
        first = fusion(batch)
        fusion(other)
        require_near(fusion(batch), first, "the same batch after another one", tolerance=1e-6)


def half_precision(subject: Subject) -> None:
    """Under bfloat16 autocast outputs and gradients stay finite, for values up to 100, and near those of float32."""
    for scale in (1.0, 100.0):
        batch = {n: Padded(p.data * scale, p.lengths) for n, p in features(EQUAL).items()}
        for padded in batch.values():
            padded.data.requires_grad_()
        fusion = _built(subject, EQUAL)
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
    """Features are read, never changed in place."""
    for dims in _dims():
        batch = features(dims)
        before = copied(batch)
        for training in (True, False):
            _built(subject, dims).train(training)(batch)
            require(same_features(batch, before), f"the features changed (training: {training})")


CONTRACTS = (
    width,
    unequal_dims,
    padding,
    neighbours,
    batch_order,
    names,
    gradients,
    save_and_load,
    seed,
    evaluation,
    half_precision,
    input_unchanged,
)


def _dims() -> list[dict[str, int]]:
    """One, two and three modalities."""
    return [dict(list(EQUAL.items())[:count]) for count in (1, 2, 3)]


def _built(subject: Subject, dims: dict[str, int], *, seed: int = 1) -> nn.Module:
    with seeded(seed):
        fusion: nn.Module = subject.build(dims)
    require(isinstance(fusion, nn.Module), f"the factory gives {type(fusion).__name__}, no nn.Module")
    return fusion.eval()


def _weighted_sum(output: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(9)
    return (output * torch.randn(output.shape, generator=generator)).sum()
