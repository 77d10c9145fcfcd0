"""Whisper with its real weights on real speech: states, words and what a linear model reads from them."""

from __future__ import annotations

import csv
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("transformers", reason="needs the extra hf")

from sertk.compat import import_transformers
from sertk.data.manifest import Utterance
from sertk.data.recording import Recording
from sertk.encoders.hf_speech import hf_speech
from sertk.pretrained import tensors_digest
from sertk.tensors import Padded
from sertk.transcribers.whisper import whisper

pytestmark = pytest.mark.real

Row = dict[str, str]


def clips(corpus: Path) -> list[tuple[Row, Recording]]:
    """Each row of a corpus's table with its recording."""
    with open(corpus / "metadata.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    return [(row, Recording(Utterance(row["file"], str(corpus / row["file"])))) for row in rows]


def ten_clips(corpus: Path) -> list[tuple[Row, Recording]]:
    """Ten clips of ten speakers, spread over the corpus."""
    every = clips(corpus)
    return every[3 :: len(every) // 10][:10]


def words(text: str) -> list[str]:
    return re.sub(r"[^a-z' ]", " ", text.lower().replace("’", "'")).split()


def word_errors(heard: list[str], said: list[str]) -> int:
    """Substitutions, insertions and deletions, at the least."""
    row = [*range(len(said) + 1)]
    for i, word in enumerate(heard, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(said, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (word != other))
    return row[-1]


@pytest.mark.parametrize("name", ["whisper-base", "whisper-tiny.en"])
def test_states_are_those_of_a_plain_loop(name: str, weights: Path, cremad: Path) -> None:
    transformers = import_transformers()
    extractor = transformers.AutoFeatureExtractor.from_pretrained(weights / name)
    model = transformers.WhisperModel.from_pretrained(weights / name, dtype=torch.float32).eval().get_encoder()
    encoder = hf_speech(model=f"openai/{name}", layers="all")
    differences = []
    for _, recording in ten_clips(cremad):
        samples = recording.waveform(16_000)
        features = extractor(samples, sampling_rate=16_000, return_tensors="pt").input_features
        with torch.no_grad():
            states = model(features, output_hidden_states=True).hidden_states
        plain = torch.cat(states, dim=-1)[0, : math.ceil(len(samples) / 320)]
        ours = encoder(Padded.of([encoder.prepare(recording)])).sequence(0)
        assert ours.shape == plain.shape
        differences.append(float((ours - plain).norm() / plain.norm()))
    print(f"{name}: states differ from a plain loop's by {max(differences):.1e} of their norm at most")
    assert max(differences) < 1e-5


def test_a_copy_in_float32_is_the_same_model(weights: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    file, copy = weights / "whisper-base" / "model.safetensors", tmp_path / "copy.safetensors"
    save_file({name: tensor.float() for name, tensor in load_file(file).items()}, copy)
    assert copy.stat().st_size > 1.9 * file.stat().st_size
    assert tensors_digest([copy]) == tensors_digest([file])


@pytest.mark.parametrize(("name", "language"), [("whisper-base", "en"), ("whisper-tiny.en", None)])
def test_most_words_of_ten_clips_are_heard(name: str, language: str | None, weights: Path, cremad: Path) -> None:
    chosen = ten_clips(cremad)
    heard = whisper(model=f"openai/{name}", language=language)([recording for _, recording in chosen])
    said = [words(row["transcript"]) for row, _ in chosen]
    errors = sum(word_errors(words(text or ""), right) for text, right in zip(heard, said, strict=True))
    rate = errors / sum(map(len, said))
    print(f"{name}: word error rate {rate:.3f} of {sum(map(len, said))} words")
    assert rate <= 0.1


def test_the_third_layer_tells_emotions_of_speakers_left_out(weights: Path, emodb: Path) -> None:
    """A linear model on mean and deviation of whisper-base's third layer; the mean recall of the seven classes."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    encoder = hf_speech(model="openai/whisper-base", layers=3, context="utterance", pool="mean_std")
    every = clips(emodb)
    frames = [encoder(Padded.of([encoder.prepare(recording)])).sequence(0) for _, recording in every]
    features = np.concatenate([frame.numpy() for frame in frames])  # (535, 2 * 512)
    emotions, speakers = ([row[name] for row, _ in every] for name in ("emotion", "speaker"))
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
    guessed = cross_val_predict(model, features, emotions, groups=speakers, cv=LeaveOneGroupOut())
    recall = balanced_accuracy_score(emotions, guessed)
    print(f"whisper-base on EMO-DB: mean recall {recall:.3f}")
    assert recall >= 0.9
