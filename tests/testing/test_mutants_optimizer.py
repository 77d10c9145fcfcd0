"""Optimizers broken on purpose, each in one way: the suite names the way."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

Broken = Callable[..., set[str]]


class Signs(torch.optim.Optimizer):
    """A sound optimizer: a step along the sign of the mean gradient. Each mutant changes one thing."""

    def __init__(self, parameters: Mapping[str, Tensor]) -> None:
        super().__init__(self.grouped(parameters), {"lr": 1e-3})

    def grouped(self, parameters: Mapping[str, Tensor]) -> list[Tensor]:
        return list(parameters.values())

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                if (gradient := self.gradient(parameter)) is not None:
                    parameter.sub_(self.direction(parameter, gradient), alpha=self.rate(group))

    def gradient(self, parameter: Tensor) -> Tensor | None:
        return parameter.grad

    def direction(self, parameter: Tensor, gradient: Tensor) -> Tensor:
        state = self.state[parameter]
        state["count"] = state.get("count", 0) + 1
        mean = state.setdefault("mean", torch.zeros_like(parameter))
        return mean.lerp_(gradient, 1 / min(state["count"], 4)).sign()

    def rate(self, group: dict[str, Any]) -> float:
        return group["lr"]


class MatricesAlone(Signs):
    def grouped(self, parameters: Mapping[str, Tensor]) -> list[Tensor]:
        return [parameter for parameter in parameters.values() if parameter.dim() > 1]


class CopiesParameters(Signs):
    def grouped(self, parameters: Mapping[str, Tensor]) -> list[Tensor]:
        return [parameter.detach().clone() for parameter in parameters.values()]


class Ascends(Signs):
    def direction(self, parameter: Tensor, gradient: Tensor) -> Tensor:
        return -super().direction(parameter, gradient)


class MovesWithoutGradient(Signs):
    def gradient(self, parameter: Tensor) -> Tensor | None:
        return torch.ones_like(parameter) if parameter.grad is None else parameter.grad


class NeedsEveryGradient(Signs):
    def gradient(self, parameter: Tensor) -> Tensor | None:
        return parameter.grad.clone()  # type: ignore[union-attr]


class DividesByTheNorm(Signs):
    def direction(self, parameter: Tensor, gradient: Tensor) -> Tensor:
        return gradient / gradient.norm()


class SquaresOverflow(Signs):
    def direction(self, parameter: Tensor, gradient: Tensor) -> Tensor:
        power = gradient.half().square().float()
        return gradient * power / (power + 1e-8)


class KeepsItsRate(Signs):
    def rate(self, group: dict[str, Any]) -> float:
        return 1e-3


class Noise(Signs):
    def direction(self, parameter: Tensor, gradient: Tensor) -> Tensor:
        return super().direction(parameter, gradient) + 0.1 * torch.randn_like(gradient)


class NoiseOfPython(Signs):
    def direction(self, parameter: Tensor, gradient: Tensor) -> Tensor:
        return super().direction(parameter, gradient) * (1 + 0.1 * random.random())


class CountsOutsideTheState(Signs):
    calls = 0

    def direction(self, parameter: Tensor, gradient: Tensor) -> Tensor:
        self.calls += 1
        return super().direction(parameter, gradient) / self.calls


class CountsInItsGroup(Signs):
    def rate(self, group: dict[str, Any]) -> float:
        group["count"] = group.get("count", 0) + 1
        return group["lr"] / group["count"]


class KeepsAList(Signs):
    def direction(self, parameter: Tensor, gradient: Tensor) -> Tensor:
        self.state[parameter].setdefault("last", []).append(gradient)
        return super().direction(parameter, gradient)


class WantsAClosure(Signs):
    def step(self, closure: Any = None) -> None:
        closure()
        super().step()


def of(optimizer: type[Signs]) -> Callable[..., Signs]:
    def made_up(parameters: Mapping[str, Tensor], /) -> Signs:
        return optimizer(parameters)

    return made_up


MUTANTS = [
    (MatricesAlone, {"parameters", "descends", "missing_gradients"}),
    (Ascends, {"descends"}),
    (MovesWithoutGradient, {"missing_gradients"}),
    (DividesByTheNorm, {"extreme_gradients"}),
    (SquaresOverflow, {"extreme_gradients"}),
    (KeepsItsRate, {"learning_rate"}),
    (Noise, {"repeatable", "resumes"}),
    (NoiseOfPython, {"repeatable", "resumes"}),
    (CountsOutsideTheState, {"resumes"}),
    (CountsInItsGroup, {"resumes"}),
    (KeepsAList, {"resumes"}),
]


def test_a_sound_optimizer_breaks_nothing(broken: Broken) -> None:
    assert broken("optimizer", of(Signs)) == set()


@pytest.mark.parametrize(("mutant", "contracts"), MUTANTS, ids=[mutant.__name__ for mutant, _ in MUTANTS])
def test_a_mutant_breaks_just_the_contracts_of_its_fault(
    broken: Broken, mutant: type[Signs], contracts: set[str]
) -> None:
    assert broken("optimizer", of(mutant)) == contracts


@pytest.mark.parametrize(
    ("mutant", "contract"),
    [
        (CopiesParameters, "parameters"),
        (NeedsEveryGradient, "missing_gradients"),
        (WantsAClosure, "descends"),
    ],
)
def test_a_mutant_that_breaks_several_is_caught(broken: Broken, mutant: type[Signs], contract: str) -> None:
    assert contract in broken("optimizer", of(mutant))


def test_what_is_no_optimizer_breaks_everything(broken: Broken) -> None:
    def made_up(parameters: Mapping[str, Tensor], /) -> Callable[[], None]:
        return lambda: None

    assert "parameters" in broken("optimizer", made_up)
