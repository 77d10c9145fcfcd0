"""What a check is, how it fails, and what the suites of all kinds share."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sertk.config.build import build
from sertk.config.schema import Use
from sertk.registry import REGISTRIES
from sertk.training.seeds import seeded

PAGE = "https://github.com/sertk/sertk/blob/main/docs/design/contracts.md"


class ContractError(AssertionError):
    """A component broke the contract of its kind; the message says which, how, and where it is explained."""


class BrokenError(Exception):
    """Raised inside a check: how the contract was broken."""


@dataclass(frozen=True)
class Subject:
    """The component under test, and what `sertk.testing.checks` was given for it."""

    kind: str
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    other: Mapping[str, Any] = field(default_factory=dict)
    dims: Mapping[str, int] = field(default_factory=dict)
    members: Mapping[str, Any] = field(default_factory=dict)
    example: Callable[[Path], object] | None = None

    @property
    def factory(self) -> Callable[..., Any]:
        """What is registered under the name."""
        factory: Callable[..., Any] = REGISTRIES[self.kind].get(self.name)
        return factory

    def build(self, *given: Any, **options: Any) -> Any:
        """Build it as a recipe would, `options` on top of its own."""
        use = Use.model_validate({**self.options, **options, "use": self.name})
        return build(REGISTRIES[self.kind], use, *given)

    def varied(self, **options: Any) -> Subject:
        """The same component, `options` on top of its own."""
        return replace(self, options={**self.options, **options})

    def without(self, option: str) -> Subject:
        """The same component, an option left to its default."""
        return replace(self, options={name: value for name, value in self.options.items() if name != option})

    def takes(self, option: str) -> bool:
        """Whether it has an option of this name."""
        return option in inspect.signature(self.factory).parameters


Contract = Callable[[Subject], None]
"""A check before it has a component. Its name is the contract's, its docstring says what must hold."""


@dataclass(frozen=True)
class Check:
    """One contract and one component. Call it: it returns, or raises ContractError."""

    subject: Subject
    contract: Contract

    @property
    def __name__(self) -> str:
        """What pytest shows as the parameter's id."""
        return f"{self.subject.name}-{self.contract.__name__}"

    def __call__(self) -> None:
        """Run the check; torch's global random state is the caller's afterwards."""
        try:
            with seeded(0):
                self.contract(self.subject)
        except Exception as error:
            kind, name, contract = self.subject.kind, self.subject.name, self.contract.__name__
            how = str(error) if isinstance(error, BrokenError) else f"it raised {type(error).__name__}: {error}"
            must = " ".join((inspect.getdoc(self.contract) or "").split())
            raise ContractError(
                f"the {kind} {name!r} breaks the contract `{contract}`: {how}\n"
                f"  {must}\n"
                f"  See {PAGE}#{kind}-{contract}"
            ) from (None if isinstance(error, BrokenError) else error)


def require(holds: bool | Tensor, otherwise: str) -> None:
    """Raise BrokenError, which the check turns into ContractError, unless something holds."""
    if not bool(holds):
        raise BrokenError(otherwise)


def require_near(
    actual: Tensor, wanted: Tensor, what: str, *, tolerance: float = 1e-4, relative: float | None = None
) -> None:
    """Require equal shapes, and values equal within `tolerance` + `relative` (as large if not given) * |wanted|."""
    require(actual.shape == wanted.shape, f"{what}: the shape is {tuple(actual.shape)}, not {tuple(wanted.shape)}")
    relative = tolerance if relative is None else relative
    actual, wanted = actual.detach().double(), wanted.detach().double()
    if not torch.allclose(actual, wanted, atol=tolerance, rtol=relative, equal_nan=True):
        off = float((actual - wanted).abs().nan_to_num(nan=float("inf"), posinf=float("inf")).max())
        raise BrokenError(f"{what}: values differ by up to {off:.3g}, {tolerance:g} is allowed")


def near(one: Tensor, other: Tensor, tolerance: float = 1e-5) -> bool:
    """Whether two tensors have one shape and equal values, within a tolerance. NaN equals NaN."""
    if one.shape != other.shape:
        return False
    return torch.allclose(one.double(), other.double(), atol=tolerance, rtol=tolerance, equal_nan=True)


def require_finite(values: Tensor, what: str) -> None:
    """Require numbers, none of them NaN or infinite."""
    require(values.isfinite().all(), f"{what}: {int((~values.isfinite()).sum())} of {values.numel()} are not finite")


@contextmanager
def global_seeds(seed: int) -> Iterator[None]:
    """Seed the global generators of Python, NumPy and torch inside; give the caller's states back afterwards."""
    python, numpy = random.getstate(), np.random.get_state()
    try:
        with seeded(seed):
            random.seed(seed)
            np.random.seed(seed)
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
