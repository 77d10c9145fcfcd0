"""Small components, registered for one test, and a place to write configuration files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import catalogue
import pytest

from sertk.config.schema import LossTerm, Use
from sertk.registry import REGISTRIES

if TYPE_CHECKING:
    from somewhere_else import NeverImported

GOOD = """
[data]
manifest = "data/manifest.jsonl.gz"

[features]
speech = "features/speech"

[fusion]
use = "tiny_fusion"

[[stage]]
name = "full"
epochs = 5
sampler = { use = "tiny_sampler" }
loss = [{ use = "tiny_loss", weight = 1.5, power = 0.5 }]

[[stage]]
name = "balanced"
epochs = 2
sampler = { use = "tiny_sampler", batch_size = 4 }
loss = [{ use = "tiny_loss" }]
"""


def tiny_fusion(
    dims: "NeverImported", /, *, width: int = 8, dropout: float = 0.1, inner: int | None = None,  # noqa: UP037
    positions: Literal["none", "sinusoidal"] = "none", rates: tuple[float, float] = (0.5, 1.0), bias: bool = True,
) -> tuple[Any, ...]:  # fmt: skip
    """Fuse a little."""
    return dims, width, dropout, inner, positions, rates, bias


def tiny_sampler(table: Any, seed: int, /, *, batch_size: int = 16) -> tuple[Any, ...]:
    """Sample a little."""
    return table, seed, batch_size


def tiny_loss(table: Any, /, *, power: float = 0.0) -> float:
    """Lose a little."""
    return power


def tiny_regularizer(*, probability: float) -> float:
    """Regularize a little; its option is required."""
    return probability


def tiny_aggregator(
    *, sampler: Use = Use(use="tiny_sampler"), loss: tuple[LossTerm, ...] = (LossTerm(use="tiny_loss"),)
) -> tuple[Any, ...]:
    """Aggregate a little, with components of its own."""
    return sampler, loss


def tiny_encoder(*, mels: int = 80) -> int:
    """Encode a little."""
    return mels


COMPONENTS: dict[str, Callable[..., Any]] = {
    "fusion": tiny_fusion,
    "sampler": tiny_sampler,
    "loss": tiny_loss,
    "regularizer": tiny_regularizer,
    "aggregator": tiny_aggregator,
    "encoder": tiny_encoder,
}


@pytest.fixture(autouse=True)
def tiny_components() -> Iterator[None]:
    before = dict(catalogue.REGISTRY)
    for kind, factory in COMPONENTS.items():
        REGISTRIES[kind].register(factory.__name__, func=factory)
    yield
    catalogue.REGISTRY.clear()
    catalogue.REGISTRY.update(before)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a file and give its path; without contents, a good experiment."""

    def writer(text: str = GOOD, name: str = "experiment.toml") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return writer
