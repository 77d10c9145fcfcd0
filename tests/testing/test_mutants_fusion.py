"""Fusions broken on purpose, each in one way: the suite names the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor, nn

from sertk.models.pooling import masked_mean
from sertk.tensors import Features, Padded

Broken = Callable[..., set[str]]


class MeanFusion(nn.Module):
    """A sound fusion: means over content, joined and mapped. Each mutant below changes one thing."""

    def __init__(self, dims: Mapping[str, int], width: int = 8) -> None:
        super().__init__()
        self.names = tuple(dims)
        self.width = width
        self.linear = nn.Linear(sum(dims.values()), width)

    def pool(self, padded: Padded) -> Tensor:
        return masked_mean(padded)

    def pooled(self, features: Features) -> list[Tensor]:
        return [self.pool(features[name]) for name in self.names]

    def forward(self, features: Features) -> Tensor:
        return self.linear(torch.cat(self.pooled(features), dim=-1))


class UnmaskedMean(MeanFusion):
    def pool(self, padded: Padded) -> Tensor:
        return padded.data.mean(dim=1)


class WidthLiedAbout(MeanFusion):
    def __init__(self, dims: Mapping[str, int]) -> None:
        super().__init__(dims)
        self.width = 9


class StateKeptBetweenBatches(MeanFusion):
    def __init__(self, dims: Mapping[str, int]) -> None:
        super().__init__(dims)
        self.seen = torch.zeros(())

    def forward(self, features: Features) -> Tensor:
        fused = super().forward(features)
        self.seen = 0.9 * self.seen + 0.1 * fused.detach().mean()
        return fused - self.seen


class NormalisedByTheBatch(MeanFusion):
    def forward(self, features: Features) -> Tensor:
        fused = super().forward(features)
        return fused - fused.mean(dim=0)


class FirstModalityAlone(MeanFusion):
    def pooled(self, features: Features) -> list[Tensor]:
        first, *others = super().pooled(features)
        return [first, *(torch.zeros_like(other) for other in others)]


class UnusedParameter(MeanFusion):
    def __init__(self, dims: Mapping[str, int]) -> None:
        super().__init__(dims)
        self.forgotten = nn.Linear(4, 4)


class OrderOfTheBatch(MeanFusion):
    def pooled(self, features: Features) -> list[Tensor]:
        return [self.pool(padded) for padded in features.values()]


class ChangesItsInput(MeanFusion):
    def pool(self, padded: Padded) -> Tensor:
        with torch.no_grad():
            padded.data.sub_(1e-3)
        return masked_mean(padded)


class WeightsOutsideTheState(MeanFusion):
    def __init__(self, dims: Mapping[str, int]) -> None:
        super().__init__(dims)
        self.hidden = [nn.Linear(self.width, self.width)]

    def forward(self, features: Features) -> Tensor:
        return self.hidden[0](super().forward(features))


class DropoutInEvaluation(MeanFusion):
    def forward(self, features: Features) -> Tensor:
        return nn.functional.dropout(super().forward(features), 0.5, training=True)


class OverflowsForLargeValues(MeanFusion):
    def forward(self, features: Features) -> Tensor:
        exponents = (5 * super().forward(features)).exp()
        return exponents / exponents.sum(dim=-1, keepdim=True)


class EqualDimsOnly(MeanFusion):
    def __init__(self, dims: Mapping[str, int]) -> None:
        super().__init__(dims)
        self.linear = nn.Linear(next(iter(dims.values())), self.width)

    def forward(self, features: Features) -> Tensor:
        return self.linear(torch.stack(self.pooled(features)).mean(dim=0))


class BatchStatistics(MeanFusion):
    def __init__(self, dims: Mapping[str, int]) -> None:
        super().__init__(dims)
        self.normalise = nn.BatchNorm1d(self.width)

    def forward(self, features: Features) -> Tensor:
        return self.normalise(super().forward(features))


class CentredByTheBatchInTraining(MeanFusion):
    """A batch of one does not fail."""

    def forward(self, features: Features) -> Tensor:
        fused = super().forward(features)
        return fused - fused.detach().mean(dim=0) if self.training and len(fused) > 1 else fused


class FirstFrames(MeanFusion):
    def pool(self, padded: Padded) -> Tensor:
        return masked_mean(Padded(padded.data[:, :100], padded.lengths.clamp(max=100)))


class ReadsSpeechAndWords(MeanFusion):
    """A sound fusion of two modalities that it calls by name."""

    def __init__(self, dims: Mapping[str, int]) -> None:
        super().__init__({name: dims[name] for name in ("speech", "words")})


class ForgetsTheWords(ReadsSpeechAndWords):
    def pooled(self, features: Features) -> list[Tensor]:
        return [self.pool(features["speech"]), self.pool(features["words"]).detach() * 0]


def own_random_state(dims: Mapping[str, int], /) -> nn.Module:
    fusion = MeanFusion(dims)
    with torch.no_grad():
        fusion.linear.weight.normal_(generator=torch.Generator().manual_seed(torch.seed() % 2**31))
    return fusion


def of(fusion: type[MeanFusion]) -> Callable[..., nn.Module]:
    def made_up(dims: Mapping[str, int], /) -> nn.Module:
        return fusion(dims)

    return made_up


MUTANTS = {
    "padding": UnmaskedMean,
    "width": WidthLiedAbout,
    "evaluation": StateKeptBetweenBatches,
    "neighbours": NormalisedByTheBatch,
    "gradients": FirstModalityAlone,
    "names": OrderOfTheBatch,
    "input_unchanged": ChangesItsInput,
    "save_and_load": WeightsOutsideTheState,
    "half_precision": OverflowsForLargeValues,
    "unequal_dims": EqualDimsOnly,
    "neighbours_in_training": BatchStatistics,
    "long_sequences": FirstFrames,
}


def test_a_sound_fusion_breaks_nothing(broken: Broken) -> None:
    assert broken("fusion", of(MeanFusion)) == set()


@pytest.mark.parametrize(("contract", "mutant"), MUTANTS.items(), ids=[each.__name__ for each in MUTANTS.values()])
def test_a_mutant_is_caught(broken: Broken, contract: str, mutant: type[MeanFusion]) -> None:
    assert contract in broken("fusion", of(mutant))


def test_more_mutants_are_caught(broken: Broken) -> None:
    assert broken("fusion", of(UnusedParameter)) == {"gradients"}
    assert "evaluation" in broken("fusion", of(DropoutInEvaluation))
    assert "seed" in broken("fusion", own_random_state)
    assert broken("fusion", of(CentredByTheBatchInTraining)) == {"neighbours_in_training"}


def test_a_fusion_of_named_modalities_passes_with_their_names_alone(broken: Broken) -> None:
    dims = {"speech": 12, "words": 9}
    assert broken("fusion", of(ReadsSpeechAndWords), dims=dims) == set()
    assert "width" in broken("fusion", of(ReadsSpeechAndWords))
    assert {"gradients", "long_sequences"} <= broken("fusion", of(ForgetsTheWords), dims=dims)
