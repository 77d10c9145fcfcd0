from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from sertk.batching.dataset import FeatureSet
from sertk.batching.samplers import ByLength, Shuffle
from sertk.config.schema import Optimizer
from sertk.errors import TrainingError
from sertk.models.classifier import Classifier
from sertk.tensors import Features, Outputs, Targets
from sertk.training.evaluate import infer
from sertk.training.fit import Epoch, fit
from sertk.training.losses import attribute_mse, cross_entropy
from sertk.training.optimizers import build_optimizer
from sertk.training.regularizers import ModalityDropout, SpecAugment
from sertk.training.state import load_state, save_state

CPU = torch.device("cpu")
Model = Callable[..., Classifier]
Data = Callable[..., FeatureSet]


def start(model: Classifier, data: FeatureSet, *, batch_size: int = 16, lr: float = 1e-2, **options: Any) -> Any:
    """The optimizer and a running loop, with the losses of MEDUSA."""
    optimizer = build_optimizer(model, Optimizer(lr=lr))
    given: dict[str, Any] = {
        "sampler": Shuffle(data.table, 3, batch_size=batch_size),
        "losses": [
            ("cross_entropy", 1.5, cross_entropy(data.table, class_weight_power=0.5)),
            ("attribute_mse", 0.4, attribute_mse(data.table)),
        ],
        "epochs": 4,
        "seed": 9,
        "device": CPU,
        "optimizer": optimizer,
        **options,
    }
    return optimizer, fit(model, data, **given)


def weights(model: Classifier) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one | other)


@dataclass
class Spy:
    """Records what a regularizer is given."""

    seen: list[tuple[tuple[int, ...], Tensor, float]] = field(default_factory=list)

    def on_batch(self, features: Features, targets: Targets, generator: Generator) -> tuple[Features, Targets]:
        return features, Targets(targets.emotion.flip(-1), targets.attributes)

    def on_embedding(self, fused: Tensor, targets: Targets, generator: Generator) -> tuple[Tensor, Targets]:
        draw = float(torch.rand((), generator=generator))
        self.seen.append((tuple(fused.shape), targets.emotion, draw))
        return fused, targets


def test_training_learns_and_says_what_each_epoch_was(classifier: Model, data: Data) -> None:
    _, epochs = start(classifier(dropout=0.0), data(), epochs=30)
    history: list[Epoch] = list(epochs)
    assert [epoch.number for epoch in history] == list(range(30))
    assert (history[0].steps, history[0].utterances) == (3, 40)
    assert history[-1].losses["total"] < 0.8 * history[0].losses["total"]
    for epoch in history:
        terms = 1.5 * epoch.losses["cross_entropy"] + 0.4 * epoch.losses["attribute_mse"]
        assert epoch.losses["total"] == pytest.approx(terms)
        assert epoch.seconds > 0


def test_reported_losses_are_means_over_utterances(classifier: Model, data: Data) -> None:
    model, utterances = classifier(dropout=0.0), data()
    _, epochs = start(model, utterances, lr=1e-12, batch_size=7)
    batch = utterances.batch(range(40))
    expected = cross_entropy(utterances.table, class_weight_power=0.5)(model(batch.features), batch.targets)
    assert next(epochs).losses["cross_entropy"] == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("clip_norm", [None, 0.05])
def test_four_batches_of_four_equal_one_of_sixteen(classifier: Model, data: Data, clip_norm: float | None) -> None:
    utterances = data(48)
    utterances.table.attributes[:] = 4.0  # with missing values batches of four would weigh theirs alike
    found = []
    for batch_size, accumulate in ((16, 1), (4, 4)):
        model = classifier(dropout=0.0)
        # AdamW divides by the gradient's size, so its first steps enlarge rounding: plain descent shows the gradient.
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        options = {"accumulate": accumulate, "clip_norm": clip_norm, "optimizer": optimizer}
        _, epochs = start(model, utterances, batch_size=batch_size, **options)
        assert [epoch.steps for epoch in epochs] == [3] * 4
        found.append(weights(model))
    assert not same(found[0], weights(classifier(dropout=0.0)))
    for name, tensor in found[0].items():
        torch.testing.assert_close(found[1][name], tensor, rtol=0, atol=1e-6)


