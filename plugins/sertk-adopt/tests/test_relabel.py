"""Models with other classes get those of a label map, and are then combined and scored like any."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from sertk_adopt.relabel import relabel

import sertk
from sertk.checkpoint import Checkpoint
from sertk.cli import main
from sertk.data.labels import LabelSet
from sertk.data.manifest import Manifest, Utterance
from sertk.errors import CheckpointError, LabelError, SertkWarning
from sertk.testing.tiny import tiny_experiment, write_tiny_corpus

Make = Callable[[str], Any]
SIX = LabelSet(("Anger", "Disgust", "Fear", "Happiness", "Neutral", "Sadness"))
SPLITS = ("train", "train", "held_out", "test")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings of six classes, each at a pitch of its own, and their manifest."""
    folder = tmp_path_factory.mktemp("six")
    utterances = []
    for number in range(72):
        rng = np.random.default_rng(number)
        kind, times = number % 6, np.arange(8_000 + 40 * number) / 16_000
        tone = np.sin(2 * np.pi * 200 * 1.6**kind * times) * (np.sin(40 * times) > 0)
        wave = 0.3 * tone + 0.05 * rng.standard_normal(len(times))
        soundfile.write(folder / f"u{number}.wav", wave, 16_000)
        speaker = number // 6
        utterances.append(
            Utterance(
                id=f"u{number}",
                audio=str(folder / f"u{number}.wav"),
                duration=len(times) / 16_000,
                speaker=f"s{speaker}",
                split=SPLITS[speaker % len(SPLITS)],
                votes={SIX.names[kind]: 4.0, SIX.names[(kind + 1) % 6]: 1.0},
                emotion=SIX.names[kind],
            )
        )
    Manifest("six", SIX, {}, tuple(utterances)).write(folder / "six.jsonl.gz")
    with pytest.warns(SertkWarning, match="24 utterances left out"):
        sertk.map_labels(folder / "six.jsonl.gz", "four", out=folder / "four.jsonl.gz")
    return folder


@pytest.fixture(scope="module")
def native(corpus: Path) -> Path:
    """A model of six classes, trained on these recordings."""
    encoder, experiment = corpus / "logmel.toml", corpus / "native.toml"
    encoder.write_text('dtype = "float32"\n[encoder]\nuse = "logmel"\n')
    sertk.extract(encoder, corpus / "six.jsonl.gz", into=corpus / "features")
    experiment.write_text(
        f"""
standardise = ["speech"]
[data]
manifest = "{corpus}/six.jsonl.gz"
[features]
speech = "{corpus}/features/logmel"
[fusion]
use = "concat"
pooling = "attentive_statistics"
[head]
activation = "none"
[[stage]]
name = "full"
epochs = 40
optimizer = {{ lr = 1e-2 }}
[selection]
metric = "macro_f1"
"""
    )
    sertk.train(experiment, out=corpus / "native")
    return corpus / "native"


def test_an_adopted_model_of_four_and_a_native_one_of_six_are_one_ensemble(
    corpus: Path, native: Path, adopted: Make
) -> None:
    members, manifest = [], corpus / "four.jsonl.gz"
    for name, model in (("native", native), ("adopted", adopted("superb-wav2vec2-base"))):
        relabel(model, corpus / "members" / name, map="four")
        sertk.extract(corpus / "members" / name, manifest, into=corpus / "posteriors")
        members.append(corpus / "posteriors" / name)
    vote = corpus / "vote.toml"
    vote.write_text(f'fit = "held_out"\n[data]\nmanifest = "{manifest}"\n[aggregator]\nuse = "soft_vote"\n')
    sertk.combine(vote, members, out=corpus / "ensemble")
    card = Checkpoint.load(corpus / "ensemble").card
    assert (card.labels, card.challenge_legal) == (["Angry", "Happy", "Neutral", "Sad"], False)
    sertk.predict_corpus(corpus / "ensemble", manifest, "test", output=corpus / "test.csv")
    score = sertk.score(corpus / "test.csv", manifest, "test", draws=50).scores["test"]
    assert score.utterances == 12
    assert {"macro_f1", "uar", "js_divergence"} <= score.metrics.keys()
    (alone,) = sertk.predict_corpus(corpus / "members" / "native", manifest, "test", output=corpus / "native.csv")
    assert alone.predictions is not None
    found = sertk.score(corpus / "native.csv", manifest, "test", draws=50).scores["native"].metrics["uar"].value
    assert found > 0.7  # it knows pitches; the adopted one, which is random, adds nothing to that

    # An adopted model of its own, which reads recordings, is scored too.
    (result,) = sertk.predict_corpus(corpus / "members" / "adopted", manifest, "test", output=corpus / "alone.csv")
    assert not result.up_to_date
    (result,) = sertk.predict_corpus(corpus / "members" / "adopted", manifest, "test", output=corpus / "alone.csv")
    assert result.up_to_date
    assert sertk.score(corpus / "alone.csv", manifest, "test", draws=50).scores["alone"].utterances == 12
    with pytest.raises(CheckpointError, match="sertk extract"):
        sertk.combine(vote, [corpus / "members" / "adopted"], out=corpus / "direct")

    wave = str(corpus / "u18.wav")
    answers = [sertk.load(corpus / name).predict(wave) for name in ("ensemble", "members/native", "members/adopted")]
    both = [np.array([*answer.probabilities.values()]) for answer in answers]
    assert both[0] == pytest.approx((both[1] + both[2]) / 2, abs=1e-5)


