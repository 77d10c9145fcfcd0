"""What every optimizer keeps: `(parameters, /, *, options)` to a torch optimizer that can be stopped and resumed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn

from sertk.config.schema import Use
from sertk.testing.suites.base import Subject, global_seeds, require, require_finite
from sertk.training.optimizers import build_optimizer
from sertk.training.state import load_state, save_state

SHAPES = {"matrix": (4, 3), "bias": (4,), "kernel": (2, 3, 5), "gate": ()}
STEPS = 20


def parameters(subject: Subject) -> None:
    """Every parameter is in exactly one group, and no other tensor is in any."""
    model = _model()
    grouped = [tensor for group in _built(subject, model).param_groups for tensor in group["params"]]
    names = {parameter: name for name, parameter in model.named_parameters()}
    foreign = [tuple(tensor.shape) for tensor in grouped if tensor not in names]
    require(not foreign, f"the groups have tensors that were not given, of the shapes {foreign}")
    for parameter, name in names.items():
        times = sum(tensor is parameter for tensor in grouped)
        require(times == 1, f"the parameter {name!r} of shape {tuple(parameter.shape)} is in {times} groups")


def descends(subject: Subject) -> None:
    """Twenty steps lower the distance of each parameter from a target one away, whatever its shape."""
    model = _model()
    optimizer = _built(subject, model)
    wanted = {name: parameter.detach() + 1 for name, parameter in model.named_parameters()}
    before = {name: torch.ones(()) for name in wanted}
    for _ in range(STEPS):
        optimizer.zero_grad(set_to_none=True)
        _distance(model, wanted).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    for name, parameter in model.named_parameters():
        after = (parameter.detach() - wanted[name]).square().mean()
        require(after < before[name], f"the mean squared distance of {name!r} went from 1 to {float(after):.6g}")


def missing_gradients(subject: Subject) -> None:
    """A parameter without a gradient stays as it is. Others move."""
    model = _model()
    optimizer, before = _built(subject, model), _weights(model)
    for seed in range(3):
        _give_gradients(model, seed)
        model.matrix.grad = None
        optimizer.step()
    require(torch.equal(model.matrix, before["matrix"]), "a parameter without a gradient was changed: skip it")
    require(not torch.equal(model.bias, before["bias"]), "a parameter with a gradient did not change in three steps")


def extreme_gradients(subject: Subject) -> None:
    """Gradients of zero, very small and very large ones leave the parameters finite."""
    for scale in (0.0, 1e-20, 1e6):
        model = _model()
        optimizer = _built(subject, model)
        for seed in range(3):
            _give_gradients(model, seed, scale)
            optimizer.step()
        for name, parameter in model.named_parameters():
            require_finite(parameter.detach(), f"the parameter {name!r} after gradients of about {scale:g}")


def learning_rate(subject: Subject) -> None:
    """Each group has `lr`, which is read at every step: while it is 0 no parameter changes."""
    model = _model()
    optimizer = _built(subject, model)
    for group in optimizer.param_groups:
        require("lr" in group, f"a group has no `lr`, only {', '.join(map(str, group))}")
    _give_gradients(model, 1)
    optimizer.step()
    before = _weights(model)
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    _give_gradients(model, 2)
    optimizer.step()
    for name, parameter in model.named_parameters():
        require(torch.equal(parameter, before[name]), f"{name!r} changed though the `lr` of every group was set to 0")


def repeatable(subject: Subject) -> None:
    """Equal gradients give equal parameters, whatever global random states are."""
    found = []
    for state in (1, 2):
        with global_seeds(state):
            model = _model()
            optimizer = _built(subject, model)
            for seed in range(3):
                _give_gradients(model, seed)
                optimizer.step()
            found.append(_weights(model))
    differing = [name for name in SHAPES if not torch.equal(found[0][name], found[1][name])]
    require(not differing, f"equal gradients gave other values of {', '.join(differing)}: draw nothing at random")


def resumes(subject: Subject) -> None:
    """Saved after any step and loaded into a new optimizer, it goes on bit for bit. All it keeps is in `state`, as
    tensors or numbers for each parameter.
    """
    for stop in range(4):
        undisturbed, model = _model(), _model()
        optimizer = _built(subject, undisturbed)
        _steps(undisturbed, optimizer, range(6))
        optimizer = _built(subject, model)
        _steps(model, optimizer, range(stop))
        with TemporaryDirectory() as folder:
            save_state(Path(folder), model, optimizer, None, {})
            resumed = _model(seed=5)
            optimizer = _built(subject, resumed)
            load_state(Path(folder), resumed, optimizer, None)
        _steps(resumed, optimizer, range(stop, 6))
        wanted = _weights(undisturbed)
        for name, parameter in resumed.named_parameters():
            require(
                torch.equal(parameter, wanted[name]),
                f"{name!r} has other values after 6 steps if the run stopped after {stop}: keep all that changes in "
                f"`self.state[parameter]`",
            )


CONTRACTS = (parameters, descends, missing_gradients, extreme_gradients, learning_rate, repeatable, resumes)


class _Model(nn.Module):
    """Parameters of every number of dimensions."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.matrix, self.bias, self.kernel, self.gate = (
            nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES.values()
        )


def _model(seed: int = 4) -> _Model:
    return _Model(seed)


def _built(subject: Subject, model: nn.Module) -> torch.optim.Optimizer:
    return build_optimizer(model, Use.model_validate({**subject.options, "use": subject.name}))


def _weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def _distance(model: nn.Module, wanted: dict[str, Tensor]) -> Tensor:
    each = [(parameter - wanted[name]).square().mean() for name, parameter in model.named_parameters()]
    return torch.stack(each).sum()


def _give_gradients(model: nn.Module, seed: int, scale: float = 1.0) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.grad = scale * torch.randn(parameter.shape, generator=generator)


def _steps(model: _Model, optimizer: torch.optim.Optimizer, numbers: Sequence[int]) -> None:
    """One step for each number, with gradients of its own; the bias has none in the first three."""
    for number in numbers:
        _give_gradients(model, number)
        if number < 3:
            model.bias.grad = None
        optimizer.step()