def test_the_last_step_of_an_epoch_takes_what_is_left(classifier: Model, data: Data) -> None:
    model, alone = classifier(dropout=0.0), classifier(dropout=0.0)
    utterances = data(20)
    _, epochs = start(model, utterances, batch_size=4, accumulate=4, epochs=1)
    assert next(epochs).steps == 2
    optimizer = build_optimizer(alone, Optimizer(lr=1e-2))
    sampler = Shuffle(utterances.table, 3, batch_size=4)
    batches = [utterances.batch(rows) for rows in sampler]
    losses = [(1.5, cross_entropy(utterances.table, class_weight_power=0.5)), (0.4, attribute_mse(utterances.table))]
    for group in (batches[:4], batches[4:]):
        optimizer.zero_grad()
        for batch in group:
            outputs = alone(batch.features)
            sum(weight * loss(outputs, batch.targets) / len(group) for weight, loss in losses).backward()
        optimizer.step()
    for name, tensor in weights(model).items():
        torch.testing.assert_close(alone.state_dict()[name], tensor, rtol=0, atol=1e-6)


def test_gradients_are_clipped_to_the_norm(classifier: Model, data: Data) -> None:
    model = classifier(dropout=0.0)
    before = weights(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    _, epochs = start(model, data(16), optimizer=optimizer, clip_norm=0.01, epochs=1)
    next(epochs)
    moved = torch.cat([(tensor - before[name]).flatten() for name, tensor in model.state_dict().items()])
    assert float(moved.norm()) == pytest.approx(0.01, rel=1e-3)


def test_equal_seeds_give_equal_weights_and_other_seeds_others(classifier: Model, data: Data) -> None:
    found = []
    for seed in (9, 9, 10):
        torch.rand(len(found) * 7)  # the caller's random state must not matter
        model = classifier()
        _, epochs = start(model, data(), seed=seed)
        list(epochs)
        found.append(weights(model))
    assert same(found[0], found[1])
    assert not same(found[0], found[2])


def test_the_callers_random_state_is_its_own_between_epochs(classifier: Model, data: Data) -> None:
    _, epochs = start(classifier(), data())
    torch.manual_seed(77)
    expected = [torch.rand(3) for _ in range(4)]
    torch.manual_seed(77)
    for numbers in expected:
        next(epochs)
        assert torch.equal(torch.rand(3), numbers)  # drawn while the generator waits


@pytest.mark.parametrize("stopped_after", [1, 2, 3])
def test_a_resumed_run_equals_an_undisturbed_one_bit_for_bit(
    classifier: Model, data: Data, tmp_path: Path, stopped_after: int
) -> None:
    options: dict[str, Any] = {"regularizers": [ModalityDropout(probability=0.4), SpecAugment(time_share=0.5)]}
    utterances = data()
    undisturbed, sampler = classifier(), ByLength(utterances.table, 3, batch_size=8)
    _, epochs = start(undisturbed, utterances, sampler=sampler, **options)
    expected = [epoch.losses for epoch in epochs]

    killed = classifier()
    optimizer, epochs = start(killed, utterances, sampler=ByLength(utterances.table, 3, batch_size=8), **options)
    for _ in range(stopped_after):
        next(epochs)
    save_state(tmp_path, killed, optimizer, None, {"epoch": stopped_after})

    torch.manual_seed(123)
    resumed, sampler = classifier(seed=50), ByLength(utterances.table, 3, batch_size=8)
    optimizer, epochs = start(resumed, utterances, sampler=sampler, first_epoch=stopped_after, **options)
    progress = load_state(tmp_path, resumed, optimizer, None)
    assert progress == {"epoch": stopped_after}
    assert [epoch.losses for epoch in epochs] == expected[stopped_after:]
    assert same(weights(resumed), weights(undisturbed))


def test_features_that_are_not_finite_are_named(classifier: Model, data: Data) -> None:
    utterances = data()
    utterances.sources["text"]["utt007"][0, 2] = float("nan")
    utterances.sources["speech"]["utt007"][0, 2] = 3.0
    model = classifier()
    _, epochs = start(model, utterances, batch_size=40)
    before = weights(model)
    with pytest.raises(TrainingError, match=r"epoch 0, batch 0: the features 'text' of utt007 are not finite"):
        next(epochs)
    assert same(before, weights(model))  # found before it could do harm


def test_a_loss_that_is_not_finite_names_its_batch(classifier: Model, data: Data) -> None:
    utterances = data(6)

    def late_nan(outputs: Outputs, targets: Targets) -> Tensor:
        return outputs.emotion.sum() * math.nan

    _, epochs = start(classifier(), utterances, batch_size=4, losses=[("odd", 1.0, late_nan)])
    ids = [utterances.table.ids[row] for row in next(iter(Shuffle(utterances.table, 3, batch_size=4)))]
    with pytest.raises(TrainingError, match=rf"epoch 0, batch 0: .*odd nan.*{', '.join(ids)}"):
        next(epochs)


def test_regularizers_act_in_training_only(classifier: Model, data: Data) -> None:
    model, utterances, spy = classifier(), data(), Spy()
    _, epochs = start(model, utterances, regularizers=[spy], epochs=2)
    next(epochs)
    assert [shape for shape, _, _ in spy.seen] == [(16, 8), (16, 8), (8, 8)]
    rows = next(iter(Shuffle(utterances.table, 3, batch_size=16)))
    assert torch.equal(spy.seen[0][1], utterances.batch(rows).targets.emotion.flip(-1))  # on_batch comes first
    infer(model, utterances, device=CPU)
    assert len(spy.seen) == 3
    next(epochs)
    assert spy.seen[0][2] != spy.seen[3][2]  # another epoch, other draws


def test_dropout_differs_between_epochs(classifier: Model, data: Data) -> None:
    model, dropped = classifier(dropout=0.5), []
    model.fusion.register_forward_hook(lambda *given: dropped.append(given[2] == 0))
    list(start(model, data(16), epochs=3)[1])
    assert not any(torch.equal(dropped[0], other) for other in dropped[1:])


def test_the_model_trains_even_after_the_caller_evaluated_it(classifier: Model, data: Data) -> None:
    model, modes = classifier(), []
    model.fusion.register_forward_hook(lambda module, *_: modes.append(module.training))
    _, epochs = start(model, data(8), epochs=2)
    next(epochs)
    model.eval()
    next(epochs)
    assert modes == [True, True]


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_trains_near_float32(classifier: Model, data: Data, precision: str) -> None:
    found = []
    for used in ("float32", precision):
        scaler = torch.amp.GradScaler("cpu") if used == "float16" else None
        model, seen = classifier(dropout=0.0), []
        model.fusion.linear.register_forward_hook(lambda *given, seen=seen: seen.append(given[2].dtype))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)  # unlike AdamW it tells a scaled gradient apart
        options = {"precision": used, "scaler": scaler, "clip_norm": 1.0, "optimizer": optimizer}
        _, epochs = start(model, data(), **options)
        try:
            found.append([epoch.losses["total"] for epoch in epochs])
        except RuntimeError as error:
            pytest.skip(f"no {used} here: {error}")
        assert set(seen) == {getattr(torch, used)}
        assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
    assert found[1] == pytest.approx(found[0], rel=0.02)
    assert found[1] != found[0]


