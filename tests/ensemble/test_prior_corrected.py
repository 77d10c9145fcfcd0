from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score

from sertk.checkpoint import Checkpoint
from sertk.data.labels import LabelSet
from sertk.data.manifest import Manifest, Utterance
from sertk.ensemble.combine import combine
from sertk.ensemble.members import infer_rows
from sertk.ensemble.predictions import Predictions
from sertk.errors import EnsembleError
from sertk.inference.stores import predict_stores

from .conftest import CPU, combination

LABELS = LabelSet(("Angry", "Sad", "Neutral"))
PRIOR = np.array([0.1, 0.2, 0.7])


def what_models_say(models: dict[str, Path], folder: Path, split: str) -> np.ndarray:
    """(M, N, C) probabilities."""
    utterances = Manifest.read(folder / "manifest.jsonl.gz").split(split)
    each = [predict_stores(Checkpoint.load(path), utterances, device=CPU)[0].emotion for path in models.values()]
    return np.stack(each)


@pytest.mark.parametrize("power", [1.0, 0.5])
def test_it_divides_by_the_mean_posterior_of_the_fitting_part(
    tiny_store: Path, stores: dict[str, Path], models: dict[str, Path], tmp_path: Path, power: float
) -> None:
    asked = combination(tiny_store, "prior_corrected", power=power)
    made = combine(asked, stores, tmp_path / "out", device=CPU)[""]
    fitted = Manifest.read(tiny_store / "manifest.jsonl.gz").split("held_out")
    known = {id for id in made.train_ids if id in {u.id for u in fitted}}
    rows = [row for row, utterance in enumerate(fitted) if utterance.id in known]
    mean = what_models_say(models, tiny_store, "held_out")[:, rows].mean(axis=(0, 1))
    shares = what_models_say(models, tiny_store, "development").mean(axis=0) / mean**power
    development = Manifest.read(tiny_store / "manifest.jsonl.gz").split("development")
    found = predict_stores(made, development, device=CPU)[0].emotion
    np.testing.assert_allclose(found, shares / shares.sum(axis=1, keepdims=True), atol=1e-5)
    assert made.card.notes["fit_on"] == "the members' posteriors, no label"
    assert made.card.notes["divided_by"] == f"mean posterior of {len(rows)} utterances"
    assert made.card.notes["utterances"] == len(rows)


@pytest.mark.parametrize("power", [1.0, 0.5])
def test_it_divides_by_the_label_prior_when_asked(
    tiny_store: Path, stores: dict[str, Path], models: dict[str, Path], tmp_path: Path, power: float
) -> None:
    asked = combination(tiny_store, "prior_corrected", power=power, divide_by="label_prior")
    made = combine(asked, stores, tmp_path / "out", device=CPU)[""]
    prior = np.mean([Checkpoint.load(path).card.prior for path in models.values()], axis=0)
    np.testing.assert_allclose(made.card.prior, prior)
    shares = what_models_say(models, tiny_store, "development").mean(axis=0) / prior**power
    development = Manifest.read(tiny_store / "manifest.jsonl.gz").split("development")
    found = predict_stores(made, development, device=CPU)[0].emotion
    np.testing.assert_allclose(found, shares / shares.sum(axis=1, keepdims=True), atol=1e-5)
    assert made.card.notes["fit_on"] == "nothing"
    assert made.card.notes["divided_by"] == "label prior"
    assert made.train_ids == Checkpoint.load(models["01"]).train_ids


