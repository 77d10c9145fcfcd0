from __future__ import annotations

import pytest
import torch
from sertk_mixup import ManifoldMixup, draw

from sertk import registry
from sertk.config.build import build
from sertk.config.schema import Use
from sertk.errors import ConfigError
from sertk.tensors import Targets


def a_batch(size: int = 16) -> tuple[torch.Tensor, Targets]:
    generator = torch.Generator().manual_seed(3)
    fused = torch.randn(size, 5, generator=generator)
    emotion = torch.rand(size, 4, generator=generator).softmax(-1)
    return fused, Targets(emotion, 1 + 6 * torch.rand(size, 3, generator=generator))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_mixture_equals_its_closed_form() -> None:
    fused, targets = a_batch()
    mixed, mixed_targets = ManifoldMixup(probability=1.0, alpha=0.4).on_embedding(fused, targets, seeded(7))

    same = seeded(7)
    torch.rand((), generator=same)  # whether the batch is mixed at all
    share, partner = draw(16, 0.4, same)
    for row in range(16):
        other, kept = int(partner[row]), float(share[row])
        for before, after in (
            (fused, mixed),
            (targets.emotion, mixed_targets.emotion),
            (targets.attributes, mixed_targets.attributes),
        ):
            torch.testing.assert_close(after[row], kept * before[row] + (1 - kept) * before[other])
    assert not torch.equal(mixed, fused)


def test_each_utterance_has_a_share_of_its_own_from_the_beta_distribution() -> None:
    share, partner = draw(20_000, 0.2, seeded(1))
    assert share.shape == (20_000, 1)
    assert sorted(partner.tolist()) == list(range(20_000))
    assert float(share.mean()) == pytest.approx(0.5, abs=0.01)
    assert float(share.var()) == pytest.approx(1 / (4 * (2 * 0.2 + 1)), abs=0.005)  # of Beta(a, a)
    assert share.isfinite().all()


def test_class_targets_still_sum_to_one_and_attributes_stay_in_range() -> None:
    _, targets = ManifoldMixup(probability=1.0).on_embedding(*a_batch(), seeded(2))
    torch.testing.assert_close(targets.emotion.sum(-1), torch.ones(16))
    assert ((targets.attributes >= 1) & (targets.attributes <= 7)).all()


def test_an_attribute_that_either_lacks_is_missing() -> None:
    fused, targets = a_batch()
    targets.attributes[4, 1] = float("nan")
    _, mixed = ManifoldMixup(probability=1.0).on_embedding(fused, targets, seeded(5))
    same = seeded(5)
    torch.rand((), generator=same)
    _, partner = draw(16, 0.2, same)
    expected = torch.zeros(16, 3, dtype=torch.bool)
    expected[4, 1] = True
    expected[:, 1] |= partner == 4
    assert torch.equal(mixed.attributes.isnan(), expected)


def test_batches_are_mixed_with_the_probability_and_else_left_alone() -> None:
    fused, targets = a_batch()
    regularizer, generator = ManifoldMixup(probability=0.3), seeded(1)
    untouched = sum(regularizer.on_embedding(fused, targets, generator)[0] is fused for _ in range(2000))
    assert untouched / 2000 == pytest.approx(0.7, abs=0.04)
    assert ManifoldMixup(probability=0.0).on_embedding(fused, targets, generator) == (fused, targets)


def test_what_comes_in_is_not_changed_and_gradients_reach_both_partners() -> None:
    fused, targets = a_batch()
    before = fused.clone()
    fused.requires_grad_()
    mixed, _ = ManifoldMixup(probability=1.0, alpha=1.0).on_embedding(fused, targets, seeded(2))
    assert torch.equal(fused.detach(), before)
    (gradient,) = torch.autograd.grad(mixed.sum(), fused)
    same = seeded(2)
    torch.rand((), generator=same)
    share, partner = draw(16, 1.0, same)
    expected = share[:, 0].clone()
    expected[partner] += 1 - share[:, 0]
    torch.testing.assert_close(gradient, expected[:, None].expand(16, 5))


def test_half_precision_stays_half_precision() -> None:
    fused, targets = a_batch()
    mixed, _ = ManifoldMixup(probability=1.0).on_embedding(fused.bfloat16(), targets, seeded(2))
    assert mixed.dtype == torch.bfloat16


def test_the_regularizer_is_found_by_name_and_its_options_are_checked() -> None:
    regularizer = build(registry.regularizers, Use(use="manifold_mixup", alpha=0.4))
    assert (regularizer.probability, regularizer.alpha) == (0.3, 0.4)
    for wrong in ({"probability": 1.5}, {"alpha": 0.0}, {"beta": 0.2}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            build(registry.regularizers, Use(use="manifold_mixup", **wrong))
