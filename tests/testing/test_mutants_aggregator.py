"""Aggregators broken on purpose, each in one way: the suite names the way."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sertk.config.schema import Head, Use
from sertk.contracts import Combined, Stack
from sertk.data.labels import NO_AGREEMENT
from sertk.errors import EnsembleError

Broken = Callable[..., set[str]]
Aggregate = Callable[[Stack], dict[str, Combined]]


class Weighted:
    """A sound aggregator: members weighted by how often they are right. Each mutant below changes one thing."""

    def __init__(self, use_leaked: bool = False) -> None:
        self.use_leaked = use_leaked

    @property
    def fit_on(self) -> str:
        return "train" if self.use_leaked else "held_out"

    def refuse_leak(self, stack: Stack) -> None:
        if stack.leaked and not self.use_leaked:
            raise EnsembleError("members were trained on these utterances")

    def posteriors(self, stack: Stack, name: str) -> Tensor:
        source = stack.posteriors.sources[name]
        return torch.cat([source[id] for id in stack.posteriors.table.ids])  # (N, C + A)

    def truth(self, stack: Stack) -> Tensor:
        return torch.from_numpy(stack.posteriors.table.consensus)

    def kept(self, stack: Stack) -> Tensor:
        return torch.ones(len(stack.posteriors.table), dtype=torch.bool)

    def shares(self, stack: Stack) -> list[float]:
        truth = self.truth(stack)
        agreed = (truth != NO_AGREEMENT) & self.kept(stack)
        classes = len(stack.posteriors.table.labels)
        right = [
            float((self.posteriors(stack, name)[agreed, :classes].argmax(1) == truth[agreed]).double().mean())
            for name in stack.posteriors.sources
        ]
        total = sum(value**4 for value in right)
        return [value**4 / total if total else 1 / len(right) for value in right]

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
        self.refuse_leak(stack)
        notes = {"fit_on": self.fit_on} if self.fit_on else {}
        return {"": Combined(Use(use="concat"), self.head(stack), self.weights(stack), notes=notes)}


class LabelsJoinedByPosition(Weighted):
    def posteriors(self, stack: Stack, name: str) -> Tensor:
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


class RandomOptionsOfTheFusion(Weighted):
    def __call__(self, stack: Stack) -> dict[str, Combined]:
        weights = torch.rand(len(stack.posteriors.sources)).tolist()
        fusion = {"use": "posterior_mean", "classes": len(stack.posteriors.table.labels), "weights": weights}
        head = Head(kind="identity", attributes=list(stack.posteriors.table.attribute_names))
        return {"": Combined(Use.model_validate(fusion), head, {}, notes={"fit_on": "nothing"})}


class CentresTheInputsInPlace(Weighted):
    def shares(self, stack: Stack) -> list[float]:
        for source in stack.inputs.sources.values() if stack.inputs else ():
            for id in stack.posteriors.table.ids:
                source[id].sub_(source[id].mean())
        return super().shares(stack)


class SortsTheLabels(Weighted):
    def shares(self, stack: Stack) -> list[float]:
        shares = super().shares(stack)
        stack.posteriors.table.consensus.sort()
        return shares


class NormalisesInPlace(Weighted):
    def posteriors(self, stack: Stack, name: str) -> Tensor:
        for id in stack.posteriors.table.ids:
            stack.posteriors.sources[name][id].mul_(0.5)
        return super().posteriors(stack, name)


class LeavesLeakedOut(Weighted):
    """Sound, too: it fits on what no member was trained on."""

    def refuse_leak(self, stack: Stack) -> None:
        if not self.kept(stack).any():
            raise EnsembleError("members were trained on all utterances")

    def kept(self, stack: Stack) -> Tensor:
        return torch.tensor([id not in stack.leaked for id in stack.posteriors.table.ids])


class LeakNotRefused(Weighted):
    def refuse_leak(self, stack: Stack) -> None:
        pass


class LeakNotedAndNotRefused(LeakNotRefused):
    fit_on = "train, because members were trained on it"


class LeakRefusedWhereItIsLarge(Weighted):
    def refuse_leak(self, stack: Stack) -> None:
        if len(stack.leaked) > len(stack.posteriors.table) / 2:
            raise EnsembleError("members were trained on most utterances")


class LeakLeftOutOfTheTruthAlone(LeakNotRefused):
    """Weights come from the labels of leaked utterances through the attributes."""

    def shares(self, stack: Stack) -> list[float]:
        attributes = torch.from_numpy(stack.posteriors.table.attributes).nan_to_num(4.0)
        classes = len(stack.posteriors.table.labels)
        errors = [
            float((self.posteriors(stack, name)[:, classes:] - attributes).square().mean())
            for name in stack.posteriors.sources
        ]
        return [(1 / error) / sum(1 / other for other in errors) for error in errors]


class LeakAskedForAndNotNoted(Weighted):
    fit_on = "held_out"


class NotesNoFit(Weighted):
    fit_on = ""


class NotesNothing(Weighted):
    fit_on = "nothing"


class AttributesReversed(Weighted):
    def weights(self, stack: Stack) -> dict[str, Tensor]:
        weights = super().weights(stack)
        return weights | {"head.attributes.weight": weights["head.attributes.weight"].flip(0)}


class AttributesUpsideDown(Weighted):
    def weights(self, stack: Stack) -> dict[str, Tensor]:
        weights = super().weights(stack)
        bias = torch.full_like(weights["head.attributes.bias"], 8.0)
        return weights | {"head.attributes.weight": -weights["head.attributes.weight"], "head.attributes.bias": bias}


class AttributesFromZeroToOne(Weighted):
    def weights(self, stack: Stack) -> dict[str, Tensor]:
        weights = super().weights(stack)
        bias = torch.full_like(weights["head.attributes.bias"], -1 / 6)
        return weights | {
            "head.attributes.weight": weights["head.attributes.weight"] / 6,
            "head.attributes.bias": bias,
        }


class ConstantAttributes(Weighted):
    def weights(self, stack: Stack) -> dict[str, Tensor]:
        weights = super().weights(stack)
        bias = torch.full_like(weights["head.attributes.bias"], 4.0)
        return weights | {
            "head.attributes.weight": 0 * weights["head.attributes.weight"],
            "head.attributes.bias": bias,
        }


class AveragesTheHeadsOfLateFusions(Weighted):
    """A sound aggregator of members of one kind: the mean of their weights."""

    fit_on = "nothing"

    def __call__(self, stack: Stack) -> dict[str, Combined]:
        if not stack.members:
            raise EnsembleError("members must be checkpoints")
        first = next(iter(stack.members.values())).experiment
        if first.fusion.use != "late":
            raise EnsembleError(f"the members' fusion must be 'late', got {first.fusion.use!r}")
        weights = {
            key: torch.stack([member.weights[key] for member in stack.members.values()]).mean(0)
            for key in next(iter(stack.members.values())).weights
        }
        notes = {"fit_on": self.fit_on}
        return {"": Combined(first.fusion, first.head, weights, features="inputs", notes=notes)}


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


class DividesByTheSumOfScores(Weighted):
    def weights(self, stack: Stack) -> dict[str, Tensor]:
        classes = len(stack.posteriors.table.labels)
        truth = self.truth(stack)
        agreed = truth != NO_AGREEMENT
        right = [
            self.posteriors(stack, name)[agreed, :classes].argmax(1) == truth[agreed]
            for name in stack.posteriors.sources
        ]
        scores = torch.stack([each.float().mean() for each in right])
        return {key: value * (scores.sum() / scores.sum()) for key, value in super().weights(stack).items()}


def of(aggregator: type[Weighted]) -> Callable[..., Weighted]:
    def made_up(*, use_leaked: bool = False) -> Weighted:
        return aggregator(use_leaked)

    return made_up


def leaks_by_default(*, power: float = 4.0) -> Weighted:
    return LeakNotRefused(use_leaked=True)


MUTANTS = [
    (LabelsJoinedByPosition, "joined_by_id"),
    (ClassesInAnotherOrder, "label_set"),
    (AttributesForgotten, "checkpoint"),
    (AttributesForgotten, "attributes"),
    (FirstMemberAlone, "label_set"),
    (WeightedByPlace, "member_order"),
    (RandomWeights, "repeatable"),
    (RandomOptionsOfTheFusion, "repeatable"),
    (NormalisesInPlace, "stack_unchanged"),
    (SortsTheLabels, "stack_unchanged"),
    (TransposedWeights, "checkpoint"),
    (NamesOfSeveralForOne, "names"),
    (NeedsTheMembers, "posteriors_alone"),
]
CAUGHT_ONCE = [
    (CentresTheInputsInPlace, "stack_unchanged"),
    (AttributesReversed, "attributes"),
    (AttributesUpsideDown, "attributes"),
    (AttributesFromZeroToOne, "attributes"),
    (ConstantAttributes, "attributes"),
    (LeakNotRefused, "leak"),
    (LeakNotedAndNotRefused, "leak"),
    (LeakRefusedWhereItIsLarge, "leak"),
    (LeakLeftOutOfTheTruthAlone, "leak"),
    (NotesNoFit, "fit_on"),
    (NotesNothing, "fit_on"),
    (DividesByTheSumOfScores, "never_right"),
]
"""Mutants that break one contract alone: nothing else would catch them."""


@pytest.mark.parametrize("aggregator", [Weighted, LeavesLeakedOut])
def test_a_sound_aggregator_breaks_nothing(broken: Broken, aggregator: type[Weighted]) -> None:
    assert broken("aggregator", of(aggregator)) == set()


def test_a_leak_that_an_option_asks_for_is_allowed_where_it_is_noted(broken: Broken) -> None:
    assert broken("aggregator", of(Weighted), options={"use_leaked": True}) == set()
    assert broken("aggregator", of(LeakAskedForAndNotNoted), options={"use_leaked": True}) == {"leak"}
    assert broken("aggregator", leaks_by_default, options={"power": 2.0}) == {"leak"}


def test_an_aggregator_of_members_of_one_kind_passes_with_such_members(broken: Broken) -> None:
    members, dims = {"use": "late", "width": 8}, {"wavlm": 10, "roberta": 6}
    assert broken("aggregator", of(AveragesTheHeadsOfLateFusions), members=members, dims=dims) == set()
    assert broken("aggregator", of(AveragesTheHeadsOfLateFusions)) >= {"names", "checkpoint"}


@pytest.mark.parametrize(("mutant", "contract"), MUTANTS, ids=[f"{m.__name__}-{c}" for m, c in MUTANTS])
def test_a_mutant_is_caught(broken: Broken, mutant: type[Weighted], contract: str) -> None:
    assert contract in broken("aggregator", of(mutant))


@pytest.mark.parametrize(("mutant", "contract"), CAUGHT_ONCE, ids=[m.__name__ for m, _ in CAUGHT_ONCE])
def test_a_mutant_that_breaks_one_contract_is_caught(broken: Broken, mutant: type[Weighted], contract: str) -> None:
    assert broken("aggregator", of(mutant)) == {contract}