def test_two_losses_of_one_name_are_told_apart(classifier: Model, data: Data) -> None:
    utterances = data(8)
    losses = [("mse", 1.0, attribute_mse(utterances.table)), ("mse", 2.0, attribute_mse(utterances.table))]
    _, epochs = start(classifier(), utterances, losses=losses)
    found = next(epochs).losses
    assert set(found) == {"mse", "mse_1", "total"}
    assert found["total"] == pytest.approx(3 * found["mse"])


def test_nothing_to_train_on_is_an_error(classifier: Model, data: Data) -> None:
    utterances = data(8)
    with pytest.raises(TrainingError, match="no loss"):
        next(start(classifier(), utterances, losses=[])[1])
    with pytest.raises(TrainingError, match="draws no batch of 8"):
        next(start(classifier(), utterances, sampler=Shuffle(utterances.table.take([]), 1))[1])
    with pytest.raises(TrainingError, match="no trainable parameter"):
        build_optimizer(classifier().requires_grad_(False), Optimizer())


@pytest.mark.parametrize("look_every", [2, 3, 100])
def test_losses_looked_at_seldom_are_the_same_and_still_name_the_first_bad_batch(
    classifier: Model, data: Data, look_every: int
) -> None:
    found = [list(start(classifier(), data(), batch_size=7, look_every=every)[1]) for every in (1, look_every)]
    assert [epoch.losses for epoch in found[0]] == [epoch.losses for epoch in found[1]]

    utterances = data()
    rows = list(Shuffle(utterances.table, 3, batch_size=7))[3]
    bad = utterances.table.ids[rows[2]]
    utterances.sources["text"][bad][0, 2] = float("nan")
    _, epochs = start(classifier(), utterances, batch_size=7, look_every=look_every)
    with pytest.raises(TrainingError, match=rf"epoch 0, batch 3: the features 'text' of {bad} are not finite"):
        next(epochs)
