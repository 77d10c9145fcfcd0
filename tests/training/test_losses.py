from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from sertk import registry
from sertk.config.build import build
from sertk.config.schema import Use
from sertk.data.labels import LabelTable
from sertk.errors import DataError
from sertk.tensors import Outputs, Targets
from sertk.training.losses import class_weights
from sertk.training.metrics import ccc

Table = Callable[..., LabelTable]
NAN = float("nan")
CLASS_LOSSES = [
    Use(use="cross_entropy"),
    Use(use="cross_entropy", class_weight_power=0.5),
    Use(use="kl"),
    Use(use="focal"),
    Use(use="focal", gamma=0.5, class_weight_power=1.0),
    Use(use="soft_macro_f1"),
    Use(use="vector_scaling", gamma=0.3, tau=1.2),
]
ATTRIBUTE_LOSSES = [Use(use="attribute_mse"), Use(use="attribute_ccc")]
ALL = CLASS_LOSSES + ATTRIBUTE_LOSSES


def name_of(use: Use) -> str:
    return " ".join([use.use, *(f"{key}={value}" for key, value in use.options.items())])


def loss_of(use: str | Use, table: LabelTable, **options: Any) -> Callable[[Outputs, Targets], Tensor]:
    made: Callable[[Outputs, Targets], Tensor] = build(
        registry.losses, use if isinstance(use, Use) else Use(use=use, **options), table
    )
    return made


def a_batch(size: int = 12, dtype: torch.dtype = torch.float64) -> tuple[Outputs, Targets]:
    generator = torch.Generator().manual_seed(2)
    emotion = torch.randn(size, 4, generator=generator, dtype=torch.float64).mul(2).softmax(-1)
    attributes = 1 + 6 * torch.rand(size, 3, generator=generator, dtype=torch.float64)
    attributes[0, 0] = attributes[3, 1] = attributes[4, 0] = NAN
    attributes[:, 2] = NAN
    logits = torch.randn(size, 4, generator=generator, dtype=torch.float64) * 2
    said = 4 + torch.randn(size, 3, generator=generator, dtype=torch.float64)
    return Outputs(logits.to(dtype), said.to(dtype)), Targets(emotion.to(dtype), attributes.to(dtype))


def one_hot(targets: Targets) -> Targets:
    return replace(targets, emotion=F.one_hot(targets.emotion.argmax(-1), 4).to(targets.emotion))


def test_soft_cross_entropy_is_the_mean_over_utterances(table: Table) -> None:
    outputs, targets = a_batch()
    terms = [
        -sum(t * p for t, p in zip(*pair, strict=True))
        for pair in zip(targets.emotion, outputs.emotion.log_softmax(-1), strict=True)
    ]
    torch.testing.assert_close(loss_of("cross_entropy", table(30))(outputs, targets), torch.stack(terms).sum() / 12)


def test_weighted_soft_cross_entropy_is_that_of_torch(table: Table) -> None:
    made = table(30)
    outputs, targets = a_batch()
    weights = class_weights(made, 0.5)
    expected = F.cross_entropy(outputs.emotion, targets.emotion, weight=weights)
    torch.testing.assert_close(loss_of("cross_entropy", made, class_weight_power=0.5)(outputs, targets), expected)


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_one_hot_targets_are_normalised_as_soft_ones_are(table: Table, power: float) -> None:
    made = table(30)
    outputs, targets = a_batch()
    hot = one_hot(targets)
    index = F.cross_entropy(
        outputs.emotion, hot.emotion.argmax(-1), weight=class_weights(made, power), reduction="sum"
    )
    torch.testing.assert_close(loss_of("cross_entropy", made, class_weight_power=power)(outputs, hot), index / 12)


def test_class_weights_come_from_the_soft_mass(table: Table) -> None:
    made = table(50)
    mass = [sum(float(row[c]) for row in made.targets) for c in range(4)]
    expected = torch.tensor([(50 / (4 * m)) ** 0.5 for m in mass], dtype=torch.float64)
    torch.testing.assert_close(class_weights(made, 0.5), expected)
    assert class_weights(made, 0.0).tolist() == [1.0] * 4


@pytest.mark.parametrize(
    "use", [Use(use="cross_entropy", class_weight_power=0.5), Use(use="vector_scaling")], ids=name_of
)
def test_a_class_without_mass_is_named_when_it_would_be_divided_by(table: Table, use: Use) -> None:
    made = table(30)
    targets = made.targets.copy()
    targets[:, 2] = 0
    empty = replace(made, targets=targets / targets.sum(axis=1, keepdims=True))
    with pytest.raises(DataError, match="has a vote for Sad"):
        loss_of(use, empty)
    outputs, given = a_batch()
    assert loss_of("cross_entropy", empty)(outputs, given).isfinite()  # unweighted needs no mass


@pytest.mark.parametrize("use", CLASS_LOSSES, ids=name_of)
def test_class_gradients_equal_finite_differences(table: Table, use: Use) -> None:
    outputs, targets = a_batch()
    loss = loss_of(use, table(30))
    logits = outputs.emotion.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss(Outputs(x, outputs.attributes), targets), logits)


@pytest.mark.parametrize("use", ATTRIBUTE_LOSSES, ids=name_of)
def test_attribute_gradients_equal_finite_differences_and_missing_ones_have_none(table: Table, use: Use) -> None:
    outputs, targets = a_batch()
    loss = loss_of(use, table(30))
    said = outputs.attributes.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss(Outputs(outputs.emotion, x), targets), said)
    (gradient,) = torch.autograd.grad(loss(Outputs(outputs.emotion, said), targets), said)
    missing = targets.attributes.isnan()
    assert not gradient[missing].any()
    assert gradient[~missing].all()


