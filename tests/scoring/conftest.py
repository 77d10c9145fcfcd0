"""Cases to score, made by seed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from sertk.data.labels import LabelSet
from sertk.data.manifest import Manifest, Utterance
from sertk.ensemble.predictions import Predictions
from sertk.scoring.truth import Case, align, truth_of

LABELS = LabelSet(("Angry", "Sad", "Happy", "Neutral"))


def manifest(count: int = 300, *, speakers: int = 20, seed: int = 0, labels: LabelSet = LABELS) -> Manifest:
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


def system(corpus: Manifest, *, skill: float = 0.5, seed: int = 0, split: str | None = None) -> Predictions:
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
    return manifest


@pytest.fixture
def make_system() -> Callable[..., Predictions]:
    return system


@pytest.fixture
def corpus() -> Manifest:
    return manifest()


@pytest.fixture
def case(corpus: Manifest) -> Case:
    return align(truth_of(corpus, corpus.split("test")), system(corpus, split="test"))


@pytest.fixture
def other(corpus: Manifest) -> Case:
    return align(truth_of(corpus, corpus.split("test")), system(corpus, skill=0.9, seed=1, split="test"))
