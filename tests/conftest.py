from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sertk.data.labels import LabelSet
from sertk.data.manifest import Manifest, Utterance
from sertk.data.recording import Recording
from sertk.ensemble.predictions import Predictions
from sertk.scoring.truth import AlignedPredictions, align, truth_of


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a tiny checkpoint by name, built when it is first asked for: `wavlm`, `wavlm-group`, ..."""
    pytest.importorskip("transformers", reason="needs the extra hf")
    from sertk.testing import tiny_models

    root = tmp_path_factory.mktemp("tiny")

    def build(name: str) -> Path:
        folder = root / name
        if folder.exists():
            return folder
        if name == "whisper":
            return tiny_models.tiny_whisper(folder)
        if name == "roberta":
            return tiny_models.tiny_roberta(folder)
        if name == "modernbert":
            return tiny_models.tiny_modernbert(folder)
        if name.endswith("-group"):
            return tiny_models.tiny_speech(folder, name.removesuffix("-group"), norm="group")  # type: ignore[arg-type]
        return tiny_models.tiny_speech(folder, name)  # type: ignore[arg-type]

    return build


@pytest.fixture(scope="session")
def speech() -> Callable[..., Recording]:
    """A recording of noise that swells and fades, of so many samples at 16 kHz."""

    def make(samples: int, seed: int = 0, text: str | None = None) -> Recording:
        noise = np.random.default_rng(seed).standard_normal(samples)
        swell = 0.2 + 0.1 * np.sin(np.arange(samples) / 700)
        wave = (noise * swell).clip(-1, 1).astype(np.float32)
        return Recording(Utterance(f"u{seed}", "none.wav", text=text), {16_000: wave})

    return make


LABELS = LabelSet(("Angry", "Sad", "Happy", "Neutral"))


def rated_manifest(count: int = 300, *, speakers: int = 20, seed: int = 0, labels: LabelSet = LABELS) -> Manifest:
    """Utterances with votes of five raters; a tie leaves no consensus."""
    generator = np.random.default_rng(seed)
    utterances = []
    for row in range(count):
        votes = generator.multinomial(5, generator.dirichlet(np.full(len(labels), 0.5)))
        best = np.flatnonzero(votes == votes.max())
        speaker = int(generator.integers(speakers))
        utterances.append(
            Utterance(
                id=f"u{row}",
                audio=f"u{row}.wav",
                duration=float(generator.uniform(1, 9)),
                speaker=f"s{speaker}",
                gender="Female" if speaker % 2 else "Male",
                split="test" if row % 3 else "held_out",
                votes={name: float(n) for name, n in zip(labels.names, votes, strict=True) if n},
                emotion=labels.names[best[0]] if len(best) == 1 else None,
                attributes={"arousal": float(generator.uniform(1, 7)), "valence": float(generator.uniform(1, 7))},
            )
        )
    ranges = {"arousal": (1.0, 7.0), "valence": (1.0, 7.0)}
    return Manifest("made-up", labels, ranges, tuple(utterances))


def made_up_system(corpus: Manifest, *, skill: float = 0.5, seed: int = 0, split: str | None = None) -> Predictions:
    """A system that knows the votes to some degree."""
    generator = np.random.default_rng(seed)
    chosen = [u for u in corpus if split in (None, u.split)]
    rows, values = [], []
    for u in chosen:
        votes = np.array([u.votes.get(name, 0.0) for name in corpus.labels.names]) / 5
        rows.append(skill * votes + (1 - skill) * generator.dirichlet(np.full(len(votes), 0.7)))
        values.append([u.attributes["arousal"] + generator.normal(0, 1), 8 - u.attributes["valence"]])
    emotion = np.array(rows)
    ids = tuple(u.id for u in chosen)
    return Predictions(ids, corpus.labels, emotion, np.array(values), ("arousal", "valence"))


@pytest.fixture
def make_corpus() -> Callable[..., Manifest]:
    return rated_manifest


@pytest.fixture
def make_system() -> Callable[..., Predictions]:
    return made_up_system


@pytest.fixture
def corpus() -> Manifest:
    return rated_manifest()


@pytest.fixture
def case(corpus: Manifest) -> AlignedPredictions:
    return align(truth_of(corpus, corpus.split("test")), made_up_system(corpus, split="test"))


@pytest.fixture
def other(corpus: Manifest) -> AlignedPredictions:
    return align(truth_of(corpus, corpus.split("test")), made_up_system(corpus, skill=0.9, seed=1, split="test"))
