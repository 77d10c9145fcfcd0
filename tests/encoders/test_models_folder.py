"""Hub ids that run without a hub: looked up in the folder of models, by variable and by --models."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("transformers", reason="needs the extra hf")

from sertk.cli import main
from sertk.data.labels import LabelSet
from sertk.data.manifest import Manifest, Utterance
from sertk.encoders.hf_speech import hf_speech
from sertk.encoders.hf_text import hf_text
from sertk.errors import EncoderError
from sertk.features.store import FeatureStore
from sertk.hub import find_checkpoint
from sertk.transcribers.whisper import whisper

Tiny = Callable[[str], Path]


@pytest.fixture
def models(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of models, which SERTK_MODELS names: lab/wavlm, whisper and roberta."""
    folder = tmp_path / "models"
    for name, place in {"wavlm": "lab/wavlm", "whisper": "whisper", "roberta": "roberta"}.items():
        shutil.copytree(tiny(name), folder / place)
    monkeypatch.setenv("SERTK_MODELS", str(folder))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    return folder


def test_a_hub_id_is_looked_up_as_owner_and_name_then_as_name(models: Path) -> None:
    assert find_checkpoint("lab/wavlm").folder == models / "lab" / "wavlm"
    found = find_checkpoint("openai/whisper")
    assert (found.folder, found.name, found.revision) == (models / "whisper", "openai/whisper", None)
    shutil.copytree(models / "whisper", models / "openai" / "whisper")
    assert find_checkpoint("openai/whisper").folder == models / "openai" / "whisper"


def test_encoders_and_transcribers_are_the_ones_of_their_folders(models: Path, tiny: Tiny) -> None:
    assert (
        hf_speech(model="lab/wavlm", revision="main").fingerprint == hf_speech(model=str(tiny("wavlm"))).fingerprint
    )
    assert hf_text(model="x/roberta").fingerprint == hf_text(model=str(tiny("roberta"))).fingerprint
    assert whisper(model="openai/whisper").source == "whisper:openai/whisper"


def test_a_name_that_tells_of_emotion_labels_still_tells(models: Path) -> None:
    shutil.copytree(models / "whisper", models / "wav2vec2-emotion")
    assert find_checkpoint("audeering/wav2vec2-emotion").emotion_trained


def test_what_is_not_there_is_told_with_the_folder_that_was_looked_in(models: Path) -> None:
    with pytest.raises(EncoderError) as caught:
        find_checkpoint("lab/other")
    for word in (
        f"not in the folder of models {models} (as lab/other or other)",
        "hub cache",
        "hf download lab/other",
    ):
        assert word in str(caught.value)


def test_without_the_variable_the_remedy_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SERTK_MODELS", raising=False)
    with pytest.raises(EncoderError, match=r"FOLDER/lab/other and give --models FOLDER \(or set SERTK_MODELS\)"):
        find_checkpoint("lab/other")


def test_a_variable_that_names_no_folder_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SERTK_MODELS", str(tmp_path / "none"))
    with pytest.raises(EncoderError, match=r"SERTK_MODELS: there is no folder .*none"):
        find_checkpoint("lab/wavlm")


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_option_serves_processes_too_and_is_forgotten(
    jobs: int, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SERTK_MODELS")
    monkeypatch.chdir(tmp_path)
    said = [Utterance(f"utt-{number}", f"{number}.wav", split="train", text="so it is") for number in range(4)]
    Manifest("made up", LabelSet(("Happy", "Sad")), {}, tuple(said)).write(Path("corpus.jsonl"))
    Path("words.toml").write_text('[encoder]\nuse = "hf_text"\nmodel = "lab/roberta"\n')
    given = ["--manifest", "corpus.jsonl", "--into", "out", "--device", "cpu", "--jobs", str(jobs)]
    assert main(["extract", "words.toml", *given]) == 1
    assert "lab/roberta: not in this machine's hub cache" in capsys.readouterr().err
    assert main(["extract", "words.toml", *given, "--models", "models"]) == 0
    assert len(FeatureStore.open(Path("out/words")).lengths) == 4
    assert main(["why", "out/words", "--models", "models"]) == 0
    assert "SERTK_MODELS" not in os.environ


def test_an_option_that_names_no_folder_is_misuse(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--models", "none"]) == 2
    assert "none" in capsys.readouterr().err


def test_the_doctor_names_the_folder_and_what_is_in_it(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (models / "whisper" / "model.safetensors").unlink()
    assert main(["doctor", "--offline", "--json"]) in (0, 1)
    found = {each["part"]: each for each in json.loads(capsys.readouterr().out)}
    assert str(models) in found["models"]["text"]
    assert "3 models" in found["models"]["text"]
    assert found["model lab/wavlm"]["text"] == "wavlm, ready offline"
    assert "no weights" in found["model whisper"]["text"]
