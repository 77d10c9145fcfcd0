from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sertk_balanced import Balanced
from sertk_meta.aggregator import LOSS, meta_classifier
from sertk_meta.together import loss_of_each
from torch import Tensor

from sertk import registry
from sertk.batching.dataset import FeatureSet
from sertk.config.build import build
from sertk.config.options import options_model
from sertk.config.schema import LossTerm, Use
from sertk.contracts import Combined, Stack
from sertk.data.labels import NO_AGREEMENT, LabelSet, LabelTable
from sertk.ensemble.members import Rows
from sertk.errors import EnsembleError, TrainingError
from sertk.models.classifier import Classifier, build_classifier
from sertk.tensors import Outputs, Targets
from sertk.training.evaluate import infer
from sertk.training.fit import fit
from sertk.training.metrics import macro_f1
from sertk.training.optimizers import build_optimizer
from sertk.training.seeds import derive

LABELS = LabelSet(("Angry", "Sad", "Happy", "Neutral"), "ASHN")
CPU = torch.device("cpu")


def make_stack(count: int = 300, members: int = 3, *, leaked: int = 0, missing: bool = True, seed: int = 1) -> Stack:
    """Members that say what is true with noise of their own, and favour the frequent class."""
    random = np.random.default_rng(seed)
    truth = random.choice(4, count, p=(0.15, 0.2, 0.25, 0.4))
    targets = 0.7 * np.eye(4)[truth] + 0.3 * random.dirichlet(np.ones(4), count)
    attributes = np.clip(4 + (truth[:, None] - 1.5) * (0.8, -0.6) + random.normal(0, 0.5, (count, 2)), 1, 7)
    said: dict[str, Rows] = {}
    ids = tuple(f"u{row}" for row in range(count))
    for member in range(members):
        logits = 1.2 * np.eye(4)[truth] + np.log((0.15, 0.2, 0.25, 0.4)) + random.normal(0, 0.8, (count, 4))
        shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        values = np.concatenate([shares, attributes + random.normal(0, 0.7, attributes.shape)], axis=1)
        frames = torch.from_numpy(values).float()[:, None]
        said[f"m{member}"] = Rows(dict(zip(ids, frames, strict=True)), 6)
    if missing:
        attributes[::7, 0] = np.nan
    table = LabelTable(
        ids=ids,
        labels=LABELS,
        targets=targets,
        consensus=np.where(random.random(count) < 0.1, NO_AGREEMENT, truth),
        attributes=attributes,
        attribute_names=("arousal", "valence"),
        ranges=((1.0, 7.0), (1.0, 7.0)),
        frames=np.ones(count, dtype=np.int64),
        speakers=(None,) * count,
    )
    return Stack(
        members={},
        posteriors=FeatureSet(table, said),
        inputs=None,
        prior=torch.from_numpy(table.prior),
        leaked=frozenset(ids[:leaked]),
        device=CPU,
    )


def model_of(combined: Combined, stack: Stack) -> Classifier:
    table = stack.posteriors.table
    model = build_classifier(
        combined.fusion, combined.head, dims=stack.posteriors.dims, classes=4, ranges=table.ranges, seed=0
    )
    model.load_state_dict(dict(combined.weights))
    return model


def trained_alone(stack: Stack, combined: Combined, seed: int, sampler: Use, loss: Any, epochs: int) -> Classifier:
    """The ordinary way: an ordinary classifier, and `sertk.training.fit`."""
    table = stack.posteriors.table
    model = build_classifier(
        combined.fusion, combined.head, dims=stack.posteriors.dims, classes=4, ranges=table.ranges, seed=seed
    )
    model.fusion.mean.copy_(combined.weights["fusion.mean"])
    model.fusion.std.copy_(combined.weights["fusion.std"])
    epochs_of = fit(
        model,
        stack.posteriors,
        sampler=build(registry.samplers, sampler, table, derive(seed, "meta_classifier")),
        losses=[(term.use, term.weight, build(registry.losses, term, table)) for term in loss],
        optimizer=build_optimizer(model, Use.model_validate({"use": "adamw", "lr": 1e-3})),
        epochs=epochs,
        seed=seed,
        device=CPU,
    )
    assert len(list(epochs_of)) == epochs
    return model


BALANCED = Use.model_validate({"use": "balanced", "batch_size": 128})
PLAIN = Use.model_validate({"use": "shuffle", "batch_size": 64})  # 300 rows: the last batch has 44
RAGGED = Use.model_validate({"use": "by_length", "batch_size": 64, "pool": 2})  # ... and comes anywhere
BATCH_LOSS = (LossTerm(use="soft_macro_f1", weight=0.7), LossTerm(use="attribute_ccc"))


@pytest.mark.parametrize(("sampler", "batches"), [(BALANCED, None), (PLAIN, 5), (RAGGED, 5)])
@pytest.mark.parametrize("loss", [LOSS, BATCH_LOSS])
@pytest.mark.parametrize("attribute_output", ["sigmoid", "linear"])
def test_six_at_once_have_the_weights_of_six_trained_one_by_one(
    sampler: Use, batches: int | None, loss: tuple[LossTerm, ...], attribute_output: Any
) -> None:
    stack, epochs = make_stack(), 6
    batches = batches or len(Balanced(stack.posteriors.table, 1, batch_size=128))
    aggregate = meta_classifier(
        epochs=epochs, least_steps=epochs * batches, sampler=sampler, loss=loss, attribute_output=attribute_output
    )
    made = aggregate(stack)
    assert list(made) == [f"seed-{seed}" for seed in range(1, 7)]
    for seed in (1, 4, 6):
        combined = made[f"seed-{seed}"]
        alone = trained_alone(stack, combined, seed, sampler, loss, epochs).state_dict()
        assert combined.weights.keys() == alone.keys()
        for name, values in alone.items():
            torch.testing.assert_close(combined.weights[name], values, rtol=0, atol=1e-5, msg=name)
    first = build_classifier(
        made["seed-1"].fusion, made["seed-1"].head, dims=stack.posteriors.dims, classes=4,
        ranges=stack.posteriors.table.ranges, seed=1,
    ).state_dict()  # fmt: skip
    assert (made["seed-1"].weights["head.emotion.weight"] - first["head.emotion.weight"]).abs().max() > 1e-3


