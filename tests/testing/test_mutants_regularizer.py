"""Regularizers broken on purpose, each in one way: the suite names the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Generator, Tensor

from sertk.tensors import Features, Padded, Targets

Broken = Callable[..., set[str]]


class Mixes:
    """A sound regularizer: scales features, mixes fused vectors of neighbours. Each mutant changes one thing."""

    def __init__(self, probability: float) -> None:
        self.probability = probability

    def draw(self, generator: Generator) -> float:
        return float(torch.rand((), generator=generator))

    def on_batch(self, features: Features, targets: Targets, generator: Generator) -> tuple[Features, Targets]:
        if self.draw(generator) >= self.probability:
            return features, targets
        scale = 0.5 + self.draw(generator)
        return {name: Padded(padded.data * scale, padded.lengths) for name, padded in features.items()}, targets

    def mix(self, values: Tensor, share: float) -> Tensor:
        return share * values + (1 - share) * values.roll(1, dims=0)

    def mixed(self, targets: Targets, share: float) -> Targets:
        return Targets(self.mix(targets.emotion, share), self.mix(targets.attributes, share))

    def on_embedding(self, fused: Tensor, targets: Targets, generator: Generator) -> tuple[Tensor, Targets]:
        if self.draw(generator) >= self.probability:
            return fused, targets
        share = self.draw(generator)
        return self.mix(fused, share), self.mixed(targets, share)


class ScalesInPlace(Mixes):
    def on_batch(self, features: Features, targets: Targets, generator: Generator) -> tuple[Features, Targets]:
        for padded in features.values():
            padded.data.mul_(0.5 + self.draw(generator))
        return features, targets


class TargetsForgotten(Mixes):
    def mixed(self, targets: Targets, share: float) -> Targets:
        return targets


class TargetsJoinedByPosition(Mixes):
    def mixed(self, targets: Targets, share: float) -> Targets:
        other = Targets(targets.emotion.flip(0), targets.attributes.flip(0))
        mixed = [
            share * a + (1 - share) * b
            for a, b in zip((targets.emotion, targets.attributes), (other.emotion, other.attributes), strict=True)
        ]
        return Targets(*mixed)


class MissingBecomeZero(Mixes):
    def mixed(self, targets: Targets, share: float) -> Targets:
        return super().mixed(replace(targets, attributes=targets.attributes.nan_to_num()), share)


class GlobalDraws(Mixes):
    def draw(self, generator: Generator) -> float:
        return float(torch.rand(()))


class GeneratorIgnored(Mixes):
    def draw(self, generator: Generator) -> float:
        return float(torch.rand((), generator=Generator().manual_seed(1))) * 0.2


class OwnGeneratorKept(Mixes):
    def __init__(self, probability: float) -> None:
        super().__init__(probability)
        self.kept = Generator().manual_seed(1)

    def draw(self, generator: Generator) -> float:
        return float(torch.rand((), generator=self.kept))


class ProbabilityIgnored(Mixes):
    def __init__(self, probability: float) -> None:
        super().__init__(1.0)


class TargetsSumToMore(Mixes):
    def mixed(self, targets: Targets, share: float) -> Targets:
        mixed = super().mixed(targets, share)
        return replace(mixed, emotion=mixed.emotion + 0.1)


class NoiseInThePadding(Mixes):
    def on_batch(self, features: Features, targets: Targets, generator: Generator) -> tuple[Features, Targets]:
        return {
            n: Padded(p.data + self.draw(generator) * self.probability, p.lengths) for n, p in features.items()
        }, targets


class BatchDoubled(Mixes):
    def on_embedding(self, fused: Tensor, targets: Targets, generator: Generator) -> tuple[Tensor, Targets]:
        both = Targets(torch.cat([targets.emotion] * 2), torch.cat([targets.attributes] * 2))
        return torch.cat([fused, fused]), both


class GradientCut(Mixes):
    def mix(self, values: Tensor, share: float) -> Tensor:
        return super().mix(values, share).detach()


class GradientOfTheFirstAlone(Mixes):
    def on_embedding(self, fused: Tensor, targets: Targets, generator: Generator) -> tuple[Tensor, Targets]:
        return super().on_embedding(torch.cat([fused[:1], fused[1:].detach()]), targets, generator)


class BackToFloat32(Mixes):
    def on_embedding(self, fused: Tensor, targets: Targets, generator: Generator) -> tuple[Tensor, Targets]:
        return super().on_embedding(fused.float(), targets, generator)


class OldHook(Mixes):
    def on_fused(self, fused: Tensor, targets: Targets, generator: Generator) -> tuple[Tensor, Targets]:
        return super().on_embedding(fused, targets, generator)


class SilencesTheWords(Mixes):
    """A sound regularizer of one modality that it calls by name."""

    def on_batch(self, features: Features, targets: Targets, generator: Generator) -> tuple[Features, Targets]:
        if self.draw(generator) >= self.probability:
            return features, targets
        words = features["text"]
        return {**features, "text": Padded(torch.zeros_like(words.data), words.lengths)}, targets


class DropsTheWords(SilencesTheWords):
    def on_batch(self, features: Features, targets: Targets, generator: Generator) -> tuple[Features, Targets]:
        if self.draw(generator) >= self.probability:
            return features, targets
        return {name: padded for name, padded in features.items() if name != "text"}, targets


def of(regularizer: type[Mixes]) -> Callable[..., Mixes]:
    def made_up(*, probability: float = 0.8) -> Mixes:
        return regularizer(probability)

    return made_up


MUTANTS = [
    (OldHook, "hooks"),
    (ScalesInPlace, "input_unchanged"),
    (TargetsForgotten, "joined"),
    (TargetsJoinedByPosition, "joined"),
    (MissingBecomeZero, "missing_attributes"),
    (GlobalDraws, "global_random_state"),
    (GeneratorIgnored, "generator_decides"),
    (OwnGeneratorKept, "repeatable"),
    (ProbabilityIgnored, "probability_zero"),
    (TargetsSumToMore, "probabilities"),
    (NoiseInThePadding, "shapes"),
    (BatchDoubled, "shapes"),
    (GradientCut, "gradients"),
    (GradientOfTheFirstAlone, "gradients"),
    (BackToFloat32, "half_precision"),
]


def test_a_sound_regularizer_breaks_nothing(broken: Broken) -> None:
    assert broken("regularizer", of(Mixes)) == set()


def test_a_regularizer_of_named_modalities_passes_with_their_names_alone(broken: Broken) -> None:
    dims = {"speech": 12, "text": 9}
    assert broken("regularizer", of(SilencesTheWords), dims=dims) == set()
    assert "shapes" in broken("regularizer", of(SilencesTheWords))
    assert broken("regularizer", of(DropsTheWords), dims=dims) == {"shapes"}


@pytest.mark.parametrize(("mutant", "contract"), MUTANTS, ids=[mutant.__name__ for mutant, _ in MUTANTS])
def test_a_mutant_is_caught(broken: Broken, mutant: type[Mixes], contract: str) -> None:
    assert contract in broken("regularizer", of(mutant))
