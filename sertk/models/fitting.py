"""A network that is built only when its weights fit: a model folder from anywhere must not take the memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_module_registration_hook

from sertk.errors import CheckpointError, ConfigError

Module = TypeVar("Module", bound=nn.Module)
MODULES_A_TENSOR = 50
SPARE_MODULES = 1000
"""A network has at most so many modules for each tensor of its weights, and so many beside."""


def build_to_fit(build: Callable[[], Module], weights: Mapping[str, Tensor]) -> Module:
    """Build a network and load its weights; refuse one of other shapes before it takes any memory.

    The shapes are those of a first network on torch's meta device, which has no content. A fusion that cannot be
    built there is built at once. Raises CheckpointError naming the first tensor that differs.
    """
    shapes = _shapes(build, tensors=len(weights))
    if shapes is not None:
        given = {name: tuple(tensor.shape) for name, tensor in weights.items()}
        for name in dict.fromkeys([*shapes, *given]):
            if shapes.get(name) != given.get(name):
                asked, there = (_words(each.get(name)) for each in (shapes, given))
                raise CheckpointError(f"{name} should be {asked}, the weights have {there}")
    network = build()
    try:
        network.load_state_dict(dict(weights))
    except RuntimeError as error:
        raise CheckpointError(str(error)) from None
    return network


def _shapes(build: Callable[[], nn.Module], *, tensors: int) -> dict[str, tuple[int, ...]] | None:
    try:
        with torch.device("meta"), at_most(tensors):
            return {name: tuple(tensor.shape) for name, tensor in build().state_dict().items()}
    except (ConfigError, RuntimeError, NotImplementedError, TypeError, ValueError) as error:
        if "meta" in str(error):  # it looks at the values of its tensors
            return None
        raise CheckpointError(f"no network can be built: {error}") from None


@contextmanager
def at_most(tensors: int) -> Iterator[None]:
    """Let this thread build no more modules than that many tensors are of: even empty layers take memory."""
    thread, count, most = threading.get_ident(), 0, SPARE_MODULES + MODULES_A_TENSOR * tensors

    def add(module: nn.Module, name: str, inner: Any) -> None:
        nonlocal count
        if threading.get_ident() == thread:
            count += 1
            if count > most:
                raise CheckpointError(f"more than {most} modules, far more than the weights are of")

    handle = register_module_module_registration_hook(add)
    try:
        yield
    finally:
        handle.remove()


def _words(shape: tuple[int, ...] | None) -> str:
    return "none" if shape is None else " x ".join(str(size) for size in shape) or "a number"
