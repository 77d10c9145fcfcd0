"""A made-up manifest with feature stores, ready to train on: no audio, no encoder, under a second."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from sertk.data.labels import LabelSet
from sertk.data.manifest import Manifest, Utterance
from sertk.data.recording import Recording
from sertk.features.sources import Read, digest, source_digests
from sertk.features.store import StoreCard, StoreWriter

LABELS = LabelSet(("Angry", "Happy", "Neutral"), letters="AHN")
SPLITS = ("train", "train", "train", "held_out", "development")
DIMS = {"speech": 6, "words": 4}


def write_tiny_corpus(folder: Path, *, utterances: int = 90, seed: int = 1) -> Path:
    """Write `manifest.jsonl.gz` and `features/{speech,words}` into a folder; give the manifest's path.

    Three classes, five raters an utterance, every ninth without agreement; speakers belong to one split. Features
    of (2 to 12, 6) and (1 to 5, 4) frames carry the class with noise; arousal and valence follow it, some missing.
    """
    rng = np.random.default_rng(seed)
    made = []
    frames: dict[str, dict[str, torch.Tensor]] = {name: {} for name in DIMS}
    for number in range(utterances):
        id = f"utt-{number:04d}"
        latent = int(rng.integers(len(LABELS)))
        speaker = number % (5 * len(SPLITS))
        votes = rng.multinomial(5, 0.1 + 0.7 * np.eye(len(LABELS))[latent])
        agreed = number % 9 > 0 and int((votes == votes.max()).sum()) == 1
        attributes = {"arousal": float(np.clip(4 + 2 * (latent == 0) + rng.normal(0, 0.5), 1, 7))}
        if number % 7:
            attributes["valence"] = float(np.clip(3 + 2 * (latent == 1) + rng.normal(0, 0.5), 1, 7))
        made.append(
            Utterance(
                id=id,
                audio=f"audio/{id}.wav",
                duration=1.0 + number % 4,
                speaker=f"speaker-{speaker:02d}",
                gender=("Female", "Male")[speaker % 2],
                split=SPLITS[speaker % len(SPLITS)],
                text=f"made up words {latent}",
                text_source="corpus",
                votes={name: float(count) for name, count in zip(LABELS.names, votes, strict=True) if count},
                emotion=LABELS.names[int(votes.argmax())] if agreed else None,
                attributes=attributes,
            )
        )
        for name, dim in DIMS.items():
            signal = np.zeros(dim)
            signal[latent] = 1.0
            length = int(rng.integers(*((2, 13) if name == "speech" else (1, 6))))
            frames[name][id] = torch.from_numpy(rng.normal(signal, 0.8, (length, dim)).astype(np.float32))
    ranges = {"arousal": (1.0, 7.0), "valence": (1.0, 7.0)}
    path = folder / "manifest.jsonl.gz"
    Manifest("tiny", LABELS, ranges, tuple(made), "made up").write(path)
    for name, dim in DIMS.items():
        modality, rate = ("speech", 10.0) if name == "speech" else ("text", 0.0)
        reads: list[Read] = ["text"] if name == "words" else ["audio"]
        card = StoreCard(
            f"made_up_{name}", {"seed": seed}, f"made-up-{name}-{seed}", modality, dim, rate, "float32", reads=reads
        )
        # Recordings there are none: what their frames are made up of takes their place.
        made_up = {id: digest(tensor.tolist()) for id, tensor in frames[name].items()}
        sources = source_digests(reads, [Recording(u) for u in made]) if name == "words" else made_up
        with StoreWriter(folder / "features" / name, card) as writer:
            for id, tensor in frames[name].items():
                writer.add(id, tensor, sources[id])
    return path


def tiny_experiment(folder: Path, *, fusion: str = "concat", epochs: int = 3) -> Path:
    """Write an experiment file on the corpus of `write_tiny_corpus` in the same folder; give its path.

    Two stages of core components only; the caller may `--set` others.
    """
    path = folder / "experiment.toml"
    path.write_text(
        f"""
[data]
manifest = "{folder}/manifest.jsonl.gz"

[features]
speech = "{folder}/features/speech"
words  = "{folder}/features/words"

[fusion]
use = "{fusion}"

[head]
attributes = ["arousal", "valence"]

[[stage]]
name      = "full"
epochs    = {epochs}
sampler   = {{ use = "by_length", batch_size = 8 }}
optimizer = {{ lr = 1e-2 }}
loss      = [
  {{ use = "cross_entropy", weight = 1.5, class_weight_power = 0.5 }},
  {{ use = "attribute_mse", weight = 0.4 }},
]

[[stage]]
name      = "second"
epochs    = {epochs}
patience  = 2
sampler   = {{ use = "shuffle", batch_size = 8 }}
optimizer = {{ lr = 1e-3 }}
"""
    )
    return path
