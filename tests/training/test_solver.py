"""Linear heads fitted at once: the optimum that scikit-learn finds, and choices on other speakers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge

from sertk.batching.dataset import FeatureSet
from sertk.checkpoint import Checkpoint
from sertk.config.files import load_experiment, resolved_toml
from sertk.config.schema import Experiment, Head, Selection, Stage, Use
from sertk.data.manifest import Manifest
from sertk.errors import ConfigError, SertkWarning
from sertk.experiment import provenance_of, run
from sertk.inference.stores import predict_stores
from sertk.inputs import read_inputs
from sertk.models.classifier import Classifier, build_classifier
from sertk.models.pooling import mean_frames
from sertk.preflight.experiment import experiment_faults
from sertk.testing.tiny import write_tiny_corpus
from sertk.training.evaluate import infer
from sertk.training.solver import solve

CPU = torch.device("cpu")
SELECTION = Selection(metric="uar")
ATTRIBUTES = ("arousal", "valence")


def stage(solver: dict[str, Any] | str, **loss: Any) -> Stage:
    terms = [{"use": "cross_entropy", **loss}, {"use": "attribute_mse"}]
    return Stage.model_validate({"name": "linear", "solver": solver, "loss": terms})


def linear(data: FeatureSet, fusion: str = "concat", **head: Any) -> Classifier:
    given = {"activation": "none", "attribute_output": "linear", "attributes": list(ATTRIBUTES), **head}
    count = len(data.table.labels)
    return build_classifier(
        Use(use=fusion),
        Head.model_validate(given),
        dims=data.dims,
        classes=count,
        ranges=[(1.0, 7.0)] * len(given["attributes"]),
        seed=1,
    )


def pooled(data: FeatureSet) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    rows = [
        torch.cat([mean_frames(source[id].float()[None], None)[0] for source in data.sources.values()])
        for id in data.table.ids
    ]
    return torch.stack(rows).double().numpy()


def with_speakers(data: FeatureSet, count: int) -> FeatureSet:
    names = tuple(f"speaker{row % count}" for row in range(len(data)))
    return FeatureSet(replace(data.table, speakers=names), data.sources)


@pytest.mark.parametrize("size", [8, 60])  # fewer and more utterances than the 11 features
def test_the_head_is_the_optimum_that_scikit_learn_finds(data: Any, size: int) -> None:
    train = data(size)
    model, penalty = linear(train), 0.1
    solved = solve(model, train, train, stage({"penalty": penalty}), SELECTION, seed=1)
    x, targets = pooled(train), train.table.targets.astype(np.float32).astype(float)
    classes = targets.shape[1]
    many = LogisticRegression(C=1 / (penalty * size), tol=1e-10, max_iter=10_000)
    many.fit(np.repeat(x, classes, axis=0), np.tile(np.arange(classes), size), sample_weight=targets.reshape(-1))
    said = infer(model, train, device=CPU).double().numpy()
    np.testing.assert_allclose(said[:, :classes], many.predict_proba(x), atol=2e-5)
    assert solved.steps > 1


def test_attributes_are_those_of_ridge_regression(data: Any) -> None:
    train = data(60, attributes=1)
    model, penalty = linear(train, attributes=["arousal"]), 0.1
    solve(model, train, train, stage({"penalty": penalty}), SELECTION, seed=1)
    values = train.table.attributes[:, 0].astype(np.float32).astype(float)
    present = ~np.isnan(values)
    x = pooled(train)[present]
    ridge = Ridge(alpha=penalty / 2 * present.sum()).fit(x, values[present])  # its loss is a sum of squares
    said = infer(model, train, device=CPU).double().numpy()[present, -1]
    np.testing.assert_allclose(said, ridge.predict(x), atol=1e-4)


def test_the_weight_of_the_attributes_loss_does_not_change_the_fit(data: Any) -> None:
    train = data(60, attributes=1)
    said = []
    for weight in (1.0, 0.01):
        model = linear(train, attributes=["arousal"])
        asked = stage({"penalty": 0.1})
        terms = [asked.loss[0], asked.loss[1].model_copy(update={"weight": weight})]
        solve(model, train, train, asked.model_copy(update={"loss": terms}), SELECTION, seed=1)
        said.append(infer(model, train, device=CPU).double().numpy())
    np.testing.assert_allclose(said[0], said[1], atol=1e-3)


def test_class_weights_are_those_of_the_loss(data: Any) -> None:
    train = data(80)
    plain, weighted = linear(train), linear(train)
    solve(plain, train, train, stage({"penalty": 0.1}), SELECTION, seed=1)
    solve(weighted, train, train, stage({"penalty": 0.1}, class_weight_power=1.0), SELECTION, seed=1)
    rarest = int(train.table.class_mass.argmin())
    means = [infer(model, train, device=CPU)[:, rarest].mean() for model in (plain, weighted)]
    assert means[0] == pytest.approx(train.table.prior[rarest], abs=1e-4)  # as any fit with a free bias gives
    assert means[1] > 1.2 * means[0]


def test_the_penalty_is_the_one_that_is_best_on_the_dev_part(data: Any) -> None:
    whole = data(120)
    train, dev = whole.take(range(60)), whole.take(range(60, 120))
    solved = solve(linear(train), train, dev, stage({"penalty": [1e-4, 1e-2, 1.0, 10.0]}), SELECTION, seed=1)
    alone = {}
    for penalty in (1e-4, 1e-2, 1.0, 10.0):
        model = linear(train)
        alone[penalty] = solve(model, train, dev, stage({"penalty": penalty}), SELECTION, seed=1).chosen.score
    assert {each.penalty: each.score for each in solved.candidates} == pytest.approx(alone)
    assert solved.chosen.score == max(alone.values())


def test_folds_leave_out_whole_speakers(data: Any) -> None:
    """Each row of an out-of-fold score is by a head that was fitted without its speaker."""
    train = with_speakers(data(60), 4)
    asked = stage({"penalty": [0.1, 1.0], "folds": "speakers"})
    solved = solve(linear(train), train, train, asked, Selection(metric="macro_f1"), seed=1)
    rows = np.arange(60)
    said = torch.zeros(60, 6)
    for speaker in range(4):
        model = linear(train)
        rest = train.take(rows[rows % 4 != speaker].tolist())
        solve(model, rest, rest, stage({"penalty": 0.1}), SELECTION, seed=1)
        mine = rows[rows % 4 == speaker].tolist()
        said[mine] = infer(model, train.take(mine), device=CPU)
    agreed = train.table.consensus >= 0
    right = said[:, :4].argmax(dim=1).numpy()[agreed] == train.table.consensus[agreed]
    by_hand = solve(linear(train), train, train, asked, Selection(metric="uar"), seed=1)
    recalls = [right[train.table.consensus[agreed] == c].mean() for c in range(4)]
    assert next(c.score for c in by_hand.candidates if c.penalty == 0.1) == pytest.approx(np.mean(recalls))
    assert len(solved.candidates) == 2


def test_blocks_that_are_not_chosen_have_no_weight(data: Any) -> None:
    train = with_speakers(data(60), 5)
    signal = torch.from_numpy(train.table.targets).float()

    def told(row: int) -> torch.Tensor:  # two blocks of 4: noise, then the answer
        generator = torch.Generator().manual_seed(row)
        return torch.cat([torch.randn(4, generator=generator), 3 * signal[row]])[None]

    source = type(train.sources["speech"])({id: told(row) for row, id in enumerate(train.table.ids)}, 8)
    blocks = FeatureSet(train.table, {"speech": source})
    model = linear(blocks)
    solved = solve(model, blocks, blocks, stage({"blocks": 2, "subsets": "each", "folds": 5}), SELECTION, seed=1)
    assert solved.chosen.subset == [1]
    weight: torch.Tensor = model.head.emotion.weight  # type: ignore[union-attr, assignment]
    assert not weight[:, :4].any()
    assert weight[:, 4:].all()
    both = stage({"blocks": 2, "subsets": [[0], [1, 0]], "penalty": 0.01})
    assert solve(linear(blocks), blocks, blocks, both, SELECTION, seed=1).chosen.subset == [0, 1]


@pytest.mark.parametrize(
    ("solver", "fusion", "head", "message"),
    [
        ("lbfgs", "gated", {}, "fits a linear head alone"),
        ("lbfgs", "concat", {"activation": "relu"}, 'set head.activation = "none"'),
        ({"blocks": 3}, "concat", {}, "3 do not divide the fused vector of 11 values"),
        ({"folds": 3}, "concat", {}, "those of 40 of 40 utterances are unknown"),
    ],
)
def test_what_is_not_linear_is_refused(data: Any, solver: Any, fusion: str, head: Any, message: str) -> None:
    train = data()
    with pytest.raises(ConfigError, match=message):
        solve(linear(train, fusion, **head), train, train, stage(solver), SELECTION, seed=1)


def test_more_folds_than_speakers_are_refused(data: Any) -> None:
    train = with_speakers(data(), 2)
    with pytest.raises(ConfigError, match="3 folds need as many speakers, the training part has 2"):
        solve(linear(train), train, train, stage({"folds": 3}), SELECTION, seed=1)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": "s"}, "epochs is missing"),
        ({"name": "s", "solver": "lbfgs", "epochs": 3, "clip_norm": 1.0}, "epochs, clip_norm: a stage with a solver"),
        ({"name": "s", "solver": {"subsets": [[0, 1]]}}, "distinct numbers from 0 to 0"),
        ({"name": "s", "solver": {"with_dev": True}}, "the dev part chooses"),
        ({"name": "s", "solver": {"penalty": 0.0}}, "greater than 0"),
    ],
)
def test_stages_that_contradict_themselves_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Stage.model_validate(given)


EXPERIMENT = """
features = {{ speech = "{0}/features/speech" }}
standardise = ["speech"]
fusion = {{ use = "concat" }}
[data]
manifest = "{0}/manifest.jsonl.gz"
[head]
attributes = ["arousal"]
activation = "none"
attribute_output = "linear"
[selection]
metric = "uar"
[[stage]]
name = "linear"
solver = {1}
loss = [{{ use = "cross_entropy" }}, {{ use = "attribute_mse" }}]
"""


def experiment(folder: Path, solver: str) -> Experiment:
    write_tiny_corpus(folder)
    (folder / "linear.toml").write_text(EXPERIMENT.format(folder, solver))
    return load_experiment(folder / "linear.toml")


def test_a_linear_member_is_an_ordinary_checkpoint(tmp_path: Path) -> None:
    asked = experiment(tmp_path, "{ folds = 3, with_dev = true, penalty = [0.01, 0.1, 1.0, 10.0] }")
    made = run(asked, tmp_path / "model", device=CPU)
    manifest = Manifest.read(tmp_path / "manifest.jsonl.gz")
    held_out = {u.id for u in manifest.split("held_out") if u.votes}
    assert held_out <= made.train_ids
    assert made.card.notes["solver.linear"]["penalty"] in (0.1, 1.0)
    loaded = Checkpoint.load(tmp_path / "model")
    assert loaded.experiment == made.experiment
    said, faults = predict_stores(loaded, manifest.split("development"), device=CPU)
    truth = {u.id: u.emotion for u in manifest.split("development") if u.emotion}
    right = [said.labels.names[said.predicted[said.ids.index(id)]] == label for id, label in truth.items()]
    assert np.mean(right) > 0.6
    assert not faults


def test_a_raised_revision_of_the_solver_fits_linear_members_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = experiment(tmp_path, '"lbfgs"')
    before = provenance_of(member, read_inputs(member)).key
    monkeypatch.setattr("sertk.experiment.SOLVER_REVISION", 99)
    assert provenance_of(member, read_inputs(member)).key != before


def test_its_file_is_written_whole_and_read_again(tmp_path: Path) -> None:
    asked = experiment(tmp_path, '"lbfgs"')
    (tmp_path / "whole.toml").write_text(resolved_toml(asked))
    assert "epochs" not in resolved_toml(asked)
    assert load_experiment(tmp_path / "whole.toml") == asked


def test_a_penalty_at_the_end_of_the_list_is_said(tmp_path: Path) -> None:
    asked = experiment(tmp_path, "{ penalty = [1e-9, 1e-8] }")
    with pytest.warns(SertkWarning, match=r"penalty, 1e-0[89], was chosen: widen the list"):
        run(asked, tmp_path / "model", device=CPU)


def test_check_says_beforehand_what_training_would_refuse(tmp_path: Path) -> None:
    asked = experiment(tmp_path, '{ folds = "speakers" }')
    manifest = Manifest.read(tmp_path / "manifest.jsonl.gz")
    assert experiment_faults(asked, manifest) == []
    gated = asked.model_copy(update={"fusion": Use.model_validate({"use": "gated", "width": 8})})
    (fault,) = experiment_faults(gated, manifest, made_up=True)
    assert (fault.place, fault.message[:25]) == ("stage.linear.solver.use", "fits a linear head alone,")
    nobody = manifest.with_utterances([replace(u, speaker=None) for u in manifest])
    (fault,) = experiment_faults(asked, nobody)
    assert fault.place == "stage.linear.solver.folds"
    assert "are unknown" in fault.message
