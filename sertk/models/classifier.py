"""A model: a fusion and a head."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from sertk import registry
from sertk.config.build import build
from sertk.config.schema import Head, Use
from sertk.errors import ConfigError, Fault
from sertk.models.head import build_head
from sertk.models.standardise import Standardise, standardiser
from sertk.tensors import Features, Outputs, Padded

INFERENCE = "float32"
"""The number type of inference, whatever a model was trained in."""


class Classifier(nn.Module):
    """Features in, emotion logits and attributes out: `scaled`, `fusion`, `head`, with regularizers in between.

    scale: standardises features, or None.
    """

    def __init__(self, fusion: nn.Module, head: nn.Module, scale: Standardise | None = None) -> None:
        super().__init__()
        self.scale = scale
        self.fusion = fusion
        self.head = head

    def scaled(self, features: Features) -> Features:
        """The features as the fusion reads them, {name: (B, T, D)}."""
        return features if self.scale is None else cast(Features, self.scale(features))

    def fuse(self, features: Features) -> Tensor:
        """{name: (B, T, D)} to the fused (B, width)."""
        return cast(Tensor, self.fusion(self.scaled(features)))

    def forward(self, features: Features) -> Outputs:
        """{name: (B, T, D)} to logits (B, C) and attributes (B, A)."""
        return cast(Outputs, self.head(self.fuse(features)))

    def posteriors(self, features: Features) -> Tensor:
        """{name: (B, T, D)} to (B, C + A), probabilities, then attributes: the one way from a model to them."""
        return self._exactly(features, lambda exact: cast(Outputs, self(exact)).posteriors)

    def embeddings(self, features: Features) -> Tensor:
        """{name: (B, T, D)} to the fused (B, width), computed as `posteriors` computes them."""
        return self._exactly(features, self.fuse)

    def _exactly(self, features: Features, function: Callable[[Features], Tensor]) -> Tensor:
        """Call in evaluation mode and in float32, whatever autocast is on around it; give the mode back."""
        exact = {name: Padded(padded.data.float(), padded.lengths) for name, padded in features.items()}
        device = next(iter(exact.values())).data.device
        was_training = self.training
        self.eval()
        try:
            with torch.inference_mode(), torch.autocast(device.type, enabled=False):
                return function(exact)
        finally:
            self.train(was_training)


def build_classifier(
    fusion: Use,
    head: Head,
    *,
    dims: Mapping[str, int],
    classes: int,
    ranges: Sequence[tuple[float, float]],
    seed: int,
    standardise: Sequence[str] = (),
) -> Classifier:
    """Build a fusion by name and its head, on the CPU, with the initial weights that the seed gives.

    dims: D of each modality. ranges: lowest and highest value of each of `head.attributes`, in order. The random
    state of the process is left as it was. standardise: modalities that are standardised first; the module's `scale`
    is to be fitted on the training part. Raises ConfigError or RegistryError.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        module: nn.Module = build(registry.fusions, fusion, dims)
        width = getattr(module, "width", None)
        if not isinstance(width, int):
            raise ConfigError(f"fusion {fusion.use}", [Fault("width", f"should be an int, got {width!r}")])
        announced = getattr(module, "classes", classes)
        if announced != classes:
            message = f"reads {announced} classes but there are {classes}: set classes = {classes}"
            raise ConfigError(f"fusion {fusion.use}", [Fault("classes", message)])
        scale = standardiser(standardise, dims)
        return Classifier(module, build_head(head, width=width, classes=classes, ranges=ranges), scale)
