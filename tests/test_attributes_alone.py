"""Models of attributes alone have no classes: in training, files, scores, votes and combinations."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import sertk
from sertk.checkpoint import Checkpoint
from sertk.data.labels import LabelSet
from sertk.data.manifest import Manifest
from sertk.ensemble.predictions import Predictions
from sertk.errors import SertkError
from sertk.inference.prediction import Prediction
from sertk.testing.tiny import tiny_experiment, write_tiny_corpus

LOSS = "stage.full.loss=[{use = 'attribute_mse'}]"
SECOND = "stage.second.loss=[{use = 'attribute_mse'}]"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a corpus, `manifest.jsonl.gz`, and the same without classes, `attributes.jsonl.gz`."""
    folder = tmp_path_factory.mktemp("attributes")
    manifest = Manifest.read(write_tiny_corpus(folder))
    utterances = tuple(replace(u, emotion=None, votes={}) for u in manifest)
    replace(manifest.with_utterances(utterances), labels=LabelSet(())).write(folder / "attributes.jsonl.gz")
    return folder


@pytest.fixture(scope="module")
def models(corpus: Path) -> list[Path]:
    """Two models that were trained on attributes."""
    folders = []
    for seed in (1, 2):
        sets = [f'data.manifest="{corpus}/attributes.jsonl.gz"', f"init_seed={seed}", LOSS, SECOND]
        sets += ['selection.metric="mean_ccc"', "stage.full.epochs=6"]
        folder = corpus / "models" / f"m{seed}"
        sertk.train(tiny_experiment(corpus), out=folder, sets=sets)
        folders.append(folder)
    return folders


@pytest.fixture(scope="module")
def predicted(corpus: Path, models: list[Path]) -> list[Path]:
    """What they predict, as files."""
    manifest = corpus / "attributes.jsonl.gz"
    sertk.predict_corpus(models, manifest, "development", into=corpus / "predictions")
    return sorted((corpus / "predictions").glob("*.csv"))


def test_a_file_has_attributes_and_no_emotion(predicted: list[Path]) -> None:
    assert predicted[0].read_text().splitlines()[0] == "id,arousal,valence"
    read = Predictions.read(predicted[0])
    assert (len(read.labels), read.attribute_names, read.emotion.shape) == (0, ("arousal", "valence"), (len(read), 0))
    assert [*read.to_frame().columns] == ["id", "arousal", "valence"]
    assert Predictions.from_frame(read.to_frame()).ids == read.ids


@pytest.mark.parametrize("name", ["manifest", "attributes"])
def test_scores_are_of_attributes_whether_the_corpus_has_classes_or_not(
    name: str, corpus: Path, predicted: list[Path]
) -> None:
    manifest = corpus / f"{name}.jsonl.gz"
    scored = sertk.score(predicted, manifest, "development", groups=True, compare=predicted[1], draws=50)
    score = scored.scores[predicted[0].stem]
    assert [*score.metrics] == ["ccc:arousal", "ccc:valence", "mean_ccc"]
    assert score.metrics["mean_ccc"].value > 0.5
    assert scored.tables()
    assert json.dumps(scored.as_dict())


def test_scores_go_onto_the_card_and_the_results_page(
    corpus: Path, models: list[Path], predicted: list[Path]
) -> None:
    manifest, page = corpus / "manifest.jsonl.gz", corpus / "RESULTS.md"
    sertk.score(predicted[0], manifest, "development", card=models[0], results=page, draws=50)
    assert "mean_ccc" in (models[0] / "README.md").read_text()
    assert "CCC" in page.read_text()


@pytest.mark.parametrize("aggregator", ["soft_vote", "vote"])
def test_votes_are_means_of_attributes(
    aggregator: str, corpus: Path, models: list[Path], predicted: list[Path]
) -> None:
    out = corpus / aggregator
    sertk.combine(combination(corpus, aggregator), models, out=out)
    assert Checkpoint.load(out).card.labels == []
    (result,) = sertk.predict_corpus(out, corpus / "manifest.jsonl.gz", "development")
    assert result.predictions is not None
    mean = np.mean([Predictions.read(path).attributes for path in predicted], axis=0)
    assert result.predictions.attributes == pytest.approx(mean, abs=1e-5)


def test_files_of_attributes_are_combined_too(corpus: Path, models: list[Path], predicted: list[Path]) -> None:
    out = corpus / "with file"
    sertk.combine(combination(corpus, "soft_vote"), [models[0], predicted[1]], out=out)
    assert Checkpoint.load(out).card.labels == []


def test_what_needs_classes_is_refused(corpus: Path, models: list[Path], tmp_path: Path) -> None:
    for aggregator in ("prior_corrected", "greedy"):
        with pytest.raises(SertkError, match="no classes"):
            sertk.combine(combination(corpus, aggregator), models, out=tmp_path / aggregator)


def test_a_prediction_names_attributes_alone() -> None:
    first = Prediction("a.wav", "", {}, {"arousal": 5.314})
    assert repr(first) == "Prediction('a.wav': arousal 5.31)"


def test_a_loss_and_a_choice_by_classes_are_refused(corpus: Path, tmp_path: Path) -> None:
    data = f'data.manifest="{corpus}/attributes.jsonl.gz"'
    with pytest.raises(SertkError, match="no classes: take attribute_mse"):
        sertk.train(tiny_experiment(corpus), out=tmp_path / "a", sets=[data, 'selection.metric="mean_ccc"'])
    with pytest.raises(SertkError, match="no classes to choose by balanced_macro_f1"):
        sertk.train(tiny_experiment(corpus), out=tmp_path / "b", sets=[data, LOSS, SECOND])


@pytest.mark.parametrize("folds", ["", "stage.full.solver.folds=3"])
def test_a_linear_solver_fits_attributes_alone(folds: str, corpus: Path, tmp_path: Path) -> None:
    file = tmp_path / "linear.toml"
    file.write_text(
        f"""
selection = {{ metric = "mean_ccc" }}
[data]
manifest = "{corpus}/attributes.jsonl.gz"
[features]
speech = "{corpus}/features/speech"
[fusion]
use = "concat"
[head]
attributes = ["arousal", "valence"]
activation = "none"
attribute_output = "linear"
[[stage]]
name = "full"
solver = {{ use = "lbfgs", penalty = 0.1 }}
loss = [{{ use = "attribute_mse" }}]
"""
    )
    sertk.train(file, out=tmp_path / "model", sets=[folds] if folds else [])
    assert Checkpoint.load(tmp_path / "model").card.metrics["held_out mean_ccc"] > 0.5


def test_a_report_shows_them(corpus: Path, predicted: list[Path]) -> None:
    folder = corpus / "exp"
    (folder / "predictions" / "development").mkdir(parents=True)
    for path in predicted:
        (folder / "predictions" / "development" / path.name).write_bytes(path.read_bytes())
    sertk.report(folder, manifest=corpus / "manifest.jsonl.gz", draws=50)
    assert "CCC" in (folder / "report.html").read_text()


def combination(corpus: Path, aggregator: str) -> Path:
    """A combination file."""
    path = corpus / f"{aggregator}.toml"
    text = f'fit = "development"\n[data]\nmanifest = "{corpus}/attributes.jsonl.gz"\n[aggregator]\nuse = "{aggregator}"\n'
    path.write_text(text)
    return path
