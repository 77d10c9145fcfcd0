"""Losses broken on purpose, each in one way: the suite names the way."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sertk.data.labels import LabelTable
from sertk.tensors import Outputs, Targets

Broken = Callable[..., set[str]]
Loss = Callable[[Outputs, Targets], Tensor]


def classes(outputs: Outputs, targets: Targets) -> Tensor:
    return -(targets.emotion * outputs.emotion.float().log_softmax(-1)).sum(-1)  # (B,)


def squares(outputs: Outputs, targets: Targets) -> Tensor:
    present = ~targets.attributes.isnan()
    error = torch.where(present, outputs.attributes.float() - targets.attributes.nan_to_num(), 0)
    return error.square().sum() / present.sum().clamp(min=1)


def sound(outputs: Outputs, targets: Targets) -> Tensor:
    return classes(outputs, targets).mean() + squares(outputs, targets)


def nan_counts_as_zero(outputs: Outputs, targets: Targets) -> Tensor:
    return (outputs.attributes.float() - targets.attributes.nan_to_num()).square().mean()


def nan_is_not_masked(outputs: Outputs, targets: Targets) -> Tensor:
    return (outputs.attributes.float() - targets.attributes).square().mean()


def divides_by_what_is_present(outputs: Outputs, targets: Targets) -> Tensor:
    present = ~targets.attributes.isnan()
    return (outputs.attributes.float() - targets.attributes)[present].square().mean()


def sum_over_the_batch(outputs: Outputs, targets: Targets) -> Tensor:
    return classes(outputs, targets).sum()


def one_value_an_utterance(outputs: Outputs, targets: Targets) -> Tensor:
    return classes(outputs, targets)


def log_of_softmax(outputs: Outputs, targets: Targets) -> Tensor:
    return -(targets.emotion * outputs.emotion.float().softmax(-1).log()).sum(-1).mean()


def upside_down(outputs: Outputs, targets: Targets) -> Tensor:
    return -sound(outputs, targets) + 100


def cut_off_gradient(outputs: Outputs, targets: Targets) -> Tensor:
    p = outputs.emotion.float().softmax(-1)
    return ((p.detach() - targets.emotion) * p).sum(-1).mean() + squares(outputs, targets)


def no_gradient(outputs: Outputs, targets: Targets) -> Tensor:
    return sound(outputs, targets).detach()


def masks_in_place(outputs: Outputs, targets: Targets) -> Tensor:
    targets.attributes.nan_to_num_(nan=4.0)
    return sound(outputs, targets)


def half_overflows(outputs: Outputs, targets: Targets) -> Tensor:
    return classes(outputs, targets).mean() + (outputs.emotion * 300).square().mean() / 9e4


def weighted_by_place(outputs: Outputs, targets: Targets) -> Tensor:
    each = classes(outputs, targets)
    return (each * torch.linspace(0, 2, len(each))).mean()


def majority_alone(outputs: Outputs, targets: Targets) -> Tensor:
    return torch.nn.functional.cross_entropy(outputs.emotion.float(), targets.emotion.argmax(-1))


def majority_beside_the_entropy_of_the_votes(outputs: Outputs, targets: Targets) -> Tensor:
    return majority_alone(outputs, targets) + torch.special.entr(targets.emotion).sum(-1).mean()


def majority_by_its_share(outputs: Outputs, targets: Targets) -> Tensor:
    share, index = targets.emotion.max(-1)
    return -(share * outputs.emotion.float().log_softmax(-1).gather(1, index[:, None])[:, 0]).mean()


def every_class_with_a_vote(outputs: Outputs, targets: Targets) -> Tensor:
    named = (targets.emotion > 0).float()
    return classes(outputs, Targets(named / named.sum(-1, keepdim=True), targets.attributes)).mean()


def scaled_by_the_deviation(outputs: Outputs, targets: Targets) -> Tensor:
    return sound(outputs, targets) + 0 * outputs.emotion.float().std(dim=0).mean()


def joined_by_position(table: LabelTable, /) -> Loss:
    truth = torch.from_numpy(table.targets).float()

    def loss(outputs: Outputs, targets: Targets) -> Tensor:
        return classes(outputs, Targets(truth[: len(outputs.emotion)], targets.attributes)).mean()

    return loss


def running_mean(table: LabelTable, /) -> Loss:
    seen: list[float] = []

    def loss(outputs: Outputs, targets: Targets) -> Tensor:
        value = sound(outputs, targets)
        seen.append(float(value))
        return value / (sum(seen) / len(seen))

    return loss


def of(loss: Loss) -> Callable[..., Loss]:
    def made_up(table: LabelTable, /) -> Loss:
        return loss

    return made_up


MUTANTS = [
    (of(nan_counts_as_zero), "missing_attributes", "nan_counts_as_zero"),
    (of(nan_is_not_masked), "missing_attributes", "nan_is_not_masked"),
    (of(divides_by_what_is_present), "missing_attributes", "divides_by_what_is_present"),
    (of(sum_over_the_batch), "batch_split", "sum_over_the_batch"),
    (of(one_value_an_utterance), "scalar", "one_value_an_utterance"),
    (of(log_of_softmax), "extreme_logits", "log_of_softmax"),
    (of(upside_down), "direction", "upside_down"),
    (of(cut_off_gradient), "gradient", "cut_off_gradient"),
    (of(no_gradient), "scalar", "no_gradient"),
    (of(masks_in_place), "input_unchanged", "masks_in_place"),
    (of(half_overflows), "half_precision", "half_overflows"),
    (of(weighted_by_place), "batch_order", "weighted_by_place"),
    (joined_by_position, "batch_order", "joined_by_position"),
    (running_mean, "repeatable", "running_mean"),
]


def test_a_sound_loss_breaks_nothing(broken: Broken) -> None:
    assert broken("loss", of(sound)) == set()


MAJORITY = [majority_alone, majority_beside_the_entropy_of_the_votes, majority_by_its_share, every_class_with_a_vote]


@pytest.mark.parametrize("mutant", MAJORITY)
def test_a_loss_that_reads_less_than_all_votes_is_caught(broken: Broken, mutant: Loss) -> None:
    assert broken("loss", of(mutant)) == {"soft_targets"}


def test_a_loss_that_needs_two_utterances_is_caught(broken: Broken) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch, of the deviation of one value
        assert broken("loss", of(scaled_by_the_deviation)) == {"one_utterance"}


@pytest.mark.parametrize(("mutant", "contract"), [m[:2] for m in MUTANTS], ids=[m[2] for m in MUTANTS])
def test_a_mutant_is_caught(broken: Broken, mutant: Callable[..., Loss], contract: str) -> None:
    assert contract in broken("loss", mutant)
