"""Aggregators broken on purpose, each in one way: the suite names the way."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sertk.config.schema import Head, Use
from sertk.contracts import Combined, Stack
from sertk.data.labels import NO_AGREEMENT

Broken = Callable[..., set[str]]
Aggregate = Callable[[Stack], dict[str, Combined]]


class Weighted:
    """A sound aggregator: members weighted by how often they are right. Each mutant below changes one thing."""

    fit_on = "held_out"

    def said(self, stack: Stack, name: str) -> Tensor:
        source = stack.posteriors.sources[name]
        return torch.cat([source[id] for id in stack.posteriors.table.ids])  # (N, C + A)

    def truth(self, stack: Stack) -> Tensor:
        return torch.from_numpy(stack.posteriors.table.consensus)

    def shares(self, stack: Stack) -> list[float]:
        truth = self.truth(stack)
        agreed = truth != NO_AGREEMENT
        classes = len(stack.posteriors.table.labels)
        right = [
            float((self.said(stack, name)[agreed, :classes].argmax(1) == truth[agreed]).double().mean())
            for name in stack.posteriors.sources
        ]
        return [value**4 / sum(other**4 for other in right) for value in right]

    def head(self, stack: Stack) -> Head:
        names = list(stack.posteriors.table.attribute_names)
        return Head(activation="none", attribute_output="linear", attributes=names)

    def weights(self, stack: Stack) -> dict[str, Tensor]:
        classes, attributes = len(stack.posteriors.table.labels), len(stack.posteriors.table.attribute_names)
        each = torch.eye(classes + attributes)
        joined = torch.cat([share * each for share in self.shares(stack)], dim=1)  # (C + A, M (C + A))
        return {
            "head.emotion.weight": 10 * joined[:classes],
            "head.emotion.bias": torch.zeros(classes),
            "head.attributes.weight": joined[classes:],
            "head.attributes.bias": torch.zeros(attributes),
        }

    def __call__(self, stack: Stack) -> dict[str, Combined]:
        notes = {"fit_on": self.fit_on} if self.fit_on else {}
        return {"": Combined(Use(use="concat"), self.head(stack), self.weights(stack), notes=notes)}


class LabelsJoinedByPosition(Weighted):
    def said(self, stack: Stack, name: str) -> Tensor:
        return torch.cat(list(stack.posteriors.sources[name].frames.values()))[: len(stack.posteriors.table)]


class ClassesInAnotherOrder(Weighted):
    def weights(self, stack: Stack) -> dict[str, Tensor]:
        weights = super().weights(stack)
        return weights | {"head.emotion.weight": weights["head.emotion.weight"].roll(1, dims=0)}


class AttributesForgotten(Weighted):
    def head(self, stack: Stack) -> Head:
        return Head(activation="none")


class FirstMemberAlone(Weighted):
    def shares(self, stack: Stack) -> list[float]:
        return [-0.2 * number for number in range(len(stack.posteriors.sources))][::-1]


class WeightedByPlace(Weighted):
    def shares(self, stack: Stack) -> list[float]:
        return [1.0, *[0.0] * (len(stack.posteriors.sources) - 1)]


class RandomWeights(Weighted):
    def shares(self, stack: Stack) -> list[float]:
        return torch.rand(len(stack.posteriors.sources)).tolist()


class NormalisesInPlace(Weighted):
    def said(self, stack: Stack, name: str) -> Tensor:
        for id in stack.posteriors.table.ids:
            stack.posteriors.sources[name][id].mul_(0.5)
        return super().said(stack, name)


class LeakUnnoted(Weighted):
    fit_on = ""


class TransposedWeights(Weighted):
    def weights(self, stack: Stack) -> dict[str, Tensor]:
        weights = super().weights(stack)
        return weights | {"head.emotion.weight": weights["head.emotion.weight"].T}


class NamesOfSeveralForOne(Weighted):
    def __call__(self, stack: Stack) -> dict[str, Combined]:
        made = super().__call__(stack)
        return made | {"seed/1": made[""]}


class NeedsTheMembers(Weighted):
    def shares(self, stack: Stack) -> list[float]:
        return [1 / len(stack.members)] * len(stack.members)


def of(aggregator: type[Weighted]) -> Callable[..., Weighted]:
    def made_up() -> Weighted:
        return aggregator()

    return made_up


MUTANTS = [
    (LabelsJoinedByPosition, "joined_by_id"),
    (ClassesInAnotherOrder, "label_set"),
    (AttributesForgotten, "checkpoint"),
    (FirstMemberAlone, "label_set"),
    (WeightedByPlace, "member_order"),
    (RandomWeights, "repeatable"),
    (NormalisesInPlace, "stack_unchanged"),
    (LeakUnnoted, "leak"),
    (TransposedWeights, "checkpoint"),
    (NamesOfSeveralForOne, "names"),
    (NeedsTheMembers, "posteriors_alone"),
]


def test_a_sound_aggregator_breaks_nothing(broken: Broken) -> None:
    assert broken("aggregator", of(Weighted)) == set()


@pytest.mark.parametrize(("mutant", "contract"), MUTANTS, ids=[mutant.__name__ for mutant, _ in MUTANTS])
def test_a_mutant_is_caught(broken: Broken, mutant: type[Weighted], contract: str) -> None:
    assert contract in broken("aggregator", of(mutant))
