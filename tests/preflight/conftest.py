"""Components of strangers that complain late, registered for one test, and files that name them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import catalogue
import pytest
import torch
from torch import Tensor, nn

from sertk.errors import AudioError
from sertk.models.fusions.concat import Concat
from sertk.registry import REGISTRIES
from sertk.tensors import Features

EXPERIMENT = """
[data]
manifest = "data/manifest.jsonl.gz"
[features]
speech = "features/speech"
words = "features/words"
[fusion]
use = "concat"
[[stage]]
name = "full"
epochs = 1
"""


def named_fusion(
    dims: Mapping[str, int], /, *, speech: str = "speech", words: str = "words", late: bool = False
) -> nn.Module:
    """Fuse two modalities by their names; looks them up when built, or when called."""
    fusion = Concat({name: dims[name] for name in ([] if late else (speech, words))} or dims)

    class Named(nn.Module):
        width = fusion.width

        def forward(self, features: Features) -> Tensor:
            return fusion({name: features[name] for name in (speech, words)} if late else features)

    return Named()


def valued_fusion(dims: Mapping[str, int], /, *, scale: float = 1.0) -> nn.Module:
    """Look at the value of a tensor when built, which has none on the meta device."""
    if torch.tensor(scale) <= 0:
        raise ValueError("scale must be above 0")
    return Concat(dims)


def exact_fusion(dims: Mapping[str, int], /) -> nn.Module:
    """Take features of one width alone."""
    for name, dim in dims.items():
        if dim != 88:
            raise ValueError(f"{name} has {dim} features, not 88")
    return Concat(dims)


def picky_sampler(table: Any, seed: int, /, *, batch_size: int = 4) -> Any:
    """Complain of a batch size when built."""
    if batch_size % 4:
        raise ValueError(f"batch_size must be a multiple of 4, got {batch_size}")
    return REGISTRIES["sampler"].get("shuffle")(table, seed, batch_size=batch_size)


def counted_loss(table: Any, /, *, weights: tuple[float, ...] = ()) -> Any:
    """Want as many weights as there are classes, which no file can know."""
    if weights and len(weights) != len(table.labels):
        raise ValueError(f"{len(weights)} weights for {len(table.labels)} classes")
    return REGISTRIES["loss"].get("kl")(table)


def late_loss(table: Any, /, *, reduction: str = "mean") -> Any:
    """Complain when it is called."""
    return lambda outputs, targets: {"mean": outputs.emotion.mean()}[reduction]


def picky_regularizer(*, low: float = 0.0, high: float = 1.0) -> Any:
    """Complain of two options that contradict each other."""
    if low > high:
        raise ValueError("low must not be above high")
    return REGISTRIES["regularizer"].get("modality_dropout")()


def picky_optimizer(parameters: Mapping[str, Tensor], /, *, lr: float = 0.1, warmup: int = 0) -> Any:
    """Complain when the first step is made."""
    optimizer = torch.optim.SGD(parameters.values(), lr=lr)

    def check(*_: Any) -> None:
        if warmup < 0:
            raise ValueError(f"warmup must not be below 0, got {warmup}")

    optimizer.register_step_pre_hook(check)
    return optimizer


def picky_aggregator(*, norm: str = "l1") -> Any:
    """Complain of an option with an assertion."""
    if norm not in ("l1", "l2"):
        raise AssertionError(f"there is no norm {norm!r}")
    return REGISTRIES["aggregator"].get("soft_vote")()


def picky_encoder(*, bands: int = 8) -> Any:
    """Complain with an exception of Python's."""
    if bands > 40:
        raise OverflowError(f"bands = {bands} are more than 40")
    return REGISTRIES["encoder"].get("logmel")(mels=bands)


def picky_transcriber(*, alphabet: str = "latin") -> Any:
    """Complain with an exception of Python's."""
    if alphabet != "latin":
        raise LookupError(f"unknown alphabet {alphabet!r}")
    return REGISTRIES["transcriber"].get("corpus")()


def noisy_encoder(*, bands: int = 8) -> Any:
    """Complain with one of sertk's own errors."""
    raise AudioError(f"no bank of {bands} bands")


COMPONENTS: dict[str, list[Callable[..., Any]]] = {
    "fusion": [named_fusion, valued_fusion, exact_fusion],
    "sampler": [picky_sampler],
    "loss": [counted_loss, late_loss],
    "regularizer": [picky_regularizer],
    "optimizer": [picky_optimizer],
    "aggregator": [picky_aggregator],
    "encoder": [picky_encoder, noisy_encoder],
    "transcriber": [picky_transcriber],
}


@pytest.fixture(autouse=True)
def components() -> Iterator[None]:
    before = dict(catalogue.REGISTRY)
    for kind, factories in COMPONENTS.items():
        for factory in factories:
            REGISTRIES[kind].register(factory.__name__, func=factory)
    yield
    catalogue.REGISTRY.clear()
    catalogue.REGISTRY.update(before)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a file and give its path; without contents, a good experiment."""

    def writer(text: str = EXPERIMENT, name: str = "experiment.toml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return writer