def test_probabilities_add_up_and_those_left_out_are_shared_out(corpus: Path, native: Path, tmp_path: Path) -> None:
    made = relabel(native, tmp_path / "four", map="four")
    assert made.becomes["Disgust"] is None
    assert made.becomes["Anger"] == "Angry"
    wave = str(corpus / "u1.wav")
    whole = sertk.load(native).predict(wave).probabilities
    found = sertk.load(tmp_path / "four").predict(wave).probabilities
    kept = {"Angry": "Anger", "Happy": "Happiness", "Neutral": "Neutral", "Sad": "Sadness"}
    total = sum(whole[name] for name in kept.values())
    assert found == pytest.approx({label: whole[name] / total for label, name in kept.items()}, abs=1e-5)
    own = tmp_path / "two.toml"
    own.write_text('[labels]\nCalm = ["Neutral", "Sadness"]\nMoved = ["Anger", "Disgust", "Fear", "Happiness"]\n')
    relabel(native, tmp_path / "two", map=own)
    calm = sertk.load(tmp_path / "two").predict(wave).probabilities["Calm"]
    assert calm == pytest.approx(whole["Neutral"] + whole["Sadness"], abs=1e-5)
    assert Checkpoint.load(tmp_path / "two").train_ids == Checkpoint.load(native).train_ids


def test_classes_that_nothing_becomes_are_warned_of(adopted: Make, tmp_path: Path) -> None:
    with pytest.warns(SertkWarning, match="becomes Disgust, Fear: their probability is 0"):
        relabel(adopted("superb-wav2vec2-base"), tmp_path / "six", map="six")


def test_attributes_are_chosen_and_ordered(tmp_path: Path) -> None:
    write_tiny_corpus(tmp_path)
    sertk.train(tiny_experiment(tmp_path, epochs=1), out=tmp_path / "model")
    relabel(tmp_path / "model", tmp_path / "turned", attributes=["valence", "arousal"])
    manifest = tmp_path / "manifest.jsonl.gz"
    one, other = (
        sertk.predict_corpus(tmp_path / name, manifest, "development")[0].predictions for name in ("model", "turned")
    )
    assert one is not None
    assert other is not None
    assert other.attribute_names == ("valence", "arousal")
    assert other.attributes == pytest.approx(one.attributes[:, ::-1])
    assert other.emotion == pytest.approx(one.emotion, abs=1e-6)
    with pytest.raises(CheckpointError, match=r"Did you mean .valence"):
        relabel(tmp_path / "model", tmp_path / "x", attributes=["valance"])


def test_a_map_that_does_not_fit_is_refused(native: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('others = "drop"\n[labels]\nAngry = ["Anger"]\nCalm = ["calm"]\n')
    with pytest.raises(LabelError, match="leaves fewer than two"):
        relabel(native, tmp_path / "x", map=own)


def test_the_verb_says_what_became_of_classes(
    native: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["relabel", str(native), "--map", "four", "--attributes", "none", "--into", str(tmp_path / "four")]
    assert main(words) == 0
    assert "Anger to Angry, without Disgust" in capsys.readouterr().out
    assert main(words) == 0
    assert "up to date" in capsys.readouterr().out
    assert main(["why", str(tmp_path / "four")]) == 0
    assert "up to date" in capsys.readouterr().out
    card = json.loads((tmp_path / "four" / "card.json").read_text())
    assert card["notes"]["becomes"]["Sadness"] == "Sad"