def test_inputs_are_standardised_by_the_utterances_fitted_on() -> None:
    stack = make_stack()
    combined = meta_classifier(seeds=(3,), epochs=1, least_steps=1)(stack)["seed-3"]
    fused = model_of(combined, stack).fuse(stack.posteriors.batch(range(300)).features)
    torch.testing.assert_close(fused.mean(dim=0), torch.zeros(18), atol=1e-4, rtol=0)
    torch.testing.assert_close(fused.std(dim=0, correction=0), torch.ones(18), atol=1e-4, rtol=0)


def test_an_input_that_never_changes_does_not_blow_up() -> None:
    stack = make_stack()
    one = Rows({name: torch.tensor([[0.25, 0.25, 0.25, 0.25, 4.0, 4.0]]) for name in stack.posteriors.table.ids}, 6)
    said = FeatureSet(stack.posteriors.table, {**stack.posteriors.sources, "constant": one})
    combined = meta_classifier(seeds=(1,), epochs=1, least_steps=20)(replace(stack, posteriors=said))["seed-1"]
    assert all(values.isfinite().all() for values in combined.weights.values())
    assert (combined.weights["fusion.std"][-6:] == 1).all()


def test_the_map_is_better_on_new_utterances_than_the_mean_of_members_with_a_prior() -> None:
    stack, new = make_stack(2000, seed=1), make_stack(2000, seed=2).posteriors
    truth = new.table.targets.argmax(axis=1)
    rows = np.concatenate([np.flatnonzero(truth == index)[:200] for index in range(4)])  # a balanced test
    combined = meta_classifier(seeds=(1,))(stack)["seed-1"]
    said = infer(model_of(combined, stack), new, device=CPU)
    mean = torch.stack([padded.data[:, 0] for padded in new.batch(range(2000)).features.values()]).mean(dim=0)
    fitted = macro_f1(truth[rows], said[rows, :4].argmax(dim=1).numpy(), 4)
    soft = macro_f1(truth[rows], mean[rows, :4].argmax(dim=1).numpy(), 4)
    assert fitted > soft + 0.02
    error = said[:, 4:].double() - torch.from_numpy(
        make_stack(2000, seed=2, missing=False).posteriors.table.attributes
    )
    assert error.square().mean().sqrt() < 0.6


def test_a_leak_is_refused_with_counts_and_remedies_unless_it_is_asked_for() -> None:
    stack = make_stack(leaked=12)
    for honest in ("held_out", "out_of_fold"):
        with pytest.raises(EnsembleError, match=r'12 of 300 utterances .* --out-of-fold.* fit_on = "train"'):
            meta_classifier(fit_on=honest, epochs=1, least_steps=1)(stack)  # type: ignore[arg-type]
    made = meta_classifier(fit_on="train", epochs=1, least_steps=1)(stack)
    assert made["seed-1"].notes["fit_on"] == "train"
    assert made["seed-1"].notes["leaked"] == 12
    assert meta_classifier(epochs=1, least_steps=1)(make_stack())["seed-1"].notes["fit_on"] == "held_out"


def test_a_recipe_sets_sampler_and_losses_as_in_a_stage() -> None:
    options = options_model(meta_classifier).model_validate_json(
        '{"seeds": [5], "sampler": {"use": "shuffle"}, "loss": [{"use": "kl", "weight": 2.0}], "epochs": 1}'
    )
    aggregate: Callable[[Stack], dict[str, Combined]] = build(
        registry.aggregators, Use.model_validate({"use": "meta_classifier", **options.model_dump(exclude_unset=True)})
    )
    assert list(aggregate(make_stack())) == ["seed-5"]


def test_posteriors_that_are_not_finite_are_named() -> None:
    stack = make_stack()
    frames = dict(stack.posteriors.sources["m0"].frames)  # type: ignore[attr-defined]
    frames["u7"] = frames["u7"] * float("nan")
    said = FeatureSet(stack.posteriors.table, {**stack.posteriors.sources, "m0": Rows(frames, 6)})
    with pytest.raises(EnsembleError, match="u7"):
        meta_classifier(epochs=1, least_steps=1)(replace(stack, posteriors=said))


def test_a_step_that_is_too_long_is_an_error_and_no_model() -> None:
    with pytest.raises(TrainingError, match="lower lr"):
        meta_classifier(seeds=(1,), lr=1e38, epochs=1, least_steps=20)(make_stack())


def test_a_loss_that_looks_at_values_is_taken_one_model_at_a_time() -> None:
    def choosy(outputs: Outputs, targets: Targets) -> Tensor:
        return outputs.emotion.square().mean() if bool(outputs.emotion.sum() > 0) else outputs.emotion.abs().mean()

    from sertk_meta.together import Scale

    scale = Scale(torch.zeros(2), torch.ones(2), False)
    outputs, emotion, attributes = torch.randn(3, 5, 6), torch.rand(3, 5, 4), torch.rand(3, 5, 2)
    values = loss_of_each([(2.0, choosy)], scale)(outputs, emotion, attributes, [5, 5, 5])
    expected = [2 * choosy(Outputs(o[:, :4], o[:, 4:]), Targets(emotion[0], attributes[0])) for o in outputs]
    torch.testing.assert_close(values, torch.stack(expected))