def test_the_mean_posterior_of_training_utterances_is_refused(
    tiny_store: Path, stores: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(EnsembleError, match=r'were in the training of a member.*divide_by = "label_prior"'):
        combine(combination(tiny_store, "prior_corrected", fit="train"), stores, tmp_path / "out", device=CPU)
    asked = combination(tiny_store, "prior_corrected", fit="train", divide_by="label_prior")
    combine(asked, stores, tmp_path / "out", device=CPU)


def test_files_alone_take_the_label_prior_of_the_training_split(
    tiny_store: Path, trained: Path, tmp_path: Path
) -> None:
    manifest = Manifest.read(tiny_store / "manifest.jsonl.gz")
    predict_stores(Checkpoint.load(trained / "members/03"), manifest.utterances, device=CPU)[0].write(
        tmp_path / "theirs.csv"
    )
    asked = combination(tiny_store, "prior_corrected", divide_by="label_prior")
    made = combine(asked, {"theirs": tmp_path / "theirs.csv"}, tmp_path / "out", device=CPU)[""]
    np.testing.assert_allclose(made.card.prior, Checkpoint.load(trained / "members/01").card.prior, atol=1e-9)
    assert list(made.card.ranges) == ["arousal", "valence"]


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """A corpus whose Neutral is seven in ten, and two systems' posteriors of it: by Bayes' rule with the corpus's own
    prior (`natural`), and with equal priors, as of members that end on balanced draws (`balanced`)."""
    generator = np.random.default_rng(4)
    count = 3000
    true = generator.choice(3, count, p=PRIOR)
    signal = np.eye(3)[true] + generator.normal(0, 0.8, (count, 3))
    likelihood = np.exp(-((signal[:, None] - np.eye(3)) ** 2).sum(axis=2) / (2 * 0.8**2))  # (N, C)
    utterances = [
        Utterance(
            id=f"u{row}",
            audio=f"u{row}.wav",
            speaker=f"s{row % 50}",
            split=("train", "held_out", "test")[row % 3],
            emotion=LABELS.names[true[row]],
            votes={LABELS.names[true[row]]: 5.0},
        )
        for row in range(count)
    ]
    Manifest("made-up", LABELS, {}, tuple(utterances)).write(tmp_path / "manifest.jsonl.gz")
    for name, prior in (("natural", PRIOR), ("balanced", np.full(3, 1 / 3))):
        emotion = likelihood * prior
        emotion /= emotion.sum(axis=1, keepdims=True)
        Predictions(tuple(u.id for u in utterances), LABELS, emotion, np.empty((count, 0))).write(
            tmp_path / f"{name}.csv"
        )
    return tmp_path


def answers(folder: Path, system: str, aggregator: str, **options: object) -> tuple[np.ndarray, np.ndarray]:
    """True and predicted classes of the test part."""
    out = folder / f"{system}-{aggregator}-{'-'.join(map(str, options.values()))}"
    asked = combination(folder, aggregator, **options)
    made = combine(asked, {system: folder / f"{system}.csv"}, out, device=CPU)[""]
    chosen = Manifest.read(folder / "manifest.jsonl.gz").split("test")
    rows = infer_rows(made, [u.id for u in chosen], CPU)
    said = [int(rows[u.id][0, :3].argmax()) for u in chosen]
    return np.array([LABELS.index(str(u.emotion)) for u in chosen]), np.array(said)


def test_members_with_the_corpus_prior_gain_by_either_division(world: Path) -> None:
    plain = balanced_accuracy_score(*answers(world, "natural", "soft_vote"))
    by_mean = balanced_accuracy_score(*answers(world, "natural", "prior_corrected"))
    by_label = balanced_accuracy_score(*answers(world, "natural", "prior_corrected", divide_by="label_prior"))
    assert by_mean > plain + 0.05
    assert by_mean == pytest.approx(by_label, abs=0.02)


def test_members_that_end_on_balanced_draws_are_harmed_by_the_label_prior_alone(world: Path) -> None:
    plain = f1_score(*answers(world, "balanced", "soft_vote"), average="macro")
    by_mean = f1_score(*answers(world, "balanced", "prior_corrected"), average="macro")
    by_label = f1_score(*answers(world, "balanced", "prior_corrected", divide_by="label_prior"), average="macro")
    assert by_label < plain - 0.05
    assert by_mean > by_label + 0.05


def test_a_class_that_no_member_ever_gives_is_named(world: Path) -> None:
    manifest = Manifest.read(world / "manifest.jsonl.gz")
    ids = tuple(u.id for u in manifest)
    never = np.tile([0.4, 0.0, 0.6], (len(ids), 1))
    Predictions(ids, LABELS, never, np.empty((len(ids), 0))).write(world / "never.csv")
    with pytest.raises(EnsembleError, match="no member gives any probability to Sad"):
        answers(world, "never", "prior_corrected")
    with pytest.raises(EnsembleError, match="no member gives any probability to Sad"):
        answers(world, "never", "greedy", powers=[0.0, 1.0])


def test_greedy_divides_by_the_mean_posterior_of_all_members(world: Path) -> None:
    asked = combination(world, "greedy", powers=[1.0])
    members = {"natural": world / "natural.csv", "balanced": world / "balanced.csv"}
    made = combine(asked, members, world / "out", device=CPU)[""]
    manifest = Manifest.read(world / "manifest.jsonl.gz")
    held_out = [u.id for u in manifest.split("held_out")]
    each = [Predictions.read(path, labels=LABELS).subset(held_out).emotion for path in members.values()]
    fusion = made.experiment.fusion.model_dump()
    np.testing.assert_allclose(fusion["prior"], np.mean(each, axis=(0, 1)), atol=1e-6)
    assert made.card.notes["divided_by"] == "mean posterior"
