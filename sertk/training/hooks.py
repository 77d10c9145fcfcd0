"""Which hooks of a regularizer there are: each is optional, and a name that is none of them is refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from torch import Generator, Tensor

from sertk import registry
from sertk.config.build import build
from sertk.config.schema import Use
from sertk.errors import TrainingError, did_you_mean
from sertk.tensors import Features, Targets

if TYPE_CHECKING:
    from sertk.contracts import Regularizer

HOOKS = ("on_batch", "on_embedding")
"""Before the fusion, and between fusion and head."""


Value = TypeVar("Value", Features, Tensor)


def run_hooks(
    hook: Literal["on_batch", "on_embedding"],
    regularizers: Sequence[Regularizer],
    value: Value,
    targets: Targets,
    generator: Generator,
) -> tuple[Value, Targets]:
    """Pass features (or fused vectors) and targets through a hook of each regularizer that has it, in order."""
    for regularizer in regularizers:
        function = getattr(regularizer, hook, None)
        if function is not None:
            value, targets = function(value, targets, generator)
    return value, targets


def check_hooks(regularizer: Any, name: str) -> None:
    """Refuse a method `on_...` that sertk never calls, and a regularizer that has no hook.

    Parameters
    ----------
    regularizer
        As its factory gave it.
    name
        Its name, for the message.

    Raises
    ------
    TrainingError
        Naming the method and the hooks that there are.
    """
    methods = [method for method in dir(regularizer) if method.startswith("on_")]
    for method in methods:
        if method not in HOOKS:
            raise TrainingError(
                f"the regularizer {name!r} has a method {method}, which is never called. "
                f"{did_you_mean(method, HOOKS)}Hooks: {', '.join(HOOKS)}."
            )
    if not methods:
        raise TrainingError(f"the regularizer {name!r} has no hook and would do nothing. Hooks: {', '.join(HOOKS)}.")


def build_regularizers(uses: Iterable[Use]) -> list[Regularizer]:
    """Build regularizers by name.

    Raises
    ------
    ConfigError
        With the faults of their options.
    TrainingError
        For one that `check_hooks` refuses.
    """
    built = []
    for use in uses:
        regularizer = build(registry.regularizers, use)
        check_hooks(regularizer, use.use)
        built.append(regularizer)
    return built
