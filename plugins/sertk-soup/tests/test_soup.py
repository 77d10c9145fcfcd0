# Longer than others: what a soup may and may not average, each with its models.
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sertk_soup.aggregator import mean_weights, soup

from sertk.checkpoint import Checkpoint
from sertk.config.files import load_experiment
from sertk.config.schema import Combination, Data, Head, Selection, Use
from sertk.contracts import Stack
from sertk.data.manifest import Manifest
from sertk.ensemble.combine import combine
from sertk.ensemble.stack import build_stack
from sertk.errors import EnsembleError
from sertk.experiment import run
from sertk.inference.stores import predict_stores
from sertk.models.classifier import Classifier, build_classifier
from sertk.tensors import Padded
from sertk.training.evaluate import infer, score

CPU = torch.device("cpu")
LINEAR = ("head.activation=none", "head.attribute_output=linear")


@pytest.fixture(scope="module")
def members(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three linear models from different starts, one hidden-layer model, and two more from its start."""
    folder = tmp_path_factory.mktemp("members")
    made: dict[str, tuple[str, ...]] = {f"linear-{seed}": (*LINEAR, f"init_seed={seed}") for seed in (1, 2, 3)}
    made |= {f"relu-{seed}": (f"seed={seed}",) for seed in (1, 2)}
    made["relu-elsewhere"] = ("init_seed=9",)
    made["wide"] = ("fusion.pooling=attentive_statistics", *LINEAR)
    made["wide-elsewhere"] = (*made["wide"], "init_seed=2")
    for name, sets in made.items():
        experiment = load_experiment(tiny_store / "experiment.toml", ("stage.full.epochs=2", *sets))
        run(experiment, folder / name, device=CPU)
    return {name: folder / name for name in made}


def asked(folder: Path, aggregator: str = "soup", *, fit: str = "held_out", **options: object) -> Combination:
    use = Use.model_validate({"use": aggregator, **options})
    return Combination(aggregator=use, data=Data(manifest=str(folder / "manifest.jsonl.gz")), fit=fit)


def some(members: dict[str, Path], names: Sequence[str]) -> dict[str, Path]:
    return {name: members[name] for name in names}


def stack_of(folder: Path, members: dict[str, Path], fit: str = "held_out") -> Stack:
    manifest = Manifest.read(folder / "manifest.jsonl.gz")
    return build_stack(asked(folder, fit=fit), manifest, members, {}, CPU).stack


def test_the_soup_of_one_model_is_that_model(tiny_store: Path, members: dict[str, Path], tmp_path: Path) -> None:
    made = combine(asked(tiny_store), some(members, ["relu-1"]), tmp_path / "soup", device=CPU)[""]
    model = Checkpoint.load(members["relu-1"])
    assert made.weights.keys() == model.weights.keys()
    assert all(torch.equal(made.weights[name], tensor) for name, tensor in model.weights.items())
    assert made.card.encoders == model.card.encoders
    assert made.experiment.features == model.experiment.features
    assert made.train_ids == model.train_ids  # a uniform soup reads no label
    held_out = Manifest.read(tiny_store / "manifest.jsonl.gz").split("development")
    said = [predict_stores(each, held_out, device=CPU)[0] for each in (Checkpoint.load(tmp_path / "soup"), model)]
    np.testing.assert_array_equal(said[0].emotion, said[1].emotion)


def test_for_a_linear_map_the_logits_of_the_soup_are_the_mean_of_the_logits() -> None:
    fusion = Use.model_validate({"use": "concat", "standardise": True})
    head = Head(activation="none", attribute_output="linear", attributes=["arousal"])

    def model(seed: int) -> Classifier:
        return build_classifier(
            fusion, head, dims={"a": 5, "b": 7}, classes=4, ranges=[(1.0, 7.0)], seed=seed
        ).double()

    models = [model(seed) for seed in range(6)]
    for each in models:  # equal fits standardise alike
        each.fusion.mean.copy_(torch.linspace(-1, 1, 12))
        each.fusion.std.copy_(torch.linspace(0.5, 2, 12))
    average = model(99)
    average.load_state_dict(mean_weights([each.state_dict() for each in models]))
    generator = torch.Generator().manual_seed(1)
    features = {
        name: Padded(
            torch.randn(20, 1, dim, generator=generator, dtype=torch.float64), torch.ones(20, dtype=torch.int64)
        )
        for name, dim in (("a", 5), ("b", 7))
    }
    with torch.no_grad():
        said = [each(features) for each in models]
        torch.testing.assert_close(
            average(features).emotion, torch.stack([s.emotion for s in said]).mean(dim=0), atol=1e-9, rtol=0
        )
        torch.testing.assert_close(
            average(features).attributes, torch.stack([s.attributes for s in said]).mean(dim=0), atol=1e-9, rtol=0
        )


def test_linear_maps_from_different_starts_are_averaged(
    tiny_store: Path, members: dict[str, Path], tmp_path: Path
) -> None:
    three = some(members, ["linear-1", "linear-2", "linear-3"])
    made = combine(asked(tiny_store), three, tmp_path / "soup", device=CPU)[""]
    weights = [Checkpoint.load(path).weights["head.emotion.weight"] for path in three.values()]
    torch.testing.assert_close(made.weights["head.emotion.weight"], torch.stack(weights).mean(dim=0))
    assert made.card.notes["averaged"] == list(three)
    assert (tmp_path / "soup/model.safetensors").is_file()


def test_models_that_went_on_from_one_start_are_averaged(
    tiny_store: Path, members: dict[str, Path], tmp_path: Path
) -> None:
    combine(asked(tiny_store), some(members, ["relu-1", "relu-2"]), tmp_path / "soup", device=CPU)


@pytest.mark.parametrize(
    ("names", "first_difference"),
    [
        (("relu-1", "relu-elsewhere"), r"differ in init_seed, 1 and 9: .*allow_different_starts"),
        (("linear-1", "relu-1"), "differ in head"),
        (("linear-1", "wide"), "differ in fusion"),
        (("wide", "wide-elsewhere"), "differ in init_seed"),  # attentive pooling is no linear map
    ],
)
def test_members_that_have_no_mean_are_refused_by_their_first_difference(
    tiny_store: Path, members: dict[str, Path], tmp_path: Path, names: tuple[str, ...], first_difference: str
) -> None:
    with pytest.raises(EnsembleError, match=first_difference):
        combine(asked(tiny_store), some(members, names), tmp_path / "soup", device=CPU)
    assert not (tmp_path / "soup").exists()


def test_models_standardised_alike_are_averaged_and_others_refused(tiny_store: Path, tmp_path: Path) -> None:
    """The statistics are part of the map: only over equal ones are the mean's logits the mean of the logits."""
    made = {"one": (), "other": ("init_seed=2",), "elsewhere": ('data.train="development"',)}
    for name, sets in made.items():
        wanted = (*LINEAR, "standardise=['speech']", "stage.full.epochs=2", *sets)
        run(load_experiment(tiny_store / "experiment.toml", wanted), tmp_path / name, device=CPU)
    paths = {name: tmp_path / name for name in made}
    with pytest.raises(
        EnsembleError, match=r"one and elsewhere standardise by different statistics, scale\.mean0, scale\.std0"
    ):
        combine(asked(tiny_store), some(paths, ["one", "elsewhere"]), tmp_path / "soup", device=CPU)
    both = some(paths, ["one", "other"])
    combine(asked(tiny_store), both, tmp_path / "soup", device=CPU)
    batch = stack_of(tiny_store, both).inputs
    assert batch is not None
    features = batch.batch(range(len(batch))).features
    with torch.no_grad():
        said = [Checkpoint.load(path).classifier()(features).emotion for path in both.values()]
        mean = Checkpoint.load(tmp_path / "soup").classifier()(features).emotion
    torch.testing.assert_close(mean, (said[0] + said[1]) / 2, atol=1e-5, rtol=1e-5)


def test_meta_classifiers_of_other_fits_are_refused(
    tiny_store: Path, members: dict[str, Path], tmp_path: Path
) -> None:
    pytest.importorskip("sertk_meta")
    two = some(members, ["linear-1", "relu-1"])
    paths = {}
    for fit in ("held_out", "development"):
        wanted = asked(tiny_store, "meta_classifier", fit=fit, seeds=[1], epochs=1)
        combine(wanted, two, tmp_path / fit, device=CPU)
        paths[fit] = tmp_path / fit / "seed-1"
    with pytest.raises(EnsembleError, match=r"held_out and development standardise by .*, fusion\.mean, fusion\.std"):
        combine(asked(tiny_store, fit="held_out"), paths, tmp_path / "soup", device=CPU)


def test_other_encoders_and_class_orders_are_named(tiny_store: Path, members: dict[str, Path]) -> None:
    stack = stack_of(tiny_store, some(members, ["linear-1", "linear-2"]))
    model = stack.members["linear-2"]
    spec = replace(model.card.encoders["words"], fingerprint="another")
    card = replace(model.card, encoders={**model.card.encoders, "words": spec})
    with pytest.raises(EnsembleError, match="linear-1 and linear-2 differ in encoders"):
        soup()(replace(stack, members={**stack.members, "linear-2": replace(model, card=card)}))
    card = replace(model.card, labels=model.card.labels[::-1])
    with pytest.raises(EnsembleError, match="differ in classes"):
        soup()(replace(stack, members={**stack.members, "linear-2": replace(model, card=card)}))


def test_different_starts_can_be_asked_for(tiny_store: Path, members: dict[str, Path], tmp_path: Path) -> None:
    two = some(members, ["relu-1", "relu-elsewhere"])
    combine(asked(tiny_store, allow_different_starts=True), two, tmp_path / "soup", device=CPU)


def test_integer_buffers_must_agree() -> None:
    same = [{"steps": torch.tensor([3]), "w": torch.tensor([float(w)])} for w in (1, 2)]
    assert mean_weights(same) == {"steps": torch.tensor([3]), "w": torch.tensor([1.5])}
    with pytest.raises(EnsembleError, match="'steps' differs"):
        mean_weights([same[0], {**same[1], "steps": torch.tensor([4])}])


def test_a_greedy_soup_keeps_what_helps_and_is_no_worse_than_its_best_member(
    tiny_store: Path, members: dict[str, Path]
) -> None:
    three = some(members, ["linear-1", "linear-2", "linear-3"])
    stack = stack_of(tiny_store, three)
    broken = stack.members["linear-2"]
    worse = replace(broken, weights={name: -50 * tensor for name, tensor in broken.weights.items()})
    stack = replace(stack, members={**stack.members, "linear-2": worse})
    made = soup(method="greedy", metric="macro_f1")(stack)[""]
    assert "linear-2" not in made.notes["averaged"]
    scores = made.notes["scores"]
    assert scores["soup"] >= max(scores[name] for name in three)
    model = replace(stack.members["linear-1"], weights=made.weights).classifier()
    assert stack.inputs is not None
    said = infer(model, stack.inputs, device=CPU)
    assert score(said, stack.inputs.table, Selection(metric="macro_f1"), 1) == pytest.approx(scores["soup"])


def test_what_a_greedy_soup_is_chosen_on_counts_as_fitted_on(
    tiny_store: Path, members: dict[str, Path], tmp_path: Path
) -> None:
    two = some(members, ["linear-1", "linear-2"])
    made = combine(asked(tiny_store, method="greedy"), two, tmp_path / "soup", device=CPU)[""]
    held_out = {u.id for u in Manifest.read(tiny_store / "manifest.jsonl.gz").split("held_out") if u.votes}
    assert held_out <= made.train_ids
    with pytest.raises(EnsembleError, match="choose another split"):
        combine(asked(tiny_store, method="greedy", fit="train"), two, tmp_path / "other", device=CPU)


def test_predictions_of_others_have_no_weights(tiny_store: Path, members: dict[str, Path], tmp_path: Path) -> None:
    manifest = Manifest.read(tiny_store / "manifest.jsonl.gz")
    said, _ = predict_stores(Checkpoint.load(members["linear-1"]), manifest.split("held_out"), device=CPU)
    said.write(tmp_path / "theirs.csv")
    both = {**some(members, ["linear-1"]), "theirs": tmp_path / "theirs.csv"}
    with pytest.raises(EnsembleError, match="must be checkpoints"):
        combine(asked(tiny_store), both, tmp_path / "soup", device=CPU)


def test_meta_classifiers_and_their_soup_carry_the_members_they_read(
    tiny_store: Path, members: dict[str, Path], tmp_path: Path
) -> None:
    """Stages 3 and 4 of MEDUSA, from members to one folder that has all it needs."""
    pytest.importorskip("sertk_meta")
    three = some(members, ["linear-1", "relu-1", "wide"])
    meta = combine(asked(tiny_store, "meta_classifier", seeds=[1, 2], epochs=1), three, tmp_path / "meta", device=CPU)
    assert list(meta) == ["seed-1", "seed-2"]
    assert meta["seed-2"].experiment.init_seed == 2
    held_out = {u.id for u in Manifest.read(tiny_store / "manifest.jsonl.gz").split("held_out") if u.votes}
    assert held_out <= meta["seed-1"].train_ids
    seeds = {name: tmp_path / "meta" / name for name in meta}
    made = combine(asked(tiny_store), seeds, tmp_path / "soup", device=CPU)[""]
    for name in three:
        assert (tmp_path / f"soup/members/{name}/card.json").is_file()
    assert {spec.options["folder"] for spec in made.card.encoders.values()} == {f"members/{name}" for name in three}
    weights = [Checkpoint.load(path).weights for path in seeds.values()]
    assert torch.equal(weights[0]["fusion.mean"], made.weights["fusion.mean"])
    expected = (weights[0]["head.emotion.bias"] + weights[1]["head.emotion.bias"]) / 2
    torch.testing.assert_close(made.weights["head.emotion.bias"], expected)
    with pytest.raises(EnsembleError, match='ask for the leak with fit_on = "train"'):
        combine(asked(tiny_store, "meta_classifier", fit="train"), three, tmp_path / "leak", device=CPU)
