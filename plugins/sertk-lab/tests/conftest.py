"""Made-up corpora that a linear model can learn in seconds: noise whose colour is the class."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sertk.data.labels import LabelSet
from sertk.data.manifest import Manifest, Utterance

RATE = 8000
COLOURS = {"angry": -0.8, "happy": 0.0, "sad": 0.8}


def made_corpus(folder: Path, *, speakers: int = 6, times: int = 4, seed: int = 1, names: str = "s") -> Manifest:
    """Each speaker is each class several times; the class is the slope of the spectrum, with some doubt."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    utterances = []
    for speaker in range(speakers):
        voice = rng.normal(0, 0.1)
        for emotion, slope in COLOURS.items():
            for time in range(times):
                id = f"{names}{speaker}_{emotion}_{time}"
                noise = rng.normal(0, 0.1, RATE // 2 + int(rng.integers(0, 1000)))
                tilt = float(np.clip(slope + voice + rng.normal(0, 0.25), -0.95, 0.95))
                noise[1:] += tilt * noise[:-1]
                soundfile.write(folder / f"{id}.wav", noise / np.abs(noise).max() / 2, RATE)
                who = f"{names}{speaker}"
                utterances.append(Utterance(id, f"{id}.wav", speaker=who, emotion=emotion, split="train"))
    return Manifest(
        folder.name, LabelSet(tuple(COLOURS)), {}, tuple(utterances), folder=folder.absolute(), anchored=True
    )


def made_table(corpus: Manifest, path: Path) -> Path:
    """The corpus as a table with semicolons and absolute paths."""
    rows = [f"{corpus.folder / u.audio};{u.emotion};{u.speaker}" for u in corpus]
    path.write_text("\n".join(["path;label;who", *rows]) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def write_corpus() -> Callable[..., Manifest]:
    """Write a made-up corpus into a folder."""
    return made_corpus


@pytest.fixture(scope="session")
def write_table() -> Callable[[Manifest, Path], Path]:
    """Write the table of a corpus."""
    return made_table
