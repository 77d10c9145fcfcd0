"""The models of the package: they answer at once, keep what they promise, and never saw the speakers of fold 1."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sertk_ready import small

import sertk
from sertk.checkpoint import Checkpoint
from sertk.cli import main
from sertk.ready import best_ready, guidance

Capture = pytest.CaptureFixture[str]
FOLD_1 = [str(number) for number in range(1001, 1019)]


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    wave = 0.1 * np.random.default_rng(1).standard_normal(24_000)
    soundfile.write(tmp_path / "a.wav", wave, 16_000)
    return tmp_path / "a.wav"


def test_a_recording_is_answered_without_naming_a_model(recording: Path, capsys: Capture) -> None:
    assert main(["predict", str(recording)]) == 0
    shown = capsys.readouterr()
    text = " ".join((shown.out + shown.err).split())
    assert "model small of sertk-ready" in text
    assert "Not for decisions about people" in text
    assert any(name in text for name in ("Anger", "Disgust", "Fear", "Happiness", "Neutral", "Sadness"))


def test_the_name_does_for_the_folder(recording: Path) -> None:
    by_name, by_folder = (sertk.load(model).predict(recording) for model in ("small", small()))
    assert by_name.probabilities == by_folder.probabilities
    assert 0 <= by_name.attributes["intensity"] <= 100


def test_models_are_listed(capsys: Capture) -> None:
    assert main(["models"]) == 0
    assert "sertk-ready" in capsys.readouterr().out
    assert best_ready()[0] == small()


def test_nobody_of_the_first_fold_was_trained_on_or_chosen_by() -> None:
    """Their scores are the ones on the card."""
    for folder in (small(), *(small() / "members").iterdir()):
        assert not {id[:4] for id in Checkpoint.load(folder).train_ids} & {*FOLD_1}
    card = json.loads((small() / "card.json").read_text())
    assert card["scores"]["test"]["speakers"] == f"{len(FOLD_1)} speakers"


def test_the_package_is_small_and_says_what_it_is() -> None:
    assert sum(path.stat().st_size for path in small().rglob("*") if path.is_file()) < 8e6
    about = guidance(small())
    assert "Open Database License" in str(about["licence"])
    assert 0 < float(about["unsure_below"]) < 1
