"""How much memory training takes: weights, gradients, optimizer, and what autograd keeps of the longest batch.

The first three are exact. Activations are counted by running the model's forward pass on tensors without data (the
meta device) and adding up what autograd would keep for the backward pass, whatever the fusion is: with attention as
the fused kernels of GPUs do it, which keep no (T, T) matrix, and with the types that mixed precision gives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from sertk.config.schema import Experiment, Use
from sertk.models.classifier import Classifier, build_classifier
from sertk.models.size import count_parameters
from sertk.tensors import Features, Padded
from sertk.training.optimizers import build_optimizer
from sertk.training.seeds import seeded

FLOAT = 4
"""Bytes of a float32: weights and gradients are kept in it whatever the precision of computing."""


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes, by what they are for. parameters: their number.

    casts: the weights once more in half precision. activations: what the backward pass needs of the forward pass.
    working: the batch itself, and room for gradients of activations, three times the largest one.
    """

    parameters: int
    weights: int
    gradients: int
    optimizer: int
    casts: int
    batch: int
    activations: int
    working: int

    @property
    def total(self) -> int:
        """All of it at once, as it is early in the backward pass."""
        held = self.weights + self.gradients + self.optimizer + self.casts
        return held + self.batch + self.activations + self.working


def training_memory(
    experiment: Experiment, *, dims: Mapping[str, int], frames: Mapping[str, int], batch: int, classes: int
) -> TrainingMemory:
    """Count what one step of an experiment takes at most. frames: of the longest utterance, by modality.

    Raises ConfigError, or what a fusion raises of a batch that has no data.
    """
    model = meta_classifier(experiment, dims, classes)
    features = {
        name: Padded(torch.empty(batch, frames[name], dims[name], device="meta"), torch.full((batch,), frames[name]))
        for name in dims
    }
    half = experiment.compute.precision != "float32"
    with _AsOnGpu(half):
        kept = kept_for_backward(model, features)
    parameters = count_parameters(model)
    buffers = sum(buffer.numel() * buffer.element_size() for buffer in model.buffers())
    return TrainingMemory(
        parameters=parameters,
        weights=FLOAT * parameters + buffers,
        gradients=FLOAT * parameters,
        optimizer=max((optimizer_bytes(stage.optimizer, parameters) for stage in experiment.stage), default=0),
        casts=2 * parameters if half else 0,
        batch=sum(FLOAT * batch * frames[name] * dims[name] for name in dims),
        activations=sum(kept),
        working=3 * max(kept, default=0),
    )


def meta_classifier(experiment: Experiment, dims: Mapping[str, int], classes: int) -> Classifier:
    """The network of an experiment, without memory for its weights."""
    with torch.device("meta"):
        return build_classifier(
            experiment.fusion,
            experiment.head,
            dims=dims,
            classes=classes,
            ranges=[(0.0, 1.0)] * len(experiment.head.attributes),
            seed=experiment.init_seed,
        )


def optimizer_bytes(use: Use, parameters: int) -> int:
    """Count what an optimizer keeps for so many parameters, by what it keeps for those of a small layer."""
    with seeded(0):
        layer = nn.Linear(8, 8)
    optimizer = build_optimizer(layer, use)
    layer(torch.ones(1, 8)).sum().backward()
    optimizer.step()
    kept = [value for state in optimizer.state.values() for value in state.values() if isinstance(value, Tensor)]
    return sum(value.nbytes for value in kept if value.dim()) * parameters // count_parameters(layer)


def kept_for_backward(model: nn.Module, features: Features) -> list[int]:
    """Bytes of each tensor that autograd keeps of a forward pass, weights, their copies and the batch left out."""
    own = {tensor.untyped_storage()._cdata for tensor in (*model.parameters(), *model.buffers())}
    weights = {tuple(parameter.shape) for parameter in model.parameters() if parameter.dim() > 1}
    weights |= {shape[::-1] for shape in weights}
    own |= {padded.data.untyped_storage()._cdata for padded in features.values()}
    found: dict[int, int] = {}
    alive: list[Tensor] = []  # so that no storage is counted under the number of another

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own and tensor.dim() > 0 and tuple(tensor.shape) not in weights:
            found[storage._cdata] = storage.nbytes()
            alive.append(tensor)
        return tensor

    model.train()
    with saved_tensors_hooks(pack, lambda tensor: tensor):
        outputs = model(features)
        _loss = outputs.emotion.log_softmax(dim=-1).sum() + outputs.attributes.square().sum()
    return list(found.values())


class _Fused(torch.autograd.Function):
    """Attention that keeps what fused kernels keep: query, key, value, output, and one number a query."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        output = query.new_empty((*query.shape[:-1], value.shape[-1]))
        ctx.save_for_backward(query, key, value, output, query.new_empty(query.shape[:-1], dtype=torch.float32))
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        raise NotImplementedError("shapes only")  # on the meta device: what is kept is counted, never run backwards


class _AsOnGpu(TorchFunctionMode):
    """Fused attention; and with `half` the types of autocast: products in half precision, norms in float32."""

    def __init__(self, half: bool) -> None:
        super().__init__()
        self.half = half

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        named = dict(kwargs or {})
        if func is F.scaled_dot_product_attention:
            query, key, value = (self._as(tensor, torch.bfloat16) for tensor in args[:3])
            return _Fused.apply(query, key, value)  # type: ignore[no-untyped-call]
        if func in (F.linear, torch.matmul, torch.bmm, Tensor.matmul):
            args = [self._as(value, torch.bfloat16) for value in args]
            named = {name: self._as(value, torch.bfloat16) for name, value in named.items()}
        elif func in (F.layer_norm, torch.softmax, Tensor.softmax, Tensor.log_softmax):
            args = [self._as(value, torch.float32) for value in args]
        return func(*args, **named)

    def _as(self, value: Any, dtype: torch.dtype) -> Any:
        floating = isinstance(value, Tensor) and value.is_floating_point()
        return value.to(dtype) if self.half and floating else value