def test_the_squared_error_is_the_mean_over_the_values_that_are_present(table: Table) -> None:
    outputs, targets = a_batch()
    present = ~targets.attributes.isnan()
    expected = ((outputs.attributes - targets.attributes)[present] ** 2).mean()
    torch.testing.assert_close(loss_of("attribute_mse", table(30))(outputs, targets), expected)


def test_the_concordance_loss_is_one_minus_the_mean_concordance(table: Table) -> None:
    outputs, targets = a_batch()
    columns = []
    for a in (0, 1):  # the third is missing throughout
        present = ~targets.attributes[:, a].isnan()
        columns.append(ccc(targets.attributes[present, a].numpy(), outputs.attributes[present, a].numpy()))
    loss = loss_of("attribute_ccc", table(30))(outputs, targets)
    assert float(loss) == pytest.approx(1 - np.mean(columns), abs=1e-6)


@pytest.mark.parametrize("use", ATTRIBUTE_LOSSES, ids=name_of)
@pytest.mark.parametrize("attributes", [0, 3])
def test_without_any_attribute_the_loss_is_zero_and_still_differentiable(
    table: Table, use: Use, attributes: int
) -> None:
    said = torch.randn(5, attributes, requires_grad=True)
    targets = Targets(torch.full((5, 4), 0.25), torch.full((5, attributes), NAN))
    loss = loss_of(use, table(30))(Outputs(torch.zeros(5, 4), said), targets)
    assert loss.item() == 0
    loss.backward()
    assert said.grad is not None
    assert not said.grad.any()


def test_divergence_is_zero_at_the_vote_distribution_and_has_the_gradient_of_cross_entropy(table: Table) -> None:
    outputs, targets = a_batch()
    targets.emotion[0] = torch.tensor([1.0, 0.0, 0.0, 0.0])
    kl, cross = loss_of("kl", table(30)), loss_of("cross_entropy", table(30))
    met = Outputs(targets.emotion.clamp(min=1e-300).log(), outputs.attributes)
    assert float(kl(met, targets)) == pytest.approx(0, abs=1e-9)
    logits = outputs.emotion.clone().requires_grad_()
    gradients = [
        torch.autograd.grad(loss(Outputs(logits, outputs.attributes), targets), logits)[0] for loss in (kl, cross)
    ]
    torch.testing.assert_close(*gradients)


def test_focal_loss_with_gamma_zero_is_cross_entropy_and_else_spares_the_easy(table: Table) -> None:
    made = table(30)
    outputs, targets = a_batch()
    zero, cross = (
        loss_of(use, made, class_weight_power=0.5, **o)
        for use, o in (("focal", {"gamma": 0.0}), ("cross_entropy", {}))
    )
    torch.testing.assert_close(zero(outputs, targets), cross(outputs, targets))
    hot = one_hot(targets)
    p = (outputs.emotion.softmax(-1) * hot.emotion).sum(-1)
    torch.testing.assert_close(loss_of("focal", made, gamma=2.0)(outputs, hot), (-((1 - p) ** 2) * p.log()).mean())


def test_soft_macro_f1_of_certain_predictions_is_macro_f1(table: Table) -> None:
    from sklearn.metrics import f1_score

    truth, said = np.array([0, 0, 1, 1, 3, 3, 3]), np.array([0, 1, 1, 1, 3, 0, 3])
    outputs = Outputs(torch.eye(4)[said] * 100, torch.zeros(7, 0))
    targets = Targets(torch.eye(4)[truth], torch.zeros(7, 0))
    loss = float(loss_of("soft_macro_f1", table(30))(outputs, targets))
    assert loss == pytest.approx(1 - f1_score(truth, said, average="macro"), abs=1e-6)


def test_vector_scaling_without_gamma_is_logit_adjustment(table: Table) -> None:
    made = table(30)
    outputs, targets = a_batch()
    adjusted = outputs.emotion + torch.from_numpy(made.prior).log()
    expected = F.cross_entropy(adjusted, targets.emotion)
    torch.testing.assert_close(loss_of("vector_scaling", made)(outputs, targets), expected)
    plain = loss_of("vector_scaling", made, tau=0.0)(outputs, targets)
    torch.testing.assert_close(plain, F.cross_entropy(outputs.emotion, targets.emotion))


@pytest.mark.parametrize("use", ALL, ids=name_of)
@pytest.mark.parametrize("size", [0.0, 1e4, 6e4, 1e30])
def test_losses_and_gradients_are_finite_at_extreme_logits(table: Table, use: Use, size: float) -> None:
    loss = loss_of(use, table(30))
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        if size > torch.finfo(dtype).max:
            continue
        logits = torch.tensor([[size, -size, 0, 0], [-size, size, size, 0], [0, 0, 0, -size]], dtype=dtype)
        logits.requires_grad_()
        said = torch.full((3, 2), 5.0, dtype=dtype, requires_grad=True)
        targets = Targets(torch.tensor([[0, 1.0, 0, 0], [0.5, 0.5, 0, 0], [0, 0, 0, 1]]), torch.full((3, 2), 3.0))
        value = loss(Outputs(logits, said), targets)
        assert value.dtype == torch.float32
        assert value.isfinite()
        value.backward()
        for leaf in (logits, said):
            assert leaf.grad is None or leaf.grad.isfinite().all()
